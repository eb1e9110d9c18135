/* Rows of checkpoints. */
#include "daemon/store_internal.h"

#include <errno.h>

int store_put_checkpoint(struct store *store, const struct checkpoint_row *row)
{
    static const char sql[] =
        "INSERT INTO checkpoints (search, candidate, rung, attempt, sha256, bytes, steps_done,"
        " stored_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (search, candidate, rung) DO UPDATE SET attempt = excluded.attempt,"
        " sha256 = excluded.sha256, bytes = excluded.bytes, steps_done = excluded.steps_done,"
        " stored_us = excluded.stored_us WHERE excluded.steps_done >= steps_done";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_PUT_CHECKPOINT, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, row->search);
    bind_integer(&binder, row->candidate);
    bind_integer(&binder, row->rung);
    bind_integer(&binder, row->attempt);
    bind_bytes(&binder, row->checkpoint.sha256, sizeof row->checkpoint.sha256);
    bind_integer(&binder, row->checkpoint.bytes);
    bind_integer(&binder, row->checkpoint.steps_done);
    bind_time(&binder, row->stored_us);
    return store_run(store, &binder);
}

int store_find_checkpoint(struct store *store, uint64_t search, uint64_t candidate, uint32_t rung,
                          struct checkpoint *ret_checkpoint)
{
    static const char sql[] = "SELECT sha256, bytes, steps_done FROM checkpoints"
                              " WHERE search = ? AND candidate = ? AND rung = ?";
    struct binder binder;
    int r = store_begin_query(store, STATEMENT_FIND_CHECKPOINT, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, search);
    bind_integer(&binder, candidate);
    bind_integer(&binder, rung);
    r = store_next(store, &binder);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    sqlite3_stmt *s = binder.statement;
    struct checkpoint checkpoint = {.bytes = column_integer(s, 1),
                                    .steps_done = column_integer(s, 2)};
    const void *digest = sqlite3_column_blob(s, 0);
    bool whole = sqlite3_column_bytes(s, 0) == (int)sizeof checkpoint.sha256;
    if (whole)
        memcpy(checkpoint.sha256, digest, sizeof checkpoint.sha256);
    store_end_query(&binder);
    if (!whole) /* a damaged row is as good as none */
        return -ENOENT;
    *ret_checkpoint = checkpoint;
    return 0;
}

static int drop(struct store *store, struct binder *binder)
{
    int r = store_run(store, binder);
    return r < 0 ? r : sqlite3_changes(store->db) > 0;
}

int store_drop_checkpoint(struct store *store, uint64_t search, uint64_t candidate)
{
    static const char sql[] = "DELETE FROM checkpoints WHERE search = ? AND candidate = ?";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_DROP_CHECKPOINT, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, search);
    bind_integer(&binder, candidate);
    return drop(store, &binder);
}

int store_drop_checkpoints(struct store *store, uint64_t search)
{
    static const char sql[] = "DELETE FROM checkpoints WHERE search = ?";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_DROP_CHECKPOINTS, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, search);
    return drop(store, &binder);
}

int store_has_checkpoint(struct store *store, const uint8_t sha256[SHA256_SIZE])
{
    static const char sql[] = "SELECT 1 FROM checkpoints WHERE sha256 = ? LIMIT 1";
    struct binder binder;
    int r = store_begin_query(store, STATEMENT_HAS_CHECKPOINT, sql, &binder);
    if (r < 0)
        return r;
    bind_bytes(&binder, sha256, SHA256_SIZE);
    r = store_next(store, &binder);
    if (r > 0)
        store_end_query(&binder);
    return r;
}
