#include "kernels/gradient_norm.h"
#include "tests/unit/kernels/array.h"
#include "tests/unit/kernels/device_array.h"
#include "worker/engine/optimizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void run_gradient_norm(const struct gradient_norm *norm, struct step_control *control)
{
    struct gradient_norm there = *norm;
    float *gradients = device_array_mirror(norm->gradients);
    struct step_control *device_control = device_array_of(control, sizeof *control);
    there.gradients = gradients;
    there.partials = device_array_new(GRADIENT_NORM_BLOCKS_MAX * sizeof *there.partials);
    assert_int_equal(gradient_norm_launch(&there, device_control, NULL), 0);
    device_array_read(device_control, control, sizeof *control);
    device_array_free(device_control);
    device_array_free(there.partials);
    device_array_free(gradients);
}

static struct step_control norm_of(const float *gradients, size_t count, double clip_norm)
{
    const struct gradient_norm norm = {
        .gradients = gradients, .count = count, .clip_norm = clip_norm};
    const struct step_rates rates = {0.1, 0.9, 0.9, 0, 0};
    struct step_control control = step_control_of(&rates);
    run_gradient_norm(&norm, &control);
    return control;
}

/* The last sizes fill the grid and go round it more than once. */
static void test_norm_and_clip_equal_the_reference(void **state)
{
    (void)state;
    const size_t counts[] = {1, 2, 3, 4, 5, 255, 1023, 1025, 99999, 524288, 524289, 1200007};
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        float *gradients = array_normal(counts[i], i);
        const double expected = slab_norm(gradients, counts[i]);
        const struct step_control cut = norm_of(gradients, counts[i], expected / 3);
        assert_true(fabs((double)cut.norm - expected) <= 1e-7 * expected);
        assert_true(fabs((double)cut.clip * 3 - 1) <= 1e-6);
        assert_int_equal(cut.refused, 0);
        const struct step_control whole = norm_of(gradients, counts[i], expected * 3);
        assert_true(whole.clip == 1.0f);
        array_free(gradients);
    }
}

static void test_squares_beyond_a_float_are_no_overflow(void **state)
{
    (void)state;
    float *gradients = array_zeros(2);
    gradients[0] = 3e30f;
    gradients[1] = 4e30f;
    const struct step_control control = norm_of(gradients, 2, 1.0);
    assert_int_equal(control.refused, 0);
    assert_true(fabs((double)control.norm - 5e30) < 1e24);
    array_free(gradients);
}

static void test_a_norm_that_is_not_finite_is_refused(void **state)
{
    (void)state;
    enum { COUNT = 3001 };
    const float bad[] = {NAN, INFINITY, -INFINITY};
    const size_t places[] = {0, 1500, COUNT - 1};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        float *gradients = array_normal(COUNT, 1);
        gradients[places[i]] = bad[i];
        const struct step_control control = norm_of(gradients, COUNT, 1.0);
        assert_int_equal(control.refused, STEP_NORM_NOT_FINITE);
        assert_true(control.clip == 1.0f);
        array_free(gradients);
    }
}

static void test_the_same_gradients_have_the_same_bits(void **state)
{
    (void)state;
    enum { COUNT = 600011 };
    float *gradients = array_normal(COUNT, 5);
    const struct step_control first = norm_of(gradients, COUNT, 1.0);
    for (int i = 0; i < 5; i++) {
        const struct step_control again = norm_of(gradients, COUNT, 1.0);
        assert_memory_equal(&again, &first, sizeof first);
    }
    array_free(gradients);
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm_and_clip_equal_the_reference),
        cmocka_unit_test(test_squares_beyond_a_float_are_no_overflow),
        cmocka_unit_test(test_a_norm_that_is_not_finite_is_refused),
        cmocka_unit_test(test_the_same_gradients_have_the_same_bits)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
