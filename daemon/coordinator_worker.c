/* What workers ask: register, lease, report, result. */
#include "daemon/coordinator_internal.h"
#include "search/random.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

enum { REPORTS_PER_LEASE = 3 };

/* The connected worker's handle, or -ENOENT. */
static int find_connected(const struct coordinator *coordinator, const char *name)
{
    int handle = worker_table_find(&coordinator->workers, name);
    return handle >= 0 && coordinator->workers.items[handle].connected ? handle : -ENOENT;
}

static int apply(struct coordinator *coordinator, const struct scheduler_event *event,
                 struct effects *ret_effects)
{
    int outcome =
        scheduler_apply(coordinator->scheduler, event, coordinator->now.monotonic_ms, ret_effects);
    coordinator->workers.items[event->worker].seen_ms = coordinator->now.monotonic_ms;
    coordinator->work |= ret_effects->work;
    return outcome;
}

/* ---- register ---- */

static bool is_name(const char *name)
{
    size_t length =
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-");
    return length > 0 && length < WORKER_NAME_SIZE && name[length] == '\0';
}

static int check_registration(const struct registration *registration, struct error *error)
{
    if (!is_name(registration->worker))
        return error_set(error, -EINVAL, "/worker",
                         "a worker's name has 1 to %d letters, digits or ._:-",
                         WORKER_NAME_SIZE - 1);
    if (registration->slot_count == 0 || registration->slot_count > WORKER_SLOTS_MAX)
        return error_set(error, -EINVAL, "/slots", "a worker has 1 to %d slots", WORKER_SLOTS_MAX);
    if (registration->dataset_count > WORKER_DATASETS_MAX)
        return error_set(error, -EINVAL, "/datasets", "a worker announces at most %d data sets",
                         WORKER_DATASETS_MAX);
    return 0;
}

static void copy_slots(struct worker *worker, const struct registration *registration)
{
    for (uint32_t i = 0; i < registration->slot_count; i++)
        snprintf(worker->slots[i].device, WORKER_TEXT_SIZE, "%s", registration->devices[i]);
    worker->slot_count = registration->slot_count;
}

static int connect_worker(struct coordinator *coordinator, const struct registration *registration,
                          const struct dataset_set *datasets)
{
    int handle = coordinator_worker_handle(coordinator, registration->worker);
    if (handle < 0)
        return handle;
    struct worker *worker = &coordinator->workers.items[handle];
    int r = worker_reserve_slots(worker, registration->slot_count);
    if (r < 0)
        return r;
    snprintf(worker->host, sizeof(worker->host), "%s", registration->host);
    snprintf(worker->version, sizeof(worker->version), "%s", registration->version);
    copy_slots(worker, registration);
    worker->connected = true;
    worker->registered_us = coordinator->now.wall_us;
    worker->datasets = *datasets;
    struct effects effects;
    return apply(coordinator,
                 &(struct scheduler_event){.kind = SCHEDULER_WORKER_CONNECTS,
                                           .worker = (uint32_t)handle,
                                           .datasets = datasets},
                 &effects);
}

static uint32_t connected_count(const struct coordinator *coordinator)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < coordinator->workers.count; i++)
        count += coordinator->workers.items[i].connected;
    return count;
}

int coordinator_register(struct coordinator *coordinator, const struct registration *registration,
                         struct terms *ret_terms, struct error *error)
{
    if (coordinator->failure)
        return error_set(error, coordinator->failure, "", "the store cannot write at present");
    struct error ignored;
    if (!error)
        error = &ignored;
    struct dataset_set datasets = {{0}};
    struct terms terms = {.lease_seconds = coordinator->lease_seconds,
                          .report_seconds = (coordinator->lease_seconds + REPORTS_PER_LEASE - 1) /
                                            REPORTS_PER_LEASE};
    int r = check_registration(registration, error);
    if (r == 0 && find_connected(coordinator, registration->worker) < 0 &&
        connected_count(coordinator) >= WORKERS_MAX)
        r = error_set(error, -ENOSPC, "", "%d workers are connected already", WORKERS_MAX);
    if (r == 0)
        r = coordinator_take_datasets(coordinator, registration, &datasets, &terms, error);
    if (r < 0)
        return r;
    r = coordinator_check(coordinator, connect_worker(coordinator, registration, &datasets));
    if (r < 0)
        return error_set(error, r, "", "out of memory");
    *ret_terms = terms;
    return 0;
}

void coordinator_touch(struct coordinator *coordinator, const char *name)
{
    if (coordinator->failure)
        return;
    int handle = find_connected(coordinator, name);
    if (handle < 0)
        return;
    struct effects effects;
    int r =
        apply(coordinator,
              &(struct scheduler_event){.kind = SCHEDULER_WORKER_SEEN, .worker = (uint32_t)handle},
              &effects);
    (void)r; /* being seen has one outcome */
}

