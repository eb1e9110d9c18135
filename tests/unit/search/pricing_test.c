/* Prices against cost_of, bounds and minima against enumeration. */
#include "search/pricing.h"
#include "tests/unit/search/random_spaces.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_cost_equal(const struct cost *a, const struct cost *b)
{
    assert_int_equal(a->params, b->params);
    assert_int_equal(a->params_with_bn_statistics, b->params_with_bn_statistics);
    assert_int_equal(a->macs, b->macs);
    assert_int_equal(a->activation_bytes, b->activation_bytes);
}

static void test_prices_equal_the_costs_of_the_architectures(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct random_stream random = random_stream_of(seed, 0, RANDOM_PROPOSAL);
        struct space *space = random_space(&random);
        struct pricing *pricing = NULL;
        assert_int_equal(pricing_new(space, &random_spaces_problem, &pricing, NULL), 0);
        struct encoding encoding = {{0}};
        struct cost least = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
        do {
            struct cost cost = cost_of_encoding(space, &encoding);
            struct cost price = pricing_cost(pricing, &encoding);
            assert_cost_equal(&price, &cost);
            for (int i = 0; i < LIMIT_COUNT; i++) {
                uint64_t *const figures[] = {&least.params, &least.macs, &least.activation_bytes};
                if (limit_of_cost(&cost, (enum limit)i) < *figures[i])
                    *figures[i] = limit_of_cost(&cost, (enum limit)i);
            }
        } while (next_encoding(space, &encoding));
        struct cost minimum = pricing_minimum(pricing);
        assert_int_equal(minimum.params, least.params);
        assert_int_equal(minimum.macs, least.macs);
        assert_int_equal(minimum.activation_bytes, least.activation_bytes);
        pricing_free(pricing);
        space_free(space);
    }
}

/* The smallest figure among the encodings that meet the constraints, by enumeration; 0 where none does. */
static uint64_t brute_minimum(const struct space *space, const struct constraints *constraints,
                              enum limit limit)
{
    struct encoding encoding = {{0}};
    uint64_t least = 0;
    do {
        struct cost cost = cost_of_encoding(space, &encoding);
        uint64_t figure = limit_of_cost(&cost, limit);
        if (constraints_met(constraints, &cost) && (least == 0 || figure < least))
            least = figure;
    } while (next_encoding(space, &encoding));
    return least;
}

static void test_minimum_under_other_limits_equals_enumeration(void **state)
{
    (void)state;
    size_t infeasible = 0;
    for (uint64_t seed = 100; seed < 160; seed++) {
        struct random_stream random = random_stream_of(seed, 0, RANDOM_PROPOSAL);
        struct space *space = random_space(&random);
        struct pricing *pricing = NULL;
        assert_int_equal(pricing_new(space, &random_spaces_problem, &pricing, NULL), 0);
        struct cost minimum = pricing_minimum(pricing);
        struct constraints limits = {.macs_max =
                                         minimum.macs * (90 + random_below(&random, 40)) / 100,
                                     .memory_max = minimum.activation_bytes * 11 / 10};
        struct cost found;
        bool exact = false;
        uint64_t expected = brute_minimum(space, &limits, LIMIT_PARAMS);
        int r = pricing_minimize(pricing, &limits, LIMIT_PARAMS, &found, &exact);
        assert_int_equal(r, expected == 0 ? PRICING_NONE : 0);
        if (r == 0) {
            assert_int_equal(found.params, expected);
            assert_true(constraints_met(&limits, &found));
            assert_true(exact);
        }
        infeasible += r == PRICING_NONE;
        pricing_free(pricing);
        space_free(space);
    }
    assert_in_range(infeasible, 5, 55);
}

/* The smallest multiple of the limits that any encoding comes to, by enumeration. */
static double brute_multiple(const struct space *space, const struct constraints *constraints)
{
    struct encoding encoding = {{0}};
    double least = INFINITY;
    do {
        struct cost cost = cost_of_encoding(space, &encoding);
        double multiple = 0;
        for (int i = 0; i < LIMIT_COUNT; i++) {
            uint64_t limit = limit_value(constraints, (enum limit)i);
            if (limit != 0)
                multiple =
                    fmax(multiple, (double)limit_of_cost(&cost, (enum limit)i) / (double)limit);
        }
        least = fmin(least, multiple);
    } while (next_encoding(space, &encoding));
    return least;
}

