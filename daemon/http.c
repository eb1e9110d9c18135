#include "daemon/http_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SWEEP_MS = 250,
    LIVENESS_SWEEPS = 4,
    RELEASE_ROUNDS = 2, /* the first takes the replies, the second writes them */
};

static void on_timer(uv_timer_t *timer);
static void on_again(uv_idle_t *idle);

/* Lets libmicrohttpd do what it can without blocking, in up to `rounds` rounds, and arranges for the next: at once, after
 * the time that it asks for, or when a socket is ready. */
static void pump(struct http_server *server, int rounds)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    bool has_timeout = false;
    if (server->running)
        return;
    server->running = true;
    do {
        MHD_run(server->mhd);
        has_timeout = MHD_get_timeout(server->mhd, &wait_ms) == MHD_YES;
    } while (has_timeout && wait_ms == 0 && --rounds > 0);
    server->running = false;
    if (has_timeout && wait_ms == 0)
        uv_idle_start(&server->again, on_again);
    else
        uv_idle_stop(&server->again);
    if (has_timeout && wait_ms > 0)
        uv_timer_start(&server->timer, on_timer, wait_ms, 0);
    else
        uv_timer_stop(&server->timer);
}

static void on_timer(uv_timer_t *timer)
{
    pump(timer->data, 1);
}

static void on_again(uv_idle_t *idle)
{
    pump(idle->data, 1);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    pump(poll->data, 1);
}

static void sweep_parked(struct http_server *server, bool check_liveness)
{
    uint64_t now = http_now_ms(server);
    struct http_exchange *exchange = NULL, *next = NULL;
    for (exchange = TAILQ_FIRST(&server->parked); exchange; exchange = next) {
        next = TAILQ_NEXT(exchange, link);
        if (check_liveness && !http_exchange_is_alive(exchange))
            http_exchange_wake(exchange, HTTP_WAKE_GONE);
        else if (now >= exchange->deadline_ms)
            http_exchange_wake(exchange, HTTP_WAKE_DEADLINE);
    }
}

/* libmicrohttpd takes a short read for the end of what is there and waits for the next edge: an end of input that came with
 * the last bytes has none. So whoever is about to send is asked whether he still can. */
static void sweep_peers(struct http_server *server, bool check_liveness)
{
    static const uint64_t limit_ms[] = {
        [PHASE_HEAD] = HTTP_HEAD_MS_MAX,     [PHASE_BODY] = HTTP_BODY_MS_MAX,
        [PHASE_UPLOAD] = HTTP_UPLOAD_MS_MAX, [PHASE_WAIT] = UINT64_MAX,
        [PHASE_REPLY] = HTTP_REPLY_MS_MAX,   [PHASE_STREAM] = UINT64_MAX,
    };
    uint64_t now = http_now_ms(server);
    struct peer *peer = NULL;
    TAILQ_FOREACH(peer, &server->peers, link)
    {
        bool receiving = peer->phase <= PHASE_UPLOAD;
        if (now - peer->since_ms > limit_ms[peer->phase] ||
            (check_liveness && receiving && http_peer_has_hung_up(peer)))
            shutdown(peer->fd, SHUT_RDWR); /* libmicrohttpd notices and closes it */
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    uint64_t now = http_now_ms(server);
    struct http_exchange *exchange = NULL;
    bool check_liveness = server->sweeps++ % LIVENESS_SWEEPS == 0;
    sweep_parked(server, check_liveness);
    sweep_peers(server, check_liveness);
    TAILQ_FOREACH(exchange, &server->streams, link)
    {
        if (now - exchange->sent_ms < HTTP_HEARTBEAT_MS)
            continue;
        exchange->heartbeat_due = true;
        http_exchange_resume(exchange);
    }
    pump(server, RELEASE_ROUNDS);
}

/* ---- the server ---- */

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct peer *peer = calloc(1, sizeof *peer);
        *context = peer;
        if (!peer || !info)
            return;
        peer->fd = info->connect_fd;
        peer->since_ms = http_now_ms(server);
        TAILQ_INSERT_TAIL(&server->peers, peer, link);
        return;
    }
    struct peer *peer = *context;
    if (!peer)
        return;
    TAILQ_REMOVE(&server->peers, peer, link);
    free(peer);
    *context = NULL;
}

