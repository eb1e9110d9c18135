/* The store's connection: statements, transactions, errors. store_open.c makes it; the rows are in the other files. */
#include "daemon/store_internal.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

static int errno_of(sqlite3 *db, int sqlite_code)
{
    switch (sqlite_code & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_CONSTRAINT:
        return -EEXIST;
    case SQLITE_IOERR:
        if (sqlite_code == SQLITE_IOERR_NOMEM)
            return -ENOMEM;
        return sqlite3_system_errno(db) == ENOSPC ? -ENOSPC : -EIO;
    default:
        return -EIO;
    }
}

int store_failure(struct store *store, int sqlite_code)
{
    snprintf(store->problem, sizeof(store->problem), "%s (SQLite %d, %s)",
             sqlite3_errmsg(store->db), sqlite_code, sqlite3_errstr(sqlite_code));
    int r = errno_of(store->db, sqlite_code);
    if (store->in_transaction && store->failed == 0)
        store->failed = r;
    return r;
}

const char *store_problem(const struct store *store)
{
    return store->problem;
}

/* ---- statements ---- */

int store_begin_query(struct store *store, enum statement which, const char *sql,
                      struct binder *ret_binder)
{
    if (!store->statements[which]) {
        int code = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                      &store->statements[which], NULL);
        if (code != SQLITE_OK)
            return store_failure(store, code);
    }
    *ret_binder = (struct binder){store->statements[which], 1, SQLITE_OK};
    return 0;
}

static int run_plain(struct store *store, enum statement which, const char *sql)
{
    struct binder binder;
    int r = store_begin_query(store, which, sql, &binder);
    return r < 0 ? r : store_run(store, &binder);
}

int store_begin_mutation(struct store *store, enum statement which, const char *sql,
                         struct binder *ret_binder)
{
    if (store->failed)
        return store->failed;
    if (!store->in_transaction) {
        int r = run_plain(store, STATEMENT_BEGIN, "BEGIN IMMEDIATE");
        if (r < 0)
            return r;
        store->in_transaction = true;
    }
    return store_begin_query(store, which, sql, ret_binder);
}

static void keep(struct binder *binder, int code)
{
    if (binder->code == SQLITE_OK)
        binder->code = code;
    binder->next++;
}

void bind_signed(struct binder *binder, int64_t value)
{
    keep(binder, sqlite3_bind_int64(binder->statement, binder->next, value));
}

void bind_integer(struct binder *binder, uint64_t value)
{
    bind_signed(binder, (int64_t)value);
}

void bind_time(struct binder *binder, int64_t time_us)
{
    if (time_us == 0)
        bind_null(binder);
    else
        bind_signed(binder, time_us);
}

void bind_real(struct binder *binder, double value)
{
    keep(binder, isnan(value) ? sqlite3_bind_null(binder->statement, binder->next)
                              : sqlite3_bind_double(binder->statement, binder->next, value));
}

void bind_text(struct binder *binder, const char *text)
{
    keep(binder, sqlite3_bind_text(binder->statement, binder->next, text, -1, SQLITE_STATIC));
}

void bind_bytes(struct binder *binder, const void *bytes, size_t length)
{
    keep(binder,
         sqlite3_bind_blob64(binder->statement, binder->next, bytes, length, SQLITE_STATIC));
}

void bind_null(struct binder *binder)
{
    keep(binder, sqlite3_bind_null(binder->statement, binder->next));
}

int store_next(struct store *store, struct binder *binder)
{
    int code = binder->code == SQLITE_OK ? sqlite3_step(binder->statement) : binder->code;
    if (code == SQLITE_ROW)
        return 1;
    int r = code == SQLITE_DONE ? 0 : store_failure(store, code);
    sqlite3_reset(binder->statement);
    return r;
}

void store_end_query(struct binder *binder)
{
    sqlite3_reset(binder->statement);
}

int store_run(struct store *store, struct binder *binder)
{
    int r = store_next(store, binder);
    assert(r <= 0);
    return r;
}

uint64_t column_integer(sqlite3_stmt *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement, column);
}

double column_real(sqlite3_stmt *statement, int column)
{
    if (sqlite3_column_type(statement, column) == SQLITE_NULL)
        return NAN;
    return sqlite3_column_double(statement, column);
}

const char *column_text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text ? (const char *)text : "";
}

/* ---- transactions ---- */

/* Copies the WAL into the database when it has grown. A failure here loses nothing: the WAL stays as it is and the next
 * commit tries again. */
static void checkpoint(struct store *store)
{
    if (store->wal_pages < store->checkpoint_pages)
        return;
    int frames = 0, copied = 0;
    if (sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied) ==
        SQLITE_OK)
        store->wal_pages = frames - copied;
}

int store_note_wal_pages(void *context, sqlite3 *db, const char *name, int pages)
{
    struct store *store = context;
    (void)db;
    (void)name;
    store->wal_pages = pages;
    return SQLITE_OK;
}

int store_commit(struct store *store)
{
    if (!store->in_transaction)
        return 0;
    if (store->failed)
        return store->failed;
    int r = run_plain(store, STATEMENT_COMMIT, "COMMIT");
    if (r < 0)
        return r;
    store->in_transaction = false;
    checkpoint(store);
    return 0;
}

void store_rollback(struct store *store)
{
    /* SQLite may have rolled back by itself already; a ROLLBACK that fails has nothing left to undo. */
    if (!sqlite3_get_autocommit(store->db)) {
        int r = run_plain(store, STATEMENT_ROLLBACK, "ROLLBACK");
        (void)r;
    }
    store->in_transaction = false;
    store->failed = 0;
}

int store_execute(struct store *store, const char *sql)
{
    int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : store_failure(store, code);
}

int store_probe(struct store *store)
{
    assert(!store->in_transaction);
    int r = store_execute(store, "BEGIN IMMEDIATE; UPDATE probe SET count = count + 1; COMMIT");
    if (r < 0)
        store_rollback(store);
    return r;
}
