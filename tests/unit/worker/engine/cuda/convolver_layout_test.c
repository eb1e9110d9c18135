/* Workspaces: cuDNN's part and ours fit the limit together. */
#include "worker/engine/cuda/convolver.h"
#include "worker/engine/cuda/convolver_layout.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* 40 x 9 x 24 weights, 17280 bytes in bfloat16, 17408 with what they are rounded up by. */
static const struct convolution CONV = {.batch = 2,
                                        .in_channels = 24,
                                        .out_channels = 40,
                                        .kernel = 3,
                                        .stride = 1,
                                        .in_size = 5,
                                        .out_size = 5};
enum { GRADIENT_BYTES = 17408 };

static size_t limit_of(enum convolution_pass pass, size_t bytes_max)
{
    struct plan_request request;
    assert_int_equal(convolver_request(&CONV, pass, bytes_max, &request, NULL), 0);
    assert_int_equal(request.pass, pass);
    return request.workspace_bytes_max;
}

static void test_what_a_plan_may_take_fits_with_the_gradient(void **state)
{
    (void)state;
    for (size_t bytes_max = GRADIENT_BYTES; bytes_max < GRADIENT_BYTES + 1000; bytes_max += 37) {
        const size_t limit = limit_of(CONVOLUTION_BACKWARD_FILTER, bytes_max);
        const size_t all = convolver_workspace_bytes(&CONV, CONVOLUTION_BACKWARD_FILTER, limit);
        assert_true(all <= bytes_max && all + CONVOLVER_ALIGNMENT > bytes_max);
    }
    assert_int_equal(limit_of(CONVOLUTION_BACKWARD_FILTER, GRADIENT_BYTES), 0);
    assert_int_equal(limit_of(CONVOLUTION_FORWARD, 1000), 768);
    assert_int_equal(convolver_workspace_bytes(&CONV, CONVOLUTION_FORWARD, 0), 0);
    assert_int_equal(convolver_workspace_bytes(&CONV, CONVOLUTION_BACKWARD_DATA, 700), 768);
}

static void test_zero_is_no_limit(void **state)
{
    (void)state;
    for (int pass = 0; pass < CONVOLUTION_PASSES; pass++)
        assert_true(limit_of((enum convolution_pass)pass, 0) == PLAN_WORKSPACE_ANY);
}

static void test_a_gradient_that_does_not_fit_is_refused_by_name(void **state)
{
    (void)state;
    struct plan_request request;
    struct error error = {0};
    assert_int_equal(
        convolver_request(&CONV, CONVOLUTION_BACKWARD_FILTER, GRADIENT_BYTES - 1, &request, &error),
        -ENOTSUP);
    assert_non_null(strstr(error.message, "backward-filter of conv3x3/1 batch 2, 24 x 5 px"));
    assert_non_null(strstr(error.message, "17408"));
}

static void test_parts_do_not_overlap(void **state)
{
    (void)state;
    for (size_t plan_bytes = 0; plan_bytes < 1000; plan_bytes += 33) {
        const size_t at = convolver_gradient_offset(plan_bytes);
        assert_true(at >= plan_bytes && at % CONVOLVER_ALIGNMENT == 0);
        assert_int_equal(convolver_workspace_bytes(&CONV, CONVOLUTION_BACKWARD_FILTER, plan_bytes),
                         at + GRADIENT_BYTES);
    }
}

static void test_reading_images_makes_no_other_plan(void **state)
{
    (void)state;
    struct convolution first = CONV;
    struct plan_request request;
    first.first = true;
    assert_int_equal(convolver_request(&first, CONVOLUTION_FORWARD, 0, &request, NULL), 0);
    assert_true(convolution_equal(&request.convolution, &CONV));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_plan_may_take_fits_with_the_gradient),
        cmocka_unit_test(test_zero_is_no_limit),
        cmocka_unit_test(test_a_gradient_that_does_not_fit_is_refused_by_name),
        cmocka_unit_test(test_parts_do_not_overlap),
        cmocka_unit_test(test_reading_images_makes_no_other_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
