/* What people ask of searches: submit, pause, resume, cancel. */
#include "daemon/coordinator_internal.h"

#include <errno.h>

/* ---- submitting ---- */

static int check_key(const char *key, struct error *error)
{
    size_t length = strlen(key);
    if (length == 0 || length >= IDEMPOTENCY_KEY_SIZE)
        return error_set(error, -EINVAL, "", "an idempotency key has 1 to %d bytes",
                         IDEMPOTENCY_KEY_SIZE - 1);
    return 0;
}

/* 0: the key is new. SUBMIT_REPEATED, -EEXIST. */
static int find_repeated(struct coordinator *coordinator, const struct submission *submission,
                         uint64_t *ret_search, struct error *error)
{
    uint64_t id;
    int r = check_key(submission->idempotency_key, error);
    if (r < 0)
        return r;
    r = store_find_submission(coordinator->store, submission->idempotency_key, &id);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return coordinator_check(coordinator, r);
    const struct search *search = coordinator_find_search(coordinator, id);
    if (!search || search->length != submission->length ||
        memcmp(search->text, submission->text, submission->length) != 0)
        return error_set(error, -EEXIST, "",
                         "this idempotency key was used before with another spec");
    *ret_search = id;
    return SUBMIT_REPEATED;
}

static int check_room(const struct coordinator *coordinator, const struct spec *spec,
                      struct error *error)
{
    uint64_t unfinished = 0, candidates = spec->candidates_max;
    for (size_t i = 0; i < coordinator->search_count; i++) {
        const struct search *search = coordinator->searches[i];
        bool final = search_is_final(search);
        unfinished += !final;
        candidates += final ? search->count : search->spec->candidates_max;
    }
    if (unfinished >= SEARCHES_UNFINISHED_MAX)
        return error_set(error, -ENOSPC, "", "%d searches are unfinished already",
                         SEARCHES_UNFINISHED_MAX);
    if (candidates > CANDIDATES_STORED_MAX)
        return error_set(error, -ENOSPC, "/budget/candidates",
                         "the store would hold more than %d candidates", CANDIDATES_STORED_MAX);
    return 0;
}

/* Stores and schedules a search that has been parsed; the coordinator owns it afterwards. A failure spoils the tick. */
static int take_in(struct coordinator *coordinator, struct search *search,
                   const struct search_row *row)
{
    int r = coordinator_append_search(coordinator, search);
    if (r < 0) {
        search_free(search);
        return r;
    }
    coordinator->counters.search = search->id;
    r = coordinator_schedule(coordinator, search);
    if (r == 0)
        r = store_insert_search(coordinator->store, row);
    if (r == 0)
        r = coordinator_tell_search(coordinator, EVENT_SEARCH_CREATED, search->id);
    coordinator->work = true;
    return r;
}

/* Stores what the search means today: a later version's presets and defaults do not change it. */
static int take_in_resolved(struct coordinator *coordinator, struct search *search,
                            struct search_row *row)
{
    struct text resolved;
    text_init(&resolved, SPEC_TEXT_MAX);
    int r = spec_to_json(search->spec, &resolved);
    if (r < 0) {
        search_free(search);
    } else {
        row->resolved = text_string(&resolved);
        r = take_in(coordinator, search, row);
    }
    text_release(&resolved);
    return r;
}

static int submit_new(struct coordinator *coordinator, const struct submission *submission,
                      uint64_t *ret_search, struct error *error)
{
    struct search_row row = {.id = coordinator->counters.search + 1,
                             .text = submission->text,
                             .length = submission->length,
                             .idempotency_key = submission->idempotency_key,
                             .state = SEARCH_RUNNING,
                             .created_us = coordinator->now.wall_us};
    struct spec_datasets datasets = coordinator_spec_datasets(coordinator);
    struct search *search;
    int r = search_new(&row, &datasets, &search, error);
    if (r < 0)
        return r;
    r = check_room(coordinator, search->spec, error);
    if (r < 0) {
        search_free(search);
        return r;
    }
    search->priority = row.priority = search->spec->priority;
    r = take_in_resolved(coordinator, search, &row);
    if (r == -E2BIG)
        return error_set(error, r, "", "a spec has at most %d bytes with its presets written out",
                         SPEC_TEXT_MAX);
    r = coordinator_check(coordinator, r);
    if (r < 0)
        return error_set(error, r, "", "the store cannot write at present");
    *ret_search = row.id;
    return 0;
}

