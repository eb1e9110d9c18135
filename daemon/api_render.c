#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "daemon/api_internal.h"
#include "search/strategy.h"

enum { TIME_SIZE = 40, HASH_SIZE = 17, MICROSECONDS = 1000000, MILLISECONDS = 1000 };

/* A member that could not be made for lack of memory spoils the whole object: NULL then, and for NULL. */
static json_t *whole(json_t *object, size_t members)
{
    if (object && json_object_size(object) == members)
        return object;
    json_decref(object);
    return NULL;
}

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

/* An array that an element could not be added to becomes NULL. */
static void append(json_t **array, json_t *value)
{
    if (json_array_append_new(*array, value) < 0) {
        json_decref(*array);
        *array = NULL;
    }
}

static json_t *unsigned_json(uint64_t number)
{
    return json_integer(number < INT64_MAX ? (json_int_t)number : INT64_MAX);
}

/* null where `known` is false */
static json_t *maybe_unsigned(bool known, uint64_t number)
{
    return known ? unsigned_json(number) : json_null();
}

json_t *api_number_json(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

static json_t *maybe_number(bool known, double number)
{
    return known ? api_number_json(number) : json_null();
}

static json_t *outcome_json(enum outcome outcome)
{
    return outcome == OUTCOME_NONE ? json_null() : json_string(outcome_name(outcome));
}

json_t *api_time_json(int64_t time_us)
{
    char text[TIME_SIZE];
    struct tm parts;
    time_t seconds = (time_t)(time_us / MICROSECONDS);
    if (time_us <= 0 || !gmtime_r(&seconds, &parts))
        return json_null();
    size_t used = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + used, sizeof text - used, ".%03dZ",
             (int)(time_us % MICROSECONDS / MILLISECONDS));
    return json_string(text);
}

json_t *api_reward_json(const struct reward *reward)
{
    json_t *object = json_object();
    size_t members = 0;
    for (int i = 0; i < OBJECTIVE_COUNT; i++) {
        if (reward->exponent[i] == 0)
            continue;
        set(object, objective_name((enum objective)i), api_number_json(reward->exponent[i]));
        members++;
    }
    return whole(object, members);
}

/* ---- searches ---- */

static json_t *objectives_json(const struct spec *spec)
{
    json_t *array = json_array();
    for (size_t i = 0; i < spec->objective_count; i++)
        append(&array, json_string(objective_name(spec->objectives[i])));
    return array;
}

static json_t *progress_json(const struct progress *progress)
{
    json_t *object = json_object();
    set(object, "budget", unsigned_json(progress->budget));
    set(object, "created", unsigned_json(progress->created));
    for (int i = 0; i < CANDIDATE_STATE_COUNT; i++)
        set(object, candidate_state_name((enum candidate_state)i),
            unsigned_json(progress->count[i]));
    return whole(object, 2 + CANDIDATE_STATE_COUNT);
}

static json_t *spend_json(const struct spend *spend)
{
    json_t *object = json_object();
    set(object, "results", unsigned_json(spend->results));
    set(object, "seconds", api_number_json(spend->seconds));
    set(object, "images", unsigned_json(spend->images));
    return whole(object, 3);
}

json_t *api_search_json(const struct search_view *view, bool with_spec)
{
    const struct spec *spec = view->spec;
    json_t *object = json_object();
    set(object, "id", unsigned_json(view->id));
    set(object, "name", spec ? json_string(spec->name) : json_null());
    set(object, "state", json_string(search_state_name(view->state)));
    set(object, "problem",
        view->problem && *view->problem ? json_string(view->problem) : json_null());
    set(object, "created_at", api_time_json(view->created_us));
    set(object, "finished_at", api_time_json(view->finished_us));
    set(object, "dataset", spec ? json_string(spec->dataset.name) : json_null());
    set(object, "strategy", spec ? json_string(spec->strategy.name) : json_null());
    set(object, "objectives", spec ? objectives_json(spec) : json_null());
    set(object, "reward", spec ? api_reward_json(&spec->reward) : json_null());
    set(object, "progress", progress_json(&view->progress));
    set(object, "spend", spend_json(&view->spend));
    set(object, "eta_seconds", maybe_number(view->eta_s >= 0, view->eta_s));
    set(object, "exhausted", json_boolean(view->exhausted));
    set(object, "best", json_null());
    if (with_spec) {
        json_t *text = json_loadb(view->text, view->text_length, 0, NULL);
        set(object, "spec", text ? text : json_null());
    }
    return whole(object, with_spec ? 16 : 15);
}

