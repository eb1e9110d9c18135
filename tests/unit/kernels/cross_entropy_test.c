#include "kernels/cross_entropy.h"
#include "tests/unit/kernels/array.h"
#include "tests/unit/kernels/device_array.h"
#include "worker/engine/loss.h"

#include "search/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* *ret_sum is read where options->first is false. */
static void run_cross_entropy(const struct cross_entropy_options *options,
                              const struct cross_entropy *loss)
{
    struct cross_entropy there = *loss;
    void *logits = device_array_mirror(loss->logits), *labels = device_array_mirror(loss->labels);
    void *partners = device_array_mirror(loss->partners),
         *shares = device_array_mirror(loss->shares);
    there.logits = logits;
    there.labels = labels;
    there.partners = partners;
    there.shares = shares;
    there.ret_gradient = device_array_mirror(loss->ret_gradient);
    there.images = device_array_new(options->count * sizeof *there.images);
    there.ret_sum = device_array_of(loss->ret_sum, sizeof *loss->ret_sum);
    there.control = device_array_of(loss->control, sizeof *loss->control);
    assert_int_equal(cross_entropy_launch(options, &there, NULL), 0);
    device_array_bring_back(there.ret_gradient, loss->ret_gradient);
    device_array_read(there.ret_sum, loss->ret_sum, sizeof *loss->ret_sum);
    if (loss->control)
        device_array_read(there.control, loss->control, sizeof *loss->control);
    void *const all[] = {logits,       labels,        partners,     shares,
                         there.images, there.ret_sum, there.control};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        device_array_free(all[i]);
}

/* What a case is given; arrays of array.h. */
struct given {
    uint32_t count, classes;
    float *logits, *shares;
    uint32_t *labels, *partners;
};

static struct given given_new(uint32_t count, uint32_t classes)
{
    struct given given = {.count = count,
                          .classes = classes,
                          .logits = array_normal((size_t)count * classes, classes),
                          .shares = array_new(count * sizeof(float)),
                          .labels = array_new(count * sizeof(uint32_t)),
                          .partners = array_new(count * sizeof(uint32_t))};
    struct random_stream random = random_stream_of(1, count, RANDOM_MIX);
    for (uint32_t n = 0; n < count; n++) {
        given.labels[n] = (uint32_t)random_below(&random, classes);
        given.partners[n] = (uint32_t)random_below(&random, classes);
        given.shares[n] = n % 3 ? (float)random_unit(&random) : 1.0f;
    }
    return given;
}

static void given_free(const struct given *given)
{
    array_free(given->logits);
    array_free(given->shares);
    array_free(given->labels);
    array_free(given->partners);
}

static struct cross_entropy loss_of(const struct given *given, bool two, float *ret_gradient,
                                    struct cross_entropy_sum *ret_sum)
{
    return (struct cross_entropy){.logits = given->logits,
                                  .labels = given->labels,
                                  .partners = two ? given->partners : NULL,
                                  .shares = two ? given->shares : NULL,
                                  .ret_gradient = ret_gradient,
                                  .ret_sum = ret_sum};
}

static void loss_compare(const struct given *given, double smoothing, bool two)
{
    const size_t elements = (size_t)given->count * given->classes;
    const double scale = 0.25;
    float *got = array_new(elements * sizeof *got), *expected = array_new(elements * sizeof *got);
    struct cross_entropy_sum sum = {(double)NAN, 12345};
    const struct cross_entropy_options options = {given->count, given->classes, smoothing, scale,
                                                  true};
    const struct cross_entropy loss = loss_of(given, two, got, &sum);
    run_cross_entropy(&options, &loss);
    const struct loss_options reference = {given->count, given->classes, smoothing, scale};
    const struct loss_targets targets = {given->labels, loss.partners, loss.shares};
    const struct batch_result result = loss_softmax(&reference, &targets, given->logits, expected);
    assert_true(fabs(sum.loss - result.loss) <= 1e-6 * (1 + fabs(result.loss)));
    assert_int_equal(sum.correct, result.correct);
    array_assert_close(got, expected, elements, 1e-6 * scale);
    array_free(got);
    array_free(expected);
}

