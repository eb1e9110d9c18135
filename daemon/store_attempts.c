/* Rows of attempts and of the epochs that they reported. */
#include "daemon/store_internal.h"

#include <errno.h>

/* The columns of read_attempt, in its order. */
#define ATTEMPT_COLUMNS                                                                            \
    "id, search, candidate, rung, epoch, worker, slot, micro_batches, started_us, ended_us, "      \
    "outcome, cause, seconds,"                                                                     \
    " first_step_s, memory_needed, message"

int store_insert_attempt(struct store *store, const struct attempt_row *row)
{
    static const char sql[] =
        "INSERT INTO attempts (id, search, candidate, rung, epoch, worker, slot, micro_batches,"
        " started_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_INSERT_ATTEMPT, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, row->id);
    bind_integer(&binder, row->search);
    bind_integer(&binder, row->candidate);
    bind_integer(&binder, row->rung);
    bind_integer(&binder, row->epoch);
    bind_text(&binder, row->worker);
    bind_integer(&binder, row->slot);
    bind_integer(&binder, row->micro_batches);
    bind_time(&binder, row->started_us);
    return store_run(store, &binder);
}

int store_end_attempt(struct store *store, const struct attempt_row *row)
{
    static const char sql[] =
        "UPDATE attempts SET ended_us = ?, outcome = ?, cause = ?, seconds = ?,"
        " first_step_s = ?, memory_needed = ?, message = ? WHERE id = ?";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_END_ATTEMPT, sql, &binder);
    if (r < 0)
        return r;
    bind_time(&binder, row->ended_us);
    bind_integer(&binder, row->outcome);
    bind_integer(&binder, row->cause);
    bind_real(&binder, row->seconds);
    bind_real(&binder, row->first_step_s);
    if (row->memory_needed_bytes == 0)
        bind_null(&binder);
    else
        bind_integer(&binder, row->memory_needed_bytes);
    bind_text(&binder, row->message && row->message[0] ? row->message : NULL);
    bind_integer(&binder, row->id);
    return store_run(store, &binder);
}

static struct attempt_row read_attempt(sqlite3_stmt *s)
{
    return (struct attempt_row){
        .id = column_integer(s, 0),
        .search = column_integer(s, 1),
        .candidate = column_integer(s, 2),
        .rung = (uint32_t)column_integer(s, 3),
        .epoch = column_integer(s, 4),
        .worker = column_text(s, 5),
        .slot = (uint32_t)column_integer(s, 6),
        .micro_batches = (uint32_t)column_integer(s, 7),
        .started_us = sqlite3_column_int64(s, 8),
        .ended_us = sqlite3_column_int64(s, 9),
        .outcome = (enum outcome)sqlite3_column_int(s, 10),
        .cause = (enum attempt_cause)sqlite3_column_int(s, 11),
        .seconds = column_real(s, 12),
        .first_step_s = column_real(s, 13),
        .memory_needed_bytes = column_integer(s, 14),
        .message = column_text(s, 15),
    };
}

static int visit_attempts(struct store *store, struct binder *binder, store_visit_attempt *visit,
                          void *context)
{
    int r;
    while ((r = store_next(store, binder)) > 0) {
        struct attempt_row row = read_attempt(binder->statement);
        int stop = visit(context, &row);
        if (stop != 0) {
            store_end_query(binder);
            return stop;
        }
    }
    return r;
}

int store_each_running_attempt(struct store *store, store_visit_attempt *visit, void *context)
{
    static const char sql[] =
        "SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE outcome IS NULL ORDER BY id";
    struct binder binder;
    int r = store_begin_query(store, STATEMENT_EACH_RUNNING_ATTEMPT, sql, &binder);
    return r < 0 ? r : visit_attempts(store, &binder, visit, context);
}

int store_each_attempt_of(struct store *store, uint64_t search, uint64_t candidate,
                          store_visit_attempt *visit, void *context)
{
    static const char sql[] =
        "SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE search = ? AND candidate = ? ORDER BY id";
    struct binder binder;
    int r = store_begin_query(store, STATEMENT_EACH_ATTEMPT_OF, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, search);
    bind_integer(&binder, candidate);
    return visit_attempts(store, &binder, visit, context);
}

int store_find_attempt(struct store *store, uint64_t attempt, store_visit_attempt *visit,
                       void *context)
{
    static const char sql[] = "SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE id = ?";
    struct binder binder;
    int r = store_begin_query(store, STATEMENT_FIND_ATTEMPT, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, attempt);
    r = store_next(store, &binder);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    struct attempt_row row = read_attempt(binder.statement);
    int answer = visit(context, &row);
    store_end_query(&binder);
    return answer;
}

int store_insert_epoch(struct store *store, uint64_t attempt, const struct epoch_metrics *epoch)
{
    static const char sql[] =
        "INSERT INTO epochs (attempt, number, train_loss, train_accuracy, validation_loss,"
        " validation_accuracy, seconds) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (attempt, number) DO NOTHING";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_INSERT_EPOCH, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, attempt);
    bind_integer(&binder, epoch->number);
    bind_real(&binder, epoch->train_loss);
    bind_real(&binder, epoch->train_accuracy);
    bind_real(&binder, epoch->validation_loss);
    bind_real(&binder, epoch->validation_accuracy);
    bind_real(&binder, epoch->seconds);
    r = store_run(store, &binder);
    return r < 0 ? r : sqlite3_changes(store->db) == 1;
}

int store_each_epoch_of(struct store *store, uint64_t attempt, store_visit_epoch *visit,
                        void *context)
{
    static const char sql[] =
        "SELECT number, train_loss, train_accuracy, validation_loss, validation_accuracy,"
        " seconds FROM epochs WHERE attempt = ? ORDER BY number";
    struct binder binder;
    int r = store_begin_query(store, STATEMENT_EACH_EPOCH_OF, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, attempt);
    while ((r = store_next(store, &binder)) > 0) {
        sqlite3_stmt *s = binder.statement;
        struct epoch_metrics epoch = {
            .number = (uint32_t)column_integer(s, 0),
            .train_loss = column_real(s, 1),
            .train_accuracy = column_real(s, 2),
            .validation_loss = column_real(s, 3),
            .validation_accuracy = column_real(s, 4),
            .seconds = column_real(s, 5),
        };
        int stop = visit(context, &epoch);
        if (stop != 0) {
            store_end_query(&binder);
            return stop;
        }
    }
    return r;
}
