#include "tests/unit/daemon/http_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/listener.h"

void fixture_reply(struct http_exchange *exchange, const char *text)
{
    struct http_reply reply = {.status = 200, .content_type = "text/plain"};
    reply.body = strdup(text);
    assert_non_null(reply.body);
    reply.body_bytes = strlen(text);
    http_exchange_reply(exchange, &reply);
}

static void on_wake(void *context, struct http_exchange *exchange, enum http_wake wake)
{
    struct fixture *fixture = context;
    fixture->parked = NULL;
    fixture->deadlines += wake == HTTP_WAKE_DEADLINE;
    fixture->gone += wake == HTTP_WAKE_GONE;
    fixture->shutdowns += wake == HTTP_WAKE_SHUTDOWN;
    if (wake != HTTP_WAKE_GONE)
        fixture_reply(exchange, wake == HTTP_WAKE_DEADLINE ? "too late" : "bye");
}

static ssize_t on_stream_read(void *context, char *buffer, size_t size)
{
    struct fixture *fixture = context;
    struct stream_state *stream = &fixture->stream;
    if (stream->said == stream->until)
        return stream->ends ? HTTP_STREAM_END : 0;
    return snprintf(buffer, size, "data: %u\n\n", stream->said++);
}

static void on_stream_close(void *context)
{
    struct fixture *fixture = context;
    fixture->stream.closed = true;
    fixture->streaming = NULL;
}

static void on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct fixture *fixture = context;
    fixture->requests++;
    fixture->seen_body_bytes = request->body_bytes;
    snprintf(fixture->seen, sizeof fixture->seen, "%s %s %s", request->method, request->path,
             http_request_query(request, "q") ? http_request_query(request, "q") : "-");
    if (strcmp(request->path, "/park") == 0 || strcmp(request->path, "/soon") == 0) {
        struct http_parked parked = {
            .wait_ms = request->path[1] == 's' ? 1 : 60000, .wake = on_wake, .context = fixture};
        if (http_exchange_park(exchange, &parked) == 0)
            fixture->parked = exchange;
        else
            fixture_reply(exchange, "stopping");
    } else if (strcmp(request->path, "/stream") == 0) {
        struct http_stream stream = {.content_type = "text/event-stream",
                                     .heartbeat = ":\n\n",
                                     .read = on_stream_read,
                                     .close = on_stream_close,
                                     .context = fixture};
        fixture->streaming = exchange;
        http_exchange_stream(exchange, &stream);
    } else {
        fixture_reply(exchange, fixture->seen);
    }
}

void fixture_turn(struct fixture *fixture)
{
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    if (fixture->server && !fixture->held)
        http_server_release(fixture->server, fixture->durable);
    usleep(TURN_US);
}

int fixture_set_up(void **state)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct error error;
    socklen_t size = sizeof fixture->address;
    assert_non_null(fixture);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    struct http_options options = {
        .loop = &fixture->loop, .hosts = {names, 3}, .handle = on_request, .context = fixture};
    assert_int_equal(listener_open("127.0.0.1:0", &options.listen_fd, &error), 0);
    getsockname(options.listen_fd, (struct sockaddr *)&fixture->address, &size);
    assert_int_equal(http_server_new(&options, &fixture->server), 0);
    fixture->durable = true;
    *state = fixture;
    return 0;
}

static void on_server_closed(void *context)
{
    struct fixture *fixture = context;
    fixture->server_closed = true;
}

int fixture_tear_down(void **state)
{
    struct fixture *fixture = *state;
    struct http_server *server = fixture->server;
    fixture->server = NULL;
    http_server_close(server, on_server_closed, fixture);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_true(fixture->server_closed);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    free(fixture);
    return 0;
}

int client_open(struct fixture *fixture)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&fixture->address, sizeof fixture->address), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

void client_send_bytes(struct fixture *fixture, int fd, const char *bytes, size_t length)
{
    for (int i = 0; length > 0 && i < TURNS_MAX; i++) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return;
        bytes += sent > 0 ? sent : 0;
        length -= sent > 0 ? (size_t)sent : 0;
        fixture_turn(fixture);
    }
}

void client_send(struct fixture *fixture, int fd, const char *text)
{
    client_send_bytes(fixture, fd, text, strlen(text));
}

void client_receive(struct fixture *fixture, int fd, const char *needle, int turns,
                    char answer[ANSWER_SIZE], bool *ret_closed)
{
    size_t used = strlen(answer);
    *ret_closed = false;
    for (int i = 0; i < turns; i++) {
        ssize_t bytes = recv(fd, answer + used, ANSWER_SIZE - 1 - used, 0);
        if (bytes > 0)
            used += (size_t)bytes;
        answer[used] = '\0';
        *ret_closed = bytes == 0 || (bytes < 0 && errno != EAGAIN);
        if (*ret_closed || (needle && strstr(answer, needle)))
            return;
        fixture_turn(fixture);
    }
}

void fixture_expect(struct fixture *fixture, const char *request, const char *expected)
{
    char *answer = calloc(1, ANSWER_SIZE);
    bool closed = false;
    int fd = client_open(fixture);
    client_send(fixture, fd, request);
    client_receive(fixture, fd, expected, TURNS_MAX, answer, &closed);
    if (!strstr(answer, expected))
        fail_msg("expected '%s' in the answer to '%.80s', got '%.400s'", expected, request, answer);
    close(fd);
    free(answer);
}

void fixture_expect_silence(struct fixture *fixture, int fd)
{
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    client_receive(fixture, fd, NULL, 200, answer, &closed);
    assert_string_equal(answer, "");
    assert_false(closed);
}
