#include "tests/fault/fake_daemon.h"

#include <assert.h>
#include <microhttpd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "search/preset.h"

enum { AWAIT_SECONDS = 60 };

static const char *const paths[FAKE_ROUTE_COUNT] = {
    [FAKE_REGISTER] = "/worker/v1/register",
    [FAKE_LEASE] = "/worker/v1/lease",
    [FAKE_REPORT] = "/worker/v1/report",
    [FAKE_RESULT] = "/worker/v1/result",
};

/* ---- what is asked; the mutex is held; a status is returned ---- */

static int on_register(struct fake_daemon *daemon, const struct buffer *body, struct buffer *reply)
{
    struct register_request request;
    if (register_request_unpack(body->data, body->length, &request, NULL) < 0)
        return 400;
    daemon->last_registration = request;
    daemon->known = true;
    struct register_response response = {daemon->lease_seconds, 1,
                                         .dataset_problem_count = daemon->dataset_problem != NULL};
    if (daemon->dataset_problem)
        snprintf(response.dataset_problems[0], WIRE_PROBLEM_SIZE, "%s", daemon->dataset_problem);
    return register_response_pack(&response, reply) < 0 ? 500 : 200;
}

static int on_lease(struct fake_daemon *daemon, const struct buffer *body, struct buffer *reply)
{
    struct lease_request request;
    if (lease_request_unpack(body->data, body->length, &request, NULL) < 0)
        return 400;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += request.wait_seconds;
    int waited = 0;
    while (waited == 0 && !daemon->closing && daemon->tasks_given == daemon->task_count)
        waited = pthread_cond_timedwait(&daemon->changed, &daemon->mutex, &until);
    if (!daemon->known)
        return 404;
    struct lease_response response = {.has_task = daemon->tasks_given < daemon->task_count};
    if (response.has_task)
        response.task = daemon->tasks[daemon->tasks_given++];
    return lease_response_pack(&response, reply) < 0 ? 500 : 200;
}

static int on_report(struct fake_daemon *daemon, const struct buffer *body, struct buffer *reply)
{
    struct report_request request;
    if (report_request_unpack(body->data, body->length, &request, NULL) < 0)
        return 400;
    if (!daemon->known)
        return 404;
    if (request.attempt == daemon->stale)
        return 409;
    assert(daemon->report_count < FAKE_RECORDS_MAX);
    daemon->reports[daemon->report_count++] = request;
    const struct report_response response = {.stop = daemon->stop};
    return report_response_pack(&response, reply) < 0 ? 500 : 200;
}

static int on_result(struct fake_daemon *daemon, const struct buffer *body, struct buffer *reply)
{
    struct result_request request;
    if (result_request_unpack(body->data, body->length, &request, NULL) < 0)
        return 400;
    if (!daemon->known)
        return 404;
    if (request.attempt == daemon->stale) {
        daemon->stale_results++;
        return 409;
    }
    assert(daemon->result_count < FAKE_RECORDS_MAX);
    daemon->results[daemon->result_count++] = request;
    const struct result_response response = {.accepted = true};
    return result_response_pack(&response, reply) < 0 ? 500 : 200;
}

static int take_status(struct fake_daemon *daemon, enum fake_route route)
{
    int *statuses = daemon->statuses[route];
    int status = statuses[0];
    memmove(statuses, statuses + 1, (FAKE_STATUSES_MAX - 1) * sizeof statuses[0]);
    statuses[FAKE_STATUSES_MAX - 1] = 0;
    return status;
}

static int act(struct fake_daemon *daemon, enum fake_route route, const struct buffer *body,
               struct buffer *reply)
{
    static int (*const actions[FAKE_ROUTE_COUNT])(struct fake_daemon *, const struct buffer *,
                                                  struct buffer *) = {on_register, on_lease,
                                                                      on_report, on_result};
    pthread_mutex_lock(&daemon->mutex);
    daemon->counts[route]++;
    pthread_cond_broadcast(&daemon->changed);
    int status = take_status(daemon, route);
    if (status == 0)
        status = actions[route](daemon, body, reply);
    pthread_cond_broadcast(&daemon->changed);
    pthread_mutex_unlock(&daemon->mutex);
    return status;
}

/* ---- HTTP ---- */

static enum MHD_Result answer(struct MHD_Connection *connection, int status, struct buffer *reply)
{
    if (status == FAKE_CLOSE)
        return MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(reply->length, reply->data, MHD_RESPMEM_MUST_COPY);
    if (status == 503)
        MHD_add_response_header(response, "Retry-After", "1");
    enum MHD_Result queued = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_length, void **state)
{
    (void)version;
    (void)method;
    struct buffer *body = *state;
    if (!body) {
        body = calloc(1, sizeof *body);
        buffer_init(body, WORKER_API_BODY_MAX);
        *state = body;
        return MHD_YES;
    }
    if (*upload_length) {
        int code = buffer_append(body, upload, *upload_length);
        *upload_length = 0;
        return code == 0 ? MHD_YES : MHD_NO;
    }
    struct buffer reply;
    buffer_init(&reply, WORKER_API_BODY_MAX);
    int status = 404;
    for (int route = 0; route < FAKE_ROUTE_COUNT; route++) {
        if (strcmp(path, paths[route]) == 0)
            status = act(context, (enum fake_route)route, body, &reply);
    }
    enum MHD_Result result = answer(connection, status, &reply);
    buffer_release(&reply);
    return result;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)connection;
    (void)code;
    buffer_release(*state);
    free(*state);
}

