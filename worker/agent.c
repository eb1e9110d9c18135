#include "worker/agent.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/agent_registration.h"
#include "worker/agent_slot.h"

struct agent {
    uv_loop_t loop;
    struct agent_shared shared;
    uv_signal_t on_child, on_term, on_int;
    struct slot *slots;
    uint32_t slot_count;

    struct http_call *registering; /* NULL when not under way */
    uint64_t register_due_ms;
    struct backoff register_backoff;
    struct buffer sent;             /* the registration under way or done, packed */
    struct register_response terms; /* the latest answer to one */
    uint64_t offer_again_ms;        /* data sets that were left out; UINT64_MAX = there are none */
    uint64_t stop_ms;               /* while stopping: when patience ends */
    bool closed;
};

/* ---- registration ---- */

/* A worker that is registered registers again where data sets were left out: what is in their way may have gone. */
static uint64_t registration_due_ms(const struct agent *agent)
{
    if (agent->registering || !registration_ready(agent->slots, agent->slot_count))
        return UINT64_MAX;
    if (!agent->shared.registered || agent->offer_again_ms < agent->register_due_ms)
        return agent->register_due_ms;
    return agent->shared.stopping ? UINT64_MAX : agent->offer_again_ms;
}

static void accept_terms(struct agent *agent, const struct register_response *terms)
{
    if (!agent->shared.registered)
        log_line(agent->shared.log, LOG_INFO, "registered at %s as %s",
                 http_client_base_url(agent->shared.client), agent->shared.worker);
    registration_log_problems(agent->shared.log, &agent->terms, terms);
    agent->terms = *terms;
    agent->offer_again_ms = terms->dataset_problem_count
                                ? uv_now(&agent->loop) + 1000 * (uint64_t)terms->lease_seconds
                                : UINT64_MAX;
    agent->shared.registered = true;
    agent->shared.report_seconds = terms->report_seconds;
}

static void retry_registration(struct agent *agent, const struct answer *answer)
{
    agent->register_due_ms =
        uv_now(&agent->loop) + agent_retry_ms(&agent->shared, &agent->register_backoff, answer);
}

static void on_registered(void *user, int code, const struct http_response *response,
                          const struct error *error)
{
    struct agent *agent = user;
    agent->registering = NULL;
    agent_wake(&agent->shared);
    struct answer answer = {"registering", code, response, error};
    if (code < 0 || response->status != 200) {
        retry_registration(agent, &answer);
        return;
    }
    struct register_response terms;
    struct error unpack_error;
    answer.code =
        register_response_unpack(response->body.data, response->body.length, &terms, &unpack_error);
    answer.error = &unpack_error;
    if (answer.code < 0) {
        retry_registration(agent, &answer);
        return;
    }
    agent_answered(&agent->shared, &agent->register_backoff);
    accept_terms(agent, &terms);
}

/* Packs what there is to tell now. A difference to what was told makes it necessary to tell it. */
static int refresh_registration(struct agent *agent)
{
    struct register_request request;
    registration_collect(&agent->shared, agent->slots, agent->slot_count, &request);
    struct buffer packed;
    buffer_init(&packed, WORKER_API_BODY_MAX);
    int code = register_request_pack(&request, &packed);
    if (code < 0) {
        buffer_release(&packed);
        return code;
    }
    if (packed.length != agent->sent.length ||
        memcmp(packed.data, agent->sent.data, packed.length) != 0)
        agent->shared.registered = false;
    buffer_release(&agent->sent);
    agent->sent = packed;
    return 0;
}

static void look_at_hellos(struct agent *agent)
{
    bool is_new = false;
    for (uint32_t i = 0; i < agent->slot_count; i++) {
        is_new |= agent->slots[i].news;
        agent->slots[i].news = false;
    }
    if (is_new && refresh_registration(agent) < 0)
        agent->slots[0].news = true; /* out of memory: looked at again in the next turn */
}

/* Which slots a process that cannot be ended has made unusable; the daemon is told. */
static void look_at_drains(struct agent *agent)
{
    for (uint32_t i = 0; i < agent->slot_count; i++) {
        struct slot *slot = &agent->slots[i];
        bool drained = false;
        for (uint32_t k = 0; k < agent->slot_count; k++)
            drained |= slot_is_drained_by(slot, &agent->slots[k]);
        if (drained == slot->drained)
            continue;
        slot->drained = drained;
        slot->news = true;
        agent_wake(&agent->shared);
    }
}

