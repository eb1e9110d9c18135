/* The CUDA backend against the reference in float. Linked twice: with the emulated runtime, which runs everywhere, and with
 * the real one, which needs a device (tests/gpu).
 *
 * Maps are bfloat16, which keeps 8 bits: gradients are compared by their norms, as in bfloat_test.c, which says what to expect. */
#include "tests/ops/support.h"
#include "worker/engine/backend.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const double TOLERANCE = 0.15;
/* Of running statistics after a step, a tenth of the batch's: the mean of values that deviate by about 1 may be 0. */
static const float STATISTICS_TOLERANCE = 5e-3f;
static const double EVALUATION_TOLERANCE = 0.1;
static void assert_statistics_near(struct session *got, struct session *want)
{
    for (size_t i = 0; i < plan_tensor_count(want->plan); i++) {
        struct tensor_info info;
        size_t count;
        plan_tensor_info(want->plan, i, &info);
        if (!strstr(info.name, ".bn.mean") && !strstr(info.name, ".bn.variance"))
            continue;
        float *a = session_tensor(got, info.name, &count);
        float *b = session_tensor(want, info.name, &count);
        for (size_t c = 0; c < count; c++)
            if (!(fabsf(a[c] - b[c]) <= STATISTICS_TOLERANCE * fmaxf(1, fabsf(b[c]))))
                fail_msg("%s[%zu]: got %.8g, want %.8g", info.name, c, (double)a[c], (double)b[c]);
        free(a);
        free(b);
    }
}

/* Gradients, then a step and an evaluation with the statistics that it left. */
static void check_options(const struct plan_options *options)
{
    struct session got = session_open(backend_cuda(), options);
    struct session want = session_open(backend_reference(), options);
    struct batch_result of_got, of_want;
    session_fill(&got, options, 3);
    session_fill(&want, options, 3);
    assert_int_equal(plan_precision(got.plan), PRECISION_BF16);
    assert_int_equal(plan_gradients(got.plan, &of_got), 0);
    assert_int_equal(plan_gradients(want.plan, &of_want), 0);
    assert_gradients_near(&got, &want, TOLERANCE);
    assert_true(fabs(of_got.loss - of_want.loss) <= 0.02 * of_want.loss);
    assert_int_equal(plan_step(got.plan, 1e-3, &of_got), 0);
    assert_int_equal(plan_step(want.plan, 1e-3, &of_want), 0);
    assert_true(fabs(of_got.loss - of_want.loss) <= 0.02 * of_want.loss);
    assert_statistics_near(&got, &want);
    assert_int_equal(plan_evaluate(got.plan, options->recipe.batch, &of_got), 0);
    assert_int_equal(plan_evaluate(want.plan, options->recipe.batch, &of_want), 0);
    assert_close("evaluation", plan_logits(got.plan), plan_logits(want.plan),
                 (size_t)options->recipe.batch * options->problem.classes, EVALUATION_TOLERANCE);
    session_close(&got);
    session_close(&want);
}

static void check(const struct small_network *network)
{
    const struct plan_options options = small_options(network);
    check_options(&options);
}

static const struct small_network PLAIN = {.size = 8,
                                           .channels = 3,
                                           .stem_kernel = 3,
                                           .stem_stride = 1,
                                           .stem_channels = 17,
                                           .head_channels = 24,
                                           .batch = 8};

static struct small_network with_stage(struct stage stage)
{
    struct small_network network = PLAIN;
    network.stage = stage;
    network.stage_count = 1;
    return network;
}

static void test_stem_of_every_kernel_stride_and_channel_count(void **state)
{
    (void)state;
    for (uint32_t kernel = 1; kernel <= 7; kernel += 2)
        for (uint32_t stride = 1; stride <= 2; stride++) {
            struct small_network network = PLAIN;
            network.stem_kernel = kernel;
            network.stem_stride = stride;
            network.channels = kernel % 4 == 1 ? 1 : 3;
            check(&network);
        }
}

static void test_blocks_of_every_kind_kernel_and_stride(void **state)
{
    (void)state;
    static const enum block_type kinds[] = {BLOCK_CONV, BLOCK_MBCONV, BLOCK_FUSED_MBCONV};
    for (size_t kind = 0; kind < ARRAY_LENGTH(kinds); kind++)
        for (uint32_t kernel = 1; kernel <= 7; kernel += 2)
            for (uint32_t stride = 1; stride <= 2; stride++) {
                const uint32_t expansion = kinds[kind] == BLOCK_CONV ? 1 : 2;
                struct small_network network =
                    with_stage((struct stage){kinds[kind], 1, kernel, expansion, 0, stride, 24});
                network.size = stride == 1 ? 7 : 10;
                check(&network);
            }
}

