/* Loading: the one way in which state comes into memory, at start and after a failure. */
#include "daemon/coordinator_internal.h"

#include <assert.h>
#include <errno.h>

#define NO_CANDIDATE UINT64_MAX

void coordinator_drop(struct coordinator *coordinator)
{
    for (size_t i = 0; i < coordinator->search_count; i++)
        search_free(coordinator->searches[i]);
    free(coordinator->searches);
    coordinator->searches = NULL;
    coordinator->search_count = coordinator->search_capacity = 0;
    scheduler_free(coordinator->scheduler);
    coordinator->scheduler = NULL;
    worker_table_release(&coordinator->workers);
    coordinator->readable = false;
}

/* ---- searches ---- */

struct search *coordinator_find_search(const struct coordinator *coordinator, uint64_t search)
{
    size_t low = 0, high = coordinator->search_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (coordinator->searches[middle]->id < search)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < coordinator->search_count && coordinator->searches[low]->id == search;
    return found ? coordinator->searches[low] : NULL;
}

int coordinator_append_search(struct coordinator *coordinator, struct search *search)
{
    assert(coordinator->search_count == 0 ||
           coordinator->searches[coordinator->search_count - 1]->id < search->id);
    if (coordinator->search_count == coordinator->search_capacity) {
        size_t capacity = coordinator->search_capacity ? 2 * coordinator->search_capacity : 64;
        struct search **searches = realloc(coordinator->searches, capacity * sizeof(searches[0]));
        if (!searches)
            return -ENOMEM;
        coordinator->searches = searches;
        coordinator->search_capacity = capacity;
    }
    coordinator->searches[coordinator->search_count++] = search;
    return 0;
}

static const struct dataset *find_dataset(void *context, const char *name)
{
    const struct coordinator *coordinator = context;
    int index = dataset_table_find(&coordinator->datasets, name);
    return index < 0 ? NULL : &coordinator->datasets.items[index];
}

/* The latest first: where there are many, a list of the first ones has those that people added. */
static const struct dataset *dataset_at(void *context, size_t index)
{
    const struct dataset_table *table = &((const struct coordinator *)context)->datasets;
    return index < table->count ? &table->items[table->count - 1 - index] : NULL;
}

struct spec_datasets coordinator_spec_datasets(const struct coordinator *coordinator)
{
    /* The context is only read. */
    return (struct spec_datasets){
        .find = find_dataset, .at = dataset_at, .context = (void *)(uintptr_t)coordinator};
}

/* Images of one micro-batch. */
static uint32_t part_images(const struct recipe *recipe)
{
    return recipe->batch / recipe->micro_batches;
}

int coordinator_schedule(struct coordinator *coordinator, const struct search *search)
{
    int dataset = dataset_table_find(&coordinator->datasets, search->spec->dataset.name);
    assert(dataset >= 0);
    struct search_terms terms = {.search = search->id,
                                 .priority = search->priority,
                                 .parallel_max = search->spec->parallel_max,
                                 .dataset = (uint32_t)dataset,
                                 .proposals_max = search->spec->candidates_max,
                                 .proposed = search->count,
                                 .deterministic = search->spec->deterministic,
                                 .batch_is_odd = part_images(&search->spec->recipe) % 2 != 0,
                                 .paused = search->state == SEARCH_PAUSED,
                                 .hand_back = search->hand_back,
                                 .cancelled = search->state == SEARCH_CANCELLED};
    return scheduler_add_search(coordinator->scheduler, &terms);
}

static int load_search(void *context, const struct search_row *row)
{
    struct coordinator *coordinator = context;
    struct spec_datasets datasets = coordinator_spec_datasets(coordinator);
    struct search *search;
    struct error error;
    bool is_storable = row->state >= SEARCH_RUNNING && row->state < SEARCH_FAILED;
    int r = is_storable ? search_new(row, &datasets, &search, &error)
                        : error_set(&error, -EINVAL, "", "unknown state %d", (int)row->state);
    if (r < 0 && r != -ENOMEM) {
        char problem[ERROR_MESSAGE_SIZE];
        snprintf(problem, sizeof(problem), "this version cannot read the search: %.160s%s%.280s",
                 error.pointer, error.pointer[0] ? ": " : "", error.message);
        r = search_new_unreadable(row, problem, &search);
    }
    if (r == 0) {
        r = coordinator_append_search(coordinator, search);
        if (r < 0)
            search_free(search);
    }
    return r;
}

