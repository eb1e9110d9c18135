/* The scheduler's transitions. Nothing here allocates. */
#include "daemon/scheduler_internal.h"

#include <assert.h>

/* ---- effects ---- */

static struct effect *emit(struct effects *effects, enum effect_kind kind)
{
    assert(effects->count < EFFECTS_MAX);
    struct effect *effect = &effects->items[effects->count++];
    *effect = (struct effect){.kind = kind};
    return effect;
}

/* ---- the end of an attempt ---- */

static void free_place(struct lane *lane, struct place *place)
{
    place->used = false;
    lane->used_count--;
}

/* Counts the outcome against the job; true where it gets another attempt. */
static bool is_retried(const struct search_terms *terms, struct job *job, enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_OUT_OF_MEMORY:
        job->memory_failures++;
        if (job->memory_failures > 1 || terms->batch_is_odd)
            return false;
        job->micro_batches *= 2;
        return true;
    case OUTCOME_LOST:
        return ++job->losses < LOSSES_MAX;
    case OUTCOME_FAILED:
        return ++job->failures < FAILURES_MAX;
    case OUTCOME_RETURNED:
        return true;
    default:
        return false;
    }
}

static void wait_for_retry(struct scheduler *scheduler, struct place *place, enum outcome outcome,
                           uint64_t now_ms)
{
    bool elsewhere = outcome == OUTCOME_LOST || outcome == OUTCOME_FAILED;
    place->job.running = false;
    place->order = scheduler->orders++;
    place->avoid = elsewhere ? place->job.worker : NO_WORKER;
    place->avoid_until_ms = now_ms + AVOID_LEASES * scheduler->lease_ms;
    if (elsewhere)
        scheduler_wake_by(scheduler, place->avoid_until_ms);
}

static void end_attempt(struct scheduler *scheduler, struct running running,
                        const struct effect *how, uint64_t now_ms, struct effects *effects)
{
    struct lane *lane = running.lane;
    struct place *place = running.place;
    struct effect *effect = emit(effects, EFFECT_ATTEMPT_ENDED);
    effect->search = lane->terms.search;
    effect->job = place->job;
    effect->worker = place->job.worker;
    effect->outcome = how->outcome;
    effect->cause = how->cause;
    scheduler_vacate(scheduler, lane, place);
    effects->work = true;
    if (lane->terms.cancelled) {
        effect->next = NEXT_CANCELLED;
        free_place(lane, place);
    } else if (is_retried(&lane->terms, &place->job, how->outcome)) {
        effect->next = NEXT_RETRY;
        wait_for_retry(scheduler, place, how->outcome, now_ms);
    } else {
        effect->next = NEXT_FINISHED;
        free_place(lane, place);
    }
}

/* ---- time ---- */

static void expire_lane(struct scheduler *scheduler, struct lane *lane, uint64_t now_ms,
                        struct effects *effects)
{
    for (uint32_t i = 0; i < lane->terms.parallel_max && lane->used_count > 0; i++) {
        struct place *place = &lane->places[i];
        if (!place->used)
            continue;
        if (place->job.running && place->deadline_ms <= now_ms && effects->count == EFFECTS_MAX) {
            effects->more = true;
            return;
        }
        if (place->job.running && place->deadline_ms <= now_ms) {
            enum outcome outcome = lane->terms.cancelled ? OUTCOME_CANCELLED : OUTCOME_LOST;
            end_attempt(scheduler, (struct running){lane, place},
                        &(struct effect){.outcome = outcome, .cause = CAUSE_EXPIRED}, now_ms,
                        effects);
        } else if (place->job.running) {
            scheduler_wake_by(scheduler, place->deadline_ms);
        } else if (place->avoid != NO_WORKER && place->avoid_until_ms <= now_ms) {
            place->avoid = NO_WORKER;
            effects->work = true;
        } else if (place->avoid != NO_WORKER) {
            scheduler_wake_by(scheduler, place->avoid_until_ms);
        }
    }
}

static void forget_silent_workers(struct scheduler *scheduler, uint64_t now_ms,
                                  struct effects *effects)
{
    uint64_t silent_ms = SILENT_LEASES * scheduler->lease_ms;
    for (size_t i = 0; i < scheduler->worker_count; i++) {
        struct scheduled_worker *worker = scheduler->workers[i];
        if (!worker->used || worker->running_count > 0)
            continue;
        if (worker->connected && worker->seen_ms + silent_ms > now_ms) {
            scheduler_wake_by(scheduler, worker->seen_ms + silent_ms);
            continue;
        }
        if (effects->count == EFFECTS_MAX) {
            effects->more = true;
            return;
        }
        worker->used = worker->connected = false;
        emit(effects, EFFECT_WORKER_FORGOTTEN)->worker = (uint32_t)i;
        effects->work = true;
    }
}