int coordinator_submit(struct coordinator *coordinator, const struct submission *submission,
                       uint64_t *ret_search, struct error *error)
{
    if (coordinator->failure)
        return error_set(error, coordinator->failure, "", "the store cannot write at present");
    if (submission->length > SPEC_TEXT_MAX)
        return error_set(error, -E2BIG, "", "a spec has at most %d bytes", SPEC_TEXT_MAX);
    if (submission->idempotency_key) {
        int r = find_repeated(coordinator, submission, ret_search, error);
        if (r != 0)
            return r;
    }
    if (!coordinator->reserve_held)
        return error_set(error, -ENOSPC, "", "the disk is full: only what runs is finished");
    return submit_new(coordinator, submission, ret_search, error);
}

/* ---- steering ---- */

static int find_for(struct coordinator *coordinator, uint64_t id, struct search **ret_search,
                    struct error *error)
{
    if (coordinator->failure)
        return error_set(error, coordinator->failure, "", "the store cannot write at present");
    *ret_search = coordinator_find_search(coordinator, id);
    return *ret_search
               ? 0
               : error_set(error, -ENOENT, "", "there is no search %llu", (unsigned long long)id);
}

/* Stores the state that the search has in memory by now and tells it. */
static int store_state(struct coordinator *coordinator, const struct search *search,
                       enum event_kind kind)
{
    int r = store_update_search(coordinator->store, search->id, search->state, search->finished_us);
    if (r == 0)
        r = coordinator_tell_search(coordinator, kind, search->id);
    return coordinator_check(coordinator, r);
}

static void apply_to_search(struct coordinator *coordinator, const struct search *search,
                            enum scheduler_event_kind kind)
{
    const struct scheduler_event event = {
        .kind = kind, .search = search->id, .hand_back = search->hand_back};
    struct effects effects;
    int r =
        scheduler_apply(coordinator->scheduler, &event, coordinator->now.monotonic_ms, &effects);
    (void)r; /* these events have one outcome */
    coordinator->work |= effects.work;
}

static int refuse(const struct search *search, const char *verb, struct error *error)
{
    return error_set(error, -EPERM, "", "a search that is %s cannot be %s",
                     search_state_name(search->state), verb);
}

static int pause_search(struct coordinator *coordinator, uint64_t id, bool hand_back,
                        struct error *error)
{
    struct search *search;
    int r = find_for(coordinator, id, &search, error);
    if (r < 0 || (search->state == SEARCH_PAUSED && search->hand_back == hand_back))
        return r;
    if (search->state != SEARCH_RUNNING && search->state != SEARCH_PAUSED)
        return refuse(search, "paused", error);
    bool was_running = search->state == SEARCH_RUNNING;
    search->hand_back = hand_back;
    search->state = SEARCH_PAUSED;
    apply_to_search(coordinator, search, SCHEDULER_SEARCH_PAUSE);
    r = coordinator_check(coordinator, store_set_hand_back(coordinator->store, id, hand_back));
    return r < 0 || !was_running ? r : store_state(coordinator, search, EVENT_SEARCH_PAUSED);
}

int coordinator_pause(struct coordinator *coordinator, uint64_t id, struct error *error)
{
    return pause_search(coordinator, id, true, error);
}

int coordinator_pause_gently(struct coordinator *coordinator, uint64_t id, struct error *error)
{
    return pause_search(coordinator, id, false, error);
}

int coordinator_resume(struct coordinator *coordinator, uint64_t id, struct error *error)
{
    struct search *search;
    int r = find_for(coordinator, id, &search, error);
    if (r < 0 || search->state == SEARCH_RUNNING)
        return r;
    if (search->state != SEARCH_PAUSED)
        return refuse(search, "resumed", error);
    apply_to_search(coordinator, search, SCHEDULER_SEARCH_RUN);
    search->state = SEARCH_RUNNING;
    return store_state(coordinator, search, EVENT_SEARCH_RESUMED);
}

int coordinator_cancel(struct coordinator *coordinator, uint64_t id, struct error *error)
{
    struct search *search;
    int r = find_for(coordinator, id, &search, error);
    if (r < 0 || search->state == SEARCH_CANCELLED)
        return r;
    if (search_is_final(search))
        return refuse(search, "cancelled", error);
    apply_to_search(coordinator, search, SCHEDULER_SEARCH_CANCEL);
    search_cancel(search, coordinator->now.wall_us);
    if (scheduler_running_count(coordinator->scheduler, id) == 0)
        scheduler_remove_search(coordinator->scheduler, id);
    r = coordinator_check(coordinator, coordinator_drop_checkpoints(coordinator, id, UINT64_MAX));
    return r < 0 ? r : store_state(coordinator, search, EVENT_SEARCH_CANCELLED);
}
