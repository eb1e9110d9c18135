#include "daemon/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/api.h"
#include "daemon/http.h"
#include "daemon/local_worker.h"

enum {
    TOUCH_MS = 1000,
    RETRY_MS = 1000, /* between attempts to recover the store while nobody asks for anything */
    TICKS_MAX = 8,   /* in one turn of the loop: replies can let queued requests in */
    NANOSECONDS_A_MS = 1000000,
    NANOSECONDS_A_US = 1000,
    MICROSECONDS_A_S = 1000000,
    HOST_SIZE = 64,
    URL_SIZE = 96,
    HANDLES_MAX = 6,
};

struct loop {
    struct loop_options options;
    uv_loop_t uv;
    uv_signal_t terminate, interrupt;
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    uv_timer_t deadline; /* the coordinator's, or the end of patience while stopping */
    uv_timer_t touch;
    uv_handle_t *handles[HANDLES_MAX]; /* those of the above that were made */
    size_t handle_count;
    struct http_server *http;
    struct api *api;
    struct local_worker *worker;
    char host[HOST_SIZE];
    const char *hosts[4];
    bool in_tick, unwell, stopping, closing;
    uint64_t stop_by_ms;
};

static struct moment now(void)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    return (struct moment){.monotonic_ms = uv_hrtime() / NANOSECONDS_A_MS,
                           .wall_us =
                               wall.tv_sec * MICROSECONDS_A_S + wall.tv_nsec / NANOSECONDS_A_US};
}

/* ---- ticks ---- */

static void begin_tick(void *context)
{
    struct loop *loop = context;
    if (loop->in_tick)
        return;
    loop->in_tick = true;
    coordinator_begin(loop->options.coordinator, now());
}

static void tell_refusal(struct loop *loop)
{
    const struct artifacts_sizes sizes = artifacts_sizes(loop->options.artifacts);
    int refusal = artifacts_take_refusal(loop->options.artifacts);
    if (refusal < 0)
        log_line(loop->options.log, LOG_WARNING,
                 "no more checkpoints are taken: %s; %llu files with %llu MiB are kept",
                 refusal == -EDQUOT ? "--checkpoints-mib is reached" : "the disk is full",
                 (unsigned long long)sizes.count, (unsigned long long)(sizes.bytes >> 20));
}

/* Files go after the commit that made them superfluous. */
static void tend_artifacts(struct loop *loop)
{
    uint64_t at_ms = now().monotonic_ms;
    tell_refusal(loop);
    if (coordinator_take_garbage(loop->options.coordinator) ||
        at_ms >= artifacts_due_ms(loop->options.artifacts))
        api_sweep_artifacts(loop->api, at_ms);
}

static void commit(struct loop *loop)
{
    struct coordinator *coordinator = loop->options.coordinator;
    if (coordinator_take_work(coordinator))
        api_serve_waiting(loop->api);
    int r = coordinator_commit(coordinator);
    int ready = r < 0 ? r : coordinator_ready(coordinator);
    loop->in_tick = false;
    if (ready < 0 && !loop->unwell)
        log_line(loop->options.log, LOG_ERROR,
                 "the store can't be written: %s; what would change something gets 503",
                 strerror(-ready));
    if (ready == 0 && loop->unwell)
        log_line(loop->options.log, LOG_INFO, "the store can be written again");
    loop->unwell = ready < 0;
    http_server_release(loop->http, r == 0);
    if (r == 0)
        tend_artifacts(loop);
    if (coordinator_take_events(coordinator))
        api_wake_streams(loop->api);
}

static void on_deadline(uv_timer_t *timer);

/* The timer may be early by what this turn has taken: the next tick then finds nothing due and arms it again. */
static void arm_deadline(struct loop *loop)
{
    uint64_t at_ms = now().monotonic_ms;
    uint64_t due_ms = coordinator_deadline_ms(loop->options.coordinator);
    if (artifacts_due_ms(loop->options.artifacts) < due_ms)
        due_ms = artifacts_due_ms(loop->options.artifacts);
    if (loop->unwell && due_ms > at_ms + RETRY_MS)
        due_ms = at_ms + RETRY_MS;
    if (loop->stopping && !loop->worker && due_ms > loop->stop_by_ms)
        due_ms = loop->stop_by_ms;
    if (http_server_has_replies(loop->http))
        due_ms = at_ms;
    if (due_ms == UINT64_MAX)
        uv_timer_stop(&loop->deadline);
    else
        uv_timer_start(&loop->deadline, on_deadline, due_ms > at_ms ? due_ms - at_ms : 0, 0);
}

static void close_all(struct loop *loop);

static void end_ticks(struct loop *loop)
{
    if (loop->closing)
        return;
    bool any = false;
    for (int i = 0; i < TICKS_MAX && (loop->in_tick || http_server_has_replies(loop->http)); i++) {
        begin_tick(loop);
        commit(loop);
        any = true;
    }
    if (any)
        arm_deadline(loop);
    if (loop->stopping && !loop->worker &&
        (http_server_is_quiet(loop->http) || now().monotonic_ms >= loop->stop_by_ms))
        close_all(loop);
}

static void on_before_poll(uv_prepare_t *handle)
{
    end_ticks(handle->data);
}

static void on_after_poll(uv_check_t *handle)
{
    end_ticks(handle->data);
}

static void on_deadline(uv_timer_t *timer)
{
    begin_tick(timer->data);
}

static void on_touch(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    begin_tick(loop);
    api_touch_waiting(loop->api);
}

static void on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct loop *loop = context;
    begin_tick(loop);
    api_handle(loop->api, exchange, request);
}

