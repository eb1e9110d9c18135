#include "tests/unit/proto/file_server.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <microhttpd.h>

#include <cmocka.h>

enum { BLOCK = 512 };

struct file_server {
    struct MHD_Daemon *daemon;
    struct file_server_behaviour behaviour;
    const uint8_t *bytes;
    size_t length;
    atomic_uint requests;
    atomic_uint_fast64_t bytes_sent;
};

/* One body. */
struct body {
    struct file_server *server;
    size_t start, break_at; /* break_at: offset in the file; 0: none */
};

static ssize_t on_read(void *context, uint64_t position, char *ret_bytes, size_t max)
{
    const struct body *body = context;
    struct file_server *server = body->server;
    size_t from = body->start + (size_t)position;
    size_t end =
        body->break_at && body->break_at < server->length ? body->break_at : server->length;
    if (from >= end)
        return end < server->length ? MHD_CONTENT_READER_END_WITH_ERROR
                                    : MHD_CONTENT_READER_END_OF_STREAM;
    size_t count = end - from < max ? end - from : max;
    count = count < BLOCK ? count : BLOCK;
    memcpy(ret_bytes, server->bytes + from, count);
    atomic_fetch_add(&server->bytes_sent, count);
    return (ssize_t)count;
}

static enum MHD_Result reply_status(struct MHD_Connection *connection, unsigned status,
                                    const char *location)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(5, (void *)(uintptr_t) "wrong", MHD_RESPMEM_PERSISTENT);
    if (location)
        MHD_add_response_header(response, "Location", location);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* The first byte that is asked for; 0 for the whole file. */
static size_t asked_start(struct file_server *server, struct MHD_Connection *connection)
{
    const char *range = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Range");
    const char *tag = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-Range");
    const struct file_server_behaviour *behaviour = &server->behaviour;
    if (!range || behaviour->no_ranges ||
        (tag && (!behaviour->tag || strcmp(tag, behaviour->tag) != 0)))
        return 0;
    return (size_t)strtoull(range + strlen("bytes="), NULL, 10);
}

static enum MHD_Result reply_file(struct file_server *server, struct MHD_Connection *connection)
{
    struct file_server_behaviour *behaviour = &server->behaviour;
    size_t start = asked_start(server, connection);
    if (start && start >= server->length)
        return reply_status(connection, 416, NULL);
    struct body *body = calloc(1, sizeof *body);
    *body = (struct body){.server = server, .start = start};
    const bool will_break = behaviour->break_after && behaviour->breaks_left;
    if (will_break) {
        body->break_at = start + behaviour->break_after;
        behaviour->breaks_left--;
    }
    struct MHD_Response *response =
        MHD_create_response_from_callback(server->length - start, BLOCK, on_read, body, free);
    char range[96];
    snprintf(range, sizeof range, "bytes %zu-%zu/%zu", start + behaviour->wrong_range,
             server->length - 1, server->length);
    if (start)
        MHD_add_response_header(response, "Content-Range", range);
    if (behaviour->tag)
        MHD_add_response_header(response, "ETag", behaviour->tag);
    enum MHD_Result result = MHD_queue_response(connection, start ? 206 : 200, response);
    MHD_destroy_response(response);
    if (will_break && behaviour->next_tag)
        behaviour->tag = behaviour->next_tag;
    return result;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    struct file_server *server = context;
    struct file_server_behaviour *behaviour = &server->behaviour;
    (void)method, (void)version, (void)upload, (void)upload_size, (void)request;
    atomic_fetch_add(&server->requests, 1);
    if (behaviour->redirect && strcmp(url, "/moved") == 0)
        return reply_status(connection, 302, behaviour->redirect);
    if (behaviour->status) {
        unsigned status = behaviour->status;
        if (behaviour->failures_left && --behaviour->failures_left == 0)
            behaviour->status = 0;
        return reply_status(connection, status, NULL);
    }
    return reply_file(server, connection);
}

struct file_server *file_server_start(const uint8_t *bytes, size_t length)
{
    struct file_server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    server->bytes = bytes;
    server->length = length;
    server->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
                                      server, MHD_OPTION_END);
    assert_non_null(server->daemon);
    return server;
}

void file_server_stop(struct file_server *server)
{
    MHD_stop_daemon(server->daemon);
    free(server);
}

struct file_server_behaviour *file_server_behaviour(struct file_server *server)
{
    return &server->behaviour;
}

void file_server_serve(struct file_server *server, const uint8_t *bytes, size_t length)
{
    server->bytes = bytes;
    server->length = length;
}

void file_server_url(const struct file_server *server, const char *path,
                     char ret_url[FILE_SERVER_URL_SIZE])
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    assert_non_null(info);
    snprintf(ret_url, FILE_SERVER_URL_SIZE, "http://127.0.0.1:%u%s", info->port, path);
}

unsigned file_server_requests(const struct file_server *server)
{
    return atomic_load(&server->requests);
}

uint64_t file_server_bytes_sent(const struct file_server *server)
{
    return atomic_load(&server->bytes_sent);
}
