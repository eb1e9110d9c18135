/* Step times: the median over blocks and its spread. */
#include "worker/step_clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_near(double value, double expected)
{
    if (fabs(value - expected) > 1e-12)
        fail_msg("%g is not %g", value, expected);
}

static void test_the_warm_up_does_not_count(void **state)
{
    (void)state;
    struct step_clock clock;
    step_clock_init(&clock, 2, 0);
    step_clock_add(&clock, 100);
    step_clock_add(&clock, 50);
    assert_int_equal(step_clock_summary(&clock).blocks, 0);
    assert_near(step_clock_summary(&clock).median_s, 0);
    step_clock_add(&clock, 3);
    assert_int_equal(step_clock_summary(&clock).blocks, 1);
    assert_near(step_clock_summary(&clock).median_s, 3);
}

static void test_median_and_deviation_of_single_steps(void **state)
{
    (void)state;
    struct step_clock clock;
    step_clock_init(&clock, 0, 0);
    const double steps[] = {5, 1, 4, 2, 100};
    for (int i = 0; i < 5; i++)
        step_clock_add(&clock, steps[i]);
    struct step_summary summary = step_clock_summary(&clock);
    assert_int_equal(summary.blocks, 5);
    assert_near(summary.median_s, 4); /* of 1 2 4 5 100 */
    assert_near(summary.spread_s, 2); /* of 0 1 2 3 96 */
    step_clock_add(&clock, 6);
    summary = step_clock_summary(&clock);
    assert_near(summary.median_s, 4.5);
}

/* 50 steps make 16 blocks of three; the two oldest are left over. */
static void test_many_steps_are_grouped(void **state)
{
    (void)state;
    struct step_clock clock;
    step_clock_init(&clock, 0, 0);
    step_clock_add(&clock, 1000);
    step_clock_add(&clock, 1000);
    for (int block = 0; block < 16; block++)
        for (int i = 0; i < 3; i++)
            step_clock_add(&clock, block + (i == 0 ? 3 : 0));
    struct step_summary summary = step_clock_summary(&clock);
    assert_int_equal(summary.blocks, 16);
    assert_near(summary.median_s, 7.5 + 1);
    assert_near(summary.spread_s, 4);
}

static void test_only_the_last_steps_are_kept(void **state)
{
    (void)state;
    struct step_clock clock;
    step_clock_init(&clock, 0, 0);
    for (int i = 0; i < 500; i++)
        step_clock_add(&clock, 9);
    for (int i = 0; i < STEP_CLOCK_GROUPS; i++)
        step_clock_add(&clock, 2);
    struct step_summary summary = step_clock_summary(&clock);
    assert_near(summary.median_s, 2);
    assert_near(summary.spread_s, 0);
    assert_true(summary.blocks <= STEP_CLOCK_BLOCKS);
}

/* 0.3 ms and 0.5 ms in turn: groups of 20 ms are 50 steps of 0.4 ms. What is no whole group yet does not count. */
static void test_short_steps_make_groups_of_the_time_asked_for(void **state)
{
    (void)state;
    struct step_clock clock;
    step_clock_init(&clock, 1, 0.02 - 1e-9);
    step_clock_add(&clock, 100);
    for (int i = 0; i < 20 * 50 + 10; i++)
        step_clock_add(&clock, i % 2 ? 0.0005 : 0.0003);
    struct step_summary summary = step_clock_summary(&clock);
    assert_int_equal(summary.groups, 20);
    assert_int_equal(summary.blocks, 20);
    assert_near(summary.median_s, 0.0004);
    assert_near(summary.spread_s, 0);
}

/* A group is whole with the step that fills it, and counts by its steps: 3 of 8 ms and 1 of 24 ms are 12 ms each. */
static void test_groups_count_by_their_steps(void **state)
{
    (void)state;
    struct step_clock clock;
    step_clock_init(&clock, 0, 0.02);
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < 3; k++)
            step_clock_add(&clock, 0.008);
        step_clock_add(&clock, 0.024);
    }
    struct step_summary summary = step_clock_summary(&clock);
    assert_int_equal(summary.groups, 40);
    assert_int_equal(summary.blocks, 20);
    assert_near(summary.median_s, 0.012);
}

static void test_steady_needs_blocks_and_a_small_spread(void **state)
{
    (void)state;
    const struct step_summary few = {1, 0, STEP_CLOCK_BLOCKS_MIN - 1, 4}, none = {0},
                              noisy = {1, 0.2, 10, 10}, good = {1, 0.05, 10, 10};
    assert_false(step_summary_is_steady(&few, 0.1));
    assert_false(step_summary_is_steady(&none, 0.1));
    assert_false(step_summary_is_steady(&noisy, 0.1));
    assert_true(step_summary_is_steady(&good, 0.1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_warm_up_does_not_count),
        cmocka_unit_test(test_median_and_deviation_of_single_steps),
        cmocka_unit_test(test_many_steps_are_grouped),
        cmocka_unit_test(test_only_the_last_steps_are_kept),
        cmocka_unit_test(test_short_steps_make_groups_of_the_time_asked_for),
        cmocka_unit_test(test_groups_count_by_their_steps),
        cmocka_unit_test(test_steady_needs_blocks_and_a_small_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
