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

struct mixed_case {
    struct loss_options options;
    float logits[COUNT * CLASSES], shares[COUNT];
    uint32_t labels[COUNT], partners[COUNT];
};

static double mixed_value(void *context)
{
    struct mixed_case *c = context;
    const struct loss_targets targets = {c->labels, c->partners, c->shares};
    return c->options.gradient_scale * loss_softmax(&c->options, &targets, c->logits, NULL).loss;
}

static double loss_value(void *context)
{
    struct loss_case *c = context;
    return c->options.gradient_scale *
           loss_softmax(&c->options, &(struct loss_targets){.labels = c->labels}, c->logits, NULL)
               .loss;
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
        loss_softmax(&c.options, &(struct loss_targets){.labels = c.labels}, c.logits, gradient);
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
        assert_true(
            fabs(loss_softmax(&options, &(struct loss_targets){.labels = &label}, logits, NULL)
                     .loss -
                 log(4)) < 1e-9);
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
    const struct batch_result result =
        loss_softmax(&options, &(struct loss_targets){.labels = &label}, logits, gradient);
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
    assert_int_equal(
        loss_softmax(&options, &(struct loss_targets){.labels = labels}, logits, NULL).correct, 1);
}

static void test_huge_logits_stay_finite_and_nan_does_not_vanish(void **state)
{
    (void)state;
    const uint32_t label = 1;
    const struct loss_options options = {1, 2, 0.1, 1};
    assert_true((bool)isfinite(loss_softmax(&options, &(struct loss_targets){.labels = &label},
                                            (float[2]){1e30f, -1e30f}, NULL)
                                   .loss));
    assert_false((bool)isfinite(
        loss_softmax(&options, &(struct loss_targets){.labels = &label}, (float[2]){NAN, 0}, NULL)
            .loss));
    assert_false((bool)isfinite(loss_softmax(&options, &(struct loss_targets){.labels = &label},
                                             (float[2]){0, INFINITY}, NULL)
                                    .loss));
}

/* Shares against finite differences, with smoothing; partners that are the label itself too. */
static void test_gradient_of_two_labels_equals_finite_differences(void **state)
{
    (void)state;
    struct mixed_case c = {.options = {COUNT, CLASSES, 0.1, 1.0 / COUNT},
                           .labels = {0, 3, 1},
                           .partners = {2, 3, 0},
                           .shares = {0.75f, 0.3f, 0}};
    float *logits = random_values(COUNT * CLASSES, 5), gradient[COUNT * CLASSES];
    memcpy(c.logits, logits, sizeof c.logits);
    free(logits);
    loss_softmax(&c.options, &(struct loss_targets){c.labels, c.partners, c.shares}, c.logits,
                 gradient);
    assert_gradient("logits", &(struct scalar_function){mixed_value, &c, c.logits, COUNT * CLASSES},
                    gradient, 1, 1e-3);
}

static void test_two_labels_cost_the_mixture_of_their_losses(void **state)
{
    (void)state;
    const float logits[3] = {1, 0, -1}, share = 0.25f, whole = 1;
    const uint32_t first = 0, second = 2;
    const struct loss_options options = {1, 3, 0.3, 2};
    const struct batch_result of_first =
        loss_softmax(&options, &(struct loss_targets){.labels = &first}, logits, NULL);
    const struct batch_result of_second =
        loss_softmax(&options, &(struct loss_targets){.labels = &second}, logits, NULL);
    const struct batch_result mixed =
        loss_softmax(&options, &(struct loss_targets){&first, &second, &share}, logits, NULL);
    const struct batch_result alone =
        loss_softmax(&options, &(struct loss_targets){&first, &second, &whole}, logits, NULL);
    assert_true(fabs(mixed.loss - (0.25 * of_first.loss + 0.75 * of_second.loss)) < 1e-12);
    assert_true(alone.loss == of_first.loss);
    assert_int_equal(mixed.correct, 1); /* the first label's, however small its share */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient_equals_finite_differences),
        cmocka_unit_test(test_equal_logits_cost_log_of_the_classes_whatever_the_smoothing),
        cmocka_unit_test(test_smoothing_is_the_mixture_with_the_uniform_target),
        cmocka_unit_test(test_gradient_of_two_labels_equals_finite_differences),
        cmocka_unit_test(test_two_labels_cost_the_mixture_of_their_losses),
        cmocka_unit_test(test_correct_counts_the_largest_logit),
        cmocka_unit_test(test_huge_logits_stay_finite_and_nan_does_not_vanish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
