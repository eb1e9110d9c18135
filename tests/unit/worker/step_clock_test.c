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
    step_clock_init(&clock, 2);
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
    step_clock_init(&clock, 0);
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
    step_clock_init(&clock, 0);
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
    step_clock_init(&clock, 0);
    for (int i = 0; i < 500; i++)
        step_clock_add(&clock, 9);
    for (int i = 0; i < STEP_CLOCK_STEPS; i++)
        step_clock_add(&clock, 2);
    struct step_summary summary = step_clock_summary(&clock);
    assert_near(summary.median_s, 2);
    assert_near(summary.spread_s, 0);
    assert_true(summary.blocks <= STEP_CLOCK_BLOCKS);
}

static void test_steady_needs_blocks_and_a_small_spread(void **state)
{
    (void)state;
    const struct step_summary few = {1, 0, STEP_CLOCK_BLOCKS_MIN - 1}, none = {0},
                              noisy = {1, 0.2, 10}, good = {1, 0.05, 10};
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
        cmocka_unit_test(test_steady_needs_blocks_and_a_small_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
