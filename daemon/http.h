/* The HTTP server: libmicrohttpd inside a libuv loop. The only module that knows microhttpd.h.
 *
 * For every request that is well formed the server calls `handle` once, on the loop's thread, with
 * an exchange. The handler, or whoever keeps the exchange, calls exactly one of http_exchange_reply
 * and http_exchange_stream, at once or, after http_exchange_park, later. No reply leaves before
 * http_server_release(): the program commits what the requests of a loop tick changed, then lets
 * their replies go, or turns them all into 503 where the commit failed.
 *
 * Malformed requests are answered by the server itself and never reach the handler: two lengths, a
 * length and a transfer coding, a body above the limit, a foreign Host or Origin, broken escapes.
 * What is broken so badly that a reply would have no request to belong to has its connection
 * closed. */
#ifndef DAEMON_HTTP_H
#define DAEMON_HTTP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "daemon/http_request.h"
#include "search/attributes.h"

enum {
    HTTP_CONNECTIONS_MAX = 1024,
    HTTP_CONNECTION_BYTES = 32768, /* memory of one connection: bounds the request head */
    HTTP_IDLE_SECONDS_MAX = 30,    /* without a byte either way */
    HTTP_HEAD_MS_MAX = 60000, /* from the previous reply to the end of the next request's head */
    HTTP_BODY_MS_MAX = 60000, /* from the head's end to the body's */
    HTTP_UPLOAD_MS_MAX = 3600000, /* the same where the body goes to a sink */
    HTTP_REPLY_MS_MAX =
        300000, /* from the reply's start to its last byte; streams have no such limit */
    HTTP_DISCARD_BYTES_MAX =
        128 << 20, /* of a chunked body that is too large, then the connection is closed */
    HTTP_HEARTBEAT_MS = 15000, /* a silent stream says something at least this often */
    HTTP_RETRY_AFTER_SECONDS = 2,
    HTTP_REPLY_HEADERS_MAX = 4,
    HTTP_REPLY_HEADER_SIZE = 192,
};

struct http_server;
struct http_exchange;

struct http_reply {
    int status;
    const char *content_type; /* of static storage; NULL: there is no body */
    char *body;               /* from malloc; goes over to the server. NULL: empty */
    size_t body_bytes;
    struct {
        const char *name; /* of static storage */
        char value[HTTP_REPLY_HEADER_SIZE];
    } headers[HTTP_REPLY_HEADERS_MAX];
    size_t header_count;
};

/* A reply of unknown length. Callbacks run on the loop's thread, inside the server: they may call
 * http_stream_wake but nothing else of this header. */
struct http_stream {
    const char *content_type;
    const char *heartbeat; /* sent when nothing else was for HTTP_HEARTBEAT_MS, e.g. ":\n\n" */
    /* Writes up to `size` bytes. Their number; 0: nothing now, sleep until http_stream_wake;
     * HTTP_STREAM_END. */
    ssize_t (*read)(void *context, char *buffer, size_t size);
    void (*close)(void *context); /* called once, whatever happens */
    void *context;
};
enum { HTTP_STREAM_END = -1 };

/* Where the body of a request goes that is too large to be kept in memory. Callbacks run on the
 * loop's thread, inside the server. */
struct http_sink {
    /* 0, or a negative errno: the rest is dropped, and request->sink_failure tells it. */
    int (*write)(void *context, const char *bytes, size_t length);
    void (*close)(void *context); /* called once, whatever happens, when the request is over */
    void *context;
};

enum http_wake {
    HTTP_WAKE_DEADLINE, /* reply now */
    HTTP_WAKE_GONE,     /* the client went away: the exchange ends with this call, do not reply */
    HTTP_WAKE_SHUTDOWN, /* the server stops: reply now */
};

struct http_parked {
    uint64_t wait_ms;
    void (*wake)(void *context, struct http_exchange *exchange, enum http_wake wake);
    void *context;
};

struct http_options {
    uv_loop_t *loop;
    int listen_fd;           /* see listener.h; the server's from here on, on failure too */
    struct http_hosts hosts; /* outlives the server */
    void (*handle)(void *context, struct http_exchange *exchange,
                   const struct http_request *request);
    void *context;
    /* Requests with this method whose path begins so may have bodies of up to large_bytes_max bytes:
     * they must announce a length, and the body goes to a sink. NULL: there are none. */
    const char *large_method, *large_path;
    uint64_t large_bytes_max;
    /* Called once the head of such a request is complete. False with *ret_reply filled: refused. */
    bool (*open_sink)(void *context, const struct http_request *request, struct http_sink *ret_sink,
                      struct http_reply *ret_reply);
};

/* -ENOMEM, or -EIO where libmicrohttpd does not start. */
int http_server_new(const struct http_options *options, struct http_server **ret_server) MUST_USE;

/* True where replies wait for http_server_release. */
bool http_server_has_replies(const struct http_server *server);
/* Sends every reply given since the last call. `durable` false: their effects were not committed,
 * so each of them is replaced by 503 with Retry-After. May call `handle` for requests that were
 * queued behind those replies. */
void http_server_release(struct http_server *server, bool durable);

/* Accepts no more connections, wakes what is parked, ends streams. Replies in flight still leave.
 */
void http_server_quiesce(struct http_server *server);
/* True while no request that reached the handler is unanswered. */
bool http_server_is_quiet(const struct http_server *server);
/* Closes every connection. `closed` is called from the loop when the server's memory is gone. Call
 * once. */
void http_server_close(struct http_server *server, void (*closed)(void *context), void *context);

/* Takes over reply->body, on failure too: without memory the connection is closed instead. */
void http_exchange_reply(struct http_exchange *exchange, struct http_reply *reply);
/* Keeps the request waiting: `wake` is called once, unless a reply is given before. -EAGAIN when
 * the server is stopping. */
int http_exchange_park(struct http_exchange *exchange, const struct http_parked *parked) MUST_USE;
/* Replies 200 with a stream. */
void http_exchange_stream(struct http_exchange *exchange, const struct http_stream *stream);
/* False where the client has hung up: a reply would be lost. */
bool http_exchange_is_alive(const struct http_exchange *exchange);
/* There is something to read again. Harmless when the stream is awake. */
void http_stream_wake(struct http_exchange *exchange);

/* Adds a header to a reply; texts that do not fit are cut, more than HTTP_REPLY_HEADERS_MAX is a
 * programmer's error. */
void http_reply_header(struct http_reply *reply, const char *name, const char *format, ...)
    FORMAT_PRINTF(3, 4);

#endif