/* ---- candidates and results: one ordered scan each ---- */

struct loader {
    struct coordinator *coordinator;
    struct search *search; /* of the latest row */
};

/* The row's search; NULL where it cannot be read. */
static struct search *search_of(struct loader *loader, uint64_t id)
{
    if (!loader->search || loader->search->id != id)
        loader->search = coordinator_find_search(loader->coordinator, id);
    return loader->search && loader->search->state != SEARCH_FAILED ? loader->search : NULL;
}

/* Rows that contradict each other or the spec cost one search, not the daemon. `candidate` is the one whose row shows it, or
 * NO_CANDIDATE. */
static int keep_going(struct search *search, int code, const char *what, uint64_t candidate)
{
    if (code != -EINVAL)
        return code;
    char problem[ERROR_MESSAGE_SIZE], place[64] = "";
    if (candidate != NO_CANDIDATE)
        snprintf(place, sizeof(place), " at candidate %llu", (unsigned long long)candidate);
    snprintf(
        problem, sizeof(problem),
        "the stored %s of this search contradict each other or its spec%s: the store is damaged, "
        "or what the spec names means something else in this version",
        what, place);
    search_fail(search, problem);
    return 0;
}

static int load_candidate(void *context, const struct candidate_row *row)
{
    struct loader *loader = context;
    struct search *search = search_of(loader, row->search);
    return search ? keep_going(search, search_restore_candidate(search, row), "candidates",
                               row->number)
                  : 0;
}

static int load_result(void *context, const struct result_row *row)
{
    struct loader *loader = context;
    struct search *search = search_of(loader, row->search);
    return search
               ? keep_going(search, search_restore_result(search, row), "results", row->candidate)
               : 0;
}

static int load_dataset(void *context, const struct dataset *dataset)
{
    struct coordinator *coordinator = context;
    struct error error;
    int index = dataset_table_put(&coordinator->datasets, dataset, &error);
    /* A stored data set that contradicts a well-known one gives way: specs that need it tell. */
    return index == -ENOMEM ? index : 0;
}

/* ---- unfinished candidates and their attempts ---- */

int coordinator_worker_handle(struct coordinator *coordinator, const char *name)
{
    int handle = worker_table_find(&coordinator->workers, name);
    if (handle >= 0)
        return handle;
    uint32_t new_handle;
    int r = scheduler_add_worker(coordinator->scheduler, &new_handle);
    if (r == 0)
        r = worker_table_add(&coordinator->workers, new_handle, name);
    return r < 0 ? r : (int)new_handle;
}

struct history {
    struct coordinator *coordinator;
    struct job job;
};

static int restore_running(struct history *history, const struct attempt_row *row)
{
    struct coordinator *coordinator = history->coordinator;
    if (row->slot >= WORKER_SLOTS_MAX || strlen(row->worker) >= WORKER_NAME_SIZE)
        return -EINVAL;
    int handle = coordinator_worker_handle(coordinator, row->worker);
    if (handle < 0)
        return handle;
    struct worker *worker = &coordinator->workers.items[handle];
    int r = worker_reserve_slots(worker, row->slot + 1);
    if (r < 0)
        return r;
    worker->slots[row->slot].attempt = row->id;
    history->job.running = true;
    history->job.worker = (uint32_t)handle;
    history->job.slot = row->slot;
    history->job.attempt = row->id;
    history->job.epoch = row->epoch;
    history->job.micro_batches = row->micro_batches;
    return 0;
}

static int replay_attempt(void *context, const struct attempt_row *row)
{
    struct history *history = context;
    struct job *job = &history->job;
    job->attempts++;
    switch (row->outcome) {
    case OUTCOME_NONE:
        return restore_running(history, row);
    case OUTCOME_OUT_OF_MEMORY:
        job->memory_failures++;
        job->micro_batches = 2 * row->micro_batches;
        return 0;
    case OUTCOME_LOST:
        job->losses++;
        return 0;
    case OUTCOME_FAILED:
        job->failures++;
        return 0;
    default:
        return 0;
    }
}