static void tick(struct scheduler *scheduler, uint64_t now_ms, struct effects *effects)
{
    if (now_ms < scheduler->due_ms)
        return;
    scheduler->due_ms = UINT64_MAX;
    for (size_t i = 0; i < scheduler->lane_count && !effects->more; i++)
        expire_lane(scheduler, scheduler->lanes[i], now_ms, effects);
    if (!effects->more)
        forget_silent_workers(scheduler, now_ms, effects);
    if (effects->more)
        scheduler->due_ms = now_ms;
}

/* ---- searches ---- */

static void cancel(struct lane *lane)
{
    lane->terms.cancelled = true;
    for (uint32_t i = 0; i < lane->terms.parallel_max; i++)
        if (lane->places[i].used && !lane->places[i].job.running)
            free_place(lane, &lane->places[i]);
}

static void propose(struct scheduler *scheduler, struct lane *lane, uint64_t candidate)
{
    struct place *place = lane_free_place(lane, candidate);
    assert(place && candidate == lane->terms.proposed);
    *place = (struct place){.used = true,
                            .job = {.candidate = candidate, .micro_batches = 1},
                            .order = scheduler->orders++,
                            .avoid = NO_WORKER};
    lane->used_count++;
    lane->terms.proposed++;
}

/* ---- giving out work ---- */

static bool has_dataset(const struct scheduled_worker *worker, uint32_t dataset)
{
    return worker->datasets.bits[dataset / 64] >> (dataset % 64) & 1;
}

static bool another_worker_has(const struct scheduler *scheduler, uint32_t not_this,
                               uint32_t dataset)
{
    for (size_t i = 0; i < scheduler->worker_count; i++) {
        const struct scheduled_worker *worker = scheduler->workers[i];
        if (i != not_this && worker->connected && has_dataset(worker, dataset))
            return true;
    }
    return false;
}

static bool may_take(const struct scheduler *scheduler, const struct lane *lane,
                     const struct place *place, uint32_t worker, uint64_t now_ms)
{
    if (!place->used || place->job.running)
        return false;
    return place->avoid != worker || place->avoid_until_ms <= now_ms ||
           !another_worker_has(scheduler, worker, lane->terms.dataset);
}

/* The waiting candidate that the worker gets next; NULL where there is none. */
static struct place *next_waiting(const struct scheduler *scheduler, const struct lane *lane,
                                  uint32_t worker, uint64_t now_ms)
{
    struct place *next = NULL;
    if (lane->used_count == lane->running_count)
        return NULL;
    for (uint32_t i = 0; i < lane->terms.parallel_max; i++) {
        struct place *place = &lane->places[i];
        if (may_take(scheduler, lane, place, worker, now_ms) &&
            (!next || place->order < next->order))
            next = place;
    }
    return next;
}

static bool goes_before(const struct lane *a, const struct lane *b)
{
    if (a->terms.priority != b->terms.priority)
        return a->terms.priority > b->terms.priority;
    if (a->running_count != b->running_count)
        return a->running_count < b->running_count;
    return a->served < b->served;
}

/* The lane that serves the worker, and the candidate in it (NULL: it has to be proposed). */
static struct lane *choose(const struct scheduler *scheduler, uint32_t worker, uint64_t now_ms,
                           struct place **ret_place)
{
    struct lane *chosen = NULL;
    for (size_t i = 0; i < scheduler->lane_count; i++) {
        struct lane *lane = scheduler->lanes[i];
        if (lane->terms.paused || lane->terms.cancelled ||
            !has_dataset(scheduler->workers[worker], lane->terms.dataset) ||
            (chosen && !goes_before(lane, chosen)))
            continue;
        struct place *place = next_waiting(scheduler, lane, worker, now_ms);
        if (!place && !lane_can_propose(lane))
            continue;
        chosen = lane;
        *ret_place = place;
    }
    return chosen;
}

static void renew(struct scheduler *scheduler, struct place *place, uint64_t now_ms)
{
    place->deadline_ms = now_ms + scheduler->lease_ms;
}

static void emit_lease(struct effects *effects, enum effect_kind kind, struct running running)
{
    struct effect *effect = emit(effects, kind);
    effect->search = running.lane->terms.search;
    effect->job = running.place->job;
    effect->worker = running.place->job.worker;
}

static void lease(struct scheduler *scheduler, const struct scheduler_event *event,
                  struct running what, uint64_t now_ms, struct effects *effects)
{
    struct job *job = &what.place->job;
    job->running = true;
    job->attempts++;
    job->worker = event->worker;
    job->slot = event->slot;
    job->attempt = event->attempt;
    job->epoch = event->epoch;
    renew(scheduler, what.place, now_ms);
    scheduler_occupy(scheduler, what.lane, what.place);
    what.lane->served = ++scheduler->grants;
    emit_lease(effects, EFFECT_LEASE, what);
}

