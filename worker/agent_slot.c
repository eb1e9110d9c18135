#include "worker/agent_slot.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define WORD(value) ((unsigned long long)(value))

void slot_init(struct slot *slot, struct agent_shared *shared, uint32_t index)
{
    *slot = (struct slot){
        .shared = shared,
        .index = index,
        .restart = {.first_ms = RESTART_FIRST_MS, .max_ms = RESTART_MAX_MS},
    };
    slot->child_options = (struct child_options){
        .loop = shared->loop,
        .log = shared->log,
        .path = shared->trainer_path,
        .data = shared->options->data,
        .work = agent_files_slot(&shared->files, index, slot->work) == 0 ? slot->work : NULL,
        .slot = index,
        .slots = shared->options->slots,
    };
    slot->child_options.device =
        agent_options_slot_device(shared->options, index, &slot->child_options.device_slots);
}

void slot_release(struct slot *slot)
{
    transfer_cancel(&slot->transfer);
    http_loop_cancel(slot->call);
    slot->call = NULL;
}

static void begin_ending(struct slot *slot)
{
    slot->state = SLOT_ENDING;
    slot->ending_ms = uv_now(slot->shared->loop);
}

/* ---- the attempt ---- */

static void lose_attempt(struct slot *slot, const char *cause)
{
    attempt_lose(&slot->attempt, cause, uv_now(slot->shared->loop));
    log_line(slot->shared->log, LOG_WARNING, "slot %u: attempt %llu is %s: %s", slot->index,
             WORD(slot->attempt.attempt), wire_outcome_name(slot->attempt.result.outcome), cause);
}

void slot_begin(struct slot *slot, const struct wire_task *task)
{
    assert(slot->state == SLOT_READY && !slot->has_attempt);
    uint64_t now_ms = uv_now(slot->shared->loop);
    attempt_begin(&slot->attempt, task, now_ms);
    slot->has_attempt = true;
    slot->unwanted = NULL;
    slot->report_due_ms = now_ms + slot->shared->report_seconds * UINT64_C(1000);
    slot->handing_back = false;
    slot->task = *task;
    slot->task.checkpoint_path[0] = '\0';
    slot_forget_checkpoints(slot);
    log_line(slot->shared->log, LOG_INFO, "slot %u: attempt %llu of search %s, candidate %llu",
             slot->index, WORD(task->attempt), task->search, WORD(task->candidate));
    if (task->checkpoint.bytes && slot_writes_checkpoints(slot)) {
        slot->state = SLOT_FETCHING;
        slot->transfer_due_ms = now_ms;
        return;
    }
    slot->task.checkpoint.bytes = 0;
    slot_give_task(slot);
}

void slot_give_task(struct slot *slot)
{
    slot->state = SLOT_BUSY;
    slot->progress_ms = uv_now(slot->shared->loop);
    slot->verdict_ms = 0;
    slot->first_step_made = false;
    int code = child_send(slot->trainer, &slot->task);
    if (code < 0)
        child_fail(slot->trainer, "could not be given its task: %s", uv_strerror(code));
}

static void return_attempt(struct slot *slot, const char *cause)
{
    attempt_return(&slot->attempt, cause, uv_now(slot->shared->loop));
    log_line(slot->shared->log, LOG_INFO, "slot %u: attempt %llu is handed back: %s", slot->index,
             WORD(slot->attempt.attempt), cause);
}

static const char *return_cause(const struct slot *slot)
{
    return slot->shared->stopping ? "the worker shut down" : "the search was paused";
}

void slot_hand_back(struct slot *slot, uint64_t patience_ms)
{
    if (slot->state == SLOT_FETCHING) {
        transfer_cancel(&slot->transfer);
        slot->state = SLOT_READY;
        return_attempt(slot, return_cause(slot));
    }
    if (slot->state != SLOT_BUSY || !slot_writes_checkpoints(slot))
        return;
    uint64_t by_ms = uv_now(slot->shared->loop) + patience_ms;
    if (!slot->handing_back)
        log_line(slot->shared->log, LOG_INFO, "slot %u: attempt %llu is asked back", slot->index,
                 WORD(slot->attempt.attempt));
    if (!slot->handing_back || by_ms < slot->hand_back_ms)
        slot->hand_back_ms = by_ms;
    if (!slot->handing_back)
        child_terminate(slot->trainer);
    slot->handing_back = true;
}

