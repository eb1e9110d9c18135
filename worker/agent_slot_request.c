/* The daemon's side of a slot: one request at a time. */
#include "worker/agent_slot.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

/* What to ask or tell next; -1 = nothing. */
static int next_request(const struct slot *slot)
{
    bool stopping = slot->shared->stopping;
    if (!slot->has_attempt)
        return slot->state == SLOT_READY && !stopping && !slot->drained ? SLOT_LEASE : -1;
    if (slot->attempt.over && (slot->attempt.epoch_count == 0 || stopping) &&
        !slot_owes_checkpoint(slot))
        return SLOT_RESULT;
    return slot->unwanted ? -1 : SLOT_REPORT;
}

uint64_t slot_request_due_ms(const struct slot *slot)
{
    int request = next_request(slot);
    if (slot->call || request < 0 || !slot->shared->registered)
        return UINT64_MAX;
    bool heartbeat = request == SLOT_REPORT && slot->attempt.epoch_count == 0 &&
                     (slot->stored.bytes == 0 || slot->stored_told);
    return heartbeat && slot->report_due_ms > slot->request_due_ms ? slot->report_due_ms
                                                                   : slot->request_due_ms;
}

/* ---- the answers ---- */

static void retry_later(struct slot *slot, const struct answer *answer)
{
    uint32_t wait_ms = agent_retry_ms(slot->shared, &slot->retry, answer);
    slot->request_due_ms = uv_now(slot->shared->loop) + wait_ms;
}

/* An answer that does not unpack: the daemon, or something in between, is not what it should be. */
static void retry_unreadable(struct slot *slot, const char *what, const struct error *error)
{
    const struct answer answer = {.what = what, .code = -EBADMSG, .error = error};
    retry_later(slot, &answer);
}

static void refuse_task(struct slot *slot, const struct wire_task *task, const struct error *error)
{
    attempt_begin(&slot->attempt, task, uv_now(slot->shared->loop));
    struct wire_result result = {.outcome = WIRE_OUTCOME_FAILED};
    snprintf(result.message, sizeof result.message,
             "this worker cannot read the task: %.100s: %.300s", error->pointer, error->message);
    log_line(slot->shared->log, LOG_ERROR, "slot %u: %s", slot->index, result.message);
    attempt_finish(&slot->attempt, &result);
    slot->has_attempt = true;
    slot->unwanted = NULL;
}

/* It was asked for before the slot's device was drained. */
static void return_task(struct slot *slot, const struct wire_task *task)
{
    const uint64_t now_ms = uv_now(slot->shared->loop);
    attempt_begin(&slot->attempt, task, now_ms);
    attempt_return(&slot->attempt, "its device takes no more work", now_ms);
    log_line(slot->shared->log, LOG_INFO,
             "slot %u: attempt %llu is handed back: its device takes no more work", slot->index,
             (unsigned long long)task->attempt);
    slot->has_attempt = true;
    slot->unwanted = NULL;
}

static void on_lease(struct slot *slot, const struct http_response *response)
{
    struct lease_response lease = {.has_task = false};
    struct error error;
    int code = lease_response_unpack(response->body.data, response->body.length, &lease, &error);
    if (code == -EINVAL && lease.task.attempt && lease.task.epoch) {
        refuse_task(slot, &lease.task, &error);
        return;
    }
    if (code < 0) {
        retry_unreadable(slot, "asking for work", &error);
        return;
    }
    if (!lease.has_task)
        slot->request_due_ms = slot->asked_ms + LEASE_INTERVAL_MS;
    else if (slot->drained)
        return_task(slot, &lease.task);
    else if (slot->state == SLOT_READY)
        slot_begin(slot, &lease.task);
    else /* the daemon gives a slot the same task again */
        log_line(slot->shared->log, LOG_INFO,
                 "slot %u: attempt %llu came when the trainer was gone; asking again", slot->index,
                 (unsigned long long)lease.task.attempt);
}

static void on_report(struct slot *slot, const struct http_response *response)
{
    struct report_response report;
    struct error error;
    int code = report_response_unpack(response->body.data, response->body.length, &report, &error);
    if (code < 0) {
        retry_unreadable(slot, "reporting", &error);
        return;
    }
    attempt_reported(&slot->attempt, &slot->report);
    slot_checkpoint_told(slot, &slot->report.checkpoint, report.checkpoint_missing);
    slot->report_due_ms =
        uv_now(slot->shared->loop) + slot->shared->report_seconds * UINT64_C(1000);
    if (report.stop)
        slot_end_unwanted(slot, "its search was cancelled");
    else if (report.hand_back && !slot->attempt.over)
        slot_hand_back(slot, HAND_BACK_MS);
}

static void on_result(struct slot *slot, const struct http_response *response)
{
    struct result_response result;
    struct error error;
    int code = result_response_unpack(response->body.data, response->body.length, &result, &error);
    if (code < 0)
        retry_unreadable(slot, "handing in a result", &error);
    else
        slot_drop_attempt(slot, result.accepted ? "its result was accepted"
                                                : "its result was kept, not counted");
}