static int want(struct scheduler *scheduler, const struct scheduler_event *event, uint64_t now_ms,
                struct effects *effects)
{
    struct running running = scheduler->workers[event->worker]->slots[event->slot];
    if (running.lane && !running.lane->terms.cancelled) {
        renew(scheduler, running.place, now_ms);
        emit_lease(effects, EFFECT_LEASE_AGAIN, running);
        return 0;
    }
    if (running.lane)
        end_attempt(scheduler, running,
                    &(struct effect){.outcome = OUTCOME_CANCELLED, .cause = CAUSE_ABANDONED},
                    now_ms, effects);
    struct running next;
    next.lane = choose(scheduler, event->worker, now_ms, &next.place);
    if (!next.lane)
        return SCHEDULER_NOTHING;
    if (next.place)
        lease(scheduler, event, next, now_ms, effects);
    else
        emit(effects, EFFECT_PROPOSE)->search = next.lane->terms.search;
    return 0;
}

/* ---- what workers tell ---- */

static struct running find_attempt(const struct scheduler *scheduler,
                                   const struct scheduler_event *event)
{
    const struct scheduled_worker *worker = scheduler->workers[event->worker];
    for (uint32_t i = 0, left = worker->running_count; left > 0; i++) {
        struct running running = worker->slots[i];
        if (!running.lane)
            continue;
        if (running.place->job.attempt == event->attempt &&
            running.place->job.epoch == event->epoch)
            return running;
        left--;
    }
    return (struct running){NULL, NULL};
}

static int report(struct scheduler *scheduler, const struct scheduler_event *event, uint64_t now_ms)
{
    struct running running = find_attempt(scheduler, event);
    if (!running.lane)
        return SCHEDULER_STALE;
    renew(scheduler, running.place, now_ms);
    const struct search_terms *terms = &running.lane->terms;
    if (terms->cancelled)
        return SCHEDULER_STOP;
    return terms->paused && terms->hand_back ? SCHEDULER_HAND_BACK : 0;
}

static int result(struct scheduler *scheduler, const struct scheduler_event *event, uint64_t now_ms,
                  struct effects *effects)
{
    assert(event->outcome >= OUTCOME_DONE && event->outcome <= OUTCOME_RETURNED);
    struct running running = find_attempt(scheduler, event);
    if (!running.lane)
        return SCHEDULER_STALE;
    enum attempt_cause cause = running.lane->terms.cancelled ? CAUSE_KEPT : CAUSE_RESULT;
    end_attempt(scheduler, running, &(struct effect){.outcome = event->outcome, .cause = cause},
                now_ms, effects);
    return 0;
}

static void see_worker(struct scheduler *scheduler, uint32_t handle, uint64_t now_ms)
{
    struct scheduled_worker *worker = scheduler->workers[handle];
    worker->seen_ms = now_ms;
    scheduler_wake_by(scheduler, now_ms + SILENT_LEASES * scheduler->lease_ms);
}

static int apply_worker_event(struct scheduler *scheduler, const struct scheduler_event *event,
                              uint64_t now_ms, struct effects *effects)
{
    assert(event->worker < scheduler->worker_count && scheduler->workers[event->worker]->used);
    assert(event->slot < WORKER_SLOTS_MAX);
    see_worker(scheduler, event->worker, now_ms);
    switch (event->kind) {
    case SCHEDULER_WORKER_CONNECTS:
        scheduler->workers[event->worker]->connected = true;
        scheduler->workers[event->worker]->datasets = *event->datasets;
        effects->work = true;
        return 0;
    case SCHEDULER_WORKER_WANTS:
        return want(scheduler, event, now_ms, effects);
    case SCHEDULER_REPORT:
        return report(scheduler, event, now_ms);
    case SCHEDULER_RESULT:
        return result(scheduler, event, now_ms, effects);
    default:
        return 0;
    }
}

static void apply_search_event(struct scheduler *scheduler, const struct scheduler_event *event,
                               struct effects *effects)
{
    struct lane *lane = scheduler_lane(scheduler, event->search);
    assert(lane);
    switch (event->kind) {
    case SCHEDULER_SEARCH_RUN:
        lane->terms.paused = false;
        effects->work = true;
        break;
    case SCHEDULER_SEARCH_PAUSE:
        lane->terms.paused = true;
        lane->terms.hand_back = event->hand_back;
        break;
    case SCHEDULER_SEARCH_CANCEL:
        cancel(lane);
        break;
    case SCHEDULER_PROPOSED:
        propose(scheduler, lane, event->candidate);
        break;
    default:
        lane->exhausted = true;
        break;
    }
}

int scheduler_apply(struct scheduler *scheduler, const struct scheduler_event *event,
                    uint64_t now_ms, struct effects *ret_effects)
{
    ret_effects->count = 0;
    ret_effects->more = ret_effects->work = false;
    switch (event->kind) {
    case SCHEDULER_TICK:
        tick(scheduler, now_ms, ret_effects);
        return 0;
    case SCHEDULER_WORKER_CONNECTS:
    case SCHEDULER_WORKER_SEEN:
    case SCHEDULER_WORKER_WANTS:
    case SCHEDULER_REPORT:
    case SCHEDULER_RESULT:
        return apply_worker_event(scheduler, event, now_ms, ret_effects);
    default:
        apply_search_event(scheduler, event, ret_effects);
        return 0;
    }
}