/* The trainer has not handed its task back in time. */
static void take_back(struct slot *slot)
{
    return_attempt(slot, return_cause(slot));
    slot->handing_back = false;
    begin_ending(slot);
    slot->restart_due_ms = 0;
    child_kill(slot->trainer);
}

void slot_drop_attempt(struct slot *slot, const char *reason)
{
    assert(slot->has_attempt);
    log_line(slot->shared->log, LOG_INFO, "slot %u: attempt %llu is off: %s", slot->index,
             WORD(slot->attempt.attempt), reason);
    slot->has_attempt = false;
    slot_forget_checkpoints(slot);
    if (slot->state == SLOT_FETCHING)
        slot->state = SLOT_READY;
    if (slot->state != SLOT_BUSY)
        return;
    begin_ending(slot);
    slot->restart_due_ms = 0;
    child_kill(slot->trainer);
}

/* Acted upon a millisecond later: the loop reads its pipes in between, and with them a result that waits there. */
void slot_end_unwanted(struct slot *slot, const char *reason)
{
    slot->unwanted = reason;
    slot->unwanted_ms = uv_now(slot->shared->loop) + 1;
}

static void end_unwanted(struct slot *slot)
{
    const char *reason = slot->unwanted;
    slot->unwanted = NULL;
    if (!slot->attempt.over)
        slot_drop_attempt(slot, reason);
}

/* ---- what the trainer says ---- */

/* The first one makes the slot ready; later ones only say which data sets there are now. */
static void take_hello(struct slot *slot, const struct hello *hello)
{
    if (hello->protocol != TRAINER_PROTOCOL) {
        child_fail(slot->trainer, "speaks protocol %u, this agent speaks %d", hello->protocol,
                   TRAINER_PROTOCOL);
        return;
    }
    if (slot->state == SLOT_STARTING)
        slot->state = SLOT_READY;
    slot->settled = true;
    slot->hello = *hello;
    slot->hello_known = true;
    slot->news = true;
    log_line(slot->shared->log, LOG_INFO, "slot %u: trainer %d is ready on %s with %u data sets",
             slot->index, child_pid(slot->trainer), hello->device, hello->dataset_count);
}

static void note_progress(struct slot *slot)
{
    slot->progress_ms = uv_now(slot->shared->loop);
    slot->verdict_ms = 0;
}

static void take_progress(struct slot *slot, const struct wire_progress *progress)
{
    if (!attempt_step(&slot->attempt, progress))
        return;
    slot->first_step_made = true;
    note_progress(slot);
}

static void take_epoch(struct slot *slot, int code, const struct wire_epoch *epoch)
{
    note_progress(slot);
    if (code < 0)
        slot->attempt.diverged = true;
    else if (attempt_epoch(&slot->attempt, epoch) < 0)
        child_fail(slot->trainer, "reported epoch %u out of turn", epoch->number);
}

/* It has lost its device. It ends by itself, but might be given a task before; where a device is lost again and again, longer
 * and longer waits keep it from losing many tasks. */
static void replace_trainer(struct slot *slot)
{
    const uint32_t wait_ms = backoff_next_ms(&slot->restart, agent_random_bits());
    begin_ending(slot);
    slot->restart_due_ms = uv_now(slot->shared->loop) + wait_ms;
    child_kill(slot->trainer);
    log_line(slot->shared->log, LOG_WARNING,
             "slot %u: trainer %d lost its device; starting another in %.1f s", slot->index,
             child_pid(slot->trainer), wait_ms / 1000.0);
}

static void take_result(struct slot *slot, int code, const struct wire_result *result)
{
    struct attempt *attempt = &slot->attempt;
    if (code < 0) {
        attempt->diverged = true;
        attempt_lose(attempt, "", uv_now(slot->shared->loop));
    } else {
        attempt_finish(attempt, result);
    }
    slot->state = SLOT_READY;
    if (attempt->result.outcome == WIRE_OUTCOME_RETURNED && !slot->handing_back)
        slot->request_due_ms = uv_now(slot->shared->loop) + UNASKED_RETURN_MS;
    slot->handing_back = false;
    if (attempt->result.outcome != WIRE_OUTCOME_LOST)
        backoff_reset(&slot->restart);
    log_line(slot->shared->log, LOG_INFO, "slot %u: attempt %llu is %s, accuracy %.4f, %.1f s %s",
             slot->index, WORD(attempt->attempt), wire_outcome_name(attempt->result.outcome),
             attempt->result.accuracy, attempt->result.seconds, attempt->result.message);
    if (attempt->result.outcome == WIRE_OUTCOME_LOST)
        replace_trainer(slot);
}