static void step_registration(struct agent *agent, uint64_t now_ms)
{
    if (!registration_ready(agent->slots, agent->slot_count) || agent->registering)
        return;
    look_at_hellos(agent);
    if (now_ms < registration_due_ms(agent) || agent->sent.length == 0)
        return;
    const struct post post = {"/worker/v1/register", &agent->sent, REQUEST_TIMEOUT_MS,
                              on_registered, agent};
    int code = agent_post(&agent->shared, &post, &agent->registering);
    if (code == 0)
        return;
    struct error error;
    error_set(&error, code, "", "out of memory");
    const struct answer answer = {.what = "registering", .code = code, .error = &error};
    retry_registration(agent, &answer);
}

/* ---- the end ---- */

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_all(struct agent *agent)
{
    agent->closed = true;
    for (uint32_t i = 0; i < agent->slot_count; i++) {
        slot_release(&agent->slots[i]);
        if (agent->slots[i].trainer)
            child_leave(agent->slots[i].trainer);
    }
    http_loop_close(agent->shared.http);
    agent->shared.http = NULL;
    close_handle((uv_handle_t *)&agent->shared.wake);
    close_handle((uv_handle_t *)&agent->on_child);
    close_handle((uv_handle_t *)&agent->on_term);
    close_handle((uv_handle_t *)&agent->on_int);
}

static bool all_idle(const struct agent *agent)
{
    for (uint32_t i = 0; i < agent->slot_count; i++) {
        if (!slot_is_idle(&agent->slots[i]))
            return false;
    }
    return true;
}

static void step_stop(struct agent *agent, uint64_t now_ms)
{
    bool in_time = now_ms < agent->stop_ms;
    if (!agent->shared.stopping || agent->closed || (in_time && !all_idle(agent)))
        return;
    if (!in_time)
        log_line(agent->shared.log, LOG_WARNING, "stopping without having told the daemon all");
    close_all(agent);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
    struct agent *agent = handle->data;
    if (agent->shared.stopping)
        return;
    log_line(agent->shared.log, LOG_INFO, "%s: stopping", strsignal(number));
    agent->shared.stopping = true;
    agent->stop_ms = uv_now(&agent->loop) + AGENT_STOP_MS;
    agent->register_due_ms = 0;
    for (uint32_t i = 0; i < agent->slot_count; i++)
        slot_stop(&agent->slots[i]);
    agent_wake(&agent->shared);
}

/* ---- the loop ---- */

static void on_child_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct agent *agent = handle->data;
    for (uint32_t i = 0; i < agent->slot_count; i++) {
        if (agent->slots[i].trainer)
            child_reap(agent->slots[i].trainer);
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_due_ms(const struct agent *agent)
{
    uint64_t due_ms = agent->shared.stopping ? agent->stop_ms : UINT64_MAX;
    due_ms = earlier(due_ms, registration_due_ms(agent));
    for (uint32_t i = 0; i < agent->slot_count; i++)
        due_ms = earlier(due_ms, slot_due_ms(&agent->slots[i]));
    return due_ms;
}

/* The one place where things are started: runs after every event and when something falls due. */
static void on_wake(uv_timer_t *timer)
{
    struct agent *agent = timer->data;
    uint64_t now_ms = uv_now(&agent->loop);
    step_registration(agent, now_ms);
    for (uint32_t i = 0; i < agent->slot_count; i++)
        slot_step(&agent->slots[i], now_ms);
    look_at_drains(agent);
    step_stop(agent, now_ms);
    if (agent->closed || uv_is_active((uv_handle_t *)timer)) /* woken in the meantime */
        return;
    uint64_t due_ms = next_due_ms(agent);
    if (due_ms != UINT64_MAX)
        uv_timer_start(timer, on_wake, due_ms > now_ms ? due_ms - now_ms : 1, 0);
}

static void choose_name(struct agent *agent)
{
    char *name = agent->shared.worker;
    if (agent->shared.options->name[0]) {
        memcpy(name, agent->shared.options->name, sizeof agent->shared.worker);
        return;
    }
    char host[32] = "";
    gethostname(host, sizeof host - 1);
    for (char *c = host; *c; c++) {
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '.')
            *c = '_';
    }
    snprintf(name, sizeof agent->shared.worker, "%s-%d-%08x", host[0] ? host : "worker",
             (int)getpid(), (unsigned)agent_random_bits());
}

