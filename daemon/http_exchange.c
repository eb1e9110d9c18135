#include "daemon/http_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/problem.h"

enum { STREAM_BLOCK_BYTES = 8192 };

uint64_t http_now_ms(const struct http_server *server)
{
    return uv_now(server->options.loop);
}

static void enter(struct http_exchange *exchange, enum phase phase)
{
    exchange->peer->phase = phase;
    exchange->peer->since_ms = http_now_ms(exchange->server);
}

void http_exchange_resume(struct http_exchange *exchange)
{
    if (exchange->suspended) {
        exchange->suspended = false;
        MHD_resume_connection(exchange->connection);
    }
}

static void suspend(struct http_exchange *exchange)
{
    assert(!exchange->suspended);
    exchange->suspended = true;
    MHD_suspend_connection(exchange->connection);
}

/* ---- replies ---- */

static ssize_t on_stream_read(void *cls, uint64_t position, char *buffer, size_t size)
{
    (void)position;
    struct http_exchange *exchange = cls;
    ssize_t bytes = exchange->stream.read(exchange->stream.context, buffer, size);
    if (bytes == HTTP_STREAM_END || (bytes == 0 && exchange->server->quiescing))
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (bytes == 0 && exchange->heartbeat_due && strlen(exchange->stream.heartbeat) <= size) {
        bytes = (ssize_t)strlen(exchange->stream.heartbeat);
        memcpy(buffer, exchange->stream.heartbeat, (size_t)bytes);
    }
    if (bytes == 0) {
        suspend(exchange);
        return 0;
    }
    exchange->heartbeat_due = false;
    exchange->sent_ms = http_now_ms(exchange->server);
    return bytes;
}

static struct MHD_Response *response_of(struct http_exchange *exchange)
{
    struct http_reply *reply = &exchange->reply;
    struct MHD_Response *response = NULL;
    if (exchange->is_stream) {
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES,
                                                     on_stream_read, exchange, NULL);
    } else {
        response = MHD_create_response_from_buffer(reply->body_bytes, reply->body,
                                                   reply->body ? MHD_RESPMEM_MUST_FREE
                                                               : MHD_RESPMEM_PERSISTENT);
        if (response)
            reply->body = NULL;
    }
    if (!response)
        return NULL;
    bool whole =
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES &&
        MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES;
    if (exchange->server->quiescing)
        whole = whole && MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    if (reply->content_type)
        whole = whole && MHD_add_response_header(response, "Content-Type", reply->content_type);
    for (size_t i = 0; i < reply->header_count; i++)
        whole = whole &&
                MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
    if (!whole) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}

/* Hands the reply to libmicrohttpd. MHD_NO closes the connection. */
static enum MHD_Result send_reply(struct http_exchange *exchange)
{
    struct MHD_Response *response = response_of(exchange);
    if (!response)
        return MHD_NO;
    exchange->state = SENDING;
    enter(exchange, exchange->is_stream ? PHASE_STREAM : PHASE_REPLY);
    if (exchange->is_stream)
        TAILQ_INSERT_TAIL(&exchange->server->streams, exchange, link);
    enum MHD_Result result =
        MHD_queue_response(exchange->connection, (unsigned)exchange->reply.status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_problem(struct http_exchange *exchange, int status, const char *detail)
{
    problem_reply(&exchange->reply, problem_of_status(status), detail);
    return send_reply(exchange);
}

/* ---- requests, as libmicrohttpd hands them over ---- */

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    (void)kind;
    struct http_exchange *exchange = cls;
    int r = http_request_add_header(exchange->request, name, value ? value : "");
    exchange->reply.status = r == -E2BIG ? 431 : r < 0 ? 503 : exchange->reply.status;
    return r == 0 ? MHD_YES : MHD_NO;
}

static bool is_large(const struct http_exchange *exchange)
{
    const struct http_options *options = &exchange->server->options;
    return options->large_path && strcmp(exchange->request->method, options->large_method) == 0 &&
           strncmp(exchange->request->path, options->large_path, strlen(options->large_path)) == 0;
}

/* The body goes to a sink, or is not wanted. */
static enum MHD_Result begin_large(struct http_exchange *exchange)
{
    const struct http_options *options = &exchange->server->options;
    struct http_sink sink = {.close = NULL};
    if (!http_request_header(exchange->request, "Content-Length"))
        return send_problem(exchange, 411, "The body's length must be announced.");
    if (!options->open_sink(options->context, exchange->request, &sink, &exchange->reply))
        return send_reply(exchange);
    exchange->sink = sink;
    exchange->request->sink = sink.context;
    enter(exchange, PHASE_UPLOAD);
    return MHD_YES;
}

/* The head is complete: refuses at once, before any of the body is read, or lets the body come. */
static enum MHD_Result begin(struct http_exchange *exchange, const char *method,
                             const char *version)
{
    struct http_refusal refusal;
    enter(exchange, PHASE_BODY);
    int r = http_request_new(method, version, &exchange->request);
    if (r < 0)
        return send_problem(exchange, r == -EINVAL ? 400 : 503, "The method is malformed.");
    MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, on_header, exchange);
    if (exchange->reply.status)
        return send_problem(exchange, exchange->reply.status, "The headers are too large.");
    if (!http_request_set_target(exchange->request, exchange->target, &refusal))
        return send_problem(exchange, refusal.status, refusal.detail);
    if (is_large(exchange))
        exchange->request->body_bytes_max = exchange->server->options.large_bytes_max;
    if (!http_request_check(exchange->request, &exchange->server->options.hosts, &refusal))
        return send_problem(exchange, refusal.status, refusal.detail);
    exchange->state = RECEIVING;
    return is_large(exchange) ? begin_large(exchange) : MHD_YES;
}