static void on_message(void *user, int code, const struct trainer_message *message)
{
    struct slot *slot = user;
    agent_wake(slot->shared);
    if (message->kind == TRAINER_HELLO) {
        take_hello(slot, &message->hello);
        return;
    }
    if (slot->state != SLOT_BUSY) {
        child_fail(slot->trainer, "spoke without a task");
        return;
    }
    switch (message->kind) {
    case TRAINER_PROGRESS:
        take_progress(slot, &message->progress);
        break;
    case TRAINER_EPOCH:
        take_epoch(slot, code, &message->epoch);
        break;
    case TRAINER_CHECKPOINT:
        note_progress(slot);
        slot_take_checkpoint(slot, &message->checkpoint);
        break;
    default:
        take_result(slot, code, &message->result);
    }
}

static void on_ended(void *user, const char *cause)
{
    struct slot *slot = user;
    agent_wake(slot->shared);
    uint64_t now_ms = uv_now(slot->shared->loop);
    enum slot_state state = slot->state;
    begin_ending(slot);
    if (state == SLOT_BUSY || state == SLOT_FETCHING) {
        char text[CHILD_CAUSE_SIZE];
        snprintf(text, sizeof text, "the trainer %.460s", cause);
        if (slot->handing_back)
            return_attempt(slot, text);
        else
            lose_attempt(slot, text);
        if (state == SLOT_FETCHING)
            transfer_cancel(&slot->transfer);
        slot->handing_back = false;
        slot->restart_due_ms = now_ms;
        return;
    }
    slot->settled = true;
    uint32_t wait_ms = backoff_next_ms(&slot->restart, agent_random_bits());
    slot->restart_due_ms = now_ms + wait_ms;
    log_line(slot->shared->log, LOG_ERROR,
             "slot %u is offline: its trainer %s; starting another in %.1f s", slot->index, cause,
             wait_ms / 1000.0);
}

static void on_gone(void *user)
{
    struct slot *slot = user;
    slot->trainer = NULL;
    slot->state = SLOT_EMPTY;
    if (slot->stuck)
        log_line(slot->shared->log, LOG_INFO, "slot %u: the trainer on %s is gone after all",
                 slot->index, slot->child_options.device);
    slot->stuck = false;
    agent_wake(slot->shared);
}

/* ---- start and watch ---- */

static void start_trainer(struct slot *slot, uint64_t now_ms)
{
    const struct child_events events = {slot, on_message, on_ended, on_gone};
    struct error error;
    int code = child_start(&slot->child_options, &events, &slot->trainer, &error);
    if (code == 0) {
        slot->state = SLOT_STARTING;
        slot->progress_ms = now_ms;
        slot->verdict_ms = 0;
        return;
    }
    slot->settled = true;
    uint32_t wait_ms = backoff_next_ms(&slot->restart, agent_random_bits());
    slot->restart_due_ms = now_ms + wait_ms;
    log_line(slot->shared->log, LOG_ERROR, "slot %u is offline: %s; trying again in %.1f s",
             slot->index, error.message, wait_ms / 1000.0);
}

static uint32_t patience_seconds(const struct slot *slot)
{
    const struct agent_options *options = slot->shared->options;
    bool stepping = slot->state == SLOT_BUSY && slot->first_step_made;
    return stepping ? options->stall_seconds : options->first_step_seconds;
}

static void give_up(struct slot *slot)
{
    uint32_t seconds = patience_seconds(slot);
    if (slot->state == SLOT_STARTING)
        child_fail(slot->trainer, "did not say hello within %u s", seconds);
    else
        child_fail(slot->trainer, "made no progress for %u s after step %llu of %llu", seconds,
                   WORD(slot->attempt.steps_done), WORD(slot->attempt.steps_total));
}

/* When this process was stopped, time has passed in which it could not read what the trainer said. Patience that has run
 * out is therefore followed by a moment in which that is read. */
