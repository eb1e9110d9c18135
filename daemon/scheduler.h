/* The scheduler: which worker trains which candidate, and what happens when an attempt ends.
 *
 * Layer: may be used by the coordinator and by tests; may use attempt.h only. Pure: `(state, event, now) -> effects`. No
 * clock, I/O, randomness or log; nothing is allocated in scheduler_apply: memory is grown by the functions above it.
 *
 * Rules
 *   A worker is given candidates of running searches whose data set it announced: the highest priority first; among
 *   equals the search with the fewest running attempts, then the one that was served longest ago. Candidates that
 *   wait for their next attempt go first, then a new proposal is asked for.
 *   A search never has more than parallel_max unfinished candidates. A deterministic one proposes candidate k when all
 *   candidates up to k - parallel_max are finished.
 *   A lease that is not renewed for lease_ms ends as LOST. So does one at a restart after a full term.
 *   DIVERGED is final. OUT_OF_MEMORY is final the second time; the retry halves the micro-batch, and where the batch is odd
 *   there is none. LOST is final the third time, FAILED the second; their retries avoid the worker for AVOID_LEASES terms,
 *   unless no other worker has the data.
 *   A paused search gives nothing out. Its running attempts are let finish or, with hand_back, are told at each report to
 *   come back; a candidate that was RETURNED goes first when the search is resumed, and nothing is counted against it.
 *   After a cancel running attempts may end, and nothing new is given out.
 *
 * Time is monotonic milliseconds, never going back. */
#ifndef DAEMON_SCHEDULER_H
#define DAEMON_SCHEDULER_H

#include "daemon/attempt.h"

struct scheduler;

enum {
    LOSSES_MAX = 3, /* of one candidate; the last one quarantines it */
    FAILURES_MAX = 2,
    AVOID_LEASES = 1,  /* lease terms for which a retry avoids the worker */
    SILENT_LEASES = 3, /* lease terms after which a silent worker is forgotten */
    SCHEDULER_DATASETS_MAX = 256,
    EFFECTS_MAX = 64
};

struct dataset_set {
    uint64_t bits[SCHEDULER_DATASETS_MAX / 64];
};

/* ---- state: growing and looking ---- */

int scheduler_new(uint64_t lease_ms, struct scheduler **ret_scheduler) MUST_USE; /* -ENOMEM */
void scheduler_free(struct scheduler *scheduler);

struct search_terms {
    uint64_t search; /* id */
    int32_t priority;
    uint32_t parallel_max;
    uint32_t dataset; /* < SCHEDULER_DATASETS_MAX */
    uint64_t proposals_max;
    uint64_t proposed; /* already */
    bool deterministic;
    bool batch_is_odd; /* it has no halves */
    bool paused, cancelled;
    bool hand_back; /* paused: running attempts are asked to hand their tasks back */
};
int scheduler_add_search(struct scheduler *scheduler,
                         const struct search_terms *terms) MUST_USE; /* -ENOMEM */
bool scheduler_has_search(const struct scheduler *scheduler, uint64_t search);
/* Its running attempts are forgotten; a search that is unknown is ignored. */
void scheduler_remove_search(struct scheduler *scheduler, uint64_t search);

/* A worker that is not connected yet. Handles are small numbers, used again after EFFECT_WORKER_FORGOTTEN. */
int scheduler_add_worker(struct scheduler *scheduler, uint32_t *ret_worker) MUST_USE; /* -ENOMEM */

/* An unfinished candidate as the scheduler knows it. */
struct job {
    uint64_t candidate;
    uint32_t attempts; /* given out so far */
    uint32_t losses, failures, memory_failures;
    uint32_t micro_batches;
    bool running; /* and then: */
    uint32_t worker, slot;
    uint64_t attempt, epoch;
};
/* Puts back an unfinished candidate of the store; a running one gets a full term from `now_ms`. -EINVAL where the
 * search has no room for it (a damaged store). */
