/* The store: every row that the daemon keeps, in one SQLite file. The only module that knows SQL.
 *
 * Layer: may be used by the coordinator and by tests; may use schema, SQLite and the plain values of search/ and
 * daemon/view.h; knows nothing of scheduling, HTTP or clocks. Single-threaded. One connection reads, writes and
 * checkpoints: SQLite before 3.51.3 can corrupt a WAL when two connections write and checkpoint at once.
 *
 * Legal order: store_open; then any mutations, which share one transaction that the first of them opens; store_commit or
 * store_rollback ends it. After a failure everything but store_rollback returns the same error. After 0 from store_commit the mutations are durable (WAL, synchronous=FULL).
 *
 * Errors: 0 or -EIO, -ENOSPC, -ENOMEM; -EEXIST where a row breaks a unique index (a programmer's error or a
 * damaged store); store_problem tells the latest one in words. */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include "daemon/attempt.h"
#include "daemon/view.h"
#include "search/space.h"

struct store;

enum { STORE_RESERVE_BYTES_DEFAULT = 4 << 20, STORE_CHECKPOINT_PAGES_DEFAULT = 4096 };

struct store_options {
    const char *directory;
    uint64_t reserve_bytes; /* 0 = STORE_RESERVE_BYTES_DEFAULT */
    uint32_t
        checkpoint_pages; /* of the WAL, after which it is copied into the database; 0 = default */
};

/* Locks the directory, opens or creates archscout.db in it, migrates. -EBUSY where another process holds the lock (the
 * message names it), -EPROTO for a database of a newer version or of another program, -EIO, -ENOSPC, -ENOMEM. */
int store_open(const struct store_options *options, struct store **ret_store,
               struct error *error) MUST_USE;
/* Rolls back what is not committed. NULL is legal. */
void store_close(struct store *store);

int store_commit(struct store *store) MUST_USE; /* 0 where there was nothing to commit */
void store_rollback(struct store *store);
/* A small durable transaction of its own: whether writes work again. Call it without an open transaction. */
int store_probe(struct store *store) MUST_USE;
const char *store_problem(const struct store *store);

/* A file whose only use is to be given back on a full disk, so that running attempts can be finished. */
void store_reserve_release(struct store *store);
/* True where the reserve is there; tries to make it again when there is ample space. */
bool store_reserve_ensure(struct store *store);

struct store_sizes {
    uint64_t database_bytes, wal_bytes;
};
struct store_sizes store_sizes(const struct store *store);

/* ---- searches ---- */

struct search_row {
    uint64_t id;
    const char *text; /* not terminated */
    size_t length;
    const char *resolved;        /* JSON; NULL while the text has not been read yet */
    const char *idempotency_key; /* NULL = none */
    enum search_state state;
    int32_t priority;
    int64_t created_us, finished_us; /* 0 = not yet */
    bool hand_back; /* paused: running attempts are asked to hand back; false when inserted */
};
int store_insert_search(struct store *store, const struct search_row *row) MUST_USE;
int store_update_search(struct store *store, uint64_t search, enum search_state state,
                        int64_t finished_us) MUST_USE;
int store_set_hand_back(struct store *store, uint64_t search, bool hand_back) MUST_USE;
/* 0 and the search that was submitted with the key; -ENOENT. */
int store_find_submission(struct store *store, const char *idempotency_key,
                          uint64_t *ret_search) MUST_USE;

/* Visitors of rows: 0 to go on; anything else ends the walk and is returned. Row pointers live until they return. */
typedef int store_visit_search(void *context, const struct search_row *row);
int store_each_search(struct store *store, store_visit_search *visit,
                      void *context) MUST_USE; /* by id */

/* ---- candidates ---- */

struct candidate_row {
    uint64_t search, number;
    struct encoding encoding;
    uint32_t stage_count; /* choices in use */
    uint64_t hash, params, macs, memory, seen, parent;
    int64_t created_us;
};
int store_insert_candidate(struct store *store, const struct candidate_row *row) MUST_USE;
typedef int store_visit_candidate(void *context, const struct candidate_row *row);
/* By (search, number). */
int store_each_candidate(struct store *store, store_visit_candidate *visit, void *context) MUST_USE;

/* ---- attempts ---- */