static void test_loss_and_gradient_equal_the_reference(void **state)
{
    (void)state;
    static const uint32_t shapes[][2] = {{1, 1},   {1, 2},   {3, 10},   {129, 10}, {5, 127},
                                         {4, 128}, {7, 129}, {6, 1000}, {2, 1003}, {300, 3}};
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
        const struct given given = given_new(shapes[i][0], shapes[i][1]);
        loss_compare(&given, 0.0, false);
        loss_compare(&given, 0.1, false);
        loss_compare(&given, 0.1, true);
        given_free(&given);
    }
}

static void test_large_logits_do_not_overflow(void **state)
{
    (void)state;
    const struct given given = given_new(9, 200);
    for (size_t i = 0; i < (size_t)given.count * given.classes; i++)
        given.logits[i] = given.logits[i] * 50.0f + (i % 2 ? 1e4f : -1e4f);
    loss_compare(&given, 0.1, true);
    given_free(&given);
}

/* Of equal logits the first is the answer, across threads too. */
static void test_the_first_of_equal_logits_counts(void **state)
{
    (void)state;
    enum { CLASSES = 300 };
    const struct given given = given_new(CLASSES, CLASSES);
    for (size_t i = 0; i < (size_t)CLASSES * CLASSES; i++)
        given.logits[i] = 0.5f;
    for (uint32_t n = 0; n < CLASSES; n++) {
        given.labels[n] = n;
        given.logits[(size_t)n * CLASSES + n] = n % 2 ? 1.0f : 0.5f;
    }
    loss_compare(&given, 0.0, false); /* images 0, 1, 3, 5, ... */
    given_free(&given);
}

static void test_parts_of_a_batch_are_added(void **state)
{
    (void)state;
    const struct given given = given_new(13, 17);
    struct cross_entropy_sum once, twice;
    const struct cross_entropy first = loss_of(&given, true, NULL, &once),
                               second = loss_of(&given, true, NULL, &twice);
    struct cross_entropy_options options = {13, 17, 0.1, 1.0, true};
    run_cross_entropy(&options, &first);
    twice = once;
    options.first = false;
    run_cross_entropy(&options, &second);
    assert_true(twice.loss == 2 * once.loss);
    assert_int_equal(twice.correct, 2 * once.correct);
    given_free(&given);
}

static uint32_t refused_with(const struct given *given)
{
    struct step_control control = {0};
    struct cross_entropy_sum sum;
    struct cross_entropy loss = loss_of(given, true, NULL, &sum);
    const struct cross_entropy_options options = {given->count, given->classes, 0.1, 1.0, true};
    loss.control = &control;
    run_cross_entropy(&options, &loss);
    return control.refused;
}

static void test_what_is_not_finite_or_no_class_refuses_the_step(void **state)
{
    (void)state;
    const struct given given = given_new(7, 33);
    const float bad[] = {NAN, INFINITY};
    float *logit = &given.logits[3 * 33 + 30];
    const float good = *logit;
    assert_int_equal(refused_with(&given), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        *logit = bad[i];
        assert_int_equal(refused_with(&given), STEP_LOSS_NOT_FINITE);
    }
    *logit = good;
    given.partners[6] = 33;
    assert_int_equal(refused_with(&given), STEP_LOSS_NOT_FINITE);
    given.partners[6] = 0;
    given.labels[0] = UINT32_MAX;
    assert_int_equal(refused_with(&given), STEP_LOSS_NOT_FINITE);
    given_free(&given);
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_and_gradient_equal_the_reference),
        cmocka_unit_test(test_large_logits_do_not_overflow),
        cmocka_unit_test(test_the_first_of_equal_logits_counts),
        cmocka_unit_test(test_parts_of_a_batch_are_added),
        cmocka_unit_test(test_what_is_not_finite_or_no_class_refuses_the_step)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
