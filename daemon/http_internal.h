/* What http.c (server and loop) and http_exchange.c (exchanges) share. Nobody else includes it.
 *
 * One exchange is one request with its reply. Its life:
 *
 *   RECEIVING -> WAITING    with the handler; the connection is suspended where the request is parked
 *             -> REPLIED    on the list of replies; libmicrohttpd asks again and again
 *             -> RELEASED   the next time it asks, it gets the reply
 *             -> SENDING    libmicrohttpd has the reply; freed by http_on_completed
 *
 * TOO_LARGE takes RECEIVING's place once a body exceeds its limit: the rest is read and dropped, then 413 follows. GONE
 * takes WAITING's place when the client has hung up: the connection is resumed only to be closed.
 *
 * libmicrohttpd calls us from MHD_run alone, which only pump() calls, so none of the callbacks is ever nested. */
#ifndef DAEMON_HTTP_INTERNAL_H
#define DAEMON_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <sys/queue.h>

#include "daemon/http.h"

enum exchange_state { RECEIVING, TOO_LARGE, WAITING, REPLIED, RELEASED, SENDING, GONE };

enum phase { PHASE_HEAD, PHASE_BODY, PHASE_UPLOAD, PHASE_WAIT, PHASE_REPLY, PHASE_STREAM };

/* A connection: what it is doing, and since when. */
struct peer {
    TAILQ_ENTRY(peer) link;
    int fd;
    enum phase phase;
    uint64_t since_ms;
};

struct http_exchange {
    TAILQ_ENTRY(http_exchange) link; /* of server->parked, ->replies or ->streams */
    struct http_server *server;
    struct MHD_Connection *connection;
    struct peer *peer;
    enum exchange_state state;
    char *target;
    struct http_request *request;
    struct http_sink sink; /* close NULL = there is none */
    uint64_t discarded_bytes;
    bool suspended;
    bool in_flight; /* reached the handler */
    bool is_parked, is_stream;
    struct http_parked parked;
    uint64_t deadline_ms;
    struct http_reply reply;
    struct http_stream stream;
    bool heartbeat_due;
    uint64_t sent_ms;
};

TAILQ_HEAD(exchange_list, http_exchange);
TAILQ_HEAD(peer_list, peer);

struct http_server {
    struct http_options options;
    struct MHD_Daemon *mhd;
    uv_poll_t poll;
    uv_timer_t timer; /* libmicrohttpd's */
    uv_idle_t again;  /* runs while libmicrohttpd has something to do at once */
    uv_timer_t sweep;
    bool running, quiescing;
    unsigned sweeps, handles_open;
    size_t exchange_count, in_flight_count;
    struct exchange_list parked, replies, streams;
    struct peer_list peers;
    void (*closed)(void *context);
    void *closed_context;
};

/* Callbacks of libmicrohttpd; `cls` is the server. */
void *http_on_target(void *cls, const char *target, struct MHD_Connection *connection);
enum MHD_Result http_on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *bytes, void **context);
void http_on_completed(void *cls, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode why);

uint64_t http_now_ms(const struct http_server *server);
/* True where nothing more can come: the client has closed its side, or the connection broke. */
bool http_peer_has_hung_up(const struct peer *peer);
/* Takes a suspended exchange up again; harmless where it is not suspended. */
void http_exchange_resume(struct http_exchange *exchange);
/* Wakes a parked exchange. */
void http_exchange_wake(struct http_exchange *exchange, enum http_wake why);
/* Lets a reply go, or 503 in its place. */
void http_exchange_release(struct http_exchange *exchange, bool durable);

#endif
