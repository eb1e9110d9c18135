/* The workers' routes: protobuf bodies to and from the coordinator, and the lease requests that wait for work. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api_internal.h"
#include "proto/worker_api.h"

enum { MILLISECONDS = 1000 };

struct waiting_lease {
    TAILQ_ENTRY(waiting_lease) link;
    struct api *api;
    struct http_exchange *exchange;
    char worker[WIRE_WORKER_SIZE];
    uint32_t slot;
};

/* ---- replies ---- */

/* A message that doesn't unpack is the worker's fault; lack of memory is not. */
static int bad_message(struct api_call *call, int code)
{
    if (code == -ENOMEM)
        return code;
    problem_reply_pointer(&call->reply, PROBLEM_INVALID_MESSAGE, &call->error);
    return API_REPLIED;
}

/* Fills the reply with packed bytes, whose memory is taken. */
static int fill_reply(struct http_reply *ret_reply, int code, struct buffer *bytes)
{
    if (code < 0) {
        buffer_release(bytes);
        return code;
    }
    *ret_reply = (struct http_reply){.status = 200,
                                     .content_type = WORKER_API_CONTENT_TYPE,
                                     .body = (char *)bytes->data,
                                     .body_bytes = bytes->length};
    return API_REPLIED;
}

/* ---- register, report, result ---- */

_Static_assert(sizeof((struct register_response *)0)->dataset_problems ==
                   sizeof((struct terms *)0)->dataset_problems,
               "problems are copied as they are");

static int register_worker(struct api_call *call, const struct register_request *request)
{
    struct terms terms;
    struct buffer bytes;
    const char *devices[WIRE_SLOTS_MAX];
    for (uint32_t i = 0; i < request->slot_count; i++)
        devices[i] = request->slots[i].device;
    struct registration registration = {.worker = request->worker,
                                        .host = request->host,
                                        .version = request->version,
                                        .devices = devices,
                                        .slot_count = request->slot_count,
                                        .datasets = request->datasets,
                                        .dataset_count = request->dataset_count};
    int r = coordinator_register(call->coordinator, &registration, &terms, &call->error);
    if (r == -EINVAL)
        return bad_message(call, r);
    if (r < 0)
        return r;
    struct register_response response = {.lease_seconds = terms.lease_seconds,
                                         .report_seconds = terms.report_seconds,
                                         .dataset_problem_count = terms.dataset_problem_count};
    memcpy(response.dataset_problems, terms.dataset_problems, sizeof response.dataset_problems);
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    return fill_reply(&call->reply, register_response_pack(&response, &bytes), &bytes);
}

int api_worker_register(struct api_call *call)
{
    struct register_request *request = calloc(1, sizeof *request);
    if (!request)
        return -ENOMEM;
    int r = register_request_unpack(call->request->body, call->request->body_bytes, request,
                                    &call->error);
    r = r < 0 ? bad_message(call, r) : register_worker(call, request);
    free(request);
    return r;
}

/* False where the checkpoint's file is not here: it is not taken then. */
static bool take_checkpoint(const struct api_call *call, const struct wire_checkpoint *wire,
                            struct checkpoint *ret_checkpoint)
{
    if (wire->bytes == 0)
        return true;
    if (!artifacts_has(call->api->options.artifacts, wire->sha256, wire->bytes))
        return false;
    artifacts_claim(call->api->options.artifacts, wire->sha256);
    *ret_checkpoint = (struct checkpoint){.bytes = wire->bytes, .steps_done = wire->steps_done};
    memcpy(ret_checkpoint->sha256, wire->sha256, sizeof ret_checkpoint->sha256);
    return true;
}

