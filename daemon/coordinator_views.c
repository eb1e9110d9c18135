/* What people see of searches, attempts, workers, data sets, frontiers and events. Candidates: coordinator_candidates.c. */
#include "daemon/coordinator_internal.h"

#include <errno.h>
#include <math.h>

/* ---- searches ---- */

static double eta_of(const struct coordinator *coordinator, const struct search *search)
{
    if (search_is_final(search))
        return 0;
    uint64_t done = search->state_count[CANDIDATE_DONE];
    uint32_t running = scheduler_running_count(coordinator->scheduler, search->id);
    if (done == 0 || running == 0)
        return -1;
    uint64_t left =
        (search->exhausted ? search->count : search->spec->candidates_max) - search->accepted_count;
    return search->done_seconds / (double)done * (double)left / running;
}

static struct search_view view_of(const struct coordinator *coordinator,
                                  const struct search *search)
{
    struct search_view view = {.id = search->id,
                               .state = search->state,
                               .problem = search->problem,
                               .spec = search->spec,
                               .text = search->text,
                               .text_length = search->length,
                               .created_us = search->created_us,
                               .finished_us = search->finished_us,
                               .spend = search->spend,
                               .best_known = search->best_known,
                               .best = search->best,
                               .eta_s = -1,
                               .exhausted = search->exhausted};
    view.progress.created = search->count;
    memcpy(view.progress.count, search->state_count, sizeof(view.progress.count));
    if (search->spec) {
        view.progress.budget = search->spec->candidates_max;
        view.eta_s = eta_of(coordinator, search);
    }
    return view;
}

int coordinator_search(struct coordinator *coordinator, uint64_t id, struct search_view *ret_view)
{
    if (!coordinator->readable)
        return coordinator->failure;
    const struct search *search = coordinator_find_search(coordinator, id);
    if (!search)
        return -ENOENT;
    *ret_view = view_of(coordinator, search);
    return 0;
}

int coordinator_searches(struct coordinator *coordinator, uint64_t before, uint32_t limit,
                         coordinator_visit_search *visit, void *context)
{
    if (!coordinator->readable)
        return coordinator->failure;
    for (size_t i = coordinator->search_count; i > 0 && limit > 0; i--) {
        const struct search *search = coordinator->searches[i - 1];
        if (search->id >= before)
            continue;
        struct search_view view = view_of(coordinator, search);
        int r = visit(context, &view);
        if (r != 0)
            return r;
        limit--;
    }
    return 0;
}

/* ---- attempts ---- */

struct attempts_walk {
    struct coordinator *coordinator;
    coordinator_visit_attempt *visit;
    void *context;
    int answer; /* the visitor's latest */
    size_t epoch_count;
};

static int collect_epoch(void *context, const struct epoch_metrics *epoch)
{
    struct attempts_walk *walk = context;
    struct coordinator *coordinator = walk->coordinator;
    if (walk->epoch_count == coordinator->epoch_capacity) {
        size_t capacity = coordinator->epoch_capacity ? 2 * coordinator->epoch_capacity : 16;
        struct epoch_metrics *epochs = realloc(coordinator->epochs, capacity * sizeof(epochs[0]));
        if (!epochs)
            return -ENOMEM;
        coordinator->epochs = epochs;
        coordinator->epoch_capacity = capacity;
    }
    coordinator->epochs[walk->epoch_count++] = *epoch;
    return 0;
}

/* The figures of the attempt that the result came from. */
static int fill_in_result(void *context, const struct result_row *row)
{
    struct attempt_view *view = context;
    if (row->attempt != view->attempt)
        return 0;
    view->result.accuracy = row->accuracy;
    view->result.loss = row->loss;
    view->result.step_time = row->step_time;
    view->result.images = row->images;
    return 0;
}

