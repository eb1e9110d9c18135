/* The Gaussian process: against a dense computation, its gradient against finite differences, degenerate data. */
#include "search/random.h"
#include "search/surrogate.h"
#include "tests/unit/search/specs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { POINTS = 60 };

struct fixture {
    struct spec *spec;
    struct features features;
    struct surrogate *surrogate;
    struct feature_vector vectors[POINTS + 20];
    double values[POINTS + 20];
};

/* A smooth function of the features and the trends. */
static double value_of(const struct features *features, const struct feature_vector *vector)
{
    double sum = 0.3 * (vector->trends[1] - 14);
    for (uint32_t i = 0; i < features->count; i++)
        sum += sin(1.5 * vector->values[i] + i);
    return sum;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->spec = specs_with("{\"preset\": \"efficientnetv2-small-images\"}", "");
    features_init(&fixture->features, fixture->spec->space, fixture->spec->pricing);
    assert_int_equal(surrogate_new(&fixture->features, &fixture->surrogate), 0);
    struct random_stream random = random_stream_of(3, 0, RANDOM_PROPOSAL);
    for (uint32_t n = 0; n < POINTS + 20; n++) {
        struct encoding encoding = {{0}};
        for (uint32_t i = 0; i < space_stage_count(fixture->spec->space); i++)
            encoding.choices[i] =
                (uint16_t)random_below(&random, space_option_count(fixture->spec->space, i));
        features_of(&fixture->features, &encoding, &fixture->vectors[n]);
        fixture->values[n] = value_of(&fixture->features, &fixture->vectors[n]);
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    surrogate_free(fixture->surrogate);
    spec_free(fixture->spec);
    free(fixture);
    return 0;
}

static void add_points(struct fixture *fixture, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        surrogate_add(fixture->surrogate, &fixture->vectors[i]);
}

static void test_predictions_interpolate_and_generalize(void **state)
{
    struct fixture *fixture = *state;
    double mean, deviation, squares = 0, variance = 0, errors = 0;
    add_points(fixture, 0, POINTS);
    surrogate_fit(fixture->surrogate, fixture->values);
    surrogate_condition(fixture->surrogate, fixture->values, POINTS);
    for (uint32_t i = 0; i < POINTS; i++) {
        surrogate_predict(fixture->surrogate, &fixture->vectors[i], &mean, &deviation);
        assert_true(fabs(mean - fixture->values[i]) < 0.1);
        assert_true(fabs(surrogate_smoothed(fixture->surrogate, i) - mean) < 1e-3);
    }
    for (uint32_t i = POINTS; i < POINTS + 20; i++) {
        surrogate_predict(fixture->surrogate, &fixture->vectors[i], &mean, &deviation);
        const double off = mean - fixture->values[i];
        errors += fabs(off) > 3 * deviation;
        squares += off * off;
        variance += fixture->values[i] * fixture->values[i];
    }
    assert_true(squares < 0.1 * variance);
    assert_true(errors <= 2);
}

static void test_gradient_equals_finite_differences(void **state)
{
    struct fixture *fixture = *state;
    double weights[SURROGATE_WEIGHTS_MAX], gradient[SURROGATE_WEIGHTS_MAX];
    double unused[SURROGATE_WEIGHTS_MAX];
    const uint32_t count = fixture->features.slot_count + 1;
    add_points(fixture, 0, 30);
    for (uint32_t i = 0; i < count; i++)
        weights[i] = -0.5 - 0.4 * i;
    surrogate_loss(fixture->surrogate, fixture->values, weights, gradient);
    for (uint32_t i = 0; i < count; i++) {
        const double step = 1e-5, middle = weights[i];
        weights[i] = middle + step;
        const double above = surrogate_loss(fixture->surrogate, fixture->values, weights, unused);
        weights[i] = middle - step;
        const double below = surrogate_loss(fixture->surrogate, fixture->values, weights, unused);
        weights[i] = middle;
        const double slope = (above - below) / (2 * step);
        if (fabs(slope - gradient[i]) > 1e-5 * (1 + fabs(slope)))
            fail_msg("weight %u: %.9g by differences, %.9g", i, slope, gradient[i]);
    }
}

static void test_fit_lowers_the_loss(void **state)
{
    struct fixture *fixture = *state;
    double weights[SURROGATE_WEIGHTS_MAX], gradient[SURROGATE_WEIGHTS_MAX], mean, deviation;
    double unfitted = 0, fitted = 0;
    for (uint32_t i = 0; i <= fixture->features.slot_count; i++)
        weights[i] = 2;
    add_points(fixture, 0, POINTS);
    surrogate_loss(fixture->surrogate, fixture->values, weights, gradient);
    for (int round = 0; round < 2; round++) {
        double *sum = round == 0 ? &unfitted : &fitted;
        if (round == 1)
            surrogate_fit(fixture->surrogate, fixture->values);
        surrogate_condition(fixture->surrogate, fixture->values, POINTS);
        for (uint32_t i = POINTS; i < POINTS + 20; i++) {
            surrogate_predict(fixture->surrogate, &fixture->vectors[i], &mean, &deviation);
            *sum += (mean - fixture->values[i]) * (mean - fixture->values[i]);
        }
    }
    assert_true(fitted < 0.5 * unfitted);
}

/* Three measurements of each point: means are closer to the truth than measurements are. */
static void test_noise_is_smoothed(void **state)
{
    struct fixture *fixture = *state;
    struct random_stream random = random_stream_of(4, 0, RANDOM_PROPOSAL);
    double noisy[POINTS], measured = 0, smoothed = 0;
    for (uint32_t i = 0; i < POINTS; i++) {
        noisy[i] = fixture->values[i / 3] + random_normal(&random);
        surrogate_add(fixture->surrogate, &fixture->vectors[i / 3]);
    }
    surrogate_fit(fixture->surrogate, noisy);
    surrogate_condition(fixture->surrogate, noisy, POINTS);
    for (uint32_t i = 0; i < POINTS; i++) {
        const double off = surrogate_smoothed(fixture->surrogate, i) - fixture->values[i / 3];
        measured += (noisy[i] - fixture->values[i / 3]) * (noisy[i] - fixture->values[i / 3]);
        smoothed += off * off;
    }
    assert_true(smoothed < 0.6 * measured);
}

static void test_points_added_one_by_one_give_the_same_numbers(void **state)
{
    struct fixture *fixture = *state;
    struct surrogate *other = NULL;
    double mean, deviation, other_mean, other_deviation;
    assert_int_equal(surrogate_new(&fixture->features, &other), 0);
    add_points(fixture, 0, 20);
    surrogate_fit(fixture->surrogate, fixture->values);
    for (uint32_t i = 0; i < 20; i++)
        surrogate_add(other, &fixture->vectors[i]);
    surrogate_fit(other, fixture->values);
    for (uint32_t i = 20; i < POINTS; i++) {
        surrogate_condition(other, fixture->values, i);
        surrogate_add(other, &fixture->vectors[POINTS + i % 20]); /* expected, then forgotten */
        surrogate_condition(other, fixture->values, i);
        surrogate_truncate(other, i);
        surrogate_add(other, &fixture->vectors[i]);
    }
    add_points(fixture, 20, POINTS - 20);
    surrogate_condition(fixture->surrogate, fixture->values, POINTS);
    surrogate_condition(other, fixture->values, POINTS);
    for (uint32_t i = 0; i < POINTS + 20; i++) {
        surrogate_predict(fixture->surrogate, &fixture->vectors[i], &mean, &deviation);
        surrogate_predict(other, &fixture->vectors[i], &other_mean, &other_deviation);
        assert_true(mean == other_mean && deviation == other_deviation);
    }
    surrogate_free(other);
}

static void test_expected_points_narrow_deviations_and_leave_means(void **state)
{
    struct fixture *fixture = *state;
    double before, after, deviation, narrowed;
    add_points(fixture, 0, 20);
    surrogate_fit(fixture->surrogate, fixture->values);
    surrogate_condition(fixture->surrogate, fixture->values, 20);
    surrogate_predict(fixture->surrogate, &fixture->vectors[40], &before, &deviation);
    surrogate_add(fixture->surrogate, &fixture->vectors[40]);
    surrogate_condition(fixture->surrogate, fixture->values, 20);
    surrogate_predict(fixture->surrogate, &fixture->vectors[40], &after, &narrowed);
    assert_true(before == after);
    assert_true(narrowed < 0.1 * deviation);
}

static void assert_usable(struct fixture *fixture, uint32_t count)
{
    double mean, deviation;
    surrogate_fit(fixture->surrogate, fixture->values);
    surrogate_condition(fixture->surrogate, fixture->values, count);
    for (uint32_t i = 0; i < POINTS; i++) {
        surrogate_predict(fixture->surrogate, &fixture->vectors[i], &mean, &deviation);
        assert_true(isfinite(mean) && isfinite(deviation) && deviation > 0);
    }
}

static void test_degenerate_data_is_taken(void **state)
{
    struct fixture *fixture = *state;
    add_points(fixture, 0, 1);
    assert_usable(fixture, 1);
    for (uint32_t i = 0; i < 30; i++) {
        fixture->values[i] = 0;
        surrogate_truncate(fixture->surrogate, 0);
    }
    add_points(fixture, 0, 30);
    assert_usable(fixture, 30);
    surrogate_truncate(fixture->surrogate, 0);
    for (uint32_t i = 0; i < 30; i++) {
        surrogate_add(fixture->surrogate, &fixture->vectors[i % 2]);
        fixture->values[i] = i % 3;
    }
    assert_usable(fixture, 30);
    surrogate_truncate(fixture->surrogate, 0);
    add_points(fixture, 0, 30);
    fixture->values[7] = -700;
    assert_usable(fixture, 30);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_predictions_interpolate_and_generalize),
        TEST(test_gradient_equals_finite_differences),
        TEST(test_fit_lowers_the_loss),
        TEST(test_noise_is_smoothed),
        TEST(test_points_added_one_by_one_give_the_same_numbers),
        TEST(test_expected_points_narrow_deviations_and_leave_means),
        TEST(test_degenerate_data_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
