/* The model strategy: that it finds what there is to find, in deterministic mode and with unusable results, and that its
 * trajectory does not depend on when it was rebuilt. What holds for every strategy is in strategy_test.c. */
#include "search/random.h"
#include "search/strategy.h"
#include "tests/unit/search/specs.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CALLS_MAX = 300 };

static const char preset_space[] = "{\"preset\": \"efficientnetv2-small-images\"}";
static const char one[] = "\"objectives\": [\"accuracy\"], \"reward\": {}";
static const char two[] = "\"objectives\": [\"macs\", \"accuracy\"],"
                          " \"reference\": {\"accuracy\": 0.8, \"macs\": 1e7}";
static const char three[] = "\"objectives\": [\"accuracy\", \"step_time\", \"params\"]";

static struct spec *spec_of(const char *objectives, const char *strategy, uint64_t seed)
{
    char text[512];
    snprintf(text, sizeof text, ", %s, \"strategy\": {\"name\": \"%s\"}, \"seed\": %llu",
             objectives, strategy, (unsigned long long)seed);
    return specs_with(preset_space, text);
}

/* An accuracy that rises with cost and has a best kernel and expansion, and a step time that is not the cost. */
static struct observation observe(const struct spec *spec, uint64_t candidate,
                                  const struct encoding *encoding)
{
    const struct cost cost = pricing_cost(spec->pricing, encoding);
    double accuracy = 0.5 + 0.03 * log((double)cost.macs), time = 0;
    for (uint32_t i = 0; i < space_stage_count(spec->space); i++) {
        const struct stage *stage = space_option(spec->space, i, encoding->choices[i]);
        accuracy -=
            0.01 * fabs((double)stage->expansion - 4) + 0.01 * (stage->kernel == 5) * (i % 2);
        time += stage->layers * (stage->block == BLOCK_MBCONV ? 1.5 : 1.0);
    }
    struct observation observation = {.candidate = candidate, .usable = true, .reward = accuracy};
    observation.measures.value[OBJECTIVE_ACCURACY] = accuracy;
    observation.measures.value[OBJECTIVE_STEP_TIME] = time / 8;
    observation.measures.value[OBJECTIVE_PARAMS] = (double)cost.params;
    observation.measures.value[OBJECTIVE_MACS] = (double)cost.macs;
    observation.measures.value[OBJECTIVE_MEMORY] = (double)cost.activation_bytes;
    return observation;
}

static struct strategy *strategy_of(const struct spec *spec)
{
    struct strategy *strategy = NULL;
    assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
    return strategy;
}

/* Runs a search whose results come `delay` proposals late. */
static void run(struct strategy *strategy, const struct spec *spec, uint64_t count, uint64_t delay,
                struct encoding *ret_encodings)
{
    for (uint64_t k = 0; k < count; k++) {
        assert_int_equal(strategy_ask(strategy, k, &ret_encodings[k]), 0);
        if (k < delay)
            continue;
        const struct observation observation = observe(spec, k - delay, &ret_encodings[k - delay]);
        assert_int_equal(strategy_tell(strategy, &observation), 0);
    }
}

static double best_of(const char *strategy_name_given, uint64_t seed, uint64_t count)
{
    struct spec *spec = spec_of(one, strategy_name_given, seed);
    struct strategy *strategy = strategy_of(spec);
    struct encoding encodings[CALLS_MAX];
    double best = 0;
    run(strategy, spec, count, 0, encodings);
    for (uint64_t k = 0; k < count; k++)
        best = fmax(best, observe(spec, k, &encodings[k]).reward);
    strategy_free(strategy);
    spec_free(spec);
    return best;
}

static void test_forty_trainings_find_more_than_by_evolution_or_chance(void **state)
{
    (void)state;
    int better_than_chance = 0, better_than_evolution = 0;
    for (uint64_t seed = 0; seed < 5; seed++) {
        const double model = best_of("model", seed, 40);
        better_than_chance += model > best_of("random", seed, 300);
        better_than_evolution += model > best_of("evolution", seed, 40);
    }
    assert_in_range(better_than_chance, 4, 5);
    assert_in_range(better_than_evolution, 4, 5);
}

static const struct measures reference_values = {.value = {[OBJECTIVE_ACCURACY] = 0.8,
                                                           [OBJECTIVE_STEP_TIME] = 3,
                                                           [OBJECTIVE_PARAMS] = 400000,
                                                           [OBJECTIVE_MACS] = 1e7}};

static double volume_of(const char *objectives, const char *strategy_name_given, uint64_t count)
{
    struct spec *spec = spec_of(objectives, strategy_name_given, 1);
    struct strategy *strategy = strategy_of(spec);
    struct pareto *pareto = NULL;
    struct encoding encodings[CALLS_MAX];
    double reference[PARETO_OBJECTIVES_MAX];
    assert_int_equal(pareto_new(spec->objectives, spec->objective_count, &pareto), 0);
    run(strategy, spec, count, 3, encodings);
    for (size_t i = 0; i < spec->objective_count; i++)
        reference[i] = reference_values.value[spec->objectives[i]];
    for (uint64_t k = 0; k < count; k++) {
        const struct observation observation = observe(spec, k, &encodings[k]);
        struct pareto_point point = {.candidate = k};
        for (size_t i = 0; i < spec->objective_count; i++)
            point.value[i] = observation.measures.value[spec->objectives[i]];
        assert_true(pareto_add(pareto, &point) >= 0);
    }
    const double volume = pareto_hypervolume(pareto, reference);
    pareto_free(pareto);
    strategy_free(strategy);
    spec_free(spec);
    return volume;
}