static struct attempt_view attempt_of(const struct attempt_row *row)
{
    struct attempt_view view = {
        .attempt = row->id,
        .rung = row->rung,
        .slot = row->slot,
        .micro_batches = row->micro_batches,
        .started_us = row->started_us,
        .ended_us = row->ended_us,
        .result = {.outcome = row->outcome,
                   .accuracy = NAN,
                   .loss = NAN,
                   .step_time = {.median_s = NAN, .spread_s = NAN, .baseline_s = NAN},
                   .seconds = row->seconds,
                   .first_step_s = row->first_step_s,
                   .memory_needed_bytes = row->memory_needed_bytes}};
    snprintf(view.worker, sizeof(view.worker), "%s", row->worker);
    snprintf(view.result.message, sizeof(view.result.message), "%s", row->message);
    return view;
}

static int show_attempt(void *context, const struct attempt_row *row)
{
    struct attempts_walk *walk = context;
    struct store *store = walk->coordinator->store;
    struct attempt_view view = attempt_of(row);
    walk->epoch_count = 0;
    int r = store_each_epoch_of(store, row->id, collect_epoch, walk);
    if (r == 0) {
        r = store_find_result(store, row->search, row->candidate, fill_in_result, &view);
        r = r == -ENOENT ? 0 : r;
    }
    if (r < 0)
        return r;
    view.epochs = walk->coordinator->epochs;
    view.epoch_count = walk->epoch_count;
    walk->answer = walk->visit(walk->context, &view);
    return walk->answer != 0;
}

int coordinator_attempts(struct coordinator *coordinator, uint64_t id, uint64_t candidate,
                         coordinator_visit_attempt *visit, void *context)
{
    if (!coordinator->readable)
        return coordinator->failure;
    const struct search *search = coordinator_find_search(coordinator, id);
    if (!search || candidate >= search->count)
        return -ENOENT;
    struct attempts_walk walk = {.coordinator = coordinator, .visit = visit, .context = context};
    int r = store_each_attempt_of(coordinator->store, id, candidate, show_attempt, &walk);
    return walk.answer != 0 ? walk.answer : coordinator_check(coordinator, r);
}

/* ---- frontiers ---- */

static int check_objectives(const enum objective *objectives, size_t count, struct error *error)
{
    if (count > PARETO_OBJECTIVES_MAX)
        return error_set(error, -EINVAL, "/objectives", "a frontier has 1 to %d objectives",
                         PARETO_OBJECTIVES_MAX);
    for (size_t i = 0; i < count; i++) {
        if ((unsigned)objectives[i] >= OBJECTIVE_COUNT)
            return error_set(error, -EINVAL, "/objectives", "unknown objective");
        for (size_t j = 0; j < i; j++)
            if (objectives[i] == objectives[j])
                return error_set(error, -EINVAL, "/objectives", "%s is given twice",
                                 objective_name(objectives[i]));
    }
    return 0;
}

/* The volume between the reference and the best that any network could be. */
static double box_of(const struct frontier_view *view)
{
    double volume = 1;
    for (size_t i = 0; i < view->objective_count; i++) {
        double ideal = view->objectives[i] == OBJECTIVE_ACCURACY ? 1 : 0;
        volume *= fabs(view->reference[i] - ideal);
    }
    return volume;
}

static void show_front(const struct search *search, const struct front *front,
                       struct frontier_view *ret_view)
{
    struct frontier_view view = {.objective_count = front->objective_count,
                                 .points = pareto_points(front->pareto),
                                 .point_count = pareto_count(front->pareto)};
    memcpy(view.objectives, front->objectives, sizeof(view.objectives));
    search_reference(search, front, view.reference);
    view.hypervolume = pareto_hypervolume(front->pareto, view.reference);
    view.hypervolume_fraction = view.hypervolume / box_of(&view);
    *ret_view = view;
}

int coordinator_frontier(struct coordinator *coordinator, uint64_t id,
                         const enum objective *objectives, size_t objective_count,
                         struct frontier_view *ret_view, struct error *error)
{
    if (!coordinator->readable)
        return error_set(error, coordinator->failure, "", "the store is not available at present");
    struct search *search = coordinator_find_search(coordinator, id);
    if (!search)
        return error_set(error, -ENOENT, "", "there is no search %llu", (unsigned long long)id);
    if (!search->spec)
        return error_set(error, -EPERM, "", "%s", search->problem);
    int r = check_objectives(objectives, objective_count, error);
    if (r < 0)
        return r;
    struct front *front;
    if (objective_count == 0)
        r = search_front(search, search->spec->objectives, search->spec->objective_count, &front);
    else
        r = search_front(search, objectives, objective_count, &front);
    if (r < 0)
        return error_set(error, coordinator_check(coordinator, r), "", "out of memory");
    show_front(search, front, ret_view);
    return 0;
}

