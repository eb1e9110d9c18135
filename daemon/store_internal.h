/* What the files of the store share. May be included by store*.c only. */
#ifndef DAEMON_STORE_INTERNAL_H
#define DAEMON_STORE_INTERNAL_H

#include "daemon/store.h"

#include <sqlite3.h>

/* One prepared statement for each, made when first used and kept. */
enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_INSERT_SEARCH,
    STATEMENT_UPDATE_SEARCH,
    STATEMENT_SET_HAND_BACK,
    STATEMENT_FIND_SUBMISSION,
    STATEMENT_EACH_SEARCH,
    STATEMENT_INSERT_CANDIDATE,
    STATEMENT_EACH_CANDIDATE,
    STATEMENT_INSERT_ATTEMPT,
    STATEMENT_END_ATTEMPT,
    STATEMENT_EACH_RUNNING_ATTEMPT,
    STATEMENT_EACH_ATTEMPT_OF,
    STATEMENT_FIND_ATTEMPT,
    STATEMENT_INSERT_EPOCH,
    STATEMENT_EACH_EPOCH_OF,
    STATEMENT_PUT_CHECKPOINT,
    STATEMENT_FIND_CHECKPOINT,
    STATEMENT_DROP_CHECKPOINT,
    STATEMENT_DROP_CHECKPOINTS,
    STATEMENT_HAS_CHECKPOINT,
    STATEMENT_INSERT_RESULT,
    STATEMENT_EACH_RESULT,
    STATEMENT_FIND_RESULT,
    STATEMENT_INSERT_EVENT,
    STATEMENT_DROP_EVENTS,
    STATEMENT_EACH_EVENT,
    STATEMENT_EACH_EVENT_OF,
    STATEMENT_PUT_DATASET,
    STATEMENT_EACH_DATASET,
    STATEMENT_COUNTERS,
    STATEMENT_COUNT
};

struct store {
    sqlite3 *db;
    int directory_fd, lock_fd, reserve_fd;
    uint64_t reserve_bytes;
    bool in_transaction;
    int failed;    /* what a statement of the open transaction failed with, 0 = nothing */
    int wal_pages; /* after the latest commit */
    int checkpoint_pages;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    char problem[ERROR_MESSAGE_SIZE];
};

/* Translates an SQLite result code that is not a success to a negative errno and keeps its words for store_problem. An
 * open transaction is spoiled by it. */
int store_failure(struct store *store, int sqlite_code);
/* Runs SQL without parameters and results. */
int store_execute(struct store *store, const char *sql) MUST_USE;
/* Keeps the WAL's size for store_commit, which checkpoints: an sqlite3_wal_hook. */
int store_note_wal_pages(void *context, sqlite3 *db, const char *name, int pages);

/* A statement whose parameters are bound one after the other; the first failure is kept and found by store_run. */
struct binder {
    sqlite3_stmt *statement;
    int next;
    int code; /* SQLite's */
};

/* The statement of a mutation (opens the transaction) or of a query. `sql` is static. */
int store_begin_mutation(struct store *store, enum statement which, const char *sql,
                         struct binder *ret_binder) MUST_USE;
int store_begin_query(struct store *store, enum statement which, const char *sql,
                      struct binder *ret_binder) MUST_USE;

void bind_integer(struct binder *binder, uint64_t value);
void bind_signed(struct binder *binder, int64_t value);
void bind_time(struct binder *binder, int64_t time_us); /* 0 is NULL */
void bind_real(struct binder *binder, double value);    /* NaN is NULL */
void bind_text(struct binder *binder,
               const char *text); /* NULL is NULL; must live until the statement ran */
void bind_bytes(struct binder *binder, const void *bytes, size_t length);
void bind_null(struct binder *binder);

/* Runs a mutation to its end. */
int store_run(struct store *store, struct binder *binder) MUST_USE;

/* Steps a query: 1 with a row, 0 at the end, negative on failure. After 0 and failures it is reset; after an early exit
 * the caller resets it with store_end_query. */
int store_next(struct store *store, struct binder *binder) MUST_USE;
void store_end_query(struct binder *binder);

uint64_t column_integer(sqlite3_stmt *statement, int column);
double column_real(sqlite3_stmt *statement, int column);      /* NULL is NaN */
const char *column_text(sqlite3_stmt *statement, int column); /* NULL is "" */

#endif
