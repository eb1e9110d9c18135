/* The scheduler's state. May be included by scheduler*.c only. */
#ifndef DAEMON_SCHEDULER_INTERNAL_H
#define DAEMON_SCHEDULER_INTERNAL_H

#include "daemon/scheduler.h"

enum { NO_WORKER = UINT32_MAX };

/* A place for one unfinished candidate. */
struct place {
    bool used;
    struct job job;
    uint64_t deadline_ms; /* running: the lease ends then */
    uint64_t order;       /* waiting: the lowest goes first */
    uint32_t avoid;       /* waiting: not this worker before avoid_until_ms; NO_WORKER */
    uint64_t avoid_until_ms;
};

/* A search in line for workers. */
struct lane {
    struct search_terms terms;
    bool exhausted;
    uint32_t used_count, running_count;
    uint64_t served;      /* value of scheduler.grants when it was last given a worker */
    struct place *places; /* terms.parallel_max of them */
};

struct running {
    struct lane *lane; /* NULL = nothing runs in the slot */
    struct place *place;
};

struct scheduled_worker {
    bool used, connected;
    uint64_t seen_ms;
    uint32_t running_count;
    struct dataset_set datasets;
    struct running slots[WORKER_SLOTS_MAX];
};

struct scheduler {
    uint64_t lease_ms;
    uint64_t due_ms;
    uint64_t grants, orders;
    struct lane **lanes;
    size_t lane_count, lane_capacity;
    struct scheduled_worker **workers; /* by handle */
    size_t worker_count;
};

struct lane *scheduler_lane(const struct scheduler *scheduler,
                            uint64_t search); /* NULL where unknown */
bool lane_can_propose(const struct lane *lane);
/* Where candidate would go; NULL where there is no room. */
struct place *lane_free_place(const struct lane *lane, uint64_t candidate);
void scheduler_wake_by(struct scheduler *scheduler, uint64_t time_ms);
/* Puts the attempt of a place into its worker's slot. */
void scheduler_occupy(struct scheduler *scheduler, struct lane *lane, struct place *place);
void scheduler_vacate(struct scheduler *scheduler, struct lane *lane, const struct place *place);

#endif
