/* Training in bfloat16 against the reference in float.
 *
 * A bfloat16 keeps 8 bits: every map is off by up to 2^-9 of itself, at random. Gradients are compared by their norms: what a
 * few layers make of those errors is a few hundredths of a tensor's norm, seldom a tenth, an error in a kernel several tenths. */
#include "tests/ops/support.h"
#include "worker/engine/onednn/onednn.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const double TOLERANCE = 0.15;
/* Of the loss of ten steps on one batch. */
static const double CURVE_TOLERANCE = 3e-2;

static struct plan_options options_of(const struct small_network *network)
{
    struct plan_options options = small_options(network);
    options.recipe.precision = PRECISION_BF16;
    return options;
}

static bool have_bfloat(void)
{
    const struct small_network network = {.size = 4,
                                          .channels = 3,
                                          .stem_kernel = 3,
                                          .stem_stride = 1,
                                          .stem_channels = 16,
                                          .head_channels = 16,
                                          .batch = 2};
    const struct plan_options options = options_of(&network);
    struct session session = session_open(backend_onednn(), &options);
    const bool have = plan_precision(session.plan) == PRECISION_BF16;
    session_close(&session);
    return have;
}

static void need_bfloat(void)
{
    if (have_bfloat())
        return;
    print_message("SKIP: this processor has no instructions for bfloat16\n");
    skip();
}

static void check(const struct small_network *network)
{
    const struct plan_options options = options_of(network);
    struct session got = session_open(backend_onednn(), &options);
    struct session want = session_open(backend_reference(), &options);
    struct batch_result of_got, of_want;
    session_fill(&got, &options, 3);
    session_fill(&want, &options, 3);
    assert_int_equal(plan_precision(got.plan), PRECISION_BF16);
    assert_int_equal(plan_precision(want.plan), PRECISION_F32);
    assert_int_equal(plan_gradients(got.plan, &of_got), 0);
    assert_int_equal(plan_gradients(want.plan, &of_want), 0);
    assert_gradients_near(&got, &want, TOLERANCE);
    assert_true(fabs(of_got.loss - of_want.loss) <= 0.02 * of_want.loss);
    session_close(&got);
    session_close(&want);
}

static const struct small_network PLAIN = {.size = 16,
                                           .channels = 3,
                                           .stem_kernel = 3,
                                           .stem_stride = 1,
                                           .stem_channels = 17,
                                           .head_channels = 24,
                                           .batch = 16};

static struct small_network with_stage(struct stage stage, uint32_t times)
{
    struct small_network network = PLAIN;
    network.stage = stage;
    network.stage_count = times;
    return network;
}

static void test_stem_of_every_kernel_stride_and_channel_count(void **state)
{
    (void)state;
    need_bfloat();
    for (uint32_t kernel = 1; kernel <= 7; kernel += 2)
        for (uint32_t stride = 1; stride <= 2; stride++)
            for (uint32_t channels = 1; channels <= 3; channels += 2) {
                struct small_network network = PLAIN;
                network.stem_kernel = kernel;
                network.stem_stride = stride;
                network.channels = channels;
                check(&network);
            }
}

static void test_blocks_of_every_kind_kernel_and_stride(void **state)
{
    (void)state;
    need_bfloat();
    static const enum block_type kinds[] = {BLOCK_CONV, BLOCK_MBCONV, BLOCK_FUSED_MBCONV};
    for (size_t kind = 0; kind < ARRAY_LENGTH(kinds); kind++)
        for (uint32_t kernel = 1; kernel <= 7; kernel += 2)
            for (uint32_t stride = 1; stride <= 2; stride++) {
                const uint32_t expansion = kinds[kind] == BLOCK_CONV ? 1 : 2;
                struct small_network network =
                    with_stage((struct stage){kinds[kind], 1, kernel, expansion, 0, stride, 24}, 1);
                network.size = stride == 1 ? 9 : 14;
                check(&network);
            }
}

static void test_residuals_and_gates(void **state)
{
    (void)state;
    need_bfloat();
    static const struct stage stages[] = {{BLOCK_MBCONV, 2, 3, 4, 2500, 1, 17},
                                          {BLOCK_FUSED_MBCONV, 2, 3, 4, 2500, 2, 20},
                                          {BLOCK_FUSED_MBCONV, 2, 3, 1, 0, 1, 17},
                                          {BLOCK_CONV, 2, 5, 1, 0, 1, 17}};
    for (size_t s = 0; s < ARRAY_LENGTH(stages); s++) {
        const struct small_network network = with_stage(stages[s], 1);
        check(&network);
    }
}

/* More than a chunk holds. */
static void test_units_that_pass_in_several_chunks(void **state)
{
    (void)state;
    need_bfloat();
    struct small_network network =
        with_stage((struct stage){BLOCK_MBCONV, 1, 3, 4, 2500, 1, 24}, 1);
    network.stem_channels = 24;
    network.size = 24;
    network.batch = 24;
    check(&network);
}

