/* "nsga2": who survives, what children are made of, and that the front it finds is better than chance's. */
#include "search/random.h"
#include "search/strategy.h"
#include "tests/unit/search/specs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char preset_space[] = "{\"preset\": \"efficientnetv2-small-images\"}";

static struct spec *spec_new(const char *objectives, uint32_t population, const char *members)
{
    char text[512];
    snprintf(text, sizeof text,
             ", \"objectives\": [%s], \"strategy\": {\"name\": \"nsga2\", \"population\": %u}%s",
             objectives, population, members);
    return specs_with(preset_space, text);
}

static void tell(struct strategy *strategy, uint64_t candidate, double accuracy, double macs)
{
    struct observation observation = {.candidate = candidate, .usable = true};
    observation.measures.value[OBJECTIVE_ACCURACY] = accuracy;
    observation.measures.value[OBJECTIVE_MACS] = macs;
    assert_int_equal(strategy_tell(strategy, &observation), 0);
}

static struct encoding ask(struct strategy *strategy, uint64_t k)
{
    struct encoding encoding = {{0}};
    assert_int_equal(strategy_ask(strategy, k, &encoding), 0);
    return encoding;
}

/* Which of the first candidates are parents of later ones. */
static uint64_t parents_of(struct strategy *strategy, uint64_t first)
{
    uint64_t parents = 0;
    for (uint64_t k = first; k < first + 200; k++) {
        (void)ask(strategy, k);
        assert_true(strategy_parent(strategy) < first);
        parents |= UINT64_C(1) << strategy_parent(strategy);
    }
    return parents;
}

static void test_the_population_is_the_best_by_rank_then_crowding(void **state)
{
    (void)state;
    /* fewer multiply-adds are better */
    static const struct {
        double accuracy, macs;
    } results[] = {
        {0.1, 10},        /* 0: on the front */
        {0.5, 60},        /* 1: dominated by 4 */
        {0.9, 100},       /* 2: on the front, the best accuracy */
        {0.09, 11},       /* 3: dominated by 0 */
        {0.5, 50},        /* 4: on the front, alone in its middle */
        {0.51, 51},       /* 5: on the front, beside 4 and 6 */
        {0.7, 75},        /* 6: on the front */
        {NAN, 1},         /* 7: no result */
        {0.89, INFINITY}, /* 8: no result */
    };
    struct spec *spec = spec_new("\"accuracy\", \"macs\"", 4, "");
    struct strategy *strategy = NULL;
    assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
    for (uint64_t k = 0; k < ARRAY_LENGTH(results); k++)
        (void)ask(strategy, k);
    for (uint64_t k = 0; k < ARRAY_LENGTH(results); k++)
        tell(strategy, k, results[k].accuracy, results[k].macs);
    /* of the five on the front, 5's neighbours are nearest: 4 and 6, against 0 and 5 for 4, 5 and 2 for 6 */
    assert_int_equal(parents_of(strategy, ARRAY_LENGTH(results)),
                     1 << 0 | 1 << 2 | 1 << 4 | 1 << 6);
    strategy_free(strategy);
    spec_free(spec);
}

static void test_a_tournament_prefers_the_lower_rank(void **state)
{
    (void)state;
    struct spec *spec = spec_new("\"accuracy\", \"macs\"", 2, "");
    struct strategy *strategy = NULL;
    uint64_t better = 0;
    assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
    (void)ask(strategy, 0);
    (void)ask(strategy, 1);
    tell(strategy, 0, 0.9, 10);
    tell(strategy, 1, 0.8, 20);
    for (uint64_t k = 2; k < 62; k++) {
        (void)ask(strategy, k);
        better += strategy_parent(strategy) == 0;
    }
    /* three in four */
    assert_in_range(better, 37, 54);
    strategy_free(strategy);
    spec_free(spec);
}

static void test_a_child_has_its_parents_stages_but_one(void **state)
{
    (void)state;
    struct spec *spec = spec_new("\"accuracy\", \"macs\"", 2, "");
    struct strategy *strategy = NULL;
    assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
    const struct encoding a = ask(strategy, 0), b = ask(strategy, 1);
    tell(strategy, 0, 0.9, 20);
    tell(strategy, 1, 0.8, 10);
    bool mixed = false;
    for (uint64_t k = 2; k < 102; k++) {
        struct encoding child = ask(strategy, k);
        uint32_t strange = 0, from_a = 0, from_b = 0;
        for (uint32_t i = 0; i < space_stage_count(spec->space); i++) {
            strange += child.choices[i] != a.choices[i] && child.choices[i] != b.choices[i];
            from_a += child.choices[i] == a.choices[i] && child.choices[i] != b.choices[i];
            from_b += child.choices[i] == b.choices[i] && child.choices[i] != a.choices[i];
        }
        assert_in_range(strange, 0, 1);
        mixed = mixed || (from_a > 0 && from_b > 0);
    }
    assert_true(mixed);
    strategy_free(strategy);
    spec_free(spec);
}

/* Accuracy that grows with parameters and memory, and has shares of the options beside. */
static struct measures measures_of(const struct spec *spec, const struct encoding *encoding)
{
    struct measures measures = {{0}};
    const struct cost cost = pricing_cost(spec->pricing, encoding);
    double shares = 0;
    for (uint64_t i = 0; i < space_stage_count(spec->space); i++) {
        struct random_stream random =
            random_stream_of(9, i * SPACE_OPTIONS_MAX + encoding->choices[i], RANDOM_WEIGHTS);
        shares += random_unit(&random);
    }
    measures.value[OBJECTIVE_PARAMS] = (double)cost.params;
    measures.value[OBJECTIVE_STEP_TIME] = (double)cost.macs;
    measures.value[OBJECTIVE_ACCURACY] =
        0.01 * log((double)cost.params) + 0.01 * log((double)cost.macs) + 0.1 * shares;
    return measures;
}

static double volume_after(const char *strategy_text, uint64_t seed)
{
    char members[256];
    snprintf(members, sizeof members, ", \"strategy\": {%s}, \"seed\": %llu", strategy_text,
             (unsigned long long)seed);
    struct spec *spec = specs_with(preset_space, members);
    struct strategy *strategy = NULL;
    struct pareto *front = NULL;
    assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
    assert_int_equal(pareto_new(spec->objectives, spec->objective_count, &front), 0);
    for (uint64_t k = 0; k < 200; k++) {
        struct encoding encoding = ask(strategy, k);
        struct observation observation = {k, true, 0, measures_of(spec, &encoding)};
        struct pareto_point point = {.candidate = k};
        for (size_t i = 0; i < spec->objective_count; i++)
            point.value[i] = observation.measures.value[spec->objectives[i]];
        assert_true(pareto_add(front, &point) > 0);
        assert_int_equal(strategy_tell(strategy, &observation), 0);
    }
    double volume = pareto_hypervolume(front, (double[]){0, 2e7, 1e6});
    pareto_free(front);
    strategy_free(strategy);
    spec_free(spec);
    return volume;
}

static void test_three_objectives_have_a_better_front_than_by_chance(void **state)
{
    (void)state;
    int wins = 0;
    for (uint64_t seed = 0; seed < 10; seed++)
        wins +=
            volume_after("\"name\": \"nsga2\"", seed) > volume_after("\"name\": \"random\"", seed);
    assert_in_range(wins, 9, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_population_is_the_best_by_rank_then_crowding),
        cmocka_unit_test(test_a_tournament_prefers_the_lower_rank),
        cmocka_unit_test(test_a_child_has_its_parents_stages_but_one),
        cmocka_unit_test(test_three_objectives_have_a_better_front_than_by_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