/* libuv's initialisers and signal starts fail for want of memory or descriptors only. */
static int start_handles(struct agent *agent)
{
    uv_loop_t *loop = &agent->loop;
    agent->on_child.data = agent->on_term.data = agent->on_int.data = agent;
    agent->shared.wake.data = agent;
    agent->shared.on_wake = on_wake;
    uv_timer_init(loop, &agent->shared.wake);
    uv_signal_init(loop, &agent->on_child);
    uv_signal_init(loop, &agent->on_term);
    uv_signal_init(loop, &agent->on_int);
    int code = uv_signal_start(&agent->on_child, on_child_signal, SIGCHLD);
    if (code == 0)
        code = uv_signal_start(&agent->on_term, on_stop_signal, SIGTERM);
    if (code == 0)
        code = uv_signal_start(&agent->on_int, on_stop_signal, SIGINT);
    /* a request for work, a report and a file of each slot may be open at a time, and a registration */
    if (code == 0)
        code = http_loop_new(loop, agent->shared.client, 3L * agent->slot_count + 1,
                             &agent->shared.http);
    return code;
}

static int run(struct agent *agent, struct error *error)
{
    int code = start_handles(agent);
    if (code < 0) {
        close_all(agent);
        uv_run(&agent->loop, UV_RUN_DEFAULT);
        return error_set(error, code, "", "cannot start: %s", uv_strerror(code));
    }
    agent_wake(&agent->shared);
    uv_run(&agent->loop, UV_RUN_DEFAULT);
    return 0;
}

/* Without a directory tasks are trained all the same, from their beginning to their end. */
static void open_files(struct agent *agent)
{
    char root[PATH_MAX];
    struct error error;
    const char *work = agent->shared.options->work;
    agent->shared.files.lock_fd = -1;
    int code = work ? 0 : agent_files_root(root);
    if (code < 0)
        error_set(&error, code, "", "no place for them: give --work DIR, or set HOME");
    else
        code = agent_files_open(work ? work : root, agent->shared.worker, &agent->shared.files,
                                &error);
    if (code < 0)
        log_line(agent->shared.log, LOG_WARNING, "no checkpoints are written: %s", error.message);
}

static int prepare(struct agent *agent, const struct agent_options *options,
                   const char *trainer_path, struct error *error)
{
    agent->shared.loop = &agent->loop;
    agent->shared.options = options;
    snprintf(agent->shared.trainer_path, sizeof agent->shared.trainer_path, "%s", trainer_path);
    choose_name(agent);
    open_files(agent);
    buffer_init(&agent->sent, WORKER_API_BODY_MAX);
    agent->offer_again_ms = UINT64_MAX;
    agent->slots = calloc(options->slots, sizeof agent->slots[0]);
    if (!agent->slots)
        return error_set(error, -ENOMEM, "", "out of memory");
    agent->slot_count = options->slots;
    for (uint32_t i = 0; i < agent->slot_count; i++)
        slot_init(&agent->slots[i], &agent->shared, i);
    return http_client_new(options->server, &agent->shared.client, error);
}

int agent_run(const struct agent_options *options, const char *trainer_path, const struct log *log,
              struct error *error)
{
    struct agent *agent = calloc(1, sizeof *agent);
    if (!agent)
        return error_set(error, -ENOMEM, "", "out of memory");
    signal(SIGPIPE, SIG_IGN);
    agent->shared.log = log;
    int code = prepare(agent, options, trainer_path, error);
    bool looped = false;
    if (code == 0) {
        code = uv_loop_init(&agent->loop);
        looped = code == 0;
        if (!looped)
            error_set(error, code, "", "cannot start: %s", uv_strerror(code));
    }
    if (looped)
        code = run(agent, error);
    agent_files_close(&agent->shared.files);
    if (looped)
        uv_loop_close(&agent->loop);
    http_client_free(agent->shared.client);
    buffer_release(&agent->sent);
    free(agent->slots);
    free(agent);
    return code;
}