/* ---- candidates ---- */

static json_t *timing_json(bool done, const struct step_time *step_time)
{
    if (!done || isnan(step_time->median_s))
        return json_null();
    json_t *object = json_object();
    set(object, "median_seconds", api_number_json(step_time->median_s));
    set(object, "spread_seconds", api_number_json(step_time->spread_s));
    set(object, "blocks", unsigned_json(step_time->blocks));
    set(object, "baseline_seconds", api_number_json(step_time->baseline_s));
    set(object, "contended", json_boolean(step_time->contended));
    return whole(object, 5);
}

static json_t *running_json(const struct candidate_view *view)
{
    if (view->state != CANDIDATE_LEASED)
        return json_null();
    json_t *object = json_object();
    set(object, "worker", json_string(view->worker ? view->worker : ""));
    set(object, "slot", unsigned_json(view->slot));
    set(object, "steps_done", unsigned_json(view->steps_done));
    set(object, "steps_total", unsigned_json(view->steps_total));
    return whole(object, 4);
}

json_t *api_candidate_json(const struct candidate_view *view)
{
    bool done = view->state == CANDIDATE_DONE;
    const double *value = view->measures.value;
    char text[ARCHITECTURE_TEXT_SIZE], hash[HASH_SIZE];
    architecture_text(&view->architecture, text);
    snprintf(hash, sizeof hash, "%016" PRIx64, view->hash);
    json_t *object = json_object();
    set(object, "search", unsigned_json(view->search));
    set(object, "number", unsigned_json(view->number));
    set(object, "state", json_string(candidate_state_name(view->state)));
    set(object, "outcome", outcome_json(view->outcome));
    set(object, "architecture", json_string(text));
    set(object, "hash", json_string(hash));
    set(object, "reward", maybe_number(done, view->reward));
    set(object, "accuracy", maybe_number(done, value[OBJECTIVE_ACCURACY]));
    set(object, "loss", maybe_number(done, value[OBJECTIVE_LOSS]));
    const bool timed = done && !isnan(value[OBJECTIVE_STEP_TIME]);
    set(object, "step_time", maybe_number(timed, value[OBJECTIVE_STEP_TIME]));
    set(object, "params", unsigned_json(view->cost.params));
    set(object, "macs", unsigned_json(view->cost.macs));
    set(object, "memory", unsigned_json(view->cost.activation_bytes));
    set(object, "params_with_bn_statistics", unsigned_json(view->cost.params_with_bn_statistics));
    set(object, "timing", timing_json(done, &view->step_time));
    set(object, "attempt_count", unsigned_json(view->attempts));
    set(object, "seen", unsigned_json(view->seen));
    set(object, "parent", maybe_unsigned(view->parent != STRATEGY_NO_PARENT, view->parent));
    set(object, "created_at", api_time_json(view->created_us));
    set(object, "finished_at", api_time_json(view->finished_us));
    set(object, "running", running_json(view));
    return whole(object, 21);
}

static json_t *epoch_json(const struct epoch_metrics *epoch)
{
    json_t *object = json_object();
    set(object, "number", unsigned_json(epoch->number));
    set(object, "train_loss", api_number_json(epoch->train_loss));
    set(object, "train_accuracy", api_number_json(epoch->train_accuracy));
    set(object, "validation_loss", api_number_json(epoch->validation_loss));
    set(object, "validation_accuracy", api_number_json(epoch->validation_accuracy));
    set(object, "seconds", api_number_json(epoch->seconds));
    return whole(object, 6);
}

static json_t *epochs_json(const struct attempt_view *view)
{
    json_t *array = json_array();
    for (size_t i = 0; i < view->epoch_count; i++)
        append(&array, epoch_json(&view->epochs[i]));
    return array;
}