/* ---- lease ---- */

static int task_of(struct coordinator *coordinator, const struct search *search,
                   const struct job *job, struct task *ret_task)
{
    const struct spec *spec = search->spec;
    struct random_stream stream = random_stream_of(spec->seed, job->candidate, RANDOM_CANDIDATE);
    struct task task = {.search = search->id,
                        .candidate = job->candidate,
                        .attempt = job->attempt,
                        .epoch = job->epoch,
                        .spec = spec,
                        .split_seed = spec->seed,
                        .seed = random_u64(&stream),
                        .micro_batches = job->micro_batches,
                        .checkpoint_seconds = coordinator->checkpoint_seconds};
    space_architecture(spec->space, &search->candidates[job->candidate].encoding,
                       &task.architecture);
    *ret_task = task;
    return coordinator_find_checkpoint(coordinator, search->id, job->candidate,
                                       &ret_task->checkpoint);
}

/* Asks the search's strategy for its next proposal and hands it to the scheduler. */
static int propose(struct coordinator *coordinator, uint64_t id)
{
    struct search *search = coordinator_find_search(coordinator, id);
    struct candidate_row row;
    int r = search_propose(search, coordinator->now.wall_us, &row);
    if (r < 0)
        return r;
    bool exhausted = r == STRATEGY_EXHAUSTED;
    struct scheduler_event event = {.kind = exhausted ? SCHEDULER_EXHAUSTED : SCHEDULER_PROPOSED,
                                    .search = id,
                                    .candidate = exhausted ? 0 : row.number};
    struct effects effects;
    r = scheduler_apply(coordinator->scheduler, &event, coordinator->now.monotonic_ms, &effects);
    assert(r == 0 && effects.count == 0);
    return exhausted ? coordinator_finish_if_done(coordinator, search)
                     : store_insert_candidate(coordinator->store, &row);
}

static int store_lease(struct coordinator *coordinator, struct search *search,
                       const struct job *job)
{
    struct worker *worker = &coordinator->workers.items[job->worker];
    struct attempt_row row = {.id = job->attempt,
                              .search = search->id,
                              .candidate = job->candidate,
                              .epoch = job->epoch,
                              .worker = worker->name,
                              .slot = job->slot,
                              .micro_batches = job->micro_batches,
                              .started_us = coordinator->now.wall_us};
    int r = store_insert_attempt(coordinator->store, &row);
    if (r < 0)
        return r;
    coordinator->counters.attempt = job->attempt;
    coordinator->epoch_next = job->epoch + 1;
    coordinator->statistics.leases++;
    search_set_candidate_state(search, job->candidate, CANDIDATE_LEASED);
    struct worker_slot *slot = &worker->slots[job->slot];
    slot->attempt = job->attempt;
    slot->steps_done = slot->steps_total = 0;
    slot->epochs_reported = 0;
    slot->checkpoint_steps = 0;
    return coordinator_tell(coordinator,
                            coordinator_attempt_event(EVENT_CANDIDATE_LEASED, search->id, job));
}

/* 1: a task was given. 0: something else happened, ask the scheduler again. */
static int apply_lease_effect(struct coordinator *coordinator, const struct effect *effect,
                              struct task *ret_task)
{
    struct search *search = coordinator_find_search(coordinator, effect->search);
    int r = 0;
    switch (effect->kind) {
    case EFFECT_PROPOSE:
        return propose(coordinator, effect->search);
    case EFFECT_ATTEMPT_ENDED:
        return coordinator_end_attempt(coordinator, effect, NULL);
    case EFFECT_LEASE:
        r = store_lease(coordinator, search, &effect->job);
        break;
    default:
        break;
    }
    if (r < 0)
        return r;
    r = task_of(coordinator, search, &effect->job, ret_task);
    return r < 0 ? r : 1;
}

/* Each round gives the task, or proposes a candidate that the next round gives, or finds a search exhausted: so there are
 * at most two rounds for each search, and one more. */
static int lease(struct coordinator *coordinator, uint32_t handle, uint32_t slot,
                 struct task *ret_task)
{
    struct scheduler_event event = {.kind = SCHEDULER_WORKER_WANTS,
                                    .worker = handle,
                                    .slot = slot,
                                    .attempt = coordinator->counters.attempt + 1,
                                    .epoch = coordinator->epoch_next ? coordinator->epoch_next : 1};
    for (size_t round = 0; round < 2 * coordinator->search_count + 1; round++) {
        struct effects effects;
        int r = apply(coordinator, &event, &effects);
        bool nothing = r == SCHEDULER_NOTHING;
        r = 0;
        for (uint32_t i = 0; i < effects.count && r == 0; i++)
            r = apply_lease_effect(coordinator, &effects.items[i], ret_task);
        if (r < 0)
            return r;
        if (r > 0 || nothing)
            return nothing ? LEASE_NOTHING : 0;
    }
    return LEASE_NOTHING;
}