static struct MHD_Daemon *start_mhd(struct http_server *server)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    return MHD_start_daemon(flags, 0, NULL, NULL, http_on_request, server, MHD_OPTION_LISTEN_SOCKET,
                            server->options.listen_fd, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_CONNECTION_BYTES,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_SECONDS_MAX,
                            MHD_OPTION_URI_LOG_CALLBACK, http_on_target, server,
                            MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, server,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
}

int http_server_new(const struct http_options *options, struct http_server **ret_server)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server) {
        close(options->listen_fd);
        return -ENOMEM;
    }
    server->options = *options;
    TAILQ_INIT(&server->parked);
    TAILQ_INIT(&server->replies);
    TAILQ_INIT(&server->streams);
    TAILQ_INIT(&server->peers);
    server->mhd = start_mhd(server);
    if (!server->mhd) {
        free(server);
        return -EIO;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    int r = uv_poll_init(options->loop, &server->poll, info->epoll_fd);
    if (r < 0) {
        MHD_stop_daemon(server->mhd);
        free(server);
        return r;
    }
    uv_timer_init(options->loop, &server->timer);
    uv_idle_init(options->loop, &server->again);
    uv_timer_init(options->loop, &server->sweep);
    server->handles_open = 4;
    server->poll.data = server->timer.data = server->again.data = server->sweep.data = server;
    uv_poll_start(&server->poll, UV_READABLE, on_poll);
    uv_timer_start(&server->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    *ret_server = server;
    return 0;
}

bool http_server_has_replies(const struct http_server *server)
{
    return !TAILQ_EMPTY(&server->replies);
}

void http_server_release(struct http_server *server, bool durable)
{
    struct http_exchange *exchange = NULL;
    if (TAILQ_EMPTY(&server->replies))
        return;
    while ((exchange = TAILQ_FIRST(&server->replies)))
        http_exchange_release(exchange, durable);
    pump(server, RELEASE_ROUNDS);
}

static void resume_streams(struct http_server *server)
{
    struct http_exchange *exchange = NULL;
    TAILQ_FOREACH(exchange, &server->streams, link)
    {
        http_exchange_resume(exchange);
    }
}

void http_server_quiesce(struct http_server *server)
{
    struct http_exchange *exchange = NULL;
    if (server->quiescing)
        return;
    server->quiescing = true;
    MHD_socket listen_fd = MHD_quiesce_daemon(server->mhd);
    if (listen_fd != MHD_INVALID_SOCKET)
        close(listen_fd);
    while ((exchange = TAILQ_FIRST(&server->parked))) {
        http_exchange_wake(exchange, HTTP_WAKE_SHUTDOWN);
        assert(!exchange->is_parked);
    }
    resume_streams(server);
    pump(server, RELEASE_ROUNDS);
}

bool http_server_is_quiet(const struct http_server *server)
{
    return server->in_flight_count == 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    if (--server->handles_open > 0)
        return;
    void (*closed)(void *context) = server->closed;
    void *context = server->closed_context;
    free(server);
    closed(context);
}

/* libmicrohttpd must not be stopped while a connection is suspended. */
void http_server_close(struct http_server *server, void (*closed)(void *context), void *context)
{
    struct http_exchange *exchange = NULL;
    server->closed = closed;
    server->closed_context = context;
    server->quiescing = true;
    while ((exchange = TAILQ_FIRST(&server->parked)))
        http_exchange_wake(exchange, HTTP_WAKE_GONE);
    TAILQ_FOREACH(exchange, &server->replies, link)
    {
        http_exchange_resume(exchange);
    }
    resume_streams(server);
    uv_poll_stop(&server->poll);
    MHD_stop_daemon(server->mhd);
    assert(server->exchange_count == 0);
    uv_close((uv_handle_t *)&server->poll, on_handle_closed);
    uv_close((uv_handle_t *)&server->timer, on_handle_closed);
    uv_close((uv_handle_t *)&server->again, on_handle_closed);
    uv_close((uv_handle_t *)&server->sweep, on_handle_closed);
}