int scheduler_restore_job(struct scheduler *scheduler, uint64_t search, const struct job *job,
                          uint64_t now_ms) MUST_USE;

/* False where the candidate is not unfinished. */
bool scheduler_find_job(const struct scheduler *scheduler, uint64_t search, uint64_t candidate,
                        struct job *ret_job);
/* False where nothing runs in that slot. */
bool scheduler_find_slot(const struct scheduler *scheduler, uint32_t worker, uint32_t slot,
                         uint64_t *ret_search, struct job *ret_job);
uint32_t scheduler_job_count(const struct scheduler *scheduler, uint64_t search);
uint32_t scheduler_running_count(const struct scheduler *scheduler, uint64_t search);
bool scheduler_can_propose(const struct scheduler *scheduler, uint64_t search);
/* A lower bound of the time at which SCHEDULER_TICK has something to do; UINT64_MAX = nothing. */
uint64_t scheduler_due_ms(const struct scheduler *scheduler);

/* ---- transitions ---- */

enum scheduler_event_kind {
    SCHEDULER_TICK,            /* time has passed; again while the effects say `more` */
    SCHEDULER_SEARCH_RUN,      /* search */
    SCHEDULER_SEARCH_PAUSE,    /* search, hand_back */
    SCHEDULER_SEARCH_CANCEL,   /* search */
    SCHEDULER_WORKER_CONNECTS, /* worker, datasets */
    SCHEDULER_WORKER_SEEN,     /* worker */
    SCHEDULER_WORKER_WANTS,    /* worker, slot; attempt and epoch to use for a new lease */
    SCHEDULER_PROPOSED, /* search, candidate: the answer to EFFECT_PROPOSE; then the worker wants again */
    SCHEDULER_EXHAUSTED, /* search: the other answer */
    SCHEDULER_REPORT,    /* worker, attempt, epoch */
    SCHEDULER_RESULT     /* worker, attempt, epoch, outcome */
};

struct scheduler_event {
    enum scheduler_event_kind kind;
    uint64_t search, candidate;
    uint32_t worker, slot;
    uint64_t attempt, epoch;
    enum outcome outcome;
    bool hand_back;
    const struct dataset_set *datasets;
};

enum effect_kind {
    EFFECT_PROPOSE,         /* search: ask its strategy */
    EFFECT_LEASE,           /* a new attempt at job.candidate */
    EFFECT_LEASE_AGAIN,     /* the slot's running attempt once more */
    EFFECT_ATTEMPT_ENDED,   /* outcome, cause, next */
    EFFECT_WORKER_FORGOTTEN /* worker: its handle is free */
};

/* What becomes of the candidate when its attempt has ended. */
enum attempt_next {
    NEXT_RETRY,    /* it waits for another attempt */
    NEXT_FINISHED, /* `outcome` is its result */
    NEXT_CANCELLED /* its search was cancelled before */
};

struct effect {
    enum effect_kind kind;
    uint64_t search;
    struct job job; /* as it was while it ran */
    uint32_t worker;
    enum outcome outcome;
    enum attempt_cause cause;
    enum attempt_next next;
};

struct effects {
    struct effect items[EFFECTS_MAX];
    uint32_t count;
    bool more; /* SCHEDULER_TICK: not everything fitted */
    bool work; /* a worker that waits may get something now */
};

enum {
    SCHEDULER_NOTHING = 1,  /* WORKER_WANTS: nothing for it at present */
    SCHEDULER_STALE = 2,    /* REPORT, RESULT: not the current attempt, or another worker's */
    SCHEDULER_STOP = 3,     /* REPORT: the search was cancelled */
    SCHEDULER_HAND_BACK = 4 /* REPORT: the search was paused, and what runs is wanted back */
};
/* Applies one event. 0 or one of the outcomes above; *ret_effects is always set. */
int scheduler_apply(struct scheduler *scheduler, const struct scheduler_event *event,
                    uint64_t now_ms, struct effects *ret_effects) MUST_USE;

#endif