/* What is dropped after a failure is bounded by the length that was announced. */
static void pour(struct http_exchange *exchange, const char *data, size_t bytes)
{
    struct http_request *request = exchange->request;
    if (request->sink_failure == 0)
        request->sink_failure = exchange->sink.write(exchange->sink.context, data, bytes);
}

static enum MHD_Result receive(struct http_exchange *exchange, const char *data, size_t bytes)
{
    if (exchange->sink.close) {
        pour(exchange, data, bytes);
        return MHD_YES;
    }
    if (exchange->state == RECEIVING &&
        http_request_append_body(exchange->request, data, bytes) == 0)
        return MHD_YES;
    exchange->state = TOO_LARGE;
    exchange->discarded_bytes += bytes;
    return exchange->discarded_bytes > HTTP_DISCARD_BYTES_MAX ? MHD_NO : MHD_YES;
}

/* The request is complete. */
static enum MHD_Result dispatch(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    if (exchange->state == TOO_LARGE)
        return send_problem(exchange, 413, "The body is larger than 1 MiB.");
    exchange->state = WAITING;
    exchange->in_flight = true;
    server->in_flight_count++;
    enter(exchange, PHASE_WAIT);
    server->options.handle(server->options.context, exchange, exchange->request);
    assert(exchange->state == REPLIED || exchange->is_parked);
    if (exchange->is_parked)
        suspend(exchange);
    return MHD_YES;
}

enum MHD_Result http_on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *bytes, void **context)
{
    (void)cls;
    (void)url;
    struct http_exchange *exchange = *context;
    if (!exchange || exchange->state == GONE)
        return MHD_NO;
    assert(exchange->connection == connection);
    if (!exchange->request)
        return begin(exchange, method, version);
    if (*bytes > 0) {
        size_t received = *bytes;
        *bytes = 0;
        return receive(exchange, data, received);
    }
    if (exchange->state == RELEASED)
        return send_reply(exchange);
    return exchange->state == REPLIED ? MHD_YES : dispatch(exchange);
}

/* The request line is complete: an exchange begins. Its address becomes the request's context. */
void *http_on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    struct http_server *server = cls;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange || !info || !info->socket_context) {
        free(exchange);
        return NULL;
    }
    exchange->server = server;
    exchange->connection = connection;
    exchange->peer = info->socket_context;
    exchange->target = strdup(target ? target : "");
    if (!exchange->target) {
        free(exchange);
        return NULL;
    }
    server->exchange_count++;
    return exchange;
}

static void unlink_exchange(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    if (exchange->is_parked)
        TAILQ_REMOVE(&server->parked, exchange, link);
    else if (exchange->state == REPLIED)
        TAILQ_REMOVE(&server->replies, exchange, link);
    else if (exchange->state == SENDING && exchange->is_stream)
        TAILQ_REMOVE(&server->streams, exchange, link);
    exchange->is_parked = false;
}

