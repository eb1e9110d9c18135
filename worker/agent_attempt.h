/* An attempt as the agent keeps it: what is known of it and not yet acknowledged by the daemon. A plain value without clock
 * or I/O.
 *
 * Legal order: attempt_begin; attempt_step and attempt_epoch while it runs; one of attempt_finish, attempt_lose and
 * attempt_return; while it
 * has something to say, attempt_report and attempt_reported, then, once it is over, attempt_result. */
#ifndef WORKER_AGENT_ATTEMPT_H
#define WORKER_AGENT_ATTEMPT_H

#include <stdbool.h>

#include "proto/trainer_pipe.h"

/* Epochs kept for a daemon that does not answer; beyond, the oldest are dropped. */
enum { ATTEMPT_EPOCHS_MAX = 1024 };

struct attempt {
    uint64_t attempt, epoch; /* the daemon's numbers; epoch is the fencing number */
    char search[WIRE_SEARCH_SIZE];
    uint64_t candidate;
    uint32_t epochs_total;
    uint64_t started_ms;
    uint64_t steps_done, steps_total;
    bool diverged; /* a value that is not finite was seen */
    bool over;     /* `result` is set */
    struct wire_result result;
    uint32_t last_epoch; /* number of the last one seen */
    uint32_t epoch_count;
    uint32_t epochs_dropped;                      /* for want of room */
    struct wire_epoch epochs[ATTEMPT_EPOCHS_MAX]; /* not acknowledged, oldest first */
};

void attempt_begin(struct attempt *attempt, const struct wire_task *task, uint64_t now_ms);

/* True where the number of steps has changed. */
bool attempt_step(struct attempt *attempt, const struct wire_progress *progress);
/* -EINVAL for an epoch beyond the task's or not above those before it. */
int attempt_epoch(struct attempt *attempt, const struct wire_epoch *epoch) MUST_USE;

/* The trainer's word. Where a value was not finite before, a DONE becomes DIVERGED. */
void attempt_finish(struct attempt *attempt, const struct wire_result *result);
/* The trainer ended without a result: LOST with the cause, or DIVERGED where a value was not finite before. */
void attempt_lose(struct attempt *attempt, const char *cause, uint64_t now_ms);
/* The task goes back before the trainer has ended: RETURNED with the cause, or DIVERGED where a value was not finite
 * before. */
void attempt_return(struct attempt *attempt, const char *cause, uint64_t now_ms);

/* The next report: steps and up to WIRE_EPOCHS_MAX of the waiting epochs. */
void attempt_report(const struct attempt *attempt, const char *worker,
                    struct report_request *ret_report);
/* The daemon has acknowledged the report: its epochs need not wait any longer. */
void attempt_reported(struct attempt *attempt, const struct report_request *report);
/* The result of an attempt that is over. */
void attempt_result(const struct attempt *attempt, const char *worker,
                    struct result_request *ret_result);

#endif
