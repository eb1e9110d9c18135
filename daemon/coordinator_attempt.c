/* What follows when an attempt ends, and the events that tell of it. */
#include "daemon/coordinator_internal.h"

#include <assert.h>
#include <math.h>

/* Events are dropped this many at a time. */
enum { EVENTS_DROP_STEP = 1024 };

/* ---- events ---- */

static int drop_old_events(struct coordinator *coordinator)
{
    uint64_t newest = coordinator->counters.event;
    if (newest < coordinator->event_dropped + EVENTS_KEPT_MAX + EVENTS_DROP_STEP)
        return 0;
    coordinator->event_dropped = newest - EVENTS_KEPT_MAX;
    return store_drop_events(coordinator->store, coordinator->event_dropped);
}

int coordinator_tell(struct coordinator *coordinator, struct event_view event)
{
    event.id = ++coordinator->counters.event;
    event.at_us = coordinator->now.wall_us;
    int r = store_insert_event(coordinator->store, &event);
    return r < 0 ? r : drop_old_events(coordinator);
}

int coordinator_tell_search(struct coordinator *coordinator, enum event_kind kind, uint64_t search)
{
    return coordinator_tell(
        coordinator,
        (struct event_view){.kind = kind, .search = search, .accuracy = NAN, .loss = NAN});
}

struct event_view coordinator_attempt_event(enum event_kind kind, uint64_t search,
                                            const struct job *job)
{
    return (struct event_view){.kind = kind,
                               .search = search,
                               .candidate = job->candidate,
                               .attempt = job->attempt,
                               .accuracy = NAN,
                               .loss = NAN};
}

/* ---- the end of an attempt ---- */

static struct attempt_row ended_row(const struct coordinator *coordinator,
                                    const struct effect *effect, const struct result *result)
{
    struct attempt_row row = {.id = effect->job.attempt,
                              .ended_us = coordinator->now.wall_us,
                              .outcome = effect->outcome,
                              .cause = effect->cause,
                              .seconds = NAN,
                              .first_step_s = NAN,
                              .message = ""};
    if (result) {
        row.seconds = result->seconds;
        row.first_step_s = result->first_step_s;
        row.memory_needed_bytes = result->memory_needed_bytes;
        row.message = result->message;
    } else if (effect->cause == CAUSE_EXPIRED) {
        row.message = "the lease ran out: the worker stopped reporting";
    } else {
        row.message = "the worker asked for other work after the search was cancelled";
    }
    return row;
}

static int store_result(struct coordinator *coordinator, const struct effect *effect,
                        struct result_row *row)
{
    row->attempt = effect->job.attempt;
    row->attempts = effect->job.attempts;
    row->accepted_us = coordinator->now.wall_us;
    return store_insert_result(coordinator->store, row);
}

static int finish_candidate(struct coordinator *coordinator, struct search *search,
                            const struct effect *effect, const struct result *result)
{
    struct result_row row = search_result_row(search, effect->job.candidate, result, true);
    int r = store_result(coordinator, effect, &row);
    if (r < 0)
        return r;
    search_accept(search, &row);
    coordinator->statistics.results_accepted++;
    struct event_view event =
        coordinator_attempt_event(EVENT_CANDIDATE_FINISHED, search->id, &effect->job);
    event.outcome = row.outcome;
    event.accuracy = row.accuracy;
    event.loss = row.loss;
    r = coordinator_tell(coordinator, event);
    return r < 0 ? r : coordinator_finish_if_done(coordinator, search);
}

static int retry_candidate(struct coordinator *coordinator, struct search *search,
                           const struct effect *effect)
{
    search_set_candidate_state(search, effect->job.candidate, CANDIDATE_QUEUED);
    struct event_view event =
        coordinator_attempt_event(EVENT_CANDIDATE_RETRIED, search->id, &effect->job);
    event.outcome = effect->outcome;
    return coordinator_tell(coordinator, event);
}

static int keep_result(struct coordinator *coordinator, struct search *search,
                       const struct effect *effect, const struct result *result)
{
    if (scheduler_running_count(coordinator->scheduler, search->id) == 0)
        scheduler_remove_search(coordinator->scheduler, search->id);
    if (effect->cause != CAUSE_KEPT)
        return 0;
    struct result_row row = search_result_row(search, effect->job.candidate, result, false);
    coordinator->statistics.results_kept++;
    return store_result(coordinator, effect, &row);
}

/* Whether what was trained so far is of use to the next attempt. */
static bool outcome_continues(enum outcome outcome)
{
    return outcome == OUTCOME_LOST || outcome == OUTCOME_RETURNED;
}

int coordinator_end_attempt(struct coordinator *coordinator, const struct effect *effect,
                            const struct result *result)
{
    assert(effect->kind == EFFECT_ATTEMPT_ENDED);
    struct search *search = coordinator_find_search(coordinator, effect->search);
    struct attempt_row row = ended_row(coordinator, effect, result);
    int r = store_end_attempt(coordinator->store, &row);
    if (r < 0)
        return r;
    struct result lost = {.outcome = effect->outcome};
    if (effect->next != NEXT_RETRY || !outcome_continues(effect->outcome))
        r = coordinator_drop_checkpoints(coordinator, search->id, effect->job.candidate);
    if (r < 0)
        return r;
    switch (effect->next) {
    case NEXT_RETRY:
        return retry_candidate(coordinator, search, effect);
    case NEXT_FINISHED:
        return finish_candidate(coordinator, search, effect, result ? result : &lost);
    default:
        return keep_result(coordinator, search, effect, result);
    }
}

int coordinator_finish_if_done(struct coordinator *coordinator, struct search *search)
{
    bool drawn = search->exhausted || search->count == search->spec->candidates_max;
    /* The scheduler may have ended several attempts by now whose ends are not told yet. */
    uint64_t unfinished =
        search->state_count[CANDIDATE_QUEUED] + search->state_count[CANDIDATE_LEASED];
    if (search_is_final(search) || !drawn || unfinished > 0)
        return 0;
    search_finish(search, coordinator->now.wall_us);
    scheduler_remove_search(coordinator->scheduler, search->id);
    int r = store_update_search(coordinator->store, search->id, search->state, search->finished_us);
    if (r < 0)
        return r;
    return coordinator_tell_search(coordinator, EVENT_SEARCH_DONE, search->id);
}
