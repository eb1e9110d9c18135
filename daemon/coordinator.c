/* The coordinator's life and its tick. */
#include "daemon/coordinator_internal.h"

#include <assert.h>
#include <errno.h>

enum { RECOVER_MS = 250, RESERVE_RETRY_MS = 1000 };

/* ---- opening and closing ---- */

static int open_store(struct coordinator *coordinator, const struct coordinator_options *options,
                      struct error *error)
{
    struct store_options store_options = {.directory = options->state_directory,
                                          .reserve_bytes = options->reserve_bytes,
                                          .checkpoint_pages = options->checkpoint_pages};
    int r = store_open(&store_options, &coordinator->store, error);
    if (r < 0)
        return r;
    coordinator->reserve_held = store_reserve_ensure(coordinator->store);
    r = coordinator_rebuild(coordinator);
    if (r < 0)
        return error_set(error, r, "", "cannot load the store: %s",
                         store_problem(coordinator->store));
    return 0;
}

int coordinator_open(const struct coordinator_options *options,
                     struct coordinator **ret_coordinator, struct error *error)
{
    assert(options->lease_seconds <= LEASE_SECONDS_MAX);
    struct coordinator *coordinator = calloc(1, sizeof(*coordinator));
    if (!coordinator)
        return error_set(error, -ENOMEM, "", "out of memory");
    coordinator->lease_seconds =
        options->lease_seconds ? options->lease_seconds : LEASE_SECONDS_DEFAULT;
    coordinator->checkpoint_seconds = options->checkpoint_seconds;
    coordinator->epoch_next = options->incarnation;
    coordinator->now = options->now;
    int r = open_store(coordinator, options, error);
    if (r < 0) {
        coordinator_close(coordinator);
        return r;
    }
    *ret_coordinator = coordinator;
    return 0;
}

void coordinator_close(struct coordinator *coordinator)
{
    if (!coordinator)
        return;
    coordinator_drop(coordinator);
    store_close(coordinator->store);
    free(coordinator->epochs);
    free(coordinator);
}

/* ---- failure and recovery ---- */

int coordinator_check(struct coordinator *coordinator, int code)
{
    if (code < 0 && coordinator->failure == 0) {
        coordinator->failure = code == -ENOSPC || code == -ENOMEM ? code : -EIO;
        coordinator->readable = false;
    }
    return code < 0 ? coordinator->failure : code;
}

static void give_up_reserve(struct coordinator *coordinator)
{
    store_reserve_release(coordinator->store);
    coordinator->reserve_held = false;
    coordinator->reserve_at_ms = coordinator->now.monotonic_ms + RESERVE_RETRY_MS;
}

/* Ends the spoiled tick. What is in memory is ahead of the store and not used again; it goes when the next tick begins,
 * so that pointers handed out live as long as promised. */
static void roll_back(struct coordinator *coordinator)
{
    if (coordinator->rolled_back)
        return;
    coordinator->rolled_back = true;
    coordinator->statistics.commit_failures++;
    store_rollback(coordinator->store);
    if (coordinator->failure == -ENOSPC)
        give_up_reserve(coordinator);
    coordinator->recover_at_ms = coordinator->now.monotonic_ms;
}

/* What is stored can be read before anything can be written. Leases get a full term from when that works again. */
static int try_to_recover(struct coordinator *coordinator)
{
    roll_back(coordinator);
    bool fresh = !coordinator->readable;
    int r = fresh ? coordinator_rebuild(coordinator) : 0;
    if (r == 0)
        r = store_probe(coordinator->store);
    if (r == 0 && !fresh)
        r = coordinator_rebuild(coordinator);
    if (r == 0) {
        coordinator->rolled_back = false;
        coordinator->statistics.rebuilds++;
    }
    return r;
}

static void recover(struct coordinator *coordinator)
{
    uint64_t now_ms = coordinator->now.monotonic_ms;
    if (now_ms < coordinator->recover_at_ms)
        return;
    int r = try_to_recover(coordinator);
    if (r == -ENOSPC && coordinator->reserve_held) {
        give_up_reserve(coordinator);
        r = try_to_recover(coordinator);
    }
    coordinator->failure = r;
    coordinator->recover_at_ms = now_ms + RECOVER_MS;
}