/* Depthwise convolutions that read a stored map, and that normalise what they read, with SiLU and without. */
static void test_depthwise_inputs_of_every_kind(void **state)
{
    (void)state;
    static const struct stage stages[] = {
        {BLOCK_MBCONV, 1, 3, 1, 0, 1, 24},    /* the stem's output, normalised on load */
        {BLOCK_MBCONV, 1, 3, 1, 2500, 1, 17}, /* which is a residual, too */
        {BLOCK_MBCONV, 2, 5, 1, 0, 2, 17},    /* a projection's, stored */
    };
    for (size_t s = 0; s < ARRAY_LENGTH(stages); s++) {
        const struct small_network network = with_stage(stages[s]);
        check(&network);
    }
    struct small_network narrow = with_stage((struct stage){BLOCK_MBCONV, 1, 3, 1, 0, 1, 24});
    struct plan_options options = small_options(&narrow);
    options.architecture.stage_count =
        2; /* a projection's without a residual: normalised on load, no SiLU */
    options.architecture.stages[1] = (struct stage){BLOCK_MBCONV, 1, 3, 1, 5000, 1, 16};
    check_options(&options);
}

static void test_residuals_and_gates(void **state)
{
    (void)state;
    static const struct stage stages[] = {
        {BLOCK_MBCONV, 2, 3, 4, 2500, 1, 17},       {BLOCK_MBCONV, 3, 5, 1, 5000, 1, 17},
        {BLOCK_FUSED_MBCONV, 2, 3, 4, 0, 1, 17},    {BLOCK_FUSED_MBCONV, 2, 3, 4, 2500, 2, 20},
        {BLOCK_FUSED_MBCONV, 3, 3, 1, 0, 1, 17},    {BLOCK_CONV, 3, 5, 1, 0, 1, 17},
        {BLOCK_FUSED_MBCONV, 2, 3, 4, 2500, 1, 17}, {BLOCK_MBCONV, 2, 3, 6, 0, 2, 17}};
    for (size_t s = 0; s < ARRAY_LENGTH(stages); s++) {
        const struct small_network network = with_stage(stages[s]);
        check(&network);
    }
}

static void test_channels_that_are_no_multiple_of_eight(void **state)
{
    (void)state;
    static const uint32_t channels[] = {3, 17, 24};
    for (size_t in = 0; in < ARRAY_LENGTH(channels); in++)
        for (size_t out = 0; out < ARRAY_LENGTH(channels); out++) {
            struct small_network network =
                with_stage((struct stage){BLOCK_MBCONV, 1, 3, 2, 2500, 1, channels[out]});
            network.stem_channels = channels[in];
            network.size = 5;
            check(&network);
        }
}

static void test_odd_sizes_and_batches(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {13, 28, 33};
    for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
        struct small_network network =
            with_stage((struct stage){BLOCK_MBCONV, 1, s % 2 ? 5 : 3, 3, 2500, 2, 17});
        network.size = sizes[s];
        network.stem_stride = 2;
        network.batch = 17;
        check(&network);
    }
}

static void test_dropped_branches_and_features_in_parts_of_the_batch(void **state)
{
    (void)state;
    static const struct stage stages[] = {{BLOCK_MBCONV, 3, 3, 2, 2500, 1, 17},
                                          {BLOCK_FUSED_MBCONV, 3, 3, 4, 0, 1, 17},
                                          {BLOCK_CONV, 3, 3, 1, 0, 1, 17}};
    for (size_t s = 0; s < ARRAY_LENGTH(stages); s++) {
        struct small_network network = with_stage(stages[s]);
        network.batch = 16;
        struct plan_options options = small_options(&network);
        options.recipe.stochastic_depth = 0.6;
        options.recipe.dropout = 0.4;
        for (options.micro_batches = 1; options.micro_batches <= 2; options.micro_batches++)
            check_options(&options);
    }
}

int main(void)
{
    if (!device_is_here(backend_cuda()))
        return DEVICE_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stem_of_every_kernel_stride_and_channel_count),
        cmocka_unit_test(test_blocks_of_every_kind_kernel_and_stride),
        cmocka_unit_test(test_depthwise_inputs_of_every_kind),
        cmocka_unit_test(test_residuals_and_gates),
        cmocka_unit_test(test_channels_that_are_no_multiple_of_eight),
        cmocka_unit_test(test_odd_sizes_and_batches),
        cmocka_unit_test(test_dropped_branches_and_features_in_parts_of_the_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