int api_worker_report(struct api_call *call)
{
    struct report_request request;
    struct epoch_metrics epochs[WIRE_EPOCHS_MAX];
    struct buffer bytes;
    int r = report_request_unpack(call->request->body, call->request->body_bytes, &request,
                                  &call->error);
    if (r < 0)
        return bad_message(call, r);
    for (uint32_t i = 0; i < request.epoch_count; i++)
        epochs[i] =
            (struct epoch_metrics){.number = request.epochs[i].number,
                                   .train_loss = request.epochs[i].train_loss,
                                   .train_accuracy = request.epochs[i].train_accuracy,
                                   .validation_loss = request.epochs[i].validation_loss,
                                   .validation_accuracy = request.epochs[i].validation_accuracy,
                                   .seconds = request.epochs[i].seconds};
    struct report report = {.worker = request.worker,
                            .attempt = request.attempt,
                            .epoch = request.epoch,
                            .steps_done = request.steps_done,
                            .steps_total = request.steps_total,
                            .epochs = epochs,
                            .epoch_count = request.epoch_count};
    bool missing = !take_checkpoint(call, &request.checkpoint, &report.checkpoint);
    r = coordinator_report(call->coordinator, &report);
    if (r == -EINVAL) {
        error_set(&call->error, r, "/epochs", "Epochs have numbers from 1 to %d.",
                  RECIPE_EPOCHS_MAX);
        return bad_message(call, r);
    }
    if (r < 0)
        return r;
    struct report_response response = {.stop = r == REPORT_STOP,
                                       .hand_back = r == REPORT_HAND_BACK,
                                       .checkpoint_missing = missing};
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    return fill_reply(&call->reply, report_response_pack(&response, &bytes), &bytes);
}

/* An outcome is cast. */
_Static_assert((int)WIRE_OUTCOME_DONE == (int)OUTCOME_DONE &&
                   (int)WIRE_OUTCOME_DIVERGED == (int)OUTCOME_DIVERGED &&
                   (int)WIRE_OUTCOME_OUT_OF_MEMORY == (int)OUTCOME_OUT_OF_MEMORY &&
                   (int)WIRE_OUTCOME_LOST == (int)OUTCOME_LOST &&
                   (int)WIRE_OUTCOME_FAILED == (int)OUTCOME_FAILED,
               "outcomes have the same numbers on the wire and in the store");

static struct result result_of_wire(const struct wire_result *wire)
{
    struct result result = {.outcome = (enum outcome)wire->outcome,
                            .accuracy = wire->accuracy,
                            .loss = wire->loss,
                            .step_time = {.median_s = wire->step_time.median_s,
                                          .spread_s = wire->step_time.spread_s,
                                          .blocks = wire->step_time.blocks,
                                          .baseline_s = wire->step_time.baseline_s,
                                          .contended = wire->step_time.contended},
                            .seconds = wire->seconds,
                            .first_step_s = wire->first_step_s,
                            .images = wire->images,
                            .memory_needed_bytes = wire->memory_needed_bytes};
    snprintf(result.message, sizeof result.message, "%s", wire->message);
    return result;
}

int api_worker_result(struct api_call *call)
{
    struct result_request request;
    struct buffer bytes;
    int r = result_request_unpack(call->request->body, call->request->body_bytes, &request,
                                  &call->error);
    if (r < 0)
        return bad_message(call, r);
    struct result result = result_of_wire(&request.result);
    r = coordinator_result(call->coordinator, request.worker, request.attempt, request.epoch,
                           &result);
    if (r < 0)
        return r;
    struct result_response response = {.accepted = r == 0};
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    return fill_reply(&call->reply, result_response_pack(&response, &bytes), &bytes);
}

/* ---- lease ---- */

static void task_to_wire(const struct task *task, struct wire_task *ret_wire)
{
    const struct spec *spec = task->spec;
    *ret_wire = (struct wire_task){
        .candidate = task->candidate,
        .rung = task->rung,
        .attempt = task->attempt,
        .epoch = task->epoch,
        .architecture = task->architecture,
        .baseline = spec->baseline,
        .recipe = spec->recipe,
        .dataset = spec->dataset,
        .train_images = spec->train_images,
        .validation_images = spec->validation_images,
        .split_seed = task->split_seed,
        .seed = task->seed,
        .epochs = spec->epochs,
        .micro_batches = spec->recipe.micro_batches * task->micro_batches,
        .checkpoint = {.bytes = task->checkpoint.bytes, .steps_done = task->checkpoint.steps_done},
        .checkpoint_seconds = task->checkpoint_seconds};
    memcpy(ret_wire->checkpoint.sha256, task->checkpoint.sha256, SHA256_SIZE);
    snprintf(ret_wire->search, sizeof ret_wire->search, "%llu", (unsigned long long)task->search);
}

