#include "search/rehearsal_score.h"

#include <errno.h>
#include <math.h>

enum { MARK_FIRST = 25 };

size_t rehearsal_marks(uint32_t budget, uint32_t ret_marks[REHEARSAL_MARKS_MAX])
{
    size_t count = 0;
    for (uint64_t mark = MARK_FIRST; mark < budget; mark *= 2)
        ret_marks[count++] = (uint32_t)mark;
    ret_marks[count++] = budget;
    return count;
}

static int front_add(const struct spec *spec, struct pareto *front,
                     const struct result_entry *entry)
{
    struct measures measures = rehearsal_measures(entry);
    struct pareto_point point = {.candidate = 0};
    for (size_t i = 0; i < spec->objective_count; i++)
        point.value[i] = measures.value[spec->objectives[i]];
    int r = pareto_add(front, &point);
    return r < 0 ? r : 0;
}

static double front_hypervolume(const struct spec *spec, const struct pareto *front)
{
    double reference[PARETO_OBJECTIVES_MAX];
    for (size_t i = 0; i < spec->objective_count; i++)
        reference[i] = spec_reference(spec, spec->objectives[i]);
    return pareto_hypervolume(front, reference);
}

int rehearsal_truth_of(const struct spec *spec, const struct result_table *table,
                       struct rehearsal_truth *ret_truth)
{
    struct pareto *front;
    struct rehearsal_truth truth = {.best = NULL};
    int r = pareto_new(spec->objectives, spec->objective_count, &front);
    if (r < 0)
        return r;
    for (size_t i = 0; i < table->count && r == 0; i++) {
        const struct result_entry *entry = &table->entries[i];
        if (!spec_feasible(spec, &entry->cost))
            continue;
        double reward = rehearsal_reward(spec, entry);
        if (!truth.best || reward > truth.reward) {
            truth.best = entry;
            truth.reward = reward;
        }
        r = front_add(spec, front, entry);
    }
    truth.front_count = pareto_count(front);
    truth.hypervolume = front_hypervolume(spec, front);
    pareto_free(front);
    if (r == 0)
        *ret_truth = truth;
    return r;
}

/* What a score is summed up from, result by result. */
struct scoring {
    const struct spec *spec;
    const struct rehearsal *rehearsal;
    const struct rehearsal_truth *truth;
    struct pareto *front;
    const struct rehearsal_candidate *best; /* by observed reward */
    double clock;
};

static struct rehearsal_standing standing_of(const struct scoring *scoring)
{
    struct rehearsal_standing standing = {
        .accuracy = NAN, .reward = NAN, .regret = NAN, .hypervolume = NAN, .clock = scoring->clock};
    if (scoring->truth->hypervolume > 0)
        standing.hypervolume =
            front_hypervolume(scoring->spec, scoring->front) / scoring->truth->hypervolume;
    if (!scoring->best)
        return standing;
    standing.accuracy = scoring->best->entry->accuracy;
    standing.reward = rehearsal_reward(scoring->spec, scoring->best->entry);
    standing.regret = scoring->truth->reward - standing.reward;
    return standing;
}

static int take_result(struct scoring *scoring, uint64_t index, double within, uint64_t *reached)
{
    const struct rehearsal_candidate *candidate =
        &scoring->rehearsal->candidates[scoring->rehearsal->accepted[index]];
    scoring->clock = candidate->finish;
    if (!candidate->entry)
        return 0;
    if (!scoring->best || candidate->reward > scoring->best->reward)
        scoring->best = candidate;
    double distance = scoring->truth->reward - rehearsal_reward(scoring->spec, candidate->entry);
    if (*reached == 0 && distance <= within)
        *reached = index + 1;
    return front_add(scoring->spec, scoring->front, candidate->entry);
}

int rehearsal_score_of(const struct spec *spec, const struct rehearsal *rehearsal,
                       const struct rehearsal_truth *truth, double within,
                       struct rehearsal_score *ret_score)
{
    struct scoring scoring = {.spec = spec, .rehearsal = rehearsal, .truth = truth};
    struct rehearsal_score score = {.reached = 0};
    uint32_t marks[REHEARSAL_MARKS_MAX];
    size_t mark_count = rehearsal_marks(spec->candidates_max, marks), mark = 0;
    int r = pareto_new(spec->objectives, spec->objective_count, &scoring.front);
    if (r < 0)
        return r;
    for (uint64_t i = 0; i < rehearsal->accepted_count && r == 0; i++) {
        r = take_result(&scoring, i, within, &score.reached);
        if (i + 1 == marks[mark])
            score.standings[mark++] = standing_of(&scoring);
    }
    while (mark < mark_count)
        score.standings[mark++] = standing_of(&scoring);
    pareto_free(scoring.front);
    if (r == 0)
        *ret_score = score;
    return r;
}

/* Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom; beyond them Cornish and Fisher's expansion. */
static double student_quantile(size_t freedom)
{
    static const double quantiles[] = {12.706, 4.303, 3.182, 2.776, 2.571,
                                       2.447,  2.365, 2.306, 2.262, 2.228};
    const double normal = 1.959964;
    if (freedom <= ARRAY_LENGTH(quantiles))
        return quantiles[freedom - 1];
    double n = (double)freedom, cube = normal * normal * normal;
    return normal + (cube + normal) / (4 * n) +
           (5 * cube * normal * normal + 16 * cube + 3 * normal) / (96 * n * n);
}

struct rehearsal_mean rehearsal_mean_of(const double *values, size_t count)
{
    struct rehearsal_mean mean = {.mean = 0, .half_width = NAN};
    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i]))
            continue;
        mean.mean += values[i];
        mean.count++;
    }
    mean.mean = mean.count > 0 ? mean.mean / (double)mean.count : NAN;
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i]))
            squares += (values[i] - mean.mean) * (values[i] - mean.mean);
    if (mean.count > 1)
        mean.half_width = student_quantile(mean.count - 1) *
                          sqrt(squares / (double)(mean.count - 1) / (double)mean.count);
    return mean;
}