void fake_daemon_init(struct fake_daemon *daemon)
{
    *daemon = (struct fake_daemon){.lease_seconds = 30, .next_attempt = 1};
    pthread_mutex_init(&daemon->mutex, NULL);
    pthread_cond_init(&daemon->changed, NULL);
}

void fake_daemon_listen(struct fake_daemon *daemon)
{
    daemon->closing = false;
    daemon->http = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ERROR_LOG,
        (uint16_t)daemon->port, NULL, NULL, on_request, daemon, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, NULL, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
    assert_non_null(daemon->http);
    daemon->port = MHD_get_daemon_info(daemon->http, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void fake_daemon_hang_up(struct fake_daemon *daemon)
{
    pthread_mutex_lock(&daemon->mutex);
    daemon->closing = true;
    daemon->known = false;
    pthread_cond_broadcast(&daemon->changed);
    pthread_mutex_unlock(&daemon->mutex);
    MHD_stop_daemon(daemon->http);
    daemon->http = NULL;
}

void fake_daemon_release(struct fake_daemon *daemon)
{
    if (daemon->http)
        fake_daemon_hang_up(daemon);
    pthread_cond_destroy(&daemon->changed);
    pthread_mutex_destroy(&daemon->mutex);
}

/* ---- what tests do with it ---- */

struct wire_task fake_daemon_task(uint64_t candidate, uint32_t epochs)
{
    struct wire_task task = {
        .search = "7",
        .candidate = candidate,
        .epoch = 1000 + candidate,
        .train_images = 8000,
        .validation_images = 2000,
        .split_seed = 1,
        .seed = 42 + candidate,
        .epochs = epochs,
        .micro_batches = 1,
    };
    struct error error;
    assert_int_equal(preset_find("efficientnetv2-b0-small-images", &task.baseline, &error), 0);
    task.architecture = task.baseline;
    task.architecture.head_channels = 64 + 8 * ((uint32_t)candidate % 64);
    assert_int_equal(recipe_preset("search-short", &task.recipe, &error), 0);
    task.dataset = *dataset_known("fashion-mnist");
    return task;
}

uint64_t fake_daemon_push(struct fake_daemon *daemon, const struct wire_task *task)
{
    pthread_mutex_lock(&daemon->mutex);
    uint64_t attempt = daemon->next_attempt++;
    assert_true(daemon->task_count < FAKE_RECORDS_MAX);
    daemon->tasks[daemon->task_count] = *task;
    daemon->tasks[daemon->task_count++].attempt = attempt;
    pthread_cond_broadcast(&daemon->changed);
    pthread_mutex_unlock(&daemon->mutex);
    return attempt;
}

void fake_daemon_answer(struct fake_daemon *daemon, enum fake_route route, int status)
{
    pthread_mutex_lock(&daemon->mutex);
    size_t i = 0;
    while (daemon->statuses[route][i])
        i++;
    assert_true(i < FAKE_STATUSES_MAX - 1);
    daemon->statuses[route][i] = status;
    pthread_mutex_unlock(&daemon->mutex);
}

void fake_daemon_await(struct fake_daemon *daemon,
                       bool (*condition)(const struct fake_daemon *daemon, uint64_t argument),
                       uint64_t argument)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += AWAIT_SECONDS;
    pthread_mutex_lock(&daemon->mutex);
    int waited = 0;
    bool met = condition(daemon, argument);
    while (!met && waited == 0) {
        waited = pthread_cond_timedwait(&daemon->changed, &daemon->mutex, &until);
        met = condition(daemon, argument);
    }
    pthread_mutex_unlock(&daemon->mutex);
    assert_true(met);
}

bool fake_has_result(const struct fake_daemon *daemon, uint64_t attempt)
{
    for (size_t i = 0; i < daemon->result_count; i++) {
        if (daemon->results[i].attempt == attempt)
            return true;
    }
    return false;
}

bool fake_has_report(const struct fake_daemon *daemon, uint64_t attempt)
{
    for (size_t i = 0; i < daemon->report_count; i++) {
        if (daemon->reports[i].attempt == attempt)
            return true;
    }
    return false;
}

bool fake_has_registered(const struct fake_daemon *daemon, uint64_t count)
{
    return daemon->known && daemon->counts[FAKE_REGISTER] >= count;
}

struct wire_result fake_daemon_result(struct fake_daemon *daemon, uint64_t attempt)
{
    fake_daemon_await(daemon, fake_has_result, attempt);
    for (size_t i = 0; i < daemon->result_count; i++) {
        if (daemon->results[i].attempt == attempt)
            return daemon->results[i].result;
    }
    fail();
    return (struct wire_result){0};
}
