/* The scheduler's state: growing it, restoring it, looking at it. Everything that allocates is here. */
#include "daemon/scheduler_internal.h"

#include <assert.h>
#include <errno.h>

int scheduler_new(uint64_t lease_ms, struct scheduler **ret_scheduler)
{
    struct scheduler *scheduler = calloc(1, sizeof(*scheduler));
    if (!scheduler)
        return -ENOMEM;
    scheduler->lease_ms = lease_ms;
    scheduler->due_ms = UINT64_MAX;
    *ret_scheduler = scheduler;
    return 0;
}

static void lane_free(struct lane *lane)
{
    free(lane->places);
    free(lane);
}

void scheduler_free(struct scheduler *scheduler)
{
    if (!scheduler)
        return;
    for (size_t i = 0; i < scheduler->lane_count; i++)
        lane_free(scheduler->lanes[i]);
    for (size_t i = 0; i < scheduler->worker_count; i++)
        free(scheduler->workers[i]);
    free(scheduler->lanes);
    free(scheduler->workers);
    free(scheduler);
}

/* ---- searches ---- */

struct lane *scheduler_lane(const struct scheduler *scheduler, uint64_t search)
{
    for (size_t i = 0; i < scheduler->lane_count; i++)
        if (scheduler->lanes[i]->terms.search == search)
            return scheduler->lanes[i];
    return NULL;
}

static int grow_lanes(struct scheduler *scheduler)
{
    if (scheduler->lane_count < scheduler->lane_capacity)
        return 0;
    size_t capacity = scheduler->lane_capacity ? 2 * scheduler->lane_capacity : 16;
    struct lane **lanes = realloc(scheduler->lanes, capacity * sizeof(lanes[0]));
    if (!lanes)
        return -ENOMEM;
    scheduler->lanes = lanes;
    scheduler->lane_capacity = capacity;
    return 0;
}

int scheduler_add_search(struct scheduler *scheduler, const struct search_terms *terms)
{
    assert(terms->parallel_max > 0 && terms->dataset < SCHEDULER_DATASETS_MAX);
    assert(!scheduler_lane(scheduler, terms->search));
    if (grow_lanes(scheduler) < 0)
        return -ENOMEM;
    struct lane *lane = calloc(1, sizeof(*lane));
    struct place *places = calloc(terms->parallel_max, sizeof(places[0]));
    if (!lane || !places) {
        free(lane);
        free(places);
        return -ENOMEM;
    }
    lane->terms = *terms;
    lane->places = places;
    scheduler->lanes[scheduler->lane_count++] = lane;
    return 0;
}

static void leave_slots(struct scheduler *scheduler, struct lane *lane)
{
    for (uint32_t i = 0; i < lane->terms.parallel_max; i++)
        if (lane->places[i].used && lane->places[i].job.running)
            scheduler_vacate(scheduler, lane, &lane->places[i]);
}

void scheduler_remove_search(struct scheduler *scheduler, uint64_t search)
{
    for (size_t i = 0; i < scheduler->lane_count; i++) {
        struct lane *lane = scheduler->lanes[i];
        if (lane->terms.search != search)
            continue;
        leave_slots(scheduler, lane);
        scheduler->lanes[i] = scheduler->lanes[--scheduler->lane_count];
        lane_free(lane);
        return;
    }
}

bool scheduler_has_search(const struct scheduler *scheduler, uint64_t search)
{
    return scheduler_lane(scheduler, search) != NULL;
}

bool lane_can_propose(const struct lane *lane)
{
    const struct search_terms *terms = &lane->terms;
    return !terms->paused && !terms->cancelled && !lane->exhausted &&
           terms->proposed < terms->proposals_max && lane_free_place(lane, terms->proposed);
}

/* A deterministic search's candidate k has the place k mod parallel_max: it is free exactly when k - parallel_max is
 * finished, and by induction all before that are. */
struct place *lane_free_place(const struct lane *lane, uint64_t candidate)
{
    uint32_t count = lane->terms.parallel_max;
    if (lane->terms.deterministic) {
        struct place *place = &lane->places[candidate % count];
        return place->used ? NULL : place;
    }
    if (lane->used_count == count)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        if (!lane->places[i].used)
            return &lane->places[i];
    return NULL;
}

/* ---- workers ---- */

