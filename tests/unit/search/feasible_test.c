/* Counted encodings against enumeration: nothing that meets the limits is lost, every draw that is kept meets them, and
 * what is kept is uniform. */
#include "search/feasible.h"
#include "tests/unit/search/random_spaces.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ENCODINGS_MAX = 3125, DRAWS_EACH = 50, DRAWS_MAX = 4000000, SEEDS = 90 };

struct fixture {
    struct space *space;
    struct pricing *pricing;
    struct constraints limits;
    struct feasible *feasible;
    bool meets[ENCODINGS_MAX]; /* by the encoding's number */
    uint32_t encodings, met;
};

static uint32_t number_of(const struct space *space, const struct encoding *encoding)
{
    uint32_t number = 0;
    for (uint32_t i = space_stage_count(space); i-- > 0;)
        number = number * space_option_count(space, i) + encoding->choices[i];
    return number;
}

/* A random space with every set of limits in turn, from just below the least to well above it. */
static void fixture_init(struct fixture *fixture, uint64_t seed)
{
    *fixture = (struct fixture){.space = NULL};
    struct random_stream random = random_stream_of(seed, 0, RANDOM_PROPOSAL);
    fixture->space = random_space(&random);
    assert_int_equal(pricing_new(fixture->space, &random_spaces_problem, &fixture->pricing, NULL),
                     0);
    struct cost least = pricing_minimum(fixture->pricing);
    uint64_t *const limits[] = {&fixture->limits.params_max, &fixture->limits.macs_max,
                                &fixture->limits.memory_max};
    for (int i = 0; i < LIMIT_COUNT; i++) {
        uint64_t percent = 95 + random_below(&random, 100);
        if ((seed % 7 + 1) >> i & 1)
            *limits[i] = limit_of_cost(&least, (enum limit)i) * percent / 100;
    }
    assert_int_equal(feasible_new(fixture->pricing, &fixture->limits, &fixture->feasible), 0);
    struct encoding encoding = {{0}};
    do {
        struct cost cost = cost_of_encoding(fixture->space, &encoding);
        bool meets = constraints_met(&fixture->limits, &cost);
        fixture->meets[number_of(fixture->space, &encoding)] = meets;
        fixture->met += meets;
        fixture->encodings++;
    } while (next_encoding(fixture->space, &encoding));
}

static void fixture_release(struct fixture *fixture)
{
    feasible_free(fixture->feasible);
    pricing_free(fixture->pricing);
    space_free(fixture->space);
}

static void test_count_is_at_least_what_meets_the_limits(void **state)
{
    (void)state;
    uint32_t none = 0, exact = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture fixture;
        fixture_init(&fixture, seed);
        double count = feasible_count(fixture.feasible);
        assert_true(count >= fixture.met && count <= fixture.encodings);
        none += count == 0;
        exact += count > 0 && count == fixture.met;
        fixture_release(&fixture);
    }
    assert_in_range(none, 5, SEEDS - 5);
    assert_in_range(exact, SEEDS / 4, SEEDS);
}

/* Pearson's statistic of draws that are kept: its mean is one less than the encodings, its variance twice that. */
static void assert_uniform(const struct fixture *fixture, struct random_stream *random)
{
    uint32_t drawn[ENCODINGS_MAX] = {0};
    uint64_t kept = 0, wanted = (uint64_t)fixture->met * DRAWS_EACH;
    for (uint64_t i = 0; i < DRAWS_MAX && kept < wanted; i++) {
        struct encoding encoding;
        if (!feasible_draw(fixture->feasible, random, &encoding))
            continue;
        uint32_t number = number_of(fixture->space, &encoding);
        assert_true(fixture->meets[number]);
        drawn[number]++;
        kept++;
    }
    assert_int_equal(kept, wanted);
    double statistic = 0;
    for (uint32_t i = 0; i < fixture->encodings; i++) {
        if (!fixture->meets[i])
            continue;
        assert_true(drawn[i] > 0);
        statistic += pow((double)drawn[i] - DRAWS_EACH, 2) / DRAWS_EACH;
    }
    double freedom = fixture->met - 1;
    assert_true(statistic <= freedom + 5 * sqrt(2 * freedom) + 5);
}

static void test_draws_are_uniform_over_what_meets_the_limits(void **state)
{
    (void)state;
    uint32_t spaces = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture fixture;
        struct random_stream random = random_stream_of(seed, 1, RANDOM_PROPOSAL);
        fixture_init(&fixture, seed);
        if (fixture.met > 0) {
            assert_uniform(&fixture, &random);
            spaces += fixture.met > 1;
        }
        fixture_release(&fixture);
    }
    assert_in_range(spaces, SEEDS / 3, SEEDS);
}

static void test_nothing_is_drawn_where_nothing_meets_the_limits(void **state)
{
    (void)state;
    uint32_t spaces = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture fixture;
        struct random_stream random = random_stream_of(seed, 1, RANDOM_PROPOSAL);
        fixture_init(&fixture, seed);
        for (uint32_t i = 0; i < 1000 && fixture.met == 0; i++) {
            struct encoding encoding;
            assert_false(feasible_draw(fixture.feasible, &random, &encoding));
        }
        spaces += fixture.met == 0;
        fixture_release(&fixture);
    }
    assert_in_range(spaces, 5, SEEDS - 5);
}

/* Every encoding that meets the limits can be walked; what cannot be walked is more than what the plain bound excludes. */
static void test_walks_to_all_that_meets_the_limits(void **state)
{
    (void)state;
    uint32_t sharper = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture fixture;
        fixture_init(&fixture, seed);
        struct encoding encoding = {{0}};
        do {
            bool meets = fixture.meets[number_of(fixture.space, &encoding)];
            struct walk walk = walk_start(fixture.pricing);
            while (walk.stage < space_stage_count(fixture.space)) {
                uint32_t option = encoding.choices[walk.stage];
                bool may = feasible_may_choose(fixture.feasible, &walk, option);
                bool bound = walk_may_choose(fixture.pricing, &walk, option, &fixture.limits);
                assert_true((may || !meets) && (bound || !may));
                sharper += bound && !may;
                if (!may)
                    break;
                walk_choose(fixture.pricing, &walk, option);
            }
        } while (next_encoding(fixture.space, &encoding));
        fixture_release(&fixture);
    }
    assert_in_range(sharper, 10, 1000000);
}

static void test_without_limits_all_encodings_are_counted(void **state)
{
    (void)state;
    struct random_stream random = random_stream_of(7, 0, RANDOM_PROPOSAL);
    struct space *space = random_space(&random);
    struct pricing *pricing = NULL;
    struct feasible *feasible = NULL;
    assert_int_equal(pricing_new(space, &random_spaces_problem, &pricing, NULL), 0);
    assert_int_equal(feasible_new(pricing, &(struct constraints){.params_max = 0}, &feasible), 0);
    double encodings = 1;
    for (uint32_t i = 0; i < space_stage_count(space); i++)
        encodings *= space_option_count(space, i);
    assert_true(feasible_count(feasible) == encodings);
    feasible_free(feasible);
    pricing_free(pricing);
    space_free(space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count_is_at_least_what_meets_the_limits),
        cmocka_unit_test(test_draws_are_uniform_over_what_meets_the_limits),
        cmocka_unit_test(test_nothing_is_drawn_where_nothing_meets_the_limits),
        cmocka_unit_test(test_walks_to_all_that_meets_the_limits),
        cmocka_unit_test(test_without_limits_all_encodings_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
