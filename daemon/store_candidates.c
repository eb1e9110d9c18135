/* Rows of candidates and of their accepted results. */
#include "daemon/store_internal.h"

#include <errno.h>
#include <math.h>

enum { ENCODING_BYTES_MAX = 2 * ARCHITECTURE_STAGES_MAX };

int store_insert_candidate(struct store *store, const struct candidate_row *row)
{
    static const char sql[] =
        "INSERT INTO candidates (search, number, encoding, hash, params, macs, memory, seen,"
        " parent, created_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_INSERT_CANDIDATE, sql, &binder);
    if (r < 0)
        return r;
    uint8_t encoding[ENCODING_BYTES_MAX];
    for (uint32_t i = 0; i < row->stage_count; i++) {
        encoding[2 * i] = (uint8_t)(row->encoding.choices[i] & 0xff);
        encoding[2 * i + 1] = (uint8_t)(row->encoding.choices[i] >> 8);
    }
    bind_integer(&binder, row->search);
    bind_integer(&binder, row->number);
    bind_bytes(&binder, encoding, 2 * row->stage_count);
    bind_integer(&binder, row->hash);
    bind_integer(&binder, row->params);
    bind_integer(&binder, row->macs);
    bind_integer(&binder, row->memory);
    bind_integer(&binder, row->seen);
    if (row->parent == UINT64_MAX)
        bind_null(&binder);
    else
        bind_integer(&binder, row->parent);
    bind_time(&binder, row->created_us);
    return store_run(store, &binder);
}

static void read_encoding(sqlite3_stmt *statement, int column, struct candidate_row *row)
{
    const uint8_t *bytes = sqlite3_column_blob(statement, column);
    int length = sqlite3_column_bytes(statement, column);
    row->stage_count = (uint32_t)(length < ENCODING_BYTES_MAX ? length : ENCODING_BYTES_MAX) / 2;
    for (uint32_t i = 0; i < row->stage_count; i++)
        row->encoding.choices[i] = (uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8);
}

int store_each_candidate(struct store *store, store_visit_candidate *visit, void *context)
{
    static const char sql[] =
        "SELECT search, number, encoding, hash, params, macs, memory, seen, ifnull(parent, -1),"
        " created_us FROM candidates ORDER BY search, number";
    struct binder binder;
    int r = store_begin_query(store, STATEMENT_EACH_CANDIDATE, sql, &binder);
    if (r < 0)
        return r;
    while ((r = store_next(store, &binder)) > 0) {
        sqlite3_stmt *s = binder.statement;
        struct candidate_row row = {
            .search = column_integer(s, 0),
            .number = column_integer(s, 1),
            .hash = column_integer(s, 3),
            .params = column_integer(s, 4),
            .macs = column_integer(s, 5),
            .memory = column_integer(s, 6),
            .seen = column_integer(s, 7),
            .parent = column_integer(s, 8),
            .created_us = sqlite3_column_int64(s, 9),
        };
        read_encoding(s, 2, &row);
        int stop = visit(context, &row);
        if (stop != 0) {
            store_end_query(&binder);
            return stop;
        }
    }
    return r;
}

int store_insert_result(struct store *store, const struct result_row *row)
{
    static const char sql[] =
        "INSERT INTO results (search, candidate, rung, position, attempt, attempts, outcome,"
        " accuracy, loss, step_s, step_spread_s, step_blocks, baseline_s, reward, seconds,"
        " images, accepted_us, step_contended)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_INSERT_RESULT, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, row->search);
    bind_integer(&binder, row->candidate);
    bind_integer(&binder, row->rung);
    if (row->position == RESULT_NOT_COUNTED)
        bind_null(&binder);
    else
        bind_integer(&binder, row->position);
    bind_integer(&binder, row->attempt);
    bind_integer(&binder, row->attempts);
    bind_integer(&binder, row->outcome);
    bind_real(&binder, row->accuracy);
    bind_real(&binder, row->loss);
    bind_real(&binder, row->step_time.median_s);
    bind_real(&binder, row->step_time.spread_s);
    bind_integer(&binder, row->step_time.blocks);
    bind_real(&binder, row->step_time.baseline_s);
    bind_real(&binder, row->reward);
    bind_real(&binder, row->seconds);
    bind_integer(&binder, row->images);
    bind_time(&binder, row->accepted_us);
    bind_integer(&binder, row->step_time.contended);
    return store_run(store, &binder);
}

static struct result_row read_result(sqlite3_stmt *s)
{
    return (struct result_row){
        .search = column_integer(s, 0),
        .candidate = column_integer(s, 1),
        .rung = (uint32_t)column_integer(s, 2),
        .position = column_integer(s, 3),
        .attempt = column_integer(s, 4),
        .attempts = (uint32_t)column_integer(s, 5),
        .outcome = (enum outcome)sqlite3_column_int(s, 6),
        .accuracy = column_real(s, 7),
        .loss = column_real(s, 8),
        .step_time = {.median_s = column_real(s, 9),
                      .spread_s = column_real(s, 10),
                      .blocks = (uint32_t)column_integer(s, 11),
                      .baseline_s = column_real(s, 12),
                      .contended = sqlite3_column_int(s, 17) != 0},
        .reward = column_real(s, 13),
        .seconds = column_real(s, 14),
        .images = column_integer(s, 15),
        .accepted_us = sqlite3_column_int64(s, 16),
    };
}

/* The columns of read_result, in its order. */
#define RESULT_COLUMNS                                                                             \
    "search, candidate, rung, ifnull(position, -1), attempt, attempts, outcome, accuracy, loss, "  \
    "step_s,"                                                                                      \
    " step_spread_s, step_blocks, baseline_s, reward, seconds, images, accepted_us,"               \
    " step_contended"

int store_each_result(struct store *store, store_visit_result *visit, void *context)
{
    static const char sql[] =
        "SELECT " RESULT_COLUMNS " FROM results ORDER BY search, candidate, rung";
    struct binder binder;
    int r = store_begin_query(store, STATEMENT_EACH_RESULT, sql, &binder);
    if (r < 0)
        return r;
    while ((r = store_next(store, &binder)) > 0) {
        struct result_row row = read_result(binder.statement);
        int stop = visit(context, &row);
        if (stop != 0) {
            store_end_query(&binder);
            return stop;
        }
    }
    return r;
}

int store_find_result(struct store *store, uint64_t search, uint64_t candidate,
                      store_visit_result *visit, void *context)
{
    static const char sql[] =
        "SELECT " RESULT_COLUMNS " FROM results WHERE search = ? AND candidate = ? AND rung = 0";
    struct binder binder;
    int r = store_begin_query(store, STATEMENT_FIND_RESULT, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, search);
    bind_integer(&binder, candidate);
    r = store_next(store, &binder);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    struct result_row row = read_result(binder.statement);
    int answer = visit(context, &row);
    store_end_query(&binder);
    return answer;
}