static bool open_sink(void *context, const struct http_request *request, struct http_sink *ret_sink,
                      struct http_reply *ret_reply)
{
    struct loop *loop = context;
    begin_tick(loop);
    return api_open_sink(loop->api, request, ret_sink, ret_reply);
}

static uint64_t now_ms(void *context)
{
    (void)context;
    return now().monotonic_ms;
}

/* ---- the end ---- */

static void close_handles(void *context)
{
    struct loop *loop = context;
    for (size_t i = 0; i < loop->handle_count; i++)
        uv_close(loop->handles[i], NULL);
    loop->handle_count = 0;
}

static void close_all(struct loop *loop)
{
    loop->closing = true;
    if (loop->http)
        http_server_close(loop->http, close_handles, loop);
    else
        close_handles(loop);
}

/* The local worker has said what it had to say: no more connections, and the replies in flight leave. */
static void quiesce(void *context)
{
    struct loop *loop = context;
    loop->worker = NULL;
    loop->stop_by_ms = now().monotonic_ms + LOOP_STOP_MS_MAX;
    http_server_quiesce(loop->http);
    begin_tick(loop);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct loop *loop = handle->data;
    if (loop->stopping)
        return;
    log_line(loop->options.log, LOG_INFO, "stopping: %s", strsignal(number));
    loop->stopping = true;
    if (loop->worker)
        local_worker_stop(loop->worker, quiesce, loop);
    else
        quiesce(loop);
}

/* ---- the start ---- */

static void add_handle(struct loop *loop, void *handle)
{
    uv_handle_t *made = handle;
    made->data = loop;
    loop->handles[loop->handle_count++] = made;
}

static int init_signal(struct loop *loop, uv_signal_t *handle, int number)
{
    int r = uv_signal_init(&loop->uv, handle);
    if (r < 0)
        return r;
    add_handle(loop, handle);
    return uv_signal_start(handle, on_signal, number);
}

static int init_handles(struct loop *loop)
{
    signal(SIGPIPE, SIG_IGN);
    uv_prepare_init(&loop->uv, &loop->before_poll);
    uv_check_init(&loop->uv, &loop->after_poll);
    uv_timer_init(&loop->uv, &loop->deadline);
    uv_timer_init(&loop->uv, &loop->touch);
    add_handle(loop, &loop->before_poll);
    add_handle(loop, &loop->after_poll);
    add_handle(loop, &loop->deadline);
    add_handle(loop, &loop->touch);
    int r = init_signal(loop, &loop->terminate, SIGTERM);
    if (r == 0)
        r = init_signal(loop, &loop->interrupt, SIGINT);
    return r;
}

static int init_http(struct loop *loop)
{
    snprintf(loop->host, sizeof loop->host, "%s", loop->options.address);
    char *colon = strrchr(loop->host, ':');
    if (colon)
        *colon = '\0';
    loop->hosts[0] = "localhost";
    loop->hosts[1] = "127.0.0.1";
    loop->hosts[2] = "[::1]";
    loop->hosts[3] = loop->host;
    struct http_options options = {.loop = &loop->uv,
                                   .listen_fd = loop->options.listen_fd,
                                   .hosts = {loop->hosts, ARRAY_LENGTH(loop->hosts)},
                                   .handle = on_request,
                                   .context = loop,
                                   .large_method = API_LARGE_METHOD,
                                   .large_path = API_LARGE_PATH,
                                   .large_bytes_max = loop->options.artifact_bytes_max,
                                   .open_sink = open_sink};
    return http_server_new(&options, &loop->http);
}

static int init_worker(struct loop *loop, struct error *error)
{
    char url[URL_SIZE];
    if (!loop->options.local_worker)
        return 0;
    snprintf(url, sizeof url, "http://%s", loop->options.address);
    struct local_worker_options options = {.loop = &loop->uv,
                                           .log = loop->options.log,
                                           .server = url,
                                           .slots = loop->options.slots,
                                           .device = loop->options.device,
                                           .data = loop->options.data};
    return local_worker_start(&options, &loop->worker, error);
}

static int start(struct loop *loop, struct error *error)
{
    struct api_options options = {.coordinator = loop->options.coordinator,
                                  .version = loop->options.version,
                                  .artifacts = loop->options.artifacts,
                                  .begin_tick = begin_tick,
                                  .now_ms = now_ms,
                                  .context = loop};
    int r = init_handles(loop);
    if (r == 0)
        r = api_new(&options, &loop->api);
    if (r == 0)
        r = init_http(loop);
    if (r < 0)
        return error_set(error, r, "", "cannot start the server: %s", uv_strerror(r));
    /* Not before the signals are handled: whoever reads this may end the daemon at once. */
    log_line(loop->options.log, LOG_INFO, "listening on http://%s, state %s", loop->options.address,
             loop->options.state);
    r = init_worker(loop, error);
    if (r < 0)
        return r;
    uv_prepare_start(&loop->before_poll, on_before_poll);
    uv_check_start(&loop->after_poll, on_after_poll);
    uv_timer_start(&loop->touch, on_touch, TOUCH_MS, TOUCH_MS);
    begin_tick(loop);
    return 0;
}

int loop_run(const struct loop_options *options, struct error *error)
{
    struct loop loop = {.options = *options};
    int r = uv_loop_init(&loop.uv);
    if (r < 0)
        return error_set(error, r, "", "cannot make an event loop: %s", uv_strerror(r));
    r = start(&loop, error);
    if (r < 0)
        close_all(&loop);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    api_free(loop.api);
    uv_loop_close(&loop.uv);
    return r;
}
