/* The coordinator: owns every search, applies what people and workers ask to the scheduler, the
 * strategies and the store.
 *
 * Layers: http > api > coordinator > {scheduler (pure), store (SQLite), search library}.
 * May be used by: api, events, main, tests. May use: scheduler, store, search/. May not use: http,
 * proto, JSON, clocks, log, threads. Single-threaded: all calls come from the daemon's loop.
 *
 * One tick of the loop:
 *
 *     coordinator_begin(coordinator, moment);        time passes, overdue leases end
 *     ... any number of operations; no reply leaves yet ...
 *     if (coordinator_take_work(coordinator))        try parked lease requests again, in the order they came
 *         coordinator_lease(...) for each
 *     r = coordinator_commit(coordinator);           one transaction (group commit); a tick without mutations is free
 *     replies leave: as computed when r is 0, all as 503 with Retry-After when r is negative (promises I1, I9)
 *     if (coordinator_take_events(coordinator))      wake event streams: coordinator_events
 *
 * Every reply of a tick waits for its commit, those of reads too: a read may show what the tick has
 * changed. Long-lived readers (event streams) only ever see what is committed.
 *
 * Failure: an operation that meets an I/O error, a full disk or a lack of memory (-EIO, -ENOSPC,
 * -ENOMEM) spoils the tick: all operations after it return the same code, and so does
 * coordinator_commit, which rolls everything back. The next coordinator_begin drops all state and
 * rebuilds it from the store by the code that runs at start. As long as the store cannot be written
 * after that, whatever would change something returns the code, while views show what is stored and
 * ticks commit with 0; as long as it cannot be read either, views return the code, too. Workers have
 * to register again (their requests get -ENOENT) and keep the attempts that they run.
 * On a full disk a reserve is given up first, so that results of running attempts can still be
 * stored; until it is there again, submissions and new leases get -ENOSPC.
 *
 * Return codes common to all operations: 0; or a negative errno, with *error filled where the operation takes one:
 *     -ENOENT                no such search, candidate or worker                  404
 *     -EINVAL, -E2BIG        what was sent is wrong; pointer names the field      422 (400 for workers), 413
 *     -EPERM                 the search's state does not allow it                 409
 *     -EEXIST                idempotency key used before with other text          422
 *     -ESTALE                the attempt is not the current one any more          409
 *     -EIO -ENOSPC -ENOMEM   the tick is spoiled or the store is unwell           503 with Retry-After
 */
#ifndef DAEMON_COORDINATOR_H
#define DAEMON_COORDINATOR_H

#include "daemon/attempt.h"
#include "daemon/view.h"

struct coordinator;

/* Time is passed in: leases use the monotonic one only (promise I10). */
struct moment {
    uint64_t monotonic_ms; /* never goes back */
    int64_t wall_us;       /* since 1970, for display */
};

enum {
    LEASE_SECONDS_DEFAULT = 30,
    LEASE_SECONDS_MAX = 3600,
    SEARCHES_UNFINISHED_MAX = 1024, /* running or paused at the same time */
    WORKERS_MAX = 4096,             /* connected at the same time */
    CANDIDATES_STORED_MAX =
        4000000, /* in all searches; a submission whose budget would exceed it gets -ENOSPC */
    IDEMPOTENCY_KEY_SIZE = 129,
    EVENTS_KEPT_MAX =
        100000 /* older ones are dropped; a stream that resumes from before gets what there is */
};

struct coordinator_options {
    const char *state_directory; /* exists and is writable; holds archscout.db, archscout.lock,
                                    archscout.reserve */
    uint64_t incarnation;   /* 64 random bits, fresh at every start: epochs of two lives never meet
                               (promise I3) */
    uint32_t lease_seconds; /* 0 = LEASE_SECONDS_DEFAULT; a lease not reported on for so long has
                               ended */
    uint64_t
        reserve_bytes; /* of disk, to finish what runs when it is full; 0 = the store's default */
    uint32_t checkpoint_pages;   /* of the WAL; 0 = the store's default */
    uint32_t checkpoint_seconds; /* how often trainers write checkpoints; 0: never */
    struct moment now;
};

/* Opens or creates the store and rebuilds all state. -EBUSY where another daemon holds the
 * directory (the message names its pid), -EPROTO where the database is newer than this program,
 * -EIO, -ENOSPC, -ENOMEM. */