static void test_fronts_grow_faster_than_by_chance(void **state)
{
    (void)state;
    assert_true(volume_of(two, "model", 50) > volume_of(two, "random", 200));
    assert_true(volume_of(three, "model", 60) > volume_of(three, "random", 200));
}

/* Rebuilds the strategy before every tenth proposal: the trajectory is that of one that was never rebuilt. */
static void test_rebuilding_at_any_point_changes_nothing(void **state)
{
    (void)state;
    const char *const objectives[] = {one, two, three};
    static struct encoding encodings[CALLS_MAX];
    for (size_t o = 0; o < ARRAY_LENGTH(objectives); o++) {
        struct spec *spec = spec_of(objectives[o], "model", 3);
        struct strategy *original = strategy_of(spec);
        run(original, spec, CALLS_MAX, 3, encodings);
        for (uint64_t stop = 7; stop < CALLS_MAX; stop += 41) {
            struct strategy *rebuilt = strategy_of(spec);
            struct encoding again;
            for (uint64_t k = 0; k < stop; k++) {
                assert_int_equal(strategy_replay(rebuilt, k, &encodings[k]), 0);
                const struct observation observation =
                    observe(spec, k - 3, &encodings[k >= 3 ? k - 3 : 0]);
                if (k >= 3)
                    assert_int_equal(strategy_tell(rebuilt, &observation), 0);
            }
            assert_int_equal(strategy_ask(rebuilt, stop, &again), 0);
            assert_memory_equal(&again, &encodings[stop], sizeof again);
            strategy_free(rebuilt);
        }
        strategy_free(original);
        spec_free(spec);
    }
}

static void test_failed_results_do_not_stop_it(void **state)
{
    (void)state;
    struct spec *spec = spec_of(three, "model", 1);
    struct strategy *strategy = strategy_of(spec);
    for (uint64_t k = 0; k < 120; k++) {
        struct encoding encoding;
        assert_int_equal(strategy_ask(strategy, k, &encoding), 0);
        struct observation observation = observe(spec, k, &encoding);
        observation.usable = k % 3 == 0;
        if (k % 7 == 0)
            observation.measures.value[OBJECTIVE_STEP_TIME] = NAN;
        assert_int_equal(strategy_tell(strategy, &observation), 0);
    }
    strategy_free(strategy);
    spec_free(spec);
}

static void test_proposals_made_at_the_same_time_differ_in_more_than_one_stage_at_times(
    void **state)
{
    (void)state;
    struct spec *spec = spec_of(one, "model", 1);
    struct strategy *strategy = strategy_of(spec);
    static struct encoding encodings[CALLS_MAX];
    uint32_t changed = 0;
    run(strategy, spec, 40, 0, encodings);
    for (uint64_t k = 40; k < 56; k++) {
        assert_int_equal(strategy_ask(strategy, k, &encodings[k]), 0);
        for (uint32_t i = 0; i < space_stage_count(spec->space); i++)
            changed += encodings[k].choices[i] != encodings[40].choices[i];
    }
    assert_true(changed > 20);
    strategy_free(strategy);
    spec_free(spec);
}

/* A recommendation is among the best in truth, and asking for it changes no later proposal. One early result is better
 * measured than it is. */
static void test_recommendation_is_among_the_best_and_changes_nothing(void **state)
{
    (void)state;
    const char *const objectives[] = {one, three};
    for (size_t o = 0; o < ARRAY_LENGTH(objectives); o++) {
        struct spec *spec = spec_of(objectives[o], "model", 2);
        struct strategy *strategy = strategy_of(spec), *other = strategy_of(spec);
        struct encoding encoding, same;
        uint64_t recommended = 0, lucky = 3;
        double best = 0, worst = 1, truth[60];
        assert_int_equal(strategy_recommend(strategy, &recommended), -ENOENT);
        for (uint64_t k = 0; k < 60; k++) {
            assert_int_equal(strategy_ask(strategy, k, &encoding), 0);
            assert_int_equal(strategy_ask(other, k, &same), 0);
            assert_memory_equal(&encoding, &same, sizeof same);
            struct observation observation = observe(spec, k, &encoding);
            truth[k] = observation.reward;
            best = fmax(best, truth[k]);
            worst = fmin(worst, truth[k]);
            if (k == lucky)
                observation.reward = 1.01 * best;
            assert_int_equal(strategy_tell(strategy, &observation), 0);
            assert_int_equal(strategy_tell(other, &observation), 0);
            assert_int_equal(strategy_recommend(strategy, &recommended), 0);
        }
        if (o == 0)
            assert_true(best - truth[recommended] < 0.1 * (best - worst));
        strategy_free(strategy);
        strategy_free(other);
        spec_free(spec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forty_trainings_find_more_than_by_evolution_or_chance),
        cmocka_unit_test(test_fronts_grow_faster_than_by_chance),
        cmocka_unit_test(test_rebuilding_at_any_point_changes_nothing),
        cmocka_unit_test(test_recommendation_is_among_the_best_and_changes_nothing),
        cmocka_unit_test(test_failed_results_do_not_stop_it),
        cmocka_unit_test(
            test_proposals_made_at_the_same_time_differ_in_more_than_one_stage_at_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