static void watch_trainer(struct slot *slot, uint64_t now_ms)
{
    if (now_ms < slot->progress_ms + patience_seconds(slot) * UINT64_C(1000))
        return;
    if (slot->verdict_ms == 0)
        slot->verdict_ms = now_ms + STALL_GRACE_MS;
    else if (now_ms >= slot->verdict_ms)
        give_up(slot);
}

static void end_trainer(struct slot *slot)
{
    begin_ending(slot);
    child_kill(slot->trainer);
}

static uint64_t stuck_due_ms(const struct slot *slot)
{
    return slot->ending_ms + slot->shared->options->drain_seconds * UINT64_C(1000);
}

/* SIGKILL does not end a process that waits in a driver. */
static void watch_end(struct slot *slot, uint64_t now_ms)
{
    if (slot->stuck || now_ms < stuck_due_ms(slot))
        return;
    slot->stuck = true;
    log_line(slot->shared->log, LOG_ERROR,
             "slot %u: trainer %d is not gone %u s after it was killed: no more work for %s until "
             "it is; if it stays, the machine needs its driver reset or a restart",
             slot->index, child_pid(slot->trainer), slot->shared->options->drain_seconds,
             slot->child_options.device);
}

bool slot_is_drained_by(const struct slot *slot, const struct slot *other)
{
    const char *device = slot->child_options.device;
    const bool shared =
        strcmp(device, "cpu") != 0 && strcmp(device, other->child_options.device) == 0;
    return other->stuck && (other == slot || shared);
}

void slot_step(struct slot *slot, uint64_t now_ms)
{
    if (slot->state == SLOT_EMPTY && !slot->shared->stopping && !slot->drained &&
        now_ms >= slot->restart_due_ms)
        start_trainer(slot, now_ms);
    if (slot->has_attempt && slot->unwanted && now_ms >= slot->unwanted_ms)
        end_unwanted(slot);
    if (slot->state == SLOT_BUSY && slot->handing_back && now_ms >= slot->hand_back_ms)
        take_back(slot);
    if (slot->state == SLOT_READY && slot->shared->stopping)
        end_trainer(slot);
    if (slot->state == SLOT_STARTING || slot->state == SLOT_BUSY)
        watch_trainer(slot, now_ms);
    if (slot->state == SLOT_ENDING)
        watch_end(slot, now_ms);
    slot_step_transfer(slot, now_ms);
    slot_step_request(slot, now_ms);
}

static uint64_t trainer_due_ms(const struct slot *slot)
{
    switch (slot->state) {
    case SLOT_EMPTY:
        return slot->shared->stopping || slot->drained ? UINT64_MAX : slot->restart_due_ms;
    case SLOT_STARTING:
    case SLOT_BUSY:
        return slot->verdict_ms ? slot->verdict_ms
                                : slot->progress_ms + patience_seconds(slot) * UINT64_C(1000);
    case SLOT_ENDING:
        return slot->stuck ? UINT64_MAX : stuck_due_ms(slot);
    default:
        return UINT64_MAX;
    }
}

uint64_t slot_due_ms(const struct slot *slot)
{
    uint64_t due_ms = trainer_due_ms(slot);
    uint64_t request_ms = slot_request_due_ms(slot);
    if (request_ms < due_ms)
        due_ms = request_ms;
    uint64_t transfer_ms = slot_transfer_due_ms(slot);
    if (transfer_ms < due_ms)
        due_ms = transfer_ms;
    if (slot->state == SLOT_BUSY && slot->handing_back && slot->hand_back_ms < due_ms)
        due_ms = slot->hand_back_ms;
    if (slot->has_attempt && slot->unwanted && slot->unwanted_ms < due_ms)
        due_ms = slot->unwanted_ms;
    return due_ms;
}

void slot_stop(struct slot *slot)
{
    slot_hand_back(slot, HAND_BACK_STOPPING_MS);
    if (slot->state == SLOT_BUSY && !slot->handing_back)
        return_attempt(slot, return_cause(slot));
    if (slot->trainer && !slot->handing_back)
        end_trainer(slot);
    if (slot->call && slot->request == SLOT_LEASE) {
        http_loop_cancel(slot->call);
        slot->call = NULL;
    }
    slot->request_due_ms = 0;
}

bool slot_is_idle(const struct slot *slot)
{
    return (slot->state == SLOT_EMPTY || slot->stuck) && !slot->has_attempt;
}