json_t *api_attempt_json(const struct attempt_view *view)
{
    const struct result *result = &view->result;
    bool ended = result->outcome != OUTCOME_NONE, done = result->outcome == OUTCOME_DONE;
    json_t *object = json_object();
    set(object, "attempt", unsigned_json(view->attempt));
    set(object, "rung", unsigned_json(view->rung));
    set(object, "worker", json_string(view->worker));
    set(object, "slot", unsigned_json(view->slot));
    set(object, "micro_batches", unsigned_json(view->micro_batches));
    set(object, "started_at", api_time_json(view->started_us));
    set(object, "ended_at", api_time_json(view->ended_us));
    set(object, "outcome", outcome_json(result->outcome));
    set(object, "message", json_string(result->message));
    set(object, "accuracy", maybe_number(done, result->accuracy));
    set(object, "loss", maybe_number(done, result->loss));
    set(object, "timing", timing_json(done, &result->step_time));
    set(object, "seconds", maybe_number(ended, result->seconds));
    set(object, "first_step_seconds", maybe_number(ended, result->first_step_s));
    set(object, "images", maybe_unsigned(ended, result->images));
    set(object, "memory_needed_bytes",
        maybe_unsigned(result->outcome == OUTCOME_OUT_OF_MEMORY, result->memory_needed_bytes));
    set(object, "epochs", epochs_json(view));
    return whole(object, 17);
}

/* ---- workers, data sets, events ---- */

static json_t *slot_json(const struct slot_view *slot, uint32_t number)
{
    json_t *object = json_object();
    set(object, "slot", unsigned_json(number));
    set(object, "device", json_string(slot->device));
    set(object, "busy", json_boolean(slot->busy));
    set(object, "search", maybe_unsigned(slot->busy, slot->search));
    set(object, "candidate", maybe_unsigned(slot->busy, slot->candidate));
    set(object, "attempt", maybe_unsigned(slot->busy, slot->attempt));
    set(object, "steps_done", maybe_unsigned(slot->busy, slot->steps_done));
    set(object, "steps_total", maybe_unsigned(slot->busy, slot->steps_total));
    set(object, "baseline_seconds", maybe_number(slot->baseline_s > 0, slot->baseline_s));
    return whole(object, 9);
}

json_t *api_worker_json(const struct worker_view *view)
{
    json_t *object = json_object(), *slots = json_array(), *datasets = json_array();
    for (uint32_t i = 0; i < view->slot_count; i++)
        append(&slots, slot_json(&view->slots[i], i));
    for (uint32_t i = 0; i < view->dataset_count; i++)
        append(&datasets, json_string(view->datasets[i]->name));
    set(object, "name", json_string(view->name));
    set(object, "host", json_string(view->host));
    set(object, "version", json_string(view->version));
    set(object, "registered_at", api_time_json(view->registered_us));
    set(object, "seen_seconds_ago", api_number_json((double)view->seen_ms_ago / MILLISECONDS));
    set(object, "results", unsigned_json(view->results));
    set(object, "slots", slots);
    set(object, "datasets", datasets);
    return whole(object, 8);
}

json_t *api_dataset_json(const struct dataset_view *view)
{
    const struct dataset *dataset = view->dataset;
    json_t *object = json_object();
    set(object, "name", json_string(dataset->name));
    set(object, "image_size", unsigned_json(dataset->image_size));
    set(object, "image_channels", unsigned_json(dataset->image_channels));
    set(object, "classes", unsigned_json(dataset->classes));
    set(object, "train_images", unsigned_json(dataset->train_images));
    set(object, "test_images", unsigned_json(dataset->test_images));
    set(object, "well_known", json_boolean(view->well_known));
    set(object, "workers", unsigned_json(view->workers));
    return whole(object, 8);
}

json_t *api_event_json(const struct event_view *view)
{
    size_t members = 4;
    json_t *object = json_object();
    set(object, "id", unsigned_json(view->id));
    set(object, "kind", json_string(event_kind_name(view->kind)));
    set(object, "at", api_time_json(view->at_us));
    set(object, "search", unsigned_json(view->search));
    if (view->kind >= EVENT_CANDIDATE_LEASED) {
        set(object, "candidate", unsigned_json(view->candidate));
        set(object, "attempt", unsigned_json(view->attempt));
        members += 2;
    }
    if (view->kind == EVENT_CANDIDATE_EPOCH) {
        set(object, "epoch", unsigned_json(view->epoch));
        members++;
    }
    if (view->outcome != OUTCOME_NONE) {
        set(object, "outcome", outcome_json(view->outcome));
        members++;
    }
    if (isfinite(view->accuracy)) {
        set(object, "accuracy", api_number_json(view->accuracy));
        members++;
    }
    if (isfinite(view->loss)) {
        set(object, "loss", api_number_json(view->loss));
        members++;
    }
    return whole(object, members);
}
