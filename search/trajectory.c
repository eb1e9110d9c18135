#include "search/trajectory.h"

#include "search/strategy.h"
#include "search/window.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double REWARD_TOLERANCE = 1e-12;

struct check {
    const struct trajectory *trajectory;
    const struct spec *spec;
    struct strategy *strategy;
    uint64_t *accepted; /* candidates in the order of acceptance */
    uint64_t accepted_count;
    uint64_t told;
    struct trajectory_difference *difference;
};

/* ---- differences ---- */

static int differ(struct check *check, uint64_t candidate, const char *field)
{
    struct trajectory_difference *difference = check->difference;
    difference->candidate = candidate;
    difference->field = field;
    return TRAJECTORY_DIFFERS;
}

static void write_number(char text[TRAJECTORY_TEXT_SIZE], uint64_t number)
{
    if (number == UINT64_MAX)
        snprintf(text, TRAJECTORY_TEXT_SIZE, "none");
    else
        snprintf(text, TRAJECTORY_TEXT_SIZE, "%" PRIu64, number);
}

/* UINT64_MAX is "none". */
static int compare_numbers(struct check *check, uint64_t candidate, const char *field,
                           uint64_t stored, uint64_t expected)
{
    if (stored == expected)
        return 0;
    write_number(check->difference->stored, stored);
    write_number(check->difference->expected, expected);
    return differ(check, candidate, field);
}

static int differ_in_words(struct check *check, uint64_t candidate, const char *field,
                           const char *stored, const char *expected)
{
    snprintf(check->difference->stored, TRAJECTORY_TEXT_SIZE, "%s", stored);
    snprintf(check->difference->expected, TRAJECTORY_TEXT_SIZE, "%s", expected);
    return differ(check, candidate, field);
}

static int compare_hashes(struct check *check, uint64_t candidate, uint64_t stored,
                          uint64_t expected)
{
    char stored_text[32], expected_text[32];
    if (stored == expected)
        return 0;
    snprintf(stored_text, sizeof stored_text, "%016" PRIx64, stored);
    snprintf(expected_text, sizeof expected_text, "%016" PRIx64, expected);
    return differ_in_words(check, candidate, "hash", stored_text, expected_text);
}

static void write_choices(const struct spec *spec, const struct encoding *encoding,
                          char text[TRAJECTORY_TEXT_SIZE])
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < space_stage_count(spec->space); i++)
        used += (size_t)snprintf(text + used, TRAJECTORY_TEXT_SIZE - used, "%s%u", i ? ":" : "",
                                 (unsigned)encoding->choices[i]);
}

static int compare_choices(struct check *check, uint64_t candidate, const struct encoding *stored,
                           const struct encoding *expected)
{
    if (memcmp(stored, expected, sizeof *stored) == 0)
        return 0;
    write_choices(check->spec, stored, check->difference->stored);
    write_choices(check->spec, expected, check->difference->expected);
    return differ(check, candidate, "choices");
}

/* ---- the order of acceptance ---- */

static int order_results(struct check *check)
{
    const struct trajectory *trajectory = check->trajectory;
    for (uint64_t k = 0; k < trajectory->count; k++)
        check->accepted_count += trajectory->trials[k].position != TRAJECTORY_NO_POSITION;
    for (uint64_t i = 0; i < check->accepted_count; i++)
        check->accepted[i] = UINT64_MAX;
    for (uint64_t k = 0; k < trajectory->count; k++) {
        uint64_t position = trajectory->trials[k].position;
        if (position == TRAJECTORY_NO_POSITION)
            continue;
        bool fits = position < check->accepted_count;
        if (!fits || check->accepted[position] != UINT64_MAX) {
            write_number(check->difference->stored, position);
            snprintf(check->difference->expected, TRAJECTORY_TEXT_SIZE,
                     fits ? "one that no other candidate has"
                          : "one below %" PRIu64 ", the results",
                     check->accepted_count);
            return differ(check, k, "position");
        }
        check->accepted[position] = k;
    }
    return 0;
}

/* ---- rewards ---- */