static void refill_reserve(struct coordinator *coordinator)
{
    uint64_t now_ms = coordinator->now.monotonic_ms;
    if (coordinator->reserve_held || now_ms < coordinator->reserve_at_ms)
        return;
    coordinator->reserve_at_ms = now_ms + RESERVE_RETRY_MS;
    coordinator->reserve_held = store_reserve_ensure(coordinator->store);
    if (coordinator->reserve_held)
        coordinator->work = true;
}

/* ---- the tick ---- */

void coordinator_begin(struct coordinator *coordinator, struct moment now)
{
    assert(now.monotonic_ms >= coordinator->now.monotonic_ms);
    coordinator->now = now;
    if (coordinator->failure != 0)
        recover(coordinator);
    if (coordinator->failure != 0)
        return;
    refill_reserve(coordinator);
    coordinator_check(coordinator, coordinator_pass_time(coordinator));
}

int coordinator_pass_time(struct coordinator *coordinator)
{
    struct effects effects;
    do {
        int r = scheduler_apply(coordinator->scheduler,
                                &(struct scheduler_event){.kind = SCHEDULER_TICK},
                                coordinator->now.monotonic_ms, &effects);
        coordinator->work |= effects.work;
        for (uint32_t i = 0; i < effects.count && r >= 0; i++) {
            const struct effect *effect = &effects.items[i];
            if (effect->kind == EFFECT_WORKER_FORGOTTEN) {
                worker_table_remove(&coordinator->workers, effect->worker);
            } else {
                coordinator->statistics.leases_expired++;
                r = coordinator_end_attempt(coordinator, effect, NULL);
            }
        }
        if (r < 0)
            return r;
    } while (effects.more);
    return 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t coordinator_deadline_ms(const struct coordinator *coordinator)
{
    if (coordinator->failure != 0)
        return coordinator->recover_at_ms;
    uint64_t due_ms = scheduler_due_ms(coordinator->scheduler);
    return coordinator->reserve_held ? due_ms : earlier(due_ms, coordinator->reserve_at_ms);
}

int coordinator_commit(struct coordinator *coordinator)
{
    if (coordinator->failure == 0)
        coordinator_check(coordinator, store_commit(coordinator->store));
    else if (coordinator->rolled_back)
        return 0; /* it was so when the tick began: changes were refused, and what was read stands */
    if (coordinator->failure != 0) {
        roll_back(coordinator);
        return coordinator->failure;
    }
    if (coordinator_events_pending(coordinator)) {
        coordinator->event_committed = coordinator->counters.event;
        coordinator->events = true;
    }
    coordinator->garbage |= coordinator->dropped;
    coordinator->dropped = false;
    coordinator->statistics.commits++;
    return 0;
}

bool coordinator_take_work(struct coordinator *coordinator)
{
    bool work = coordinator->work && coordinator->failure == 0;
    coordinator->work = false;
    return work;
}

bool coordinator_take_events(struct coordinator *coordinator)
{
    bool events = coordinator->events;
    coordinator->events = false;
    return events;
}

bool coordinator_events_pending(const struct coordinator *coordinator)
{
    return coordinator->event_committed != coordinator->counters.event;
}

int coordinator_ready(const struct coordinator *coordinator)
{
    if (coordinator->failure != 0)
        return coordinator->failure;
    return coordinator->reserve_held ? 0 : -ENOSPC;
}

const char *coordinator_problem(const struct coordinator *coordinator)
{
    return store_problem(coordinator->store);
}

/* ---- figures ---- */

void coordinator_statistics(const struct coordinator *coordinator,
                            struct coordinator_statistics *ret_statistics)
{
    struct coordinator_statistics statistics = coordinator->statistics;
    for (size_t i = 0; i < coordinator->search_count; i++) {
        const struct search *search = coordinator->searches[i];
        statistics.searches[search->state]++;
        statistics.candidates += search->count;
        if (coordinator->scheduler)
            statistics.attempts_running +=
                scheduler_running_count(coordinator->scheduler, search->id);
    }
    for (uint32_t i = 0; i < coordinator->workers.count; i++)
        statistics.workers += coordinator->workers.items[i].connected;
    struct store_sizes sizes = store_sizes(coordinator->store);
    statistics.database_bytes = sizes.database_bytes;
    statistics.wal_bytes = sizes.wal_bytes;
    *ret_statistics = statistics;
}