static int restore_job(struct coordinator *coordinator, struct search *search, uint64_t candidate)
{
    struct history history = {.coordinator = coordinator,
                              .job = {.candidate = candidate, .micro_batches = 1}};
    int r =
        store_each_attempt_of(coordinator->store, search->id, candidate, replay_attempt, &history);
    if (r < 0)
        return r;
    if (search->state == SEARCH_CANCELLED && !history.job.running)
        return 0;
    r = scheduler_restore_job(coordinator->scheduler, search->id, &history.job,
                              coordinator->now.monotonic_ms);
    if (r == 0 && history.job.running && search->state != SEARCH_CANCELLED)
        search_set_candidate_state(search, candidate, CANDIDATE_LEASED);
    return r;
}

static int restore_jobs(struct coordinator *coordinator, struct search *search)
{
    for (uint64_t i = 0; i < search->count; i++) {
        if (search->candidates[i].state != CANDIDATE_QUEUED)
            continue;
        int r = restore_job(coordinator, search, i);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Attempts of cancelled searches may still deliver results that are kept. */
static int restore_cancelled(void *context, const struct attempt_row *row)
{
    struct coordinator *coordinator = context;
    struct search *search = coordinator_find_search(coordinator, row->search);
    if (!search || search->state != SEARCH_CANCELLED || row->candidate >= search->count)
        return 0;
    if (!scheduler_has_search(coordinator->scheduler, search->id)) {
        int r = coordinator_schedule(coordinator, search);
        if (r < 0)
            return r;
    }
    int r = restore_job(coordinator, search, row->candidate);
    return r == -EINVAL ? 0 : r; /* its result will not be kept */
}

static int restore_unfinished(struct coordinator *coordinator, struct search *search)
{
    int r = coordinator_schedule(coordinator, search);
    if (r == 0)
        r = restore_jobs(coordinator, search);
    if (r == -EINVAL)
        scheduler_remove_search(coordinator->scheduler, search->id);
    return keep_going(search, r, "attempts", NO_CANDIDATE);
}

static int restore_all(struct coordinator *coordinator)
{
    for (size_t i = 0; i < coordinator->search_count; i++) {
        struct search *search = coordinator->searches[i];
        int r = search->state == SEARCH_FAILED
                    ? 0
                    : keep_going(search, search_replay(search), "proposals", NO_CANDIDATE);
        if (r == 0 && !search_is_final(search))
            r = restore_unfinished(coordinator, search);
        if (r < 0)
            return r;
    }
    return store_each_running_attempt(coordinator->store, restore_cancelled, coordinator);
}

/* ---- all of it ---- */

static int load(struct coordinator *coordinator)
{
    struct store *store = coordinator->store;
    struct loader loader = {.coordinator = coordinator};
    int r = scheduler_new(1000 * (uint64_t)coordinator->lease_seconds, &coordinator->scheduler);
    if (r == 0)
        r = store_counters(store, &coordinator->counters);
    if (r == 0)
        r = store_each_dataset(store, load_dataset, coordinator);
    if (r == 0)
        r = store_each_search(store, load_search, coordinator);
    if (r == 0)
        r = store_each_candidate(store, load_candidate, &loader);
    if (r == 0)
        r = store_each_result(store, load_result, &loader);
    if (r == 0)
        r = restore_all(coordinator);
    return r;
}

int coordinator_rebuild(struct coordinator *coordinator)
{
    coordinator_drop(coordinator);
    dataset_table_init(&coordinator->datasets);
    int r = load(coordinator);
    if (r < 0) {
        coordinator_drop(coordinator);
        return r;
    }
    coordinator->event_committed = coordinator->counters.event;
    coordinator->event_dropped = 0;
    coordinator->work = coordinator->events = coordinator->garbage = true;
    coordinator->dropped = false;
    coordinator->readable = true;
    return 0;
}
