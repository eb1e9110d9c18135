/* Acquisition: against Monte Carlo, and against differences of hypervolumes. */
#include "search/acquisition.h"
#include "search/pareto.h"
#include "search/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DRAWS = 40000, POINTS = 12 };

static const struct warp plain = {.is_log = false, .top = 0, .spread = 1, .width = 1};

static void test_expected_improvement_equals_monte_carlo(void **state)
{
    (void)state;
    static const double cases[][3] = {{0, 1, 0}, {-1, 0.5, 0.2}, {2, 0.1, 1.5}, {0, 2, 3}};
    struct random_stream random = random_stream_of(1, 0, RANDOM_PROPOSAL);
    for (size_t c = 0; c < ARRAY_LENGTH(cases); c++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < DRAWS; i++) {
            const double gain =
                fmax(cases[c][0] + cases[c][1] * random_normal(&random) - cases[c][2], 0);
            sum += gain;
            squares += gain * gain;
        }
        const double mean = sum / DRAWS, error = sqrt(squares / DRAWS) / sqrt(DRAWS);
        assert_true(fabs(improvement_expected(cases[c][0], cases[c][1], cases[c][2]) - mean) <=
                    5 * error + 1e-12);
    }
}

static void test_warps_invert_and_keep_the_order(void **state)
{
    (void)state;
    double goodness[] = {-5, 0.3, 0.7, 0.91, 0.5}, scratch[5], times[] = {-2, -0.5, -8, -1, -1};
    const struct warp warp = warp_of(goodness, 5, false, scratch);
    const struct warp logs = warp_of(times, 5, true, scratch);
    double sum = 0, squares = 0;
    for (int i = 0; i < 5; i++) {
        assert_true(fabs(warp_back(&warp, warp_forward(&warp, goodness[i])) - goodness[i]) < 1e-9);
        assert_true(fabs(warp_back(&logs, warp_forward(&logs, times[i])) - times[i]) < 1e-9);
        sum += warp_forward(&warp, goodness[i]);
        squares += warp_forward(&warp, goodness[i]) * warp_forward(&warp, goodness[i]);
    }
    assert_true(fabs(sum) < 1e-9 && fabs(squares - 5) < 1e-9);
    assert_true(warp_forward(&warp, 0.7) > warp_forward(&warp, 0.5));
    assert_true(warp_forward(&logs, -0.5) > warp_forward(&logs, -2));
    double equal[] = {1, 1, 1};
    const struct warp flat = warp_of(equal, 3, false, scratch);
    assert_true(warp_forward(&flat, 1) == 0 && warp_back(&flat, 0) == 1);
}

static const enum objective objectives[] = {OBJECTIVE_ACCURACY, OBJECTIVE_MACS, OBJECTIVE_PARAMS};

static double volume_of(double (*points)[GOODNESS_MAX], uint32_t count, uint32_t quantities,
                        const double *reference)
{
    struct pareto *pareto = NULL;
    double as_measured[GOODNESS_MAX];
    assert_int_equal(pareto_new(objectives, quantities, &pareto), 0);
    for (uint32_t i = 0; i < count; i++) {
        struct pareto_point point = {.candidate = i};
        for (uint32_t k = 0; k < quantities; k++)
            point.value[k] = objective_sign(objectives[k]) * points[i][k];
        assert_true(pareto_add(pareto, &point) >= 0);
    }
    for (uint32_t k = 0; k < quantities; k++)
        as_measured[k] = objective_sign(objectives[k]) * reference[k];
    const double volume = pareto_hypervolume(pareto, as_measured);
    pareto_free(pareto);
    return volume;
}

/* Trade-offs; every fourth point is not above the reference. */
static void random_points(struct random_stream *random, uint32_t count, double (*ret)[GOODNESS_MAX])
{
    for (uint32_t i = 0; i < count; i++) {
        ret[i][0] = random_unit(random);
        ret[i][1] = -0.2 - 0.6 * ret[i][0] - 0.2 * random_unit(random);
        ret[i][2] = i % 4 == 3 ? -2 : -random_unit(random);
    }
}

static double range_product(const struct front *front)
{
    double product = 1;
    for (uint32_t k = 0; k < front->objectives; k++)
        product *= front->range[k];
    return product;
}

static void test_improvement_of_two_equals_the_hypervolume_gained(void **state)
{
    (void)state;
    const double reference[GOODNESS_MAX] = {0.1, -0.9};
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct random_stream random = random_stream_of(seed, 0, RANDOM_PROPOSAL);
        double points[POINTS + 1][GOODNESS_MAX];
        static struct front front;
        random_points(&random, POINTS + 1, points);
        front_init(&front, (const double(*)[GOODNESS_MAX])points, POINTS, reference, 2, 1);
        const struct outlook outlook = {.mean = {points[POINTS][0], points[POINTS][1]}};
        const double gained =
            volume_of(points, POINTS + 1, 2, reference) - volume_of(points, POINTS, 2, reference);
        assert_true(fabs(front_improvement(&front, NULL, &outlook) * range_product(&front) -
                         gained) < 1e-12);
    }
}

