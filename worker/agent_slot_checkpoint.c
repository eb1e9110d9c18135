/* The files of a slot: the checkpoint that its attempt continues from, and those that its trainer writes. */
#include "worker/agent_slot.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WORD(value) ((unsigned long long)(value))

static bool is_same(const struct wire_checkpoint *a, const struct wire_checkpoint *b)
{
    return a->bytes == b->bytes && memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0;
}

bool slot_writes_checkpoints(const struct slot *slot)
{
    return slot->hello_known && slot->hello.checkpoints && slot->work[0] != '\0';
}

void slot_take_checkpoint(struct slot *slot, const struct wire_checkpoint_written *written)
{
    slot->written = *written;
    slot->transfer_due_ms = uv_now(slot->shared->loop);
    backoff_reset(&slot->transfer_retry);
    log_line(slot->shared->log, LOG_DEBUG, "slot %u: a checkpoint of %llu bytes after step %llu",
             slot->index, WORD(written->checkpoint.bytes), WORD(written->checkpoint.steps_done));
}

static bool is_to_be_sent(const struct slot *slot)
{
    return slot->written.checkpoint.bytes > 0 && !is_same(&slot->written.checkpoint, &slot->stored);
}

/* Only the next attempt needs it, and there is none after the other ends. */
bool slot_owes_checkpoint(const struct slot *slot)
{
    enum wire_outcome outcome = slot->attempt.result.outcome;
    if (outcome != WIRE_OUTCOME_RETURNED && outcome != WIRE_OUTCOME_LOST)
        return false;
    return is_to_be_sent(slot) || (slot->stored.bytes > 0 && !slot->stored_told);
}

void slot_checkpoint_told(struct slot *slot, const struct wire_checkpoint *told, bool missing)
{
    if (told->bytes == 0 || !is_same(told, &slot->stored))
        return;
    slot->stored_told = true;
    if (missing)
        slot->stored = (struct wire_checkpoint){.bytes = 0}; /* sent again */
    if (missing)
        slot->transfer_due_ms = uv_now(slot->shared->loop) + RETRY_FIRST_MS;
}

void slot_waive_checkpoint(struct slot *slot)
{
    transfer_cancel(&slot->transfer);
    slot->written.checkpoint.bytes = 0;
    slot->stored_told = true;
}

void slot_forget_checkpoints(struct slot *slot)
{
    transfer_cancel(&slot->transfer);
    slot->written = (struct wire_checkpoint_written){.path = ""};
    slot->stored = (struct wire_checkpoint){.bytes = 0};
    slot->stored_told = false;
    slot->fetch_tries = 0;
    backoff_reset(&slot->transfer_retry);
    if (slot->work[0])
        agent_files_clear(slot->work);
}

static void wait(struct slot *slot, const struct answer *answer)
{
    slot->transfer_due_ms =
        uv_now(slot->shared->loop) + agent_retry_ms(slot->shared, &slot->transfer_retry, answer);
}

static void say_failure(const struct slot *slot, const struct answer *answer, const char *outcome)
{
    char text[ANSWER_TEXT_SIZE];
    if (answer->code < 0)
        snprintf(text, sizeof text, "%.*s", ANSWER_TEXT_SIZE - 1, answer->error->message);
    else
        agent_answer_text(answer->response, text);
    log_line(slot->shared->log, LOG_WARNING, "slot %u: attempt %llu: %s: %s; %s", slot->index,
             WORD(slot->attempt.attempt), answer->what, text, outcome);
}

/* ---- fetching ---- */

static void give_task(struct slot *slot, const char *path)
{
    snprintf(slot->task.checkpoint_path, sizeof slot->task.checkpoint_path, "%s", path);
    slot_give_task(slot);
}

static void on_fetched(void *user, const struct answer *answer)
{
    struct slot *slot = user;
    assert(slot->state == SLOT_FETCHING);
    if (answer->code == 0 && answer->response->status == 200) {
        agent_answered(slot->shared, &slot->transfer_retry);
        give_task(slot, slot->transfer.path);
        return;
    }
    bool again = answer->code < 0 || agent_should_retry(answer->code, answer->response);
    if (again && ++slot->fetch_tries < FETCH_TRIES) {
        wait(slot, answer);
        return;
    }
    say_failure(slot, answer, "training begins anew");
    give_task(slot, "");
}

static int fetch(struct slot *slot)
{
    char path[WIRE_PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/fetched-%llu.safetensors", slot->work,
                          WORD(slot->attempt.attempt));
    if (length < 0 || (size_t)length >= sizeof path)
        return -ENAMETOOLONG;
    slot->transfer.shared = slot->shared;
    slot->transfer.done = on_fetched;
    slot->transfer.user = slot;
    return transfer_fetch(&slot->transfer, path, &slot->task.checkpoint);
}

/* ---- sending ---- */

static void give_up_sending(struct slot *slot)
{
    slot->written.checkpoint.bytes = 0;
}

static void on_sent(void *user, const struct answer *answer)
{
    struct slot *slot = user;
    bool good = answer->code == 0 && answer->response->status / 100 == 2;
    if (good) {
        agent_answered(slot->shared, &slot->transfer_retry);
        slot->stored = slot->transfer.file;
        slot->stored_told = false;
    } else if (agent_should_retry(answer->code, answer->response)) {
        wait(slot, answer);
    } else {
        say_failure(slot, answer, "it is not kept");
        if (is_same(&slot->transfer.file, &slot->written.checkpoint))
            give_up_sending(slot);
    }
}

static int send_newest(struct slot *slot)
{
    slot->transfer.shared = slot->shared;
    slot->transfer.done = on_sent;
    slot->transfer.user = slot;
    return transfer_send(&slot->transfer, slot->written.path, &slot->written.checkpoint);
}

/* ---- both ---- */

uint64_t slot_transfer_due_ms(const struct slot *slot)
{
    if (!slot->has_attempt || !transfer_is_idle(&slot->transfer))
        return UINT64_MAX;
    bool over = slot->attempt.over && !slot_owes_checkpoint(slot);
    bool due = slot->state == SLOT_FETCHING || (is_to_be_sent(slot) && !over);
    return due ? slot->transfer_due_ms : UINT64_MAX;
}

void slot_step_transfer(struct slot *slot, uint64_t now_ms)
{
    if (now_ms < slot_transfer_due_ms(slot))
        return;
    bool fetching = slot->state == SLOT_FETCHING;
    int code = fetching ? fetch(slot) : send_newest(slot);
    if (code == 0)
        return;
    struct error error;
    error_set(&error, code, "", "%s", uv_strerror(code));
    const struct answer answer = {.what =
                                      fetching ? "fetching a checkpoint" : "sending a checkpoint",
                                  .code = code,
                                  .error = &error};
    if (code == -ENOMEM) {
        wait(slot, &answer);
        return;
    }
    say_failure(slot, &answer, fetching ? "training begins anew" : "it is not kept");
    if (fetching)
        give_task(slot, "");
    else
        give_up_sending(slot);
}