/* ---- workers and data sets ---- */

static struct slot_view slot_of(const struct coordinator *coordinator, uint32_t handle,
                                uint32_t index)
{
    const struct worker_slot *slot = &coordinator->workers.items[handle].slots[index];
    struct slot_view view = {.device = slot->device, .baseline_s = slot->baseline_s};
    struct job job;
    view.busy = scheduler_find_slot(coordinator->scheduler, handle, index, &view.search, &job);
    if (view.busy) {
        view.candidate = job.candidate;
        view.attempt = job.attempt;
        view.steps_done = slot->steps_done;
        view.steps_total = slot->steps_total;
    }
    return view;
}

static void show_worker(const struct coordinator *coordinator, uint32_t handle,
                        struct worker_view *ret_view)
{
    const struct worker *worker = &coordinator->workers.items[handle];
    ret_view->name = worker->name;
    ret_view->host = worker->host;
    ret_view->version = worker->version;
    ret_view->registered_us = worker->registered_us;
    ret_view->seen_ms_ago = coordinator->now.monotonic_ms - worker->seen_ms;
    ret_view->results = worker->results;
    ret_view->slot_count = worker->slot_count;
    for (uint32_t i = 0; i < worker->slot_count; i++)
        ret_view->slots[i] = slot_of(coordinator, handle, i);
    ret_view->dataset_count = 0;
    for (uint32_t i = 0; i < coordinator->datasets.count; i++)
        if (worker_has_dataset(worker, i) && ret_view->dataset_count < WORKER_DATASETS_MAX)
            ret_view->datasets[ret_view->dataset_count++] = &coordinator->datasets.items[i];
}

int coordinator_workers(struct coordinator *coordinator, coordinator_visit_worker *visit,
                        void *context)
{
    if (!coordinator->readable)
        return coordinator->failure;
    struct worker_view view;
    for (uint32_t i = 0; i < coordinator->workers.count; i++) {
        if (!coordinator->workers.items[i].connected)
            continue;
        show_worker(coordinator, i, &view);
        int r = visit(context, &view);
        if (r != 0)
            return r;
    }
    return 0;
}

int coordinator_datasets(struct coordinator *coordinator, coordinator_visit_dataset *visit,
                         void *context)
{
    if (!coordinator->readable)
        return coordinator->failure;
    for (uint32_t i = 0; i < coordinator->datasets.count; i++) {
        struct dataset_view view = {.dataset = &coordinator->datasets.items[i],
                                    .well_known =
                                        dataset_table_is_well_known(&coordinator->datasets, i)};
        for (uint32_t j = 0; j < coordinator->workers.count; j++) {
            const struct worker *worker = &coordinator->workers.items[j];
            view.workers += worker->connected && worker_has_dataset(worker, i);
        }
        int r = visit(context, &view);
        if (r != 0)
            return r;
    }
    return 0;
}

/* ---- events ---- */

struct events_walk {
    coordinator_visit_event *visit;
    void *context;
    int answer; /* the visitor's latest */
};

static int show_event(void *context, const struct event_view *event)
{
    struct events_walk *walk = context;
    walk->answer = walk->visit(walk->context, event);
    return walk->answer != 0;
}

int coordinator_events(struct coordinator *coordinator, uint64_t search, uint64_t after,
                       uint32_t limit, coordinator_visit_event *visit, void *context)
{
    if (!coordinator->readable)
        return coordinator->failure;
    struct event_range range = {
        .search = search, .after = after, .last = coordinator->event_committed, .limit = limit};
    struct events_walk walk = {.visit = visit, .context = context};
    int r = store_each_event(coordinator->store, &range, show_event, &walk);
    return walk.answer != 0 ? walk.answer : coordinator_check(coordinator, r);
}