int scheduler_add_worker(struct scheduler *scheduler, uint32_t *ret_worker)
{
    for (size_t i = 0; i < scheduler->worker_count; i++) {
        if (!scheduler->workers[i]->used) {
            *scheduler->workers[i] = (struct scheduled_worker){.used = true};
            *ret_worker = (uint32_t)i;
            return 0;
        }
    }
    struct scheduled_worker **workers =
        realloc(scheduler->workers, (scheduler->worker_count + 1) * sizeof(workers[0]));
    if (!workers)
        return -ENOMEM;
    scheduler->workers = workers;
    struct scheduled_worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return -ENOMEM;
    worker->used = true;
    workers[scheduler->worker_count] = worker;
    *ret_worker = (uint32_t)scheduler->worker_count++;
    return 0;
}

/* ---- restoring ---- */

void scheduler_wake_by(struct scheduler *scheduler, uint64_t time_ms)
{
    if (time_ms < scheduler->due_ms)
        scheduler->due_ms = time_ms;
}

void scheduler_occupy(struct scheduler *scheduler, struct lane *lane, struct place *place)
{
    struct scheduled_worker *worker = scheduler->workers[place->job.worker];
    struct running *slot = &worker->slots[place->job.slot];
    assert(!slot->lane);
    *slot = (struct running){lane, place};
    worker->running_count++;
    lane->running_count++;
    scheduler_wake_by(scheduler, place->deadline_ms);
}

void scheduler_vacate(struct scheduler *scheduler, struct lane *lane, const struct place *place)
{
    struct scheduled_worker *worker = scheduler->workers[place->job.worker];
    worker->slots[place->job.slot] = (struct running){NULL, NULL};
    worker->running_count--;
    lane->running_count--;
}

static bool slot_is_free(const struct scheduler *scheduler, uint32_t worker, uint32_t slot)
{
    return worker < scheduler->worker_count && slot < WORKER_SLOTS_MAX &&
           !scheduler->workers[worker]->slots[slot].lane;
}

int scheduler_restore_job(struct scheduler *scheduler, uint64_t search, const struct job *job,
                          uint64_t now_ms)
{
    struct lane *lane = scheduler_lane(scheduler, search);
    struct place *place = lane ? lane_free_place(lane, job->candidate) : NULL;
    if (!place || (job->running && !slot_is_free(scheduler, job->worker, job->slot)))
        return -EINVAL;
    *place = (struct place){.used = true,
                            .job = *job,
                            .deadline_ms = now_ms + scheduler->lease_ms,
                            .order = scheduler->orders++,
                            .avoid = NO_WORKER};
    lane->used_count++;
    if (job->running)
        scheduler_occupy(scheduler, lane, place);
    return 0;
}

/* ---- looking ---- */

bool scheduler_find_job(const struct scheduler *scheduler, uint64_t search, uint64_t candidate,
                        struct job *ret_job)
{
    const struct lane *lane = scheduler_lane(scheduler, search);
    for (uint32_t i = 0; lane && i < lane->terms.parallel_max; i++) {
        const struct place *place = &lane->places[i];
        if (place->used && place->job.candidate == candidate) {
            *ret_job = place->job;
            return true;
        }
    }
    return false;
}

bool scheduler_find_slot(const struct scheduler *scheduler, uint32_t worker, uint32_t slot,
                         uint64_t *ret_search, struct job *ret_job)
{
    assert(worker < scheduler->worker_count && slot < WORKER_SLOTS_MAX);
    const struct running *running = &scheduler->workers[worker]->slots[slot];
    if (!running->lane)
        return false;
    *ret_search = running->lane->terms.search;
    *ret_job = running->place->job;
    return true;
}

uint32_t scheduler_job_count(const struct scheduler *scheduler, uint64_t search)
{
    const struct lane *lane = scheduler_lane(scheduler, search);
    return lane ? lane->used_count : 0;
}

uint32_t scheduler_running_count(const struct scheduler *scheduler, uint64_t search)
{
    const struct lane *lane = scheduler_lane(scheduler, search);
    return lane ? lane->running_count : 0;
}

bool scheduler_can_propose(const struct scheduler *scheduler, uint64_t search)
{
    const struct lane *lane = scheduler_lane(scheduler, search);
    return lane && lane_can_propose(lane);
}

uint64_t scheduler_due_ms(const struct scheduler *scheduler)
{
    return scheduler->due_ms;
}