/* The exchange is over, one way or another. */
void http_on_completed(void *cls, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode why)
{
    (void)connection;
    (void)why;
    struct http_server *server = cls;
    struct http_exchange *exchange = *context;
    *context = NULL;
    if (!exchange)
        return;
    assert(!exchange->is_parked);
    bool in_flight = exchange->in_flight;
    unlink_exchange(exchange);
    if (exchange->is_stream)
        exchange->stream.close(exchange->stream.context);
    if (exchange->sink.close)
        exchange->sink.close(exchange->sink.context);
    enter(exchange, exchange->state == SENDING ? PHASE_HEAD : exchange->peer->phase);
    http_request_free(exchange->request);
    free(exchange->target);
    free(exchange->reply.body);
    free(exchange);
    server->exchange_count--;
    server->in_flight_count -= in_flight;
}

void http_exchange_wake(struct http_exchange *exchange, enum http_wake why)
{
    struct http_parked parked = exchange->parked;
    if (why == HTTP_WAKE_GONE) {
        unlink_exchange(exchange);
        exchange->state = GONE;
        parked.wake(parked.context, exchange, why);
        http_exchange_resume(exchange);
        return;
    }
    parked.wake(parked.context, exchange, why);
}

static void replace_by_unavailable(struct http_exchange *exchange)
{
    if (exchange->is_stream) {
        exchange->is_stream = false;
        exchange->stream.close(exchange->stream.context);
    }
    free(exchange->reply.body);
    problem_reply(&exchange->reply, PROBLEM_UNAVAILABLE,
                  "The change could not be stored; nothing of it was kept. Try again shortly.");
}

void http_exchange_release(struct http_exchange *exchange, bool durable)
{
    TAILQ_REMOVE(&exchange->server->replies, exchange, link);
    exchange->state = RELEASED;
    if (!durable)
        replace_by_unavailable(exchange);
    http_exchange_resume(exchange);
}

/* ---- exchanges ---- */

static void queue_reply(struct http_exchange *exchange)
{
    assert(exchange->state == WAITING);
    unlink_exchange(exchange);
    exchange->state = REPLIED;
    TAILQ_INSERT_TAIL(&exchange->server->replies, exchange, link);
}

void http_exchange_reply(struct http_exchange *exchange, struct http_reply *reply)
{
    exchange->reply = *reply;
    reply->body = NULL;
    queue_reply(exchange);
}

int http_exchange_park(struct http_exchange *exchange, const struct http_parked *parked)
{
    struct http_server *server = exchange->server;
    assert(exchange->state == WAITING && !exchange->is_parked);
    if (server->quiescing)
        return -EAGAIN;
    exchange->parked = *parked;
    exchange->deadline_ms = http_now_ms(server) + parked->wait_ms;
    exchange->is_parked = true;
    TAILQ_INSERT_TAIL(&server->parked, exchange, link);
    return 0;
}

void http_exchange_stream(struct http_exchange *exchange, const struct http_stream *stream)
{
    exchange->stream = *stream;
    exchange->is_stream = true;
    exchange->sent_ms = http_now_ms(exchange->server);
    exchange->reply = (struct http_reply){.status = 200, .content_type = stream->content_type};
    queue_reply(exchange);
}

bool http_peer_has_hung_up(const struct peer *peer)
{
    char byte;
    ssize_t bytes = recv(peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return bytes == 0 || (bytes < 0 && errno != EAGAIN && errno != EINTR);
}

bool http_exchange_is_alive(const struct http_exchange *exchange)
{
    return !http_peer_has_hung_up(exchange->peer);
}

void http_stream_wake(struct http_exchange *exchange)
{
    if (exchange->state == SENDING)
        http_exchange_resume(exchange);
}

void http_reply_header(struct http_reply *reply, const char *name, const char *format, ...)
{
    va_list arguments;
    assert(reply->header_count < HTTP_REPLY_HEADERS_MAX);
    char *value = reply->headers[reply->header_count].value;
    reply->headers[reply->header_count++].name = name;
    va_start(arguments, format);
    vsnprintf(value, HTTP_REPLY_HEADER_SIZE, format, arguments);
    va_end(arguments);
}