int coordinator_open(const struct coordinator_options *options,
                     struct coordinator **ret_coordinator, struct error *error) MUST_USE;
/* What is not committed is dropped. NULL is legal. */
void coordinator_close(struct coordinator *coordinator);

/* ---- the tick ---- */

/* Starts a tick: ends overdue leases, forgets silent workers, recovers after a failure. Call it at
 * least when coordinator_deadline_ms says. */
void coordinator_begin(struct coordinator *coordinator, struct moment now);
/* Monotonic time at which something falls due, UINT64_MAX = nothing; at most one second late keeps
 * promise I7. */
uint64_t coordinator_deadline_ms(const struct coordinator *coordinator);
/* Ends a tick. 0 or the negative code that all replies of the tick turn into 503 for. */
int coordinator_commit(struct coordinator *coordinator) MUST_USE;
/* True once after work may have become available: try parked lease requests again, before the
 * commit. */
bool coordinator_take_work(struct coordinator *coordinator);
/* True once after events were committed. */
bool coordinator_take_events(struct coordinator *coordinator);
/* True while events wait for the tick's commit: until then views may be ahead of what
 * coordinator_events tells. */
bool coordinator_events_pending(const struct coordinator *coordinator);
/* 0, or the negative code for which operations are refused at present (readyz). */
int coordinator_ready(const struct coordinator *coordinator) MUST_USE;
/* What the store said when it failed last; "" = never. For the log. */
const char *coordinator_problem(const struct coordinator *coordinator);

/* ---- people ---- */

struct submission {
    const char *text;            /* the spec, JSON; stored verbatim */
    size_t length;               /* up to SPEC_TEXT_MAX */
    const char *idempotency_key; /* NULL = none; up to IDEMPOTENCY_KEY_SIZE - 1 bytes */
};
enum { SUBMIT_REPEATED = 1 };
/* 0; SUBMIT_REPEATED with the search that the same key and text made before. -EINVAL, -E2BIG,
 * -EEXIST, -ENOSPC. */
int coordinator_submit(struct coordinator *coordinator, const struct submission *submission,
                       uint64_t *ret_search, struct error *error) MUST_USE;

/* Asking for the state that a search has already is 0. -ENOENT; -EPERM where the state machine
 * (view.h) forbids it. A pause asks for what runs to be handed back, with a checkpoint;
 * coordinator_pause_gently lets it finish. Each may follow the other. */
int coordinator_pause(struct coordinator *coordinator, uint64_t search,
                      struct error *error) MUST_USE;
int coordinator_pause_gently(struct coordinator *coordinator, uint64_t search,
                             struct error *error) MUST_USE;
int coordinator_resume(struct coordinator *coordinator, uint64_t search,
                       struct error *error) MUST_USE;
/* No lease is given from here on; late results are kept and not counted (promise I6). */
int coordinator_cancel(struct coordinator *coordinator, uint64_t search,
                       struct error *error) MUST_USE;

/* ---- views: a visitor returns 0 to go on; anything else ends the walk and is returned ---- */

int coordinator_search(struct coordinator *coordinator, uint64_t search,
                       struct search_view *ret_view) MUST_USE;

typedef int coordinator_visit_search(void *context, const struct search_view *view);
/* Newest first, searches with an id below `before` (UINT64_MAX = from the newest), up to `limit`.
 */
int coordinator_searches(struct coordinator *coordinator, uint64_t before, uint32_t limit,
                         coordinator_visit_search *visit, void *context) MUST_USE;

int coordinator_candidate(struct coordinator *coordinator, uint64_t search, uint64_t candidate,
                          struct candidate_view *ret_view) MUST_USE;

typedef int coordinator_visit_candidate(void *context, const struct candidate_view *view);
/* One page. *ret_next is set where more follow. -EINVAL for a limit out of range or an unknown
 * objective. */
int coordinator_candidates(struct coordinator *coordinator, uint64_t search,
                           const struct candidate_query *query, coordinator_visit_candidate *visit,
                           void *context, struct candidate_cursor *ret_next) MUST_USE;

typedef int coordinator_visit_attempt(void *context, const struct attempt_view *view);
/* A candidate's attempts with their epochs, oldest first. */
int coordinator_attempts(struct coordinator *coordinator, uint64_t search, uint64_t candidate,
                         coordinator_visit_attempt *visit, void *context) MUST_USE;

