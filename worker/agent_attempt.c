#include "worker/agent_attempt.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/foreign_text.h"

void attempt_begin(struct attempt *attempt, const struct wire_task *task, uint64_t now_ms)
{
    *attempt = (struct attempt){
        .attempt = task->attempt,
        .epoch = task->epoch,
        .candidate = task->candidate,
        .epochs_total = task->epochs,
        .started_ms = now_ms,
    };
    memcpy(attempt->search, task->search, sizeof attempt->search);
}

bool attempt_step(struct attempt *attempt, const struct wire_progress *progress)
{
    bool changed = progress->steps_done != attempt->steps_done;
    attempt->steps_done = progress->steps_done;
    attempt->steps_total = progress->steps_total;
    return changed;
}

static void drop_epochs(struct attempt *attempt, uint32_t count)
{
    assert(count <= attempt->epoch_count);
    attempt->epoch_count -= count;
    memmove(attempt->epochs, attempt->epochs + count,
            attempt->epoch_count * sizeof attempt->epochs[0]);
}

int attempt_epoch(struct attempt *attempt, const struct wire_epoch *epoch)
{
    assert(!attempt->over);
    if (epoch->number <= attempt->last_epoch || epoch->number > attempt->epochs_total)
        return -EINVAL;
    attempt->last_epoch = epoch->number;
    if (attempt->epoch_count == ATTEMPT_EPOCHS_MAX) {
        drop_epochs(attempt, 1);
        attempt->epochs_dropped++;
    }
    attempt->epochs[attempt->epoch_count++] = *epoch;
    return 0;
}

static void set_diverged(struct wire_result *result)
{
    result->outcome = WIRE_OUTCOME_DIVERGED;
    result->accuracy = 0;
    result->loss = 0;
    result->step_time = (struct wire_step_time){0};
    snprintf(result->message, sizeof result->message, "a loss or accuracy was not finite");
}

void attempt_finish(struct attempt *attempt, const struct wire_result *result)
{
    assert(!attempt->over);
    attempt->over = true;
    attempt->result = *result;
    if (attempt->diverged && result->outcome == WIRE_OUTCOME_DONE)
        set_diverged(&attempt->result);
}

void attempt_lose(struct attempt *attempt, const char *cause, uint64_t now_ms)
{
    assert(!attempt->over && now_ms >= attempt->started_ms);
    attempt->over = true;
    attempt->result = (struct wire_result){
        .outcome = WIRE_OUTCOME_LOST,
        .seconds = (double)(now_ms - attempt->started_ms) / 1000.0,
    };
    foreign_message_copy(cause, attempt->result.message, sizeof attempt->result.message);
    if (attempt->diverged)
        set_diverged(&attempt->result);
}

void attempt_return(struct attempt *attempt, const char *cause, uint64_t now_ms)
{
    attempt_lose(attempt, cause, now_ms);
    if (attempt->result.outcome == WIRE_OUTCOME_LOST)
        attempt->result.outcome = WIRE_OUTCOME_RETURNED;
}

void attempt_report(const struct attempt *attempt, const char *worker,
                    struct report_request *ret_report)
{
    *ret_report = (struct report_request){
        .attempt = attempt->attempt,
        .epoch = attempt->epoch,
        .steps_done = attempt->steps_done,
        .steps_total = attempt->steps_total,
    };
    snprintf(ret_report->worker, sizeof ret_report->worker, "%s", worker);
    ret_report->epoch_count =
        attempt->epoch_count < WIRE_EPOCHS_MAX ? attempt->epoch_count : WIRE_EPOCHS_MAX;
    memcpy(ret_report->epochs, attempt->epochs,
           ret_report->epoch_count * sizeof attempt->epochs[0]);
}

void attempt_reported(struct attempt *attempt, const struct report_request *report)
{
    if (report->epoch_count == 0)
        return;
    uint32_t last = report->epochs[report->epoch_count - 1].number;
    uint32_t count = 0;
    while (count < attempt->epoch_count && attempt->epochs[count].number <= last)
        count++;
    drop_epochs(attempt, count);
}

void attempt_result(const struct attempt *attempt, const char *worker,
                    struct result_request *ret_result)
{
    assert(attempt->over);
    *ret_result = (struct result_request){
        .attempt = attempt->attempt,
        .epoch = attempt->epoch,
        .result = attempt->result,
    };
    snprintf(ret_result->worker, sizeof ret_result->worker, "%s", worker);
}