int coordinator_lease(struct coordinator *coordinator, const char *name, uint32_t slot,
                      struct task *ret_task)
{
    if (coordinator->failure)
        return coordinator->failure;
    int handle = find_connected(coordinator, name);
    if (handle < 0)
        return handle;
    if (slot >= coordinator->workers.items[handle].slot_count)
        return -EINVAL;
    uint64_t search;
    struct job running;
    if (!coordinator->reserve_held &&
        !scheduler_find_slot(coordinator->scheduler, (uint32_t)handle, slot, &search, &running))
        return -ENOSPC;
    return coordinator_check(coordinator, lease(coordinator, (uint32_t)handle, slot, ret_task));
}

/* ---- report ---- */

static struct worker_slot *find_slot(struct worker *worker, uint64_t attempt)
{
    for (uint32_t i = 0; i < worker->slot_capacity; i++)
        if (worker->slots[i].attempt == attempt)
            return &worker->slots[i];
    return NULL;
}

static int store_epoch(struct coordinator *coordinator, const struct report *report,
                       uint64_t search, const struct job *job, const struct epoch_metrics *epoch)
{
    int r = store_insert_epoch(coordinator->store, report->attempt, epoch);
    if (r <= 0)
        return r;
    struct event_view event = coordinator_attempt_event(EVENT_CANDIDATE_EPOCH, search, job);
    event.epoch = epoch->number;
    event.accuracy = epoch->validation_accuracy;
    event.loss = epoch->validation_loss;
    return coordinator_tell(coordinator, event);
}

static int take_report(struct coordinator *coordinator, uint32_t handle,
                       const struct report *report)
{
    struct worker *worker = &coordinator->workers.items[handle];
    struct worker_slot *slot = find_slot(worker, report->attempt);
    uint64_t search;
    struct job job;
    bool found = slot && scheduler_find_slot(coordinator->scheduler, handle,
                                             (uint32_t)(slot - worker->slots), &search, &job);
    assert(found && job.attempt == report->attempt);
    slot->steps_done = report->steps_done;
    slot->steps_total = report->steps_total;
    for (uint32_t i = 0; i < report->epoch_count; i++) {
        const struct epoch_metrics *epoch = &report->epochs[i];
        if (epoch->number <= slot->epochs_reported)
            continue;
        int r = store_epoch(coordinator, report, search, &job, epoch);
        if (r < 0)
            return r;
        slot->epochs_reported = epoch->number;
    }
    if (report->checkpoint.bytes == 0 || report->checkpoint.steps_done <= slot->checkpoint_steps)
        return 0;
    slot->checkpoint_steps = report->checkpoint.steps_done;
    return coordinator_keep_checkpoint(coordinator, search, &job, &report->checkpoint);
}

static int check_report(const struct report *report)
{
    if (report->epoch_count > REPORT_EPOCHS_MAX)
        return -EINVAL;
    for (uint32_t i = 0; i < report->epoch_count; i++)
        if (report->epochs[i].number == 0 || report->epochs[i].number > RECIPE_EPOCHS_MAX)
            return -EINVAL;
    return 0;
}

int coordinator_report(struct coordinator *coordinator, const struct report *report)
{
    if (coordinator->failure)
        return coordinator->failure;
    int handle = find_connected(coordinator, report->worker);
    if (handle < 0)
        return handle;
    int r = check_report(report);
    if (r < 0)
        return r;
    struct scheduler_event event = {.kind = SCHEDULER_REPORT,
                                    .worker = (uint32_t)handle,
                                    .attempt = report->attempt,
                                    .epoch = report->epoch};
    struct effects effects;
    int outcome = apply(coordinator, &event, &effects);
    if (outcome == SCHEDULER_STALE)
        return -ESTALE;
    if (outcome == SCHEDULER_STOP)
        return REPORT_STOP;
    r = coordinator_check(coordinator, take_report(coordinator, (uint32_t)handle, report));
    return r == 0 && outcome == SCHEDULER_HAND_BACK ? REPORT_HAND_BACK : r;
}

/* ---- result ---- */

static bool is_positive(double value)
{
    return isfinite(value) && value > 0;
}

static void turn_into(struct result *result, enum outcome outcome, const char *message)
{
    result->outcome = outcome;
    snprintf(result->message, sizeof(result->message), "%s", message);
}