static struct plan_options training_options(void)
{
    struct small_network network =
        with_stage((struct stage){BLOCK_MBCONV, 2, 3, 4, 2500, 1, 17}, 1);
    network.size = 12;
    return options_of(&network);
}

static void test_loss_curves_of_ten_steps_agree_with_float(void **state)
{
    (void)state;
    need_bfloat();
    struct plan_options options = training_options();
    struct session got = session_open(backend_onednn(), &options);
    options.recipe.precision = PRECISION_F32;
    struct session want = session_open(backend_onednn(), &options);
    session_fill(&got, &options, 3);
    session_fill(&want, &options, 3);
    for (int step = 0; step < 10; step++) {
        struct batch_result of_got, of_want;
        assert_int_equal(plan_step(got.plan, 0.02, &of_got), 0);
        assert_int_equal(plan_step(want.plan, 0.02, &of_want), 0);
        const float a = (float)of_got.loss, b = (float)of_want.loss;
        assert_close("loss", &a, &b, 1, CURVE_TOLERANCE);
    }
    session_close(&got);
    session_close(&want);
}

enum { BATCHES = 8, EPOCHS = 3 };

/* Trains on some batches, and counts what it gets right of others. */
static uint32_t correct_after_training(const struct plan_options *options)
{
    struct session session = session_open(backend_onednn(), options);
    uint32_t correct = 0;
    struct batch_result result;
    for (uint64_t step = 0; step < (uint64_t)EPOCHS * BATCHES; step++) {
        session_fill(&session, options, 100 + step % BATCHES);
        assert_int_equal(plan_step(session.plan, 0.02, &result), 0);
    }
    for (uint64_t batch = 0; batch < BATCHES; batch++) {
        session_fill(&session, options, 200 + batch);
        assert_int_equal(plan_evaluate(session.plan, options->recipe.batch, &result), 0);
        correct += result.correct;
    }
    session_close(&session);
    return correct;
}

static void test_a_short_training_gets_as_much_right_as_float_does(void **state)
{
    (void)state;
    need_bfloat();
    struct plan_options options = training_options();
    options.recipe.batch = 32;
    const uint32_t images = BATCHES * options.recipe.batch;
    const uint32_t of_bfloat = correct_after_training(&options);
    options.recipe.precision = PRECISION_F32;
    const uint32_t of_float = correct_after_training(&options);
    print_message("%u of %u right in bf16, %u in f32\n", of_bfloat, images, of_float);
    assert_true(of_float > images * 6 / 10); /* a fifth by guessing */
    assert_true(of_bfloat + images / 25 > of_float);
}

static void test_training_twice_gives_the_same_bits(void **state)
{
    (void)state;
    need_bfloat();
    const struct plan_options options = training_options();
    struct session a = session_open(backend_onednn(), &options);
    struct session b = session_open(backend_onednn(), &options);
    session_fill(&a, &options, 3);
    session_fill(&b, &options, 3);
    for (int step = 0; step < 3; step++) {
        struct batch_result of_a, of_b;
        assert_int_equal(plan_step(a.plan, 0.02, &of_a), 0);
        plan_poison(b.plan);
        session_fill(&b, &options, 3);
        assert_int_equal(plan_step(b.plan, 0.02, &of_b), 0);
        assert_true(of_a.loss == of_b.loss);
    }
    assert_sessions_equal(&a, &b);
    session_close(&a);
    session_close(&b);
}

static void test_images_that_are_not_numbers_are_a_loss_that_is_not_finite(void **state)
{
    (void)state;
    need_bfloat();
    const struct plan_options options = training_options();
    struct session session = session_open(backend_onednn(), &options);
    struct batch_result result;
    session_fill(&session, &options, 3);
    plan_images(session.plan)[7] = NAN;
    assert_int_equal(plan_step(session.plan, 0.02, &result), -EDOM);
    session_close(&session);
}

static int open_baseline(const char *name, struct device **ret_device, struct error *error)
{
    (void)name;
    return onednn_open_with(&kernels_baseline, ret_device, error);
}

static void test_without_instructions_for_it_the_plan_is_in_float(void **state)
{
    (void)state;
    struct backend plain = *backend_onednn();
    plain.device_open = open_baseline;
    const struct plan_options options = training_options();
    struct session session = session_open(&plain, &options);
    assert_int_equal(plan_precision(session.plan), PRECISION_F32);
    session_close(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stem_of_every_kernel_stride_and_channel_count),
        cmocka_unit_test(test_blocks_of_every_kind_kernel_and_stride),
        cmocka_unit_test(test_residuals_and_gates),
        cmocka_unit_test(test_units_that_pass_in_several_chunks),
        cmocka_unit_test(test_loss_curves_of_ten_steps_agree_with_float),
        cmocka_unit_test(test_a_short_training_gets_as_much_right_as_float_does),
        cmocka_unit_test(test_training_twice_gives_the_same_bits),
        cmocka_unit_test(test_images_that_are_not_numbers_are_a_loss_that_is_not_finite),
        cmocka_unit_test(test_without_instructions_for_it_the_plan_is_in_float),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
