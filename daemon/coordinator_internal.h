/* What the files of the coordinator share. May be included by coordinator*.c only. */
#ifndef DAEMON_COORDINATOR_INTERNAL_H
#define DAEMON_COORDINATOR_INTERNAL_H

#include "daemon/coordinator.h"
#include "daemon/dataset_table.h"
#include "daemon/scheduler.h"
#include "daemon/search.h"
#include "daemon/store.h"
#include "daemon/worker_table.h"

struct coordinator {
    uint32_t lease_seconds, checkpoint_seconds;
    struct moment now;

    struct store *store;
    struct scheduler *scheduler;
    struct dataset_table datasets;
    struct worker_table workers;
    struct search **searches; /* by id */
    size_t search_count, search_capacity;
    struct store_counters counters; /* the largest ones in use */
    uint64_t epoch_next; /* goes on over rebuilds, so that no epoch is ever given twice */
    uint64_t event_committed, event_dropped;

    int failure;                /* changes are refused with it; 0 = all is well */
    bool readable;              /* what is in memory is what is stored; true where failure is 0 */
    bool rolled_back;           /* the tick that failed is undone in the store */
    uint64_t recover_at_ms;     /* next try */
    bool reserve_held;          /* false: only what runs is finished */
    uint64_t reserve_at_ms;     /* next try */
    bool work, events, garbage; /* what the take_ functions tell */
    bool dropped;               /* a checkpoint's row went in this tick */

    struct epoch_metrics *epochs; /* scratch of coordinator_attempts */
    size_t epoch_capacity;
    struct coordinator_statistics statistics;
};

/* Spoils the tick where `code` is negative; returns it. */
int coordinator_check(struct coordinator *coordinator, int code);

struct search *coordinator_find_search(const struct coordinator *coordinator,
                                       uint64_t search); /* NULL where unknown */
/* Appends; the coordinator owns it from then on. -ENOMEM. */
int coordinator_append_search(struct coordinator *coordinator, struct search *search) MUST_USE;
/* Puts an unfinished (or cancelled) search in line for workers. -ENOMEM. */
int coordinator_schedule(struct coordinator *coordinator, const struct search *search) MUST_USE;
struct spec_datasets coordinator_spec_datasets(const struct coordinator *coordinator);
/* The handle for a worker's name, made where there is none. -ENOMEM. */
int coordinator_worker_handle(struct coordinator *coordinator, const char *name) MUST_USE;

/* Drops everything that was in memory and loads it from the store. On failure nothing is loaded. */
int coordinator_rebuild(struct coordinator *coordinator) MUST_USE;
void coordinator_drop(struct coordinator *coordinator);

/* Stores an event; id and time are filled in. */
int coordinator_tell(struct coordinator *coordinator, struct event_view event) MUST_USE;
int coordinator_tell_search(struct coordinator *coordinator, enum event_kind kind,
                            uint64_t search) MUST_USE;
/* An attempt's own events: NaN where there are no figures. */
struct event_view coordinator_attempt_event(enum event_kind kind, uint64_t search,
                                            const struct job *job);

/* Stores and applies what follows from EFFECT_ATTEMPT_ENDED; `result` is what the worker delivered, NULL where its lease
 * ended otherwise. */
int coordinator_end_attempt(struct coordinator *coordinator, const struct effect *effect,
                            const struct result *result) MUST_USE;
/* ---- coordinator_datasets.c ---- */

/* Takes in what the worker announces. Of *terms only the problems are filled. A refusal leaves the data sets before the one at
 * fault known. As coordinator_register. */
int coordinator_take_datasets(struct coordinator *coordinator,
                              const struct registration *registration, struct dataset_set *ret_set,
                              struct terms *terms, struct error *error) MUST_USE;

/* ---- coordinator_checkpoints.c ---- */

/* The candidate's checkpoint; bytes 0 where it has none. */
int coordinator_find_checkpoint(struct coordinator *coordinator, uint64_t search,
                                uint64_t candidate, struct checkpoint *ret_checkpoint) MUST_USE;
int coordinator_keep_checkpoint(struct coordinator *coordinator, uint64_t search,
                                const struct job *job,
                                const struct checkpoint *checkpoint) MUST_USE;
/* Of one candidate, or of all of a search where `candidate` is UINT64_MAX. */
int coordinator_drop_checkpoints(struct coordinator *coordinator, uint64_t search,
                                 uint64_t candidate) MUST_USE;

/* Ends the search where nothing is left to do. */
int coordinator_finish_if_done(struct coordinator *coordinator, struct search *search) MUST_USE;
/* Lets time pass in the scheduler. */
int coordinator_pass_time(struct coordinator *coordinator) MUST_USE;

#endif