/* The attempt is not this worker's any more. */
static void on_stale(struct slot *slot, enum slot_request request)
{
    static const char reason[] = "its lease had ended";
    if (request == SLOT_RESULT) {
        slot_drop_attempt(slot, reason);
        return;
    }
    attempt_reported(&slot->attempt, &slot->report);
    if (slot->attempt.over)
        slot_waive_checkpoint(slot);
    slot_end_unwanted(slot, reason);
}

/* The daemon does not know this worker: it was restarted, or has not heard of it for long. */
static void on_unknown(struct slot *slot)
{
    slot->shared->registered = false;
    slot->request_due_ms = uv_now(slot->shared->loop) + RETRY_FIRST_MS;
}

/* 4xx that trying again does not mend. */
static void on_refused(struct slot *slot, enum slot_request request, const struct answer *answer)
{
    char text[ANSWER_TEXT_SIZE];
    agent_answer_text(answer->response, text);
    log_line(slot->shared->log, LOG_ERROR, "slot %u: %s was refused: %s", slot->index, answer->what,
             text);
    if (request == SLOT_RESULT) {
        slot_drop_attempt(slot, "its result was refused");
    } else if (request == SLOT_REPORT) {
        attempt_reported(&slot->attempt, &slot->report);
        slot_checkpoint_told(slot, &slot->report.checkpoint, false);
    }
    retry_later(slot, answer);
}

static void take_answer(struct slot *slot, enum slot_request request, const struct answer *answer)
{
    if (agent_should_retry(answer->code, answer->response)) {
        retry_later(slot, answer);
        return;
    }
    long status = answer->response->status;
    if (status != 200 && status != 404 && (status != 409 || request == SLOT_LEASE)) {
        on_refused(slot, request, answer);
        return;
    }
    agent_answered(slot->shared, &slot->retry);
    slot->request_due_ms = 0;
    if (status == 404)
        on_unknown(slot);
    else if (status == 409)
        on_stale(slot, request);
    else if (request == SLOT_LEASE)
        on_lease(slot, answer->response);
    else if (request == SLOT_REPORT)
        on_report(slot, answer->response);
    else
        on_result(slot, answer->response);
}

static void on_done(void *user, int code, const struct http_response *response,
                    const struct error *error)
{
    static const char *const names[] = {
        [SLOT_LEASE] = "asking for work",
        [SLOT_REPORT] = "reporting",
        [SLOT_RESULT] = "handing in a result",
    };
    struct slot *slot = user;
    slot->call = NULL;
    const struct answer answer = {names[slot->request], code, response, error};
    take_answer(slot, slot->request, &answer);
    agent_wake(slot->shared);
}

/* ---- the requests ---- */

static int pack_lease(const struct slot *slot, struct buffer *ret_body)
{
    struct lease_request request = {.slot = slot->index, .wait_seconds = LEASE_WAIT_SECONDS};
    snprintf(request.worker, sizeof request.worker, "%s", slot->shared->worker);
    return lease_request_pack(&request, ret_body);
}

static int pack_report(struct slot *slot, struct buffer *ret_body)
{
    attempt_report(&slot->attempt, slot->shared->worker, &slot->report);
    slot->report.checkpoint = slot->stored;
    return report_request_pack(&slot->report, ret_body);
}

static int pack_result(const struct slot *slot, struct buffer *ret_body)
{
    struct result_request request;
    attempt_result(&slot->attempt, slot->shared->worker, &request);
    return result_request_pack(&request, ret_body);
}

static int send_request(struct slot *slot, struct buffer *body)
{
    struct post post = {NULL, body, REQUEST_TIMEOUT_MS, on_done, slot};
    int code;
    switch (slot->request) {
    case SLOT_LEASE:
        post.path = "/worker/v1/lease";
        post.timeout_ms = LEASE_TIMEOUT_MS;
        code = pack_lease(slot, body);
        break;
    case SLOT_REPORT:
        post.path = "/worker/v1/report";
        code = pack_report(slot, body);
        break;
    default:
        post.path = "/worker/v1/result";
        code = pack_result(slot, body);
    }
    return code < 0 ? code : agent_post(slot->shared, &post, &slot->call);
}

void slot_step_request(struct slot *slot, uint64_t now_ms)
{
    if (now_ms < slot_request_due_ms(slot))
        return;
    struct buffer body;
    buffer_init(&body, WORKER_API_BODY_MAX);
    slot->request = (enum slot_request)next_request(slot);
    int code = send_request(slot, &body);
    buffer_release(&body);
    slot->asked_ms = now_ms;
    if (code == 0)
        return;
    struct error error;
    error_set(&error, code, "", "out of memory");
    const struct answer answer = {.what = "a request", .code = code, .error = &error};
    retry_later(slot, &answer);
}