/* The frontier over the DONE candidates for 1 to PARETO_OBJECTIVES_MAX distinct objectives (count 0
 * = the spec's). -EINVAL. */
int coordinator_frontier(struct coordinator *coordinator, uint64_t search,
                         const enum objective *objectives, size_t objective_count,
                         struct frontier_view *ret_view, struct error *error) MUST_USE;

typedef int coordinator_visit_worker(void *context, const struct worker_view *view);
int coordinator_workers(struct coordinator *coordinator, coordinator_visit_worker *visit,
                        void *context) MUST_USE;

typedef int coordinator_visit_dataset(void *context, const struct dataset_view *view);
int coordinator_datasets(struct coordinator *coordinator, coordinator_visit_dataset *visit,
                         void *context) MUST_USE;

typedef int coordinator_visit_event(void *context, const struct event_view *view);
/* Committed events with an id above `after`, oldest first, up to `limit`; of one search, or of all
 * when it is 0. */
int coordinator_events(struct coordinator *coordinator, uint64_t search, uint64_t after,
                       uint32_t limit, coordinator_visit_event *visit, void *context) MUST_USE;

/* ---- workers ---- */

struct terms {
    uint32_t lease_seconds;
    uint32_t report_seconds; /* report at least this often: a third of the lease */
    uint32_t dataset_problem_count;
    /* a sentence for each data set that was left out: why, and what to do */
    char dataset_problems[WORKER_DATASETS_MAX][DATASET_PROBLEM_SIZE];
};
/* A worker that is known by this name is replaced; what it runs goes on. A data set whose facts are
 * impossible is -EINVAL ("/datasets/0"). Where its facts differ from those known under its name, they
 * take the place of these, unless these are well known, a search in any state names the data set, or
 * another connected worker offers it: then the worker is registered without it. */
int coordinator_register(struct coordinator *coordinator, const struct registration *registration,
                         struct terms *ret_terms, struct error *error) MUST_USE;

enum { LEASE_NOTHING = 1 };
/* 0 and a task; LEASE_NOTHING: park the request until coordinator_take_work. A slot whose attempt
 * still runs is given the same task again, so that an answer lost on its way costs nothing.
 * -ENOENT: unknown worker; -EINVAL: no such slot. */
int coordinator_lease(struct coordinator *coordinator, const char *worker, uint32_t slot,
                      struct task *ret_task) MUST_USE;

enum { REPORT_STOP = 1, REPORT_HAND_BACK = 2 };
/* Renews the lease. 0: go on. REPORT_STOP: the search was cancelled, end the attempt.
 * REPORT_HAND_BACK: it was paused, write a checkpoint and hand the task back. -ENOENT:
 * unknown worker. -ESTALE: the attempt is over or belongs to another worker by now. */
int coordinator_report(struct coordinator *coordinator, const struct report *report) MUST_USE;

enum { RESULT_KEPT = 1 };
/* 0: accepted and counted; RESULT_KEPT: the search was cancelled before, kept but not counted. The
 * same attempt's result again gets the same answer. Results that cannot be (DONE with NaN, without
 * step time, ...) count as DIVERGED or FAILED. -ENOENT: unknown worker; -ESTALE. */
int coordinator_result(struct coordinator *coordinator, const char *worker, uint64_t attempt,
                       uint64_t epoch, const struct result *result) MUST_USE;

/* A worker that waits in a parked request is alive: call it for each of them at least every
 * report_seconds. */
void coordinator_touch(struct coordinator *coordinator, const char *worker);

/* ---- files of checkpoints, which somebody else keeps ---- */

/* True where an unfinished candidate may still continue from the file, as far as is known. */
bool coordinator_wants_artifact(struct coordinator *coordinator, const uint8_t sha256[SHA256_SIZE]);
/* True once after it was committed that some file is wanted no more. */
bool coordinator_take_garbage(struct coordinator *coordinator);

/* ---- figures for /metrics ---- */

struct coordinator_statistics {
    uint64_t commits, commit_failures, rebuilds;
    uint64_t leases, results_accepted, results_kept, results_stale, leases_expired;
    uint64_t searches[SEARCH_FAILED + 1]; /* by enum search_state */
    uint64_t candidates, attempts_running, workers;
    uint64_t database_bytes, wal_bytes;
};
void coordinator_statistics(const struct coordinator *coordinator,
                            struct coordinator_statistics *ret_statistics);

#endif
