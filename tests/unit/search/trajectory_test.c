/* trajectory_verify: what really happened is verified, and whatever is altered is found and named. */
#include "search/attributes.h"
#include "search/random.h"
#include "search/strategy.h"
#include "search/trajectory.h"
#include "search/window.h"
#include "tests/unit/search/specs.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CANDIDATES = 60, PARALLEL = 4, FRONT_MAX = CANDIDATES };

/* 256 encodings, all different architectures. */
#define STAGE(channels)                                                                            \
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3, 4], \"channels\": " channels "}"
static const char space[] =
    "{\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 16}, "
    "\"stages\": [" STAGE("8") "," STAGE("9") "," STAGE("10") "," STAGE("11") "]}";

/* A search that was played, with room for alterations. */
struct played {
    struct spec *spec;
    struct strategy *strategy;
    struct trial trials[CANDIDATES];
    uint64_t accepted[CANDIDATES];
    uint64_t front[FRONT_MAX];
    uint64_t running[PARALLEL];
    uint64_t running_count, accepted_count, told;
    struct trajectory trajectory;
};

static void observe(struct played *played, uint64_t number)
{
    struct trial *trial = &played->trials[number];
    trial->position = played->accepted_count;
    played->accepted[played->accepted_count++] = number;
    trial->usable = number % 7 != 3;
    if (!trial->usable)
        return;
    struct measures *measures = &trial->measures;
    measures->value[OBJECTIVE_ACCURACY] = 0.5 + (double)(trial->hash % 997) / 3000;
    measures->value[OBJECTIVE_LOSS] = 1.5 - (double)(trial->hash % 991) / 2000;
    measures->value[OBJECTIVE_STEP_TIME] =
        number % 5 == 4 ? NAN : 0.5 + (double)(trial->hash % 17) / 20;
    struct measures baseline = spec_baseline_measures(played->spec);
    trial->reward = reward_of(&played->spec->reward, measures, &baseline);
}

static bool may_propose(const struct played *played, uint64_t k)
{
    uint64_t awaited = window_awaited(played->spec, k);
    if (played->running_count == PARALLEL)
        return false;
    return !played->spec->deterministic || awaited == UINT64_MAX ||
           played->trials[awaited].position != TRAJECTORY_NO_POSITION;
}

static void propose(struct played *played, uint64_t k)
{
    struct trial *trial = &played->trials[k];
    trial->seen = window_size(played->spec, k, played->accepted_count);
    for (; played->told < trial->seen; played->told++) {
        uint64_t number = window_candidate(played->spec, played->accepted, played->told);
        const struct trial *told = &played->trials[number];
        struct observation observation = {number, told->usable, told->reward, told->measures};
        assert_int_equal(strategy_tell(played->strategy, &observation), 0);
    }
    assert_int_equal(strategy_ask(played->strategy, k, &trial->encoding), 0);
    struct architecture architecture;
    space_architecture(played->spec->space, &trial->encoding, &architecture);
    struct cost cost = pricing_cost(played->spec->pricing, &trial->encoding);
    trial->hash = architecture_hash(&architecture);
    trial->params = cost.params;
    trial->macs = cost.macs;
    trial->memory = cost.activation_bytes;
    trial->parent = strategy_parent(played->strategy);
    trial->position = TRAJECTORY_NO_POSITION;
    double *value = trial->measures.value;
    value[OBJECTIVE_PARAMS] = (double)cost.params;
    value[OBJECTIVE_MACS] = (double)cost.macs;
    value[OBJECTIVE_MEMORY] = (double)cost.activation_bytes;
    played->running[played->running_count++] = k;
}

/* Results come in an order of their own. */
static void finish_one(struct played *played, struct random_stream *random)
{
    uint64_t at = random_below(random, played->running_count);
    uint64_t number = played->running[at];
    played->running[at] = played->running[--played->running_count];
    observe(played, number);
}

static void find_best_and_front(struct played *played)
{
    const struct spec *spec = played->spec;
    struct trajectory *trajectory = &played->trajectory;
    struct pareto *pareto;
    assert_int_equal(pareto_new(spec->objectives, spec->objective_count, &pareto), 0);
    for (uint64_t k = 0; k < CANDIDATES; k++) {
        const struct trial *trial = &played->trials[k];
        struct pareto_point point = {.candidate = k};
        if (trial->position == TRAJECTORY_NO_POSITION || !trial->usable)
            continue;
        if (!trajectory->best_known || trial->reward > played->trials[trajectory->best].reward)
            trajectory->best = k;
        trajectory->best_known = true;
        for (size_t i = 0; i < spec->objective_count; i++)
            point.value[i] = trial->measures.value[spec->objectives[i]];
        assert_true(pareto_add(pareto, &point) >= 0);
    }
    for (size_t i = 0; i < pareto_count(pareto); i++)
        played->front[trajectory->front_count++] = pareto_points(pareto)[i].candidate;
    pareto_free(pareto);
}