/* API_REPLIED with a task, 0 where there is no work, or a negative errno. */
static int try_lease(struct api *api, const char *worker, uint32_t slot,
                     struct http_reply *ret_reply)
{
    struct task task;
    struct lease_response response = {.has_task = true};
    struct buffer bytes;
    int r = coordinator_lease(api->options.coordinator, worker, slot, &task);
    if (r != 0)
        return r < 0 ? r : 0;
    task_to_wire(&task, &response.task);
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    return fill_reply(ret_reply, lease_response_pack(&response, &bytes), &bytes);
}

static int reply_nothing(struct http_reply *ret_reply)
{
    struct lease_response response = {.has_task = false};
    struct buffer bytes;
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    return fill_reply(ret_reply, lease_response_pack(&response, &bytes), &bytes);
}

/* Ends the wait. */
static void forget(struct waiting_lease *waiting)
{
    TAILQ_REMOVE(&waiting->api->waiting, waiting, link);
    waiting->api->waiting_count--;
    free(waiting);
}

/* A slot that is gone means that the worker has registered anew: its old request can just as well ask again. */
static void answer_waiting(struct waiting_lease *waiting, int r, struct http_reply *reply)
{
    struct http_exchange *exchange = waiting->exchange;
    struct error error = {.message = ""};
    if (r < 0)
        api_error_reply(reply, r == -EINVAL ? -ENOENT : r, &error);
    forget(waiting);
    http_exchange_reply(exchange, reply);
}

static void on_wake(void *context, struct http_exchange *exchange, enum http_wake wake)
{
    (void)exchange;
    struct waiting_lease *waiting = context;
    struct http_reply reply;
    if (wake == HTTP_WAKE_GONE) {
        forget(waiting);
        return;
    }
    answer_waiting(waiting, reply_nothing(&reply), &reply);
}

static int wait_for_work(struct api_call *call, const struct lease_request *request)
{
    struct api *api = call->api;
    uint64_t seconds = request->wait_seconds < LEASE_WAIT_SECONDS_MAX ? request->wait_seconds
                                                                      : LEASE_WAIT_SECONDS_MAX;
    if (seconds == 0 || api->waiting_count >= LEASES_WAITING_MAX)
        return reply_nothing(&call->reply);
    struct waiting_lease *waiting = calloc(1, sizeof *waiting);
    if (!waiting)
        return -ENOMEM;
    waiting->api = api;
    waiting->exchange = call->exchange;
    waiting->slot = request->slot;
    memcpy(waiting->worker, request->worker, sizeof waiting->worker);
    struct http_parked parked = {
        .wait_ms = seconds * MILLISECONDS, .wake = on_wake, .context = waiting};
    if (http_exchange_park(call->exchange, &parked) < 0) {
        free(waiting);
        return reply_nothing(&call->reply);
    }
    TAILQ_INSERT_TAIL(&api->waiting, waiting, link);
    api->waiting_count++;
    return API_TAKEN;
}

int api_worker_lease(struct api_call *call)
{
    struct lease_request request;
    int r = lease_request_unpack(call->request->body, call->request->body_bytes, &request,
                                 &call->error);
    if (r < 0)
        return bad_message(call, r);
    r = try_lease(call->api, request.worker, request.slot, &call->reply);
    if (r == -EINVAL) {
        error_set(&call->error, r, "/slot", "The worker has no such slot.");
        return bad_message(call, r);
    }
    return r ? r : wait_for_work(call, &request);
}

void api_serve_waiting(struct api *api)
{
    struct waiting_lease *waiting = NULL, *next = NULL;
    for (waiting = TAILQ_FIRST(&api->waiting); waiting; waiting = next) {
        struct http_reply reply;
        next = TAILQ_NEXT(waiting, link);
        if (!http_exchange_is_alive(waiting->exchange))
            continue;
        int r = try_lease(api, waiting->worker, waiting->slot, &reply);
        if (r != 0)
            answer_waiting(waiting, r, &reply);
    }
}

void api_touch_waiting(struct api *api)
{
    struct waiting_lease *waiting = NULL;
    TAILQ_FOREACH(waiting, &api->waiting, link)
    {
        coordinator_touch(api->options.coordinator, waiting->worker);
    }
}