static void test_nearest_to_limits_equals_enumeration(void **state)
{
    (void)state;
    for (uint64_t seed = 300; seed < 360; seed++) {
        struct random_stream random = random_stream_of(seed, 0, RANDOM_PROPOSAL);
        struct space *space = random_space(&random);
        struct pricing *pricing = NULL;
        assert_int_equal(pricing_new(space, &random_spaces_problem, &pricing, NULL), 0);
        struct cost minimum = pricing_minimum(pricing);
        struct constraints limits = {
            .params_max = minimum.params * (70 + random_below(&random, 60)) / 100,
            .macs_max = minimum.macs * (70 + random_below(&random, 60)) / 100,
            .memory_max = random_below(&random, 2) * minimum.activation_bytes};
        bool exact = false;
        struct cost nearest = pricing_nearest(pricing, &limits, &exact);
        double expected = brute_multiple(space, &limits), found = 0;
        for (int i = 0; i < LIMIT_COUNT; i++) {
            uint64_t limit = limit_value(&limits, (enum limit)i);
            if (limit != 0)
                found = fmax(found, (double)limit_of_cost(&nearest, (enum limit)i) / (double)limit);
        }
        assert_true(exact);
        assert_true(found == expected);
        pricing_free(pricing);
        space_free(space);
    }
}

/* With one limit, an option may be chosen exactly when an encoding that meets the limit goes through it. */
static void test_walk_with_one_limit_never_ends_in_a_dead_end(void **state)
{
    (void)state;
    for (uint64_t seed = 200; seed < 260; seed++) {
        struct random_stream random = random_stream_of(seed, 0, RANDOM_PROPOSAL);
        struct space *space = random_space(&random);
        struct pricing *pricing = NULL;
        assert_int_equal(pricing_new(space, &random_spaces_problem, &pricing, NULL), 0);
        struct constraints limits = {.params_max = pricing_minimum(pricing).params * 5 / 4};
        bool possible[5] = {false};
        struct encoding encoding = {{0}};
        do {
            struct cost cost = cost_of_encoding(space, &encoding);
            if (constraints_met(&limits, &cost))
                possible[encoding.choices[0]] = true;
        } while (next_encoding(space, &encoding));
        struct walk walk = walk_start(pricing);
        for (uint32_t i = 0; i < space_option_count(space, 0); i++)
            assert_int_equal(walk_may_choose(pricing, &walk, i, &limits), possible[i]);
        pricing_free(pricing);
        space_free(space);
    }
}

static void test_space_with_too_many_places_is_refused(void **state)
{
    (void)state;
    struct stage options[2048];
    for (uint32_t i = 0; i < ARRAY_LENGTH(options); i++)
        options[i] = (struct stage){BLOCK_MBCONV, 1, 3, 1, 0, 1, 1 + i};
    struct space_stage stages[] = {{options, 2048}, {options, 2048}};
    struct space_definition definition = {
        .ends = {.stem_kernel = 3, .stem_stride = 1, .stem_channels = 8, .head_channels = 16},
        .stages = stages,
        .stage_count = 2};
    struct space *space = NULL;
    struct pricing *pricing = NULL;
    struct error error = {0};
    assert_int_equal(space_new(&definition, &space, NULL), 0);
    assert_int_equal(pricing_new(space, &random_spaces_problem, &pricing, &error), -E2BIG);
    assert_string_equal(error.pointer, "/stages/1");
    assert_null(pricing);
    space_free(space);
}

static void test_costs_stop_at_their_maximum(void **state)
{
    (void)state;
    struct architecture architecture = {.stem_kernel = 7,
                                        .stem_stride = 1,
                                        .stem_channels = 8192,
                                        .head_channels = 8192,
                                        .stage_count = 32};
    for (size_t i = 0; i < 32; i++)
        architecture.stages[i] = (struct stage){BLOCK_FUSED_MBCONV, 128, 7, 16, 10000, 1, 8192};
    struct problem largest = {1024, 3, 65536};
    struct cost cost = cost_of(&architecture, &largest);
    assert_int_equal(cost.macs, COST_MAX);
    assert_true(cost.params < COST_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prices_equal_the_costs_of_the_architectures),
        cmocka_unit_test(test_minimum_under_other_limits_equals_enumeration),
        cmocka_unit_test(test_nearest_to_limits_equals_enumeration),
        cmocka_unit_test(test_walk_with_one_limit_never_ends_in_a_dead_end),
        cmocka_unit_test(test_space_with_too_many_places_is_refused),
        cmocka_unit_test(test_costs_stop_at_their_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