static const struct step_time not_measured = {.median_s = NAN, .spread_s = NAN, .baseline_s = NAN};

/* What a DONE result must have to be stored as one: all that the objectives and the reward are made of. `search` is NULL where
 * the attempt is not running. */
static void check_done(const struct search *search, struct result *result)
{
    const struct step_time *time = &result->step_time;
    const bool timed = is_positive(time->median_s) && is_positive(time->baseline_s);
    if (!isfinite(result->accuracy) || !isfinite(result->loss))
        turn_into(result, OUTCOME_DIVERGED, "the accuracy or the loss is not a number");
    else if (result->accuracy < 0 || result->accuracy > 1)
        turn_into(result, OUTCOME_FAILED, "the accuracy is not between 0 and 1");
    else if (!timed && (!search || search_needs_step_time(search)))
        turn_into(result, OUTCOME_FAILED,
                  "the result came without a step time, which the search's objectives or reward "
                  "are made of");
    else if (!timed)
        result->step_time = not_measured;
}

static double not_negative(double value)
{
    return isfinite(value) && value > 0 ? value : 0;
}

static uint64_t storable(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : value;
}

static struct result checked(const struct search *search, const struct result *result)
{
    struct result checked = *result;
    if (checked.outcome == OUTCOME_DONE)
        check_done(search, &checked);
    checked.seconds = not_negative(checked.seconds);
    checked.first_step_s = not_negative(checked.first_step_s);
    checked.images = storable(checked.images);
    checked.memory_needed_bytes = storable(checked.memory_needed_bytes);
    return checked;
}

struct repeated {
    const char *worker;
    uint64_t epoch;
};

static int answer_repeated(void *context, const struct attempt_row *row)
{
    const struct repeated *repeated = context;
    if (row->epoch != repeated->epoch || strcmp(row->worker, repeated->worker) != 0)
        return -ESTALE;
    if (row->cause == CAUSE_RESULT)
        return 0;
    return row->cause == CAUSE_KEPT ? RESULT_KEPT : -ESTALE;
}

/* The attempt is not running: its own result may have been taken before, then the answer is the same. */
static int answer_late(struct coordinator *coordinator, const char *worker, uint64_t attempt,
                       uint64_t epoch)
{
    struct repeated repeated = {.worker = worker, .epoch = epoch};
    int r = store_find_attempt(coordinator->store, attempt, answer_repeated, &repeated);
    if (r >= 0)
        return r;
    coordinator->statistics.results_stale++;
    return r == -ESTALE || r == -ENOENT ? -ESTALE : coordinator_check(coordinator, r);
}

static int take_result(struct coordinator *coordinator, const struct effect *effect,
                       const struct result *result)
{
    struct worker *worker = &coordinator->workers.items[effect->worker];
    worker->results++;
    if (is_positive(result->step_time.baseline_s))
        worker->slots[effect->job.slot].baseline_s = result->step_time.baseline_s;
    int r = coordinator_end_attempt(coordinator, effect, result);
    return r < 0 ? r : effect->cause == CAUSE_KEPT ? RESULT_KEPT : 0;
}

/* The search that the worker's attempt belongs to; NULL where it does not run. */
static const struct search *running_search(const struct coordinator *coordinator, uint32_t handle,
                                           uint64_t attempt)
{
    struct job job;
    uint64_t search;
    const struct worker *worker = &coordinator->workers.items[handle];
    for (uint32_t i = 0; i < worker->slot_capacity; i++)
        if (scheduler_find_slot(coordinator->scheduler, handle, i, &search, &job) &&
            job.attempt == attempt)
            return coordinator_find_search(coordinator, search);
    return NULL;
}

int coordinator_result(struct coordinator *coordinator, const char *name, uint64_t attempt,
                       uint64_t epoch, const struct result *result)
{
    if (coordinator->failure)
        return coordinator->failure;
    int handle = find_connected(coordinator, name);
    if (handle < 0)
        return handle;
    if (result->outcome < OUTCOME_DONE || result->outcome > OUTCOME_RETURNED)
        return -EINVAL;
    struct result taken = checked(running_search(coordinator, (uint32_t)handle, attempt), result);
    struct scheduler_event event = {.kind = SCHEDULER_RESULT,
                                    .worker = (uint32_t)handle,
                                    .attempt = attempt,
                                    .epoch = epoch,
                                    .outcome = taken.outcome};
    struct effects effects;
    if (apply(coordinator, &event, &effects) == SCHEDULER_STALE)
        return answer_late(coordinator, name, attempt, epoch);
    assert(effects.count == 1);
    return coordinator_check(coordinator, take_result(coordinator, &effects.items[0], &taken));
}
