#include "tests/ops/support.h"
#include "worker/engine/loss.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 3, CLASSES = 4 };

struct loss_case {
    struct loss_options options;
    float logits[COUNT * CLASSES];
    uint32_t labels[COUNT];
};

static double loss_value(void *context)
{
    struct loss_case *c = context;
    return c->options.gradient_scale * loss_softmax(&c->options, c->logits, c->labels, NULL).loss;
}

static void test_gradient_equals_finite_differences(void **state)
{
    (void)state;
    static const double smoothings[] = {0, 0.1, 0.5};
    for (size_t s = 0; s < ARRAY_LENGTH(smoothings); s++) {
        struct loss_case c = {.options = {COUNT, CLASSES, smoothings[s], 1.0 / COUNT},
                              .labels = {0, 3, 1}};
        float *logits = random_values(COUNT * CLASSES, 5), gradient[COUNT * CLASSES];
        memcpy(c.logits, logits, sizeof c.logits);
        free(logits);
        loss_softmax(&c.options, c.logits, c.labels, gradient);
        assert_gradient("logits",
                        &(struct scalar_function){loss_value, &c, c.logits, COUNT * CLASSES},
                        gradient, 1, 1e-3);
    }
}

static void test_equal_logits_cost_log_of_the_classes_whatever_the_smoothing(void **state)
{
    (void)state;
    const float logits[4] = {2, 2, 2, 2};
    const uint32_t label = 1;
    for (int s = 0; s < 3; s++) {
        const struct loss_options options = {1, 4, 0.2 * s, 1};
        assert_true(fabs(loss_softmax(&options, logits, &label, NULL).loss - log(4)) < 1e-9);
    }
}

static void test_smoothing_is_the_mixture_with_the_uniform_target(void **state)
{
    (void)state;
    const float logits[3] = {1, 0, -1};
    const uint32_t label = 0;
    const double sum = log(exp(1) + 1 + exp(-1));
    const double want = 0.7 * (sum - 1) + 0.3 * ((sum - 1) + sum + (sum + 1)) / 3;
    float gradient[3];
    const struct loss_options options = {1, 3, 0.3, 2};
    const struct batch_result result = loss_softmax(&options, logits, &label, gradient);
    assert_true(fabs(result.loss - want) < 1e-9);
    assert_true(fabs((double)gradient[0] - 2 * (exp(1 - sum) - 0.8)) < 1e-6);
    assert_true(fabs((double)gradient[1] - 2 * (exp(-sum) - 0.1)) < 1e-6);
}

static void test_correct_counts_the_largest_logit(void **state)
{
    (void)state;
    const float logits[6] = {1, 5, 2, 9, -1, 0};
    const uint32_t labels[2] = {1, 2};
    const struct loss_options options = {2, 3, 0, 1};
    assert_int_equal(loss_softmax(&options, logits, labels, NULL).correct, 1);
}

static void test_huge_logits_stay_finite_and_nan_does_not_vanish(void **state)
{
    (void)state;
    const uint32_t label = 1;
    const struct loss_options options = {1, 2, 0.1, 1};
    assert_true(
        (bool)isfinite(loss_softmax(&options, (float[2]){1e30f, -1e30f}, &label, NULL).loss));
    assert_false((bool)isfinite(loss_softmax(&options, (float[2]){NAN, 0}, &label, NULL).loss));
    assert_false(
        (bool)isfinite(loss_softmax(&options, (float[2]){0, INFINITY}, &label, NULL).loss));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient_equals_finite_differences),
        cmocka_unit_test(test_equal_logits_cost_log_of_the_classes_whatever_the_smoothing),
        cmocka_unit_test(test_smoothing_is_the_mixture_with_the_uniform_target),
        cmocka_unit_test(test_correct_counts_the_largest_logit),
        cmocka_unit_test(test_huge_logits_stay_finite_and_nan_does_not_vanish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