struct attempt_row {
    uint64_t id, search, candidate;
    uint32_t rung;
    uint64_t epoch;
    const char *worker;
    uint32_t slot, micro_batches;
    int64_t started_us, ended_us;
    enum outcome outcome;
    enum attempt_cause cause;
    double seconds, first_step_s;
    uint64_t memory_needed_bytes;
    const char *message; /* "" = none */
};
int store_insert_attempt(struct store *store, const struct attempt_row *row) MUST_USE; /* running */
/* Sets ended_us, outcome, cause, seconds, first_step_s, memory_needed_bytes and message. */
int store_end_attempt(struct store *store, const struct attempt_row *row) MUST_USE;
typedef int store_visit_attempt(void *context, const struct attempt_row *row);
int store_each_running_attempt(struct store *store, store_visit_attempt *visit,
                               void *context) MUST_USE; /* by id */
int store_each_attempt_of(struct store *store, uint64_t search, uint64_t candidate,
                          store_visit_attempt *visit, void *context) MUST_USE; /* by id */
/* The attempt with this id to the visitor, whose return value is returned; -ENOENT. */
int store_find_attempt(struct store *store, uint64_t attempt, store_visit_attempt *visit,
                       void *context) MUST_USE;

/* 1 where the row is new, 0 where the attempt's epoch was reported before. */
int store_insert_epoch(struct store *store, uint64_t attempt,
                       const struct epoch_metrics *epoch) MUST_USE;
typedef int store_visit_epoch(void *context, const struct epoch_metrics *epoch);
int store_each_epoch_of(struct store *store, uint64_t attempt, store_visit_epoch *visit,
                        void *context) MUST_USE;

/* ---- checkpoints: the newest of each unfinished candidate at a rung ---- */

struct checkpoint_row {
    uint64_t search, candidate;
    uint32_t rung;
    uint64_t attempt;
    struct checkpoint checkpoint;
    int64_t stored_us;
};
/* Takes the place of an older one, one with fewer steps. */
int store_put_checkpoint(struct store *store, const struct checkpoint_row *row) MUST_USE;
/* -ENOENT */
int store_find_checkpoint(struct store *store, uint64_t search, uint64_t candidate, uint32_t rung,
                          struct checkpoint *ret_checkpoint) MUST_USE;
/* Of a candidate at all rungs, or of a search. 1 where there was one, else 0. */
int store_drop_checkpoint(struct store *store, uint64_t search, uint64_t candidate) MUST_USE;
int store_drop_checkpoints(struct store *store, uint64_t search) MUST_USE;
/* 1 where some row names the content, else 0. */
int store_has_checkpoint(struct store *store, const uint8_t sha256[SHA256_SIZE]) MUST_USE;

/* ---- results ---- */

#define RESULT_NOT_COUNTED UINT64_MAX
struct result_row {
    uint64_t search, candidate;
    uint32_t rung;
    uint64_t position; /* RESULT_NOT_COUNTED: kept only */
    uint64_t attempt;
    uint32_t attempts;
    enum outcome outcome;
    double accuracy, loss; /* NaN where not DONE, as are step_time and reward */
    struct step_time step_time;
    double reward, seconds;
    uint64_t images;
    int64_t accepted_us;
};
int store_insert_result(struct store *store, const struct result_row *row) MUST_USE;
typedef int store_visit_result(void *context, const struct result_row *row);
/* By (search, candidate, rung). */
int store_each_result(struct store *store, store_visit_result *visit, void *context) MUST_USE;

/* The candidate's result to the visitor, whose return value is returned; -ENOENT. */
int store_find_result(struct store *store, uint64_t search, uint64_t candidate,
                      store_visit_result *visit, void *context) MUST_USE;

/* ---- events ---- */

int store_insert_event(struct store *store, const struct event_view *event) MUST_USE;
/* Drops all events with an id up to `last`. */
int store_drop_events(struct store *store, uint64_t last) MUST_USE;
typedef int store_visit_event(void *context, const struct event_view *event);
/* after < id <= last, of one search or of all (0), by id, up to `limit`. */
struct event_range {
    uint64_t search, after, last;
    uint32_t limit;
};
int store_each_event(struct store *store, const struct event_range *range, store_visit_event *visit,
                     void *context) MUST_USE;

/* ---- data sets ---- */

/* In the place of the one of its name, where there is one. */
int store_put_dataset(struct store *store, const struct dataset *dataset) MUST_USE;
typedef int store_visit_dataset(void *context, const struct dataset *dataset);
int store_each_dataset(struct store *store, store_visit_dataset *visit,
                       void *context) MUST_USE; /* by name */

/* ---- counters: the largest number in use, 0 where there is none ---- */

struct store_counters {
    uint64_t search, attempt, event;
};
int store_counters(struct store *store, struct store_counters *ret_counters) MUST_USE;

#endif