static struct played *play(const char *strategy, bool deterministic, uint64_t unfinished)
{
    char members[8192];
    struct played *played = calloc(1, sizeof *played);
    assert_non_null(played);
    size_t used = (size_t)snprintf(
        members, sizeof members,
        ", \"objectives\": [\"accuracy\", \"params\"], \"reward\": {\"params\": -0.05}, "
        "\"budget\": {\"candidates\": %d}, \"parallel_max\": %d, \"seed\": 5, "
        "\"deterministic\": %s, \"strategy\": {\"name\": \"%s\"",
        CANDIDATES, PARALLEL, deterministic ? "true" : "false", strategy);
    if (strcmp(strategy, "list") == 0)
        for (int i = 0; i < CANDIDATES; i++)
            used += (size_t)snprintf(members + used, sizeof members - used, "%s[%d, %d, %d, 0]",
                                     i ? ", " : ", \"architectures\": [", i % 4, i / 4 % 4, i / 16);
    snprintf(members + used, sizeof members - used, "%s}",
             strcmp(strategy, "list") == 0 ? "]" : "");
    played->spec = specs_with(space, members);
    assert_int_equal(strategy_new(played->spec, &played->strategy, NULL), 0);
    struct random_stream random = random_stream_of(9, 0, RANDOM_SHUFFLE);
    for (uint64_t k = 0; k < CANDIDATES;) {
        if (may_propose(played, k))
            propose(played, k++);
        else
            finish_one(played, &random);
    }
    while (played->running_count > unfinished)
        finish_one(played, &random);
    played->trajectory = (struct trajectory){.spec = played->spec,
                                             .trials = played->trials,
                                             .count = CANDIDATES,
                                             .front = played->front};
    find_best_and_front(played);
    return played;
}

static void played_free(struct played *played)
{
    strategy_free(played->strategy);
    spec_free(played->spec);
    free(played);
}

static void verify(const struct played *played)
{
    struct trajectory_difference difference;
    struct error error;
    int r = trajectory_verify(&played->trajectory, &difference, &error);
    if (r != 0)
        fail_msg("%s: %d, candidate %d, %s: %s, not %s", played->spec->strategy.name, r,
                 (int)difference.candidate, difference.field, difference.stored,
                 difference.expected);
}

/* The altered trajectory must differ at this candidate, in this field. */
static void assert_differs(const struct played *played, uint64_t candidate, const char *field)
{
    struct trajectory_difference difference;
    struct error error;
    int r = trajectory_verify(&played->trajectory, &difference, &error);
    if (r != TRAJECTORY_DIFFERS)
        fail_msg("%s of candidate %d was altered, and that is not found: %d", field, (int)candidate,
                 r);
    assert_string_equal(difference.field, field);
    assert_int_equal(difference.candidate, candidate);
    assert_string_not_equal(difference.stored, difference.expected);
}

static void test_every_strategy_is_verified(void **state)
{
    (void)state;
    for (size_t i = 0; strategy_name(i); i++)
        for (int variant = 0; variant < 4; variant++) {
            struct played *played = play(strategy_name(i), variant & 1, variant & 2 ? 3 : 0);
            verify(played);
            played_free(played);
        }
}

static void test_beginnings_of_a_search_are_verified(void **state)
{
    (void)state;
    struct played *played = play("evolution", true, 0);
    struct trajectory *trajectory = &played->trajectory;
    *trajectory = (struct trajectory){.spec = played->spec, .trials = played->trials};
    verify(played);
    for (int i = 0; i < PARALLEL; i++)
        played->trials[i].position = TRAJECTORY_NO_POSITION;
    trajectory->count = PARALLEL;
    verify(played);
    played_free(played);
}

static void test_every_altered_field_is_found(void **state)
{
    static const uint64_t numbers[] = {0, 20, CANDIDATES - 2};
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(numbers); i++) {
        struct played *played = play("evolution", i % 2, 0);
        uint64_t k = numbers[i / 2];
        struct trial *trial = &played->trials[k], kept = *trial;
        trial->encoding.choices[2] ^= 1;
        assert_differs(played, k, "choices");
        *trial = kept;
        trial->hash ^= 1;
        assert_differs(played, k, "hash");
        *trial = kept;
        trial->parent = trial->parent == STRATEGY_NO_PARENT ? 0 : trial->parent + 1;
        assert_differs(played, k, "parent");
        *trial = kept;
        trial->seen = i % 2 ? kept.seen + 1 : CANDIDATES + 1;
        assert_differs(played, k, "seen");
        *trial = kept;
        trial->position = CANDIDATES;
        assert_differs(played, k, "position");
        *trial = kept;
        trial->reward = nextafter(kept.reward * (1 + 1e-11), 2);
        assert_differs(played, k, "reward");
        *trial = kept;
        trial->reward = NAN;
        assert_differs(played, k, "reward");
        *trial = kept;
        trial->measures.value[OBJECTIVE_ACCURACY] += 1e-9;
        assert_differs(played, k, "reward");
        *trial = kept;
        verify(played);
        played_free(played);
    }
}

