/* Rows of searches and data sets, and the counters that new ids are taken from. */
#include "daemon/store_internal.h"

#include <errno.h>

int store_insert_search(struct store *store, const struct search_row *row)
{
    static const char sql[] =
        "INSERT INTO searches (id, spec, resolved, state, priority, idempotency_key, "
        "created_us, finished_us) "
        "VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?, ?, ?)";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_INSERT_SEARCH, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, row->id);
    bind_bytes(&binder, row->text, row->length);
    bind_text(&binder, row->resolved);
    bind_integer(&binder, row->state);
    bind_signed(&binder, row->priority);
    bind_text(&binder, row->idempotency_key);
    bind_time(&binder, row->created_us);
    bind_time(&binder, row->finished_us);
    return store_run(store, &binder);
}

int store_update_search(struct store *store, uint64_t search, enum search_state state,
                        int64_t finished_us)
{
    static const char sql[] = "UPDATE searches SET state = ?, finished_us = ? WHERE id = ?";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_UPDATE_SEARCH, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, state);
    bind_time(&binder, finished_us);
    bind_integer(&binder, search);
    return store_run(store, &binder);
}

int store_set_hand_back(struct store *store, uint64_t search, bool hand_back)
{
    static const char sql[] = "UPDATE searches SET hand_back = ? WHERE id = ?";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_SET_HAND_BACK, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, hand_back);
    bind_integer(&binder, search);
    return store_run(store, &binder);
}

int store_find_submission(struct store *store, const char *idempotency_key, uint64_t *ret_search)
{
    static const char sql[] = "SELECT id FROM searches WHERE idempotency_key = ?";
    struct binder binder;
    int r = store_begin_query(store, STATEMENT_FIND_SUBMISSION, sql, &binder);
    if (r < 0)
        return r;
    bind_text(&binder, idempotency_key);
    r = store_next(store, &binder);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    *ret_search = column_integer(binder.statement, 0);
    store_end_query(&binder);
    return 0;
}

int store_each_search(struct store *store, store_visit_search *visit, void *context)
{
    static const char sql[] =
        "SELECT id, spec, state, priority, idempotency_key, created_us, finished_us, resolved,"
        " hand_back "
        "FROM searches ORDER BY id";
    struct binder binder;
    int r = store_begin_query(store, STATEMENT_EACH_SEARCH, sql, &binder);
    if (r < 0)
        return r;
    while ((r = store_next(store, &binder)) > 0) {
        sqlite3_stmt *s = binder.statement;
        struct search_row row = {
            .id = column_integer(s, 0),
            .text = column_text(s, 1),
            .length = (size_t)sqlite3_column_bytes(s, 1),
            .state = (enum search_state)sqlite3_column_int(s, 2),
            .priority = sqlite3_column_int(s, 3),
            .idempotency_key = (const char *)sqlite3_column_text(s, 4),
            .created_us = sqlite3_column_int64(s, 5),
            .finished_us = sqlite3_column_int64(s, 6),
            .resolved = column_text(s, 7),
            .hand_back = sqlite3_column_int(s, 8) != 0,
        };
        int stop = visit(context, &row);
        if (stop != 0) {
            store_end_query(&binder);
            return stop;
        }
    }
    return r;
}

int store_put_dataset(struct store *store, const struct dataset *dataset)
{
    static const char sql[] =
        "INSERT INTO datasets (name, image_size, image_channels, classes, train_images,"
        " test_images) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET image_size = excluded.image_size,"
        " image_channels = excluded.image_channels, classes = excluded.classes,"
        " train_images = excluded.train_images, test_images = excluded.test_images";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_PUT_DATASET, sql, &binder);
    if (r < 0)
        return r;
    bind_text(&binder, dataset->name);
    bind_integer(&binder, dataset->image_size);
    bind_integer(&binder, dataset->image_channels);
    bind_integer(&binder, dataset->classes);
    bind_integer(&binder, dataset->train_images);
    bind_integer(&binder, dataset->test_images);
    return store_run(store, &binder);
}

int store_each_dataset(struct store *store, store_visit_dataset *visit, void *context)
{
    static const char sql[] =
        "SELECT name, image_size, image_channels, classes, train_images, test_images "
        "FROM datasets ORDER BY name";
    struct binder binder;
    int r = store_begin_query(store, STATEMENT_EACH_DATASET, sql, &binder);
    if (r < 0)
        return r;
    while ((r = store_next(store, &binder)) > 0) {
        sqlite3_stmt *s = binder.statement;
        struct dataset dataset = {
            .image_size = (uint32_t)column_integer(s, 1),
            .image_channels = (uint32_t)column_integer(s, 2),
            .classes = (uint32_t)column_integer(s, 3),
            .train_images = column_integer(s, 4),
            .test_images = column_integer(s, 5),
        };
        snprintf(dataset.name, sizeof(dataset.name), "%s", column_text(s, 0));
        int stop = visit(context, &dataset);
        if (stop != 0) {
            store_end_query(&binder);
            return stop;
        }
    }
    return r;
}

int store_counters(struct store *store, struct store_counters *ret_counters)
{
    static const char sql[] = "SELECT (SELECT ifnull(max(id), 0) FROM searches),"
                              " (SELECT ifnull(max(id), 0) FROM attempts),"
                              " (SELECT ifnull(max(id), 0) FROM events)";
    struct binder binder;
    int r = store_begin_query(store, STATEMENT_COUNTERS, sql, &binder);
    if (r < 0)
        return r;
    r = store_next(store, &binder);
    if (r < 0)
        return r;
    *ret_counters = (struct store_counters){.search = column_integer(binder.statement, 0),
                                            .attempt = column_integer(binder.statement, 1),
                                            .event = column_integer(binder.statement, 2)};
    store_end_query(&binder);
    return 0;
}
