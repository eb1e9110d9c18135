#include "search/rehearsal.h"

#include "search/random.h"
#include "search/strategy.h"
#include "search/window.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* A worker that trains; the idle ones are only counted. */
struct training {
    uint64_t candidate;
    double finish;
};

struct theatre {
    const struct spec *spec;
    const struct rehearsal_options *options;
    struct strategy *strategy;
    struct rehearsal play;
    uint64_t told;
    struct training *trainings; /* heap: the first to end on top */
    uint32_t training_count, training_max;
    double now, time_unit;
    bool exhausted;
};

static int out_of_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "", "Out of memory.");
}

/* ---- values of entries ---- */

static double mean_macs(const struct result_table *table)
{
    double sum = 0;
    for (size_t i = 0; i < table->count; i++)
        sum += (double)table->entries[i].cost.macs;
    return sum / (double)table->count;
}

static double duration_in(const struct result_table *table, const struct result_entry *entry,
                          double macs_unit)
{
    return table->has_seconds ? entry->seconds : (double)entry->cost.macs / macs_unit;
}

double rehearsal_duration(const struct result_table *table, const struct result_entry *entry)
{
    return duration_in(table, entry, mean_macs(table));
}

struct measures rehearsal_measures(const struct result_entry *entry)
{
    struct measures measures;
    measures.value[OBJECTIVE_ACCURACY] = entry->accuracy;
    measures.value[OBJECTIVE_STEP_TIME] = entry->step_time;
    measures.value[OBJECTIVE_PARAMS] = (double)entry->cost.params;
    measures.value[OBJECTIVE_MACS] = (double)entry->cost.macs;
    measures.value[OBJECTIVE_MEMORY] = (double)entry->cost.activation_bytes;
    measures.value[OBJECTIVE_LOSS] = entry->loss;
    return measures;
}

static double reward_of_measures(const struct spec *spec, const struct measures *measures)
{
    struct measures baseline = spec_baseline_measures(spec);
    return reward_of(&spec->reward, measures, &baseline);
}

double rehearsal_reward(const struct spec *spec, const struct result_entry *entry)
{
    struct measures measures = rehearsal_measures(entry);
    return reward_of_measures(spec, &measures);
}

int rehearsal_check(const struct spec *spec, const struct rehearsal_options *options,
                    struct error *error)
{
    const struct result_table *table = options->table;
    const struct {
        enum objective objective;
        bool has;
    } measured[] = {{OBJECTIVE_STEP_TIME, table->has_step_time}, {OBJECTIVE_LOSS, table->has_loss}};
    for (size_t i = 0; i < ARRAY_LENGTH(measured); i++) {
        enum objective objective = measured[i].objective;
        const char *name = objective_name(objective);
        bool rewarded = spec->reward.exponent[objective] != 0;
        if (!measured[i].has && (rewarded || spec_has_objective(spec, objective)))
            return error_set(error, -EINVAL, rewarded ? "/reward" : "/objectives",
                             "The spec's %s %s %s, for which the table has no column; leave it out "
                             "of the spec or name the column.",
                             rewarded ? "reward" : "objectives", rewarded ? "takes" : "have", name);
    }
    if (options->noise && table->run_count < 2)
        return error_set(error, -EINVAL, "",
                         "Noise takes at least two runs of each architecture; the table has %zu "
                         "columns of them.",
                         table->run_count);
    for (size_t i = 0; i < table->count; i++)
        if (spec_feasible(spec, &table->entries[i].cost))
            return 0;
    return error_set(error, -EINVAL, "/constraints",
                     "No architecture of the table meets the limits of the spec.");
}

/* ---- the workers ---- */

static bool ends_before(const struct training *a, const struct training *b)
{
    return a->finish != b->finish ? a->finish < b->finish : a->candidate < b->candidate;
}

static void swap(struct training *a, struct training *b)
{
    struct training kept = *a;
    *a = *b;
    *b = kept;
}

static void training_add(struct theatre *theatre, struct training training)
{
    uint32_t at = theatre->training_count++;
    theatre->trainings[at] = training;
    for (; at > 0 && ends_before(&theatre->trainings[at], &theatre->trainings[(at - 1) / 2]);
         at = (at - 1) / 2)
        swap(&theatre->trainings[at], &theatre->trainings[(at - 1) / 2]);
}

static struct training training_take(struct theatre *theatre)
{
    struct training first = theatre->trainings[0], *heap = theatre->trainings;
    heap[0] = heap[--theatre->training_count];
    for (uint32_t at = 0, child; (child = 2 * at + 1) < theatre->training_count; at = child) {
        if (child + 1 < theatre->training_count && ends_before(&heap[child + 1], &heap[child]))
            child++;
        if (!ends_before(&heap[child], &heap[at]))
            break;
        swap(&heap[child], &heap[at]);
    }
    return first;
}

/* ---- candidates ---- */

static bool may_propose(const struct theatre *theatre)
{
    const struct spec *spec = theatre->spec;
    uint64_t k = theatre->play.count, awaited = window_awaited(spec, k);
    if (theatre->exhausted || k == spec->candidates_max ||
        theatre->training_count == theatre->training_max)
        return false;
    return !spec->deterministic || awaited == UINT64_MAX ||
           theatre->play.candidates[awaited].finished;
}