/* The measures keep their values, so that the rewards agree. */
static void test_altered_costs_are_found(void **state)
{
    (void)state;
    struct played *played = play("local", false, 0);
    struct trial *trial = &played->trials[20], kept = *trial;
    trial->params++;
    assert_differs(played, 20, "params");
    *trial = kept;
    trial->macs--;
    assert_differs(played, 20, "macs");
    *trial = kept;
    trial->memory += 4;
    assert_differs(played, 20, "memory");
    played_free(played);
}

static void test_altered_order_of_acceptance_is_found(void **state)
{
    (void)state;
    struct played *played = play("evolution", false, 0);
    struct trial *trials = played->trials;
    uint64_t first = played->accepted[0], last = played->accepted[CANDIDATES - 1];
    trials[first].position = 1;
    assert_differs(played, first < played->accepted[1] ? played->accepted[1] : first, "position");
    trials[first].position = CANDIDATES - 1;
    trials[last].position = 0;
    assert_differs(played, PARALLEL, "seen");
    trials[first].position = TRAJECTORY_NO_POSITION;
    trials[last].position = CANDIDATES - 1;
    assert_differs(played, last, "position");
    played_free(played);
}

/* A result that was better than it is shows only in what was proposed because of it. */
static void test_consistent_forgery_of_a_result_shows_in_later_proposals(void **state)
{
    (void)state;
    struct played *played = play("local", true, 0);
    struct trial *trial = &played->trials[0];
    struct measures baseline = spec_baseline_measures(played->spec);
    struct trajectory_difference difference;
    struct error error;
    trial->measures.value[OBJECTIVE_ACCURACY] = 0.999;
    trial->reward = reward_of(&played->spec->reward, &trial->measures, &baseline);
    assert_int_equal(trajectory_verify(&played->trajectory, &difference, &error),
                     TRAJECTORY_DIFFERS);
    assert_true(difference.candidate >= PARALLEL);
    assert_string_equal(difference.field, "choices");
    played_free(played);
}

static void test_another_seed_is_found(void **state)
{
    (void)state;
    struct played *played = play("random", false, 0);
    played->spec->seed++;
    assert_differs(played, 0, "choices");
    played_free(played);
}

static void test_candidates_past_the_budget_are_found(void **state)
{
    (void)state;
    struct played *played = play("random", false, 0);
    played->spec->candidates_max = CANDIDATES - 2;
    assert_differs(played, CANDIDATES - 2, "number");
    played_free(played);
    played = play("list", false, 0);
    played->spec->strategy.architecture_count = CANDIDATES - 5;
    assert_differs(played, CANDIDATES - 5, "number");
    played_free(played);
}

static void test_altered_best_and_front_are_found(void **state)
{
    (void)state;
    struct played *played = play("random", true, 0);
    struct trajectory *trajectory = &played->trajectory;
    uint64_t best = trajectory->best, dropped = played->front[trajectory->front_count - 1];
    trajectory->best = best + 1;
    assert_differs(played, best + 1, "best");
    trajectory->best_known = false;
    assert_differs(played, best, "best");
    trajectory->best_known = true;
    trajectory->best = best;
    trajectory->front_count--;
    assert_differs(played, dropped, "front");
    played->front[trajectory->front_count] = 3; /* not usable */
    trajectory->front_count++;
    assert_differs(played, dropped < 3 ? dropped : 3, "front");
    played->front[trajectory->front_count - 1] = CANDIDATES;
    assert_differs(played, CANDIDATES, "front");
    played_free(played);
}

static void test_unknown_strategies_are_refused(void **state)
{
    (void)state;
    struct played *played = play("random", true, 0);
    struct trajectory_difference difference;
    struct error error;
    snprintf(played->spec->strategy.name, sizeof played->spec->strategy.name, "luck");
    assert_int_equal(trajectory_verify(&played->trajectory, &difference, &error), -EINVAL);
    assert_non_null(strstr(error.message, "luck"));
    played_free(played);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_strategy_is_verified),
        cmocka_unit_test(test_beginnings_of_a_search_are_verified),
        cmocka_unit_test(test_every_altered_field_is_found),
        cmocka_unit_test(test_altered_costs_are_found),
        cmocka_unit_test(test_altered_order_of_acceptance_is_found),
        cmocka_unit_test(test_consistent_forgery_of_a_result_shows_in_later_proposals),
        cmocka_unit_test(test_another_seed_is_found),
        cmocka_unit_test(test_candidates_past_the_budget_are_found),
        cmocka_unit_test(test_altered_best_and_front_are_found),
        cmocka_unit_test(test_unknown_strategies_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
