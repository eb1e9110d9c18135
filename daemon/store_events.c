/* Rows of events. */
#include "daemon/store_internal.h"

#include <errno.h>

static bool is_of_candidate(enum event_kind kind)
{
    return kind >= EVENT_CANDIDATE_LEASED;
}

static void bind_positive(struct binder *binder, uint64_t value)
{
    if (value == 0)
        bind_null(binder);
    else
        bind_integer(binder, value);
}

int store_insert_event(struct store *store, const struct event_view *event)
{
    static const char sql[] =
        "INSERT INTO events (id, at_us, kind, search, candidate, attempt, epoch, outcome,"
        " accuracy, loss) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_INSERT_EVENT, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, event->id);
    bind_signed(&binder, event->at_us);
    bind_integer(&binder, event->kind);
    bind_integer(&binder, event->search);
    if (is_of_candidate(event->kind))
        bind_integer(&binder, event->candidate);
    else
        bind_null(&binder);
    bind_positive(&binder, event->attempt);
    bind_positive(&binder, event->epoch);
    bind_positive(&binder, event->outcome);
    bind_real(&binder, event->accuracy);
    bind_real(&binder, event->loss);
    return store_run(store, &binder);
}

int store_drop_events(struct store *store, uint64_t last)
{
    static const char sql[] = "DELETE FROM events WHERE id <= ?";
    struct binder binder;
    int r = store_begin_mutation(store, STATEMENT_DROP_EVENTS, sql, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, last);
    return store_run(store, &binder);
}

static struct event_view read_event(sqlite3_stmt *s)
{
    return (struct event_view){
        .id = column_integer(s, 0),
        .at_us = sqlite3_column_int64(s, 1),
        .kind = (enum event_kind)sqlite3_column_int(s, 2),
        .search = column_integer(s, 3),
        .candidate = column_integer(s, 4),
        .attempt = column_integer(s, 5),
        .epoch = (uint32_t)column_integer(s, 6),
        .outcome = (enum outcome)sqlite3_column_int(s, 7),
        .accuracy = column_real(s, 8),
        .loss = column_real(s, 9),
    };
}

int store_each_event(struct store *store, const struct event_range *range, store_visit_event *visit,
                     void *context)
{
    static const char sql_all[] =
        "SELECT id, at_us, kind, search, candidate, attempt, epoch, outcome, accuracy, loss"
        " FROM events WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";
    static const char sql_of[] =
        "SELECT id, at_us, kind, search, candidate, attempt, epoch, outcome, accuracy, loss"
        " FROM events WHERE id > ?1 AND id <= ?2 AND search = ?4 ORDER BY id LIMIT ?3";
    bool all = range->search == 0;
    struct binder binder;
    int r = store_begin_query(store, all ? STATEMENT_EACH_EVENT : STATEMENT_EACH_EVENT_OF,
                              all ? sql_all : sql_of, &binder);
    if (r < 0)
        return r;
    bind_integer(&binder, range->after);
    bind_integer(&binder, range->last);
    bind_integer(&binder, range->limit);
    if (!all)
        bind_integer(&binder, range->search);
    while ((r = store_next(store, &binder)) > 0) {
        struct event_view event = read_event(binder.statement);
        int stop = visit(context, &event);
        if (stop != 0) {
            store_end_query(&binder);
            return stop;
        }
    }
    return r;
}