static int tell_up_to(struct theatre *theatre, uint64_t target)
{
    while (theatre->told < target) {
        uint64_t number = window_candidate(theatre->spec, theatre->play.accepted, theatre->told);
        const struct rehearsal_candidate *candidate = &theatre->play.candidates[number];
        assert(candidate->finished);
        struct observation observation = {.candidate = number, .usable = candidate->entry != NULL};
        if (observation.usable) {
            observation.reward = candidate->reward;
            observation.measures = rehearsal_measures(candidate->entry);
            observation.measures.value[OBJECTIVE_ACCURACY] = candidate->accuracy;
        }
        int r = strategy_tell(theatre->strategy, &observation);
        if (r < 0)
            return r;
        theatre->told++;
    }
    return 0;
}

/* What the training of candidate k would report: a function of (seed, k), whoever trains it and when. */
static void observe(const struct theatre *theatre, uint64_t k,
                    struct rehearsal_candidate *candidate)
{
    struct measures measures = rehearsal_measures(candidate->entry);
    if (theatre->options->noise) {
        struct random_stream random =
            random_stream_of(theatre->spec->seed, k, RANDOM_REHEARSED_RUN);
        measures.value[OBJECTIVE_ACCURACY] =
            candidate->entry->run[random_below(&random, theatre->options->table->run_count)];
    }
    candidate->accuracy = measures.value[OBJECTIVE_ACCURACY];
    candidate->reward = reward_of_measures(theatre->spec, &measures);
}

static int refuse_missing(const struct theatre *theatre, const struct encoding *encoding,
                          struct error *error)
{
    char name[RESULT_NAME_SIZE];
    result_encoding_name(theatre->spec->space, encoding, name);
    return error_set(error, -ENOENT, "",
                     "The table has no result for %s, which candidate %" PRIu64
                     " of strategy %s with seed %" PRIu64 " is.",
                     name, theatre->play.count, theatre->spec->strategy.name, theatre->spec->seed);
}

/* Proposes the next candidate and starts its training. 0, STRATEGY_EXHAUSTED, or an error. */
static int propose(struct theatre *theatre, struct error *error)
{
    const uint64_t k = theatre->play.count;
    struct rehearsal_candidate candidate = {
        .seen = window_size(theatre->spec, k, theatre->play.accepted_count),
        .accuracy = NAN,
        .reward = NAN};
    int r = tell_up_to(theatre, candidate.seen);
    if (r == 0)
        r = strategy_ask(theatre->strategy, k, &candidate.encoding);
    if (r < 0)
        return r == -ENOMEM ? out_of_memory(error)
                            : error_set(error, r, "", "The strategy refused its own candidates.");
    if (r == STRATEGY_EXHAUSTED)
        return r;
    struct architecture architecture;
    space_architecture(theatre->spec->space, &candidate.encoding, &architecture);
    candidate.hash = architecture_hash(&architecture);
    candidate.parent = strategy_parent(theatre->strategy);
    candidate.entry = result_table_find(theatre->options->table, candidate.hash);
    if (!candidate.entry && theatre->options->missing == REHEARSAL_MISSING_FAILS)
        return refuse_missing(theatre, &candidate.encoding, error);
    candidate.finish = theatre->now;
    if (candidate.entry) {
        observe(theatre, k, &candidate);
        candidate.finish +=
            duration_in(theatre->options->table, candidate.entry, theatre->time_unit);
    }
    theatre->play.candidates[theatre->play.count++] = candidate;
    training_add(theatre, (struct training){k, candidate.finish});
    return 0;
}

static void accept_next(struct theatre *theatre)
{
    struct training training = training_take(theatre);
    theatre->now = training.finish;
    theatre->play.candidates[training.candidate].finished = true;
    theatre->play.accepted[theatre->play.accepted_count++] = training.candidate;
}

static int play(struct theatre *theatre, struct error *error)
{
    for (;;) {
        while (may_propose(theatre)) {
            int r = propose(theatre, error);
            if (r < 0)
                return r;
            theatre->exhausted = r == STRATEGY_EXHAUSTED;
        }
        if (theatre->training_count == 0)
            return 0;
        accept_next(theatre);
    }
}

static int theatre_allocate(struct theatre *theatre)
{
    const size_t budget = theatre->spec->candidates_max;
    theatre->play.candidates = calloc(budget, sizeof theatre->play.candidates[0]);
    theatre->play.accepted = calloc(budget, sizeof theatre->play.accepted[0]);
    theatre->trainings = calloc(theatre->training_max, sizeof theatre->trainings[0]);
    return theatre->play.candidates && theatre->play.accepted && theatre->trainings ? 0 : -ENOMEM;
}

int rehearsal_run(const struct spec *spec, const struct rehearsal_options *options,
                  struct rehearsal *ret_rehearsal, struct error *error)
{
    struct theatre theatre = {.spec = spec,
                              .options = options,
                              .training_max = options->workers < spec->parallel_max
                                                  ? options->workers
                                                  : spec->parallel_max,
                              .time_unit = mean_macs(options->table)};
    int r = theatre_allocate(&theatre) < 0 ? out_of_memory(error)
                                           : strategy_new(spec, &theatre.strategy, error);
    if (r == 0)
        r = play(&theatre, error);
    strategy_free(theatre.strategy);
    free(theatre.trainings);
    if (r < 0) {
        rehearsal_release(&theatre.play);
        return r;
    }
    *ret_rehearsal = theatre.play;
    return 0;
}

void rehearsal_release(struct rehearsal *rehearsal)
{
    free(rehearsal->candidates);
    free(rehearsal->accepted);
    *rehearsal = (struct rehearsal){0};
}
