/* The choice among candidates, with times that are made up. */
#include "worker/engine/cuda/tuning.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static size_t choose(const struct tuning_times *times, size_t count)
{
    size_t winner = SIZE_MAX;
    assert_int_equal(tuning_choose(times, count, &winner), 0);
    return winner;
}

static void test_the_least_median_wins(void **state)
{
    (void)state;
    const struct tuning_times times[] = {
        {.seconds = {3, 3, 3}, .count = 3},
        {.seconds = {9, 2, 2}, .count = 3},   /* one slow round */
        {.seconds = {0.1, 4, 4}, .count = 3}, /* one fast round */
        {.count = 0},
    };
    assert_int_equal(choose(times, 4), 1);
    assert_int_equal(choose(times, 1), 0);
}

static void test_of_equals_the_first_wins(void **state)
{
    (void)state;
    const struct tuning_times times[] = {
        {.seconds = {1.03}, .count = 1},
        {.seconds = {1.015}, .count = 1},
        {.seconds = {1.0}, .count = 1},
    };
    assert_int_equal(choose(times, 3), 1);
}

static void test_nothing_that_runs_is_an_outcome(void **state)
{
    (void)state;
    const struct tuning_times times[2] = {{.count = 0}, {.count = 0}};
    size_t winner;
    assert_int_equal(tuning_choose(times, 2, &winner), -ENOTSUP);
}

enum { CANDIDATES = 4, RUNS = CANDIDATES * (TUNING_ROUNDS + 1) };

struct bench {
    size_t order[RUNS + 1], runs;
    size_t unable, broken; /* candidate that cannot be run; run that breaks */
};

/* Candidate 2 is the fastest but for its first run, which is slow, as when code is loaded. */
static int fake_run(void *context, size_t candidate, double *ret_seconds)
{
    static const double seconds[CANDIDATES] = {1.0, 0.9, 0.5, 0.7};
    struct bench *bench = context;
    assert_true(bench->runs < RUNS);
    bench->order[bench->runs++] = candidate;
    if (bench->runs == bench->broken)
        return -EIO;
    if (candidate == bench->unable)
        return -ENOTSUP;
    *ret_seconds = bench->runs <= CANDIDATES ? 100.0 : seconds[candidate];
    return 0;
}

static int run(struct bench *bench, size_t *ret_winner)
{
    const struct tuning tuning = {.count = CANDIDATES, .context = bench, .run = fake_run};
    return tuning_run(&tuning, ret_winner);
}

static void test_candidates_take_turns(void **state)
{
    (void)state;
    struct bench bench = {.unable = CANDIDATES};
    size_t winner = SIZE_MAX;
    assert_int_equal(run(&bench, &winner), 0);
    assert_int_equal(winner, 2);
    assert_int_equal(bench.runs, RUNS);
    for (size_t i = 0; i < RUNS; i++)
        assert_int_equal(bench.order[i], i % CANDIDATES);
}

static void test_what_cannot_be_run_is_tried_once(void **state)
{
    (void)state;
    struct bench bench = {.unable = 2};
    size_t winner = SIZE_MAX;
    assert_int_equal(run(&bench, &winner), 0);
    assert_int_equal(winner, 3);
    assert_int_equal(bench.runs, RUNS - TUNING_ROUNDS);
}

static void test_a_broken_device_ends_it(void **state)
{
    (void)state;
    struct bench bench = {.unable = CANDIDATES, .broken = 6};
    size_t winner = SIZE_MAX;
    assert_int_equal(run(&bench, &winner), -EIO);
    assert_int_equal(bench.runs, 6);
    assert_true(winner == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_least_median_wins),
        cmocka_unit_test(test_of_equals_the_first_wins),
        cmocka_unit_test(test_nothing_that_runs_is_an_outcome),
        cmocka_unit_test(test_candidates_take_turns),
        cmocka_unit_test(test_what_cannot_be_run_is_tried_once),
        cmocka_unit_test(test_a_broken_device_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