static int verify_reward(struct check *check, uint64_t k)
{
    const struct trial *trial = &check->trajectory->trials[k];
    if (trial->position == TRAJECTORY_NO_POSITION || !trial->usable)
        return 0;
    struct measures baseline = spec_baseline_measures(check->spec);
    double expected = reward_of(&check->spec->reward, &trial->measures, &baseline);
    if (fabs(trial->reward - expected) <= REWARD_TOLERANCE * fabs(expected))
        return 0;
    snprintf(check->difference->stored, TRAJECTORY_TEXT_SIZE, "%.17g", trial->reward);
    snprintf(check->difference->expected, TRAJECTORY_TEXT_SIZE, "%.17g", expected);
    return differ(check, k, "reward");
}

/* ---- proposals ---- */

static int tell(struct check *check, uint64_t number)
{
    const struct trial *trial = &check->trajectory->trials[number];
    struct observation observation = {.candidate = number, .usable = trial->usable};
    if (trial->usable) {
        observation.reward = trial->reward;
        observation.measures = trial->measures;
    }
    return strategy_tell(check->strategy, &observation);
}

static int verify_seen(struct check *check, uint64_t k)
{
    char expected[TRAJECTORY_TEXT_SIZE], stored[TRAJECTORY_TEXT_SIZE];
    uint64_t seen = check->trajectory->trials[k].seen;
    if (check->spec->deterministic)
        return compare_numbers(check, k, "seen", seen, window_size(check->spec, k, 0));
    if (seen >= check->told && seen <= check->accepted_count)
        return 0;
    write_number(stored, seen);
    snprintf(expected, sizeof expected, "%" PRIu64 " to %" PRIu64, check->told,
             check->accepted_count);
    return differ_in_words(check, k, "seen", stored, expected);
}

/* Tells what proposal k had seen; all of that had been proposed before it and had a result. */
static int tell_seen(struct check *check, uint64_t k)
{
    const struct trajectory *trajectory = check->trajectory;
    for (; check->told < trajectory->trials[k].seen; check->told++) {
        uint64_t number = window_candidate(check->spec, check->accepted, check->told);
        if (number >= k) {
            char stored[64];
            snprintf(stored, sizeof stored, "the result of candidate %" PRIu64, number);
            return differ_in_words(check, k, "seen", stored, "results of earlier candidates");
        }
        if (trajectory->trials[number].position == TRAJECTORY_NO_POSITION) {
            char expected[64];
            snprintf(expected, sizeof expected, "one, because proposal %" PRIu64 " has seen it", k);
            return differ_in_words(check, number, "position", "none", expected);
        }
        int r = tell(check, number);
        if (r < 0)
            return r;
    }
    return 0;
}

static int verify_costs(struct check *check, uint64_t k, const struct encoding *encoding)
{
    const struct trial *trial = &check->trajectory->trials[k];
    struct architecture architecture;
    space_architecture(check->spec->space, encoding, &architecture);
    struct cost cost = cost_of(&architecture, &check->spec->problem);
    int r = compare_hashes(check, k, trial->hash, architecture_hash(&architecture));
    if (r == 0)
        r = compare_numbers(check, k, "params", trial->params, cost.params);
    if (r == 0)
        r = compare_numbers(check, k, "macs", trial->macs, cost.macs);
    if (r == 0)
        r = compare_numbers(check, k, "memory", trial->memory, cost.activation_bytes);
    return r;
}

static int verify_proposal(struct check *check, uint64_t k)
{
    const struct trial *trial = &check->trajectory->trials[k];
    struct encoding encoding = {{0}};
    if (k >= check->spec->candidates_max)
        return differ_in_words(check, k, "number", "a candidate", "none: the budget is used");
    int r = verify_seen(check, k);
    if (r == 0)
        r = tell_seen(check, k);
    if (r)
        return r;
    r = strategy_ask(check->strategy, k, &encoding);
    if (r == STRATEGY_EXHAUSTED)
        return differ_in_words(check, k, "number", "a candidate",
                               "none: nothing is left to propose");
    if (r == 0)
        r = compare_choices(check, k, &trial->encoding, &encoding);
    if (r == 0)
        r = verify_costs(check, k, &encoding);
    if (r == 0)
        r = compare_numbers(check, k, "parent", trial->parent, strategy_parent(check->strategy));
    return r;
}