/* By directions, so the sums of many cases are compared. */
static void test_improvement_of_three_estimates_the_hypervolume_gained(void **state)
{
    (void)state;
    const double reference[GOODNESS_MAX] = {0.1, -0.9, -1};
    double estimated = 0, gained = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct random_stream random = random_stream_of(seed, 0, RANDOM_PROPOSAL);
        double points[POINTS + 1][GOODNESS_MAX];
        static struct front front;
        random_points(&random, POINTS + 1, points);
        front_init(&front, (const double(*)[GOODNESS_MAX])points, POINTS, reference, 3, seed);
        const struct outlook outlook = {
            .mean = {points[POINTS][0], points[POINTS][1], points[POINTS][2]}};
        estimated += front_improvement(&front, NULL, &outlook) * range_product(&front);
        gained +=
            volume_of(points, POINTS + 1, 3, reference) - volume_of(points, POINTS, 3, reference);
    }
    assert_true(gained > 0);
    assert_true(fabs(estimated / gained - 1) < 0.1);
}

/* The quadrature over what is uncertain: improvement against the mean over draws of the improvement of what is drawn. */
static void assert_equals_monte_carlo(uint32_t quantities, const struct outlook *outlook,
                                      const struct warp *warps, double tolerance)
{
    const double reference[GOODNESS_MAX] = {-2, -2, -1};
    static double points[3][GOODNESS_MAX] = {
        {-0.5, -1.5, -0.5}, {-1, -0.8, -0.3}, {-1.5, -0.4, -0.9}};
    static struct front front;
    struct random_stream random = random_stream_of(7, 0, RANDOM_PROPOSAL);
    front_init(&front, (const double(*)[GOODNESS_MAX])points, 3, reference, quantities, 1);
    double sum = 0;
    for (int i = 0; i < DRAWS; i++) {
        struct outlook drawn = {{0}, {0}};
        for (uint32_t k = 0; k < quantities; k++) {
            const double value = outlook->mean[k] + outlook->deviation[k] * random_normal(&random);
            drawn.mean[k] =
                outlook->deviation[k] > 0 ? warp_back(&warps[k], value) : outlook->mean[k];
        }
        sum += front_improvement(&front, NULL, &drawn);
    }
    const double expected = sum / DRAWS;
    assert_true(expected > 0);
    assert_true(fabs(front_improvement(&front, warps, outlook) / expected - 1) < tolerance);
}

static void test_expected_front_improvement_equals_monte_carlo(void **state)
{
    (void)state;
    struct warp logs = {.is_log = true, .width = 0.5}, warps[] = {plain, logs, logs};
    assert_equals_monte_carlo(2, &(struct outlook){{0.5, -0.7}, {0.8, 0}}, warps, 0.05);
    assert_equals_monte_carlo(2, &(struct outlook){{0.5, 0.4}, {0.8, 0.5}}, warps, 0.05);
    assert_equals_monte_carlo(3, &(struct outlook){{0.5, 0.4, -0.4}, {0.8, 0.5, 0}}, warps, 0.1);
    assert_equals_monte_carlo(3, &(struct outlook){{0.5, -0.7, -0.4}, {0.8, 0, 0}}, warps, 0.1);
}

static void test_empty_front_and_places_below_the_reference(void **state)
{
    (void)state;
    const double reference[GOODNESS_MAX] = {0, 0, 0};
    static struct front front;
    for (uint32_t quantities = 2; quantities <= 3; quantities++) {
        front_init(&front, NULL, 0, reference, quantities, 1);
        assert_true(front_improvement(&front, NULL, &(struct outlook){{1, 1, 1}, {0}}) > 0);
        assert_true(front_improvement(&front, NULL, &(struct outlook){{1, -1, 1}, {0}}) == 0);
        assert_true(front_improvement(&front, NULL, &(struct outlook){{-1, 1, 1}, {0}}) == 0);
    }
}

static void test_of_too_many_points_an_even_choice_is_kept(void **state)
{
    (void)state;
    const double reference[GOODNESS_MAX] = {0, -1};
    static double points[1000][GOODNESS_MAX];
    static struct front front;
    for (uint32_t i = 0; i < 1000; i++) {
        points[i][0] = (i + 1) / 1000.0;
        points[i][1] = -points[i][0] * 0.9;
    }
    front_init(&front, (const double(*)[GOODNESS_MAX])points, 1000, reference, 2, 1);
    assert_in_range(front.count, 200, ACQUISITION_FRONT_MAX);
    assert_true(front.points[0][1] > -0.01 && front.points[front.count - 1][1] < -0.89);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expected_improvement_equals_monte_carlo),
        cmocka_unit_test(test_warps_invert_and_keep_the_order),
        cmocka_unit_test(test_improvement_of_two_equals_the_hypervolume_gained),
        cmocka_unit_test(test_improvement_of_three_estimates_the_hypervolume_gained),
        cmocka_unit_test(test_expected_front_improvement_equals_monte_carlo),
        cmocka_unit_test(test_empty_front_and_places_below_the_reference),
        cmocka_unit_test(test_of_too_many_points_an_even_choice_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