/* ---- best and front ---- */

static int verify_best(struct check *check)
{
    const struct trajectory *trajectory = check->trajectory;
    uint64_t best = UINT64_MAX;
    for (uint64_t k = 0; k < trajectory->count; k++) {
        const struct trial *trial = &trajectory->trials[k];
        if (trial->position == TRAJECTORY_NO_POSITION || !trial->usable)
            continue;
        if (best == UINT64_MAX || trial->reward > trajectory->trials[best].reward)
            best = k;
    }
    uint64_t stored = trajectory->best_known ? trajectory->best : UINT64_MAX;
    return compare_numbers(check, stored == UINT64_MAX ? best : stored, "best", stored, best);
}

static int add_points(struct check *check, struct pareto *pareto)
{
    const struct spec *spec = check->spec;
    for (uint64_t i = 0; i < check->accepted_count; i++) {
        const struct trial *trial = &check->trajectory->trials[check->accepted[i]];
        struct pareto_point point = {.candidate = check->accepted[i]};
        bool measured = trial->usable; /* a step time may be missing */
        for (size_t j = 0; measured && j < spec->objective_count; j++) {
            point.value[j] = trial->measures.value[spec->objectives[j]];
            measured = isfinite(point.value[j]);
        }
        int r = measured ? pareto_add(pareto, &point) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int compare_fronts(struct check *check, const struct pareto *pareto)
{
    enum { STORED = 1, EXPECTED = 2 };
    const struct trajectory *trajectory = check->trajectory;
    unsigned char *marks = calloc(trajectory->count + 1, 1);
    if (!marks)
        return -ENOMEM;
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < trajectory->front_count; i++) {
        uint64_t number = trajectory->front[i];
        if (number < trajectory->count)
            marks[number] |= STORED;
        else
            r = differ_in_words(check, number, "front", "on it", "no such candidate");
    }
    for (size_t i = 0; i < pareto_count(pareto); i++)
        marks[pareto_points(pareto)[i].candidate] |= EXPECTED;
    for (uint64_t k = 0; r == 0 && k < trajectory->count; k++) {
        if (marks[k] == STORED)
            r = differ_in_words(check, k, "front", "on it", "not on it");
        else if (marks[k] == EXPECTED)
            r = differ_in_words(check, k, "front", "not on it", "on it");
    }
    free(marks);
    return r;
}

static int verify_front(struct check *check)
{
    struct pareto *pareto;
    int r = pareto_new(check->spec->objectives, check->spec->objective_count, &pareto);
    if (r < 0)
        return r;
    r = add_points(check, pareto);
    if (r == 0)
        r = compare_fronts(check, pareto);
    pareto_free(pareto);
    return r;
}

/* ---- all of it ---- */

static int verify(struct check *check)
{
    uint64_t count = check->trajectory->count;
    int r = order_results(check);
    for (uint64_t k = 0; r == 0 && k < count; k++)
        r = verify_reward(check, k);
    for (uint64_t k = 0; r == 0 && k < count; k++)
        r = verify_proposal(check, k);
    if (r == 0)
        r = verify_best(check);
    if (r == 0)
        r = verify_front(check);
    return r;
}

int trajectory_verify(const struct trajectory *trajectory,
                      struct trajectory_difference *ret_difference, struct error *error)
{
    *ret_difference = (struct trajectory_difference){0};
    struct check check = {
        .trajectory = trajectory, .spec = trajectory->spec, .difference = ret_difference};
    int r = strategy_new(trajectory->spec, &check.strategy, error);
    if (r < 0)
        return r;
    check.accepted = malloc((trajectory->count + 1) * sizeof check.accepted[0]);
    r = check.accepted ? verify(&check) : -ENOMEM;
    if (r < 0)
        error_set(error, r, "", "Out of memory.");
    free(check.accepted);
    strategy_free(check.strategy);
    return r;
}
