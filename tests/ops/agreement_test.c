/* The oneDNN backend against the reference, network by network: logits, statistics and the gradient of every parameter.
 *
 * Tolerances are relative to the largest value of a tensor. Both backends keep maps in float, the one sums in float and the
 * other in double: 2e-4 is what is left of 24 bits after a few layers that divide by a deviation. An error in a kernel
 * shows as 1e-2 and more. */
#include "tests/ops/support.h"
#include "worker/engine/onednn/onednn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const double TOLERANCE = 2e-4;

/* The kernels of 16 lanes, compiled for a processor that has 8: their logic is tested where their instructions are not. */
extern const struct kernels kernels_wide;

static int open_baseline(const char *name, struct device **ret_device, struct error *error)
{
    (void)name;
    return onednn_open_with(&kernels_baseline, ret_device, error);
}

static int open_wide(const char *name, struct device **ret_device, struct error *error)
{
    (void)name;
    return onednn_open_with(&kernels_wide, ret_device, error);
}

static const struct backend *backend_of(int (*open)(const char *, struct device **, struct error *),
                                        struct backend *copy)
{
    *copy = *backend_onednn();
    copy->device_open = open;
    return copy;
}

/* Gradients, then a training step and an evaluation with the statistics that it left. */
static void check_on(const struct backend *backend, const struct plan_options *options)
{
    struct session got = session_open(backend, options);
    struct session want = session_open(backend_reference(), options);
    const uint32_t logits = options->recipe.batch * options->problem.classes;
    struct batch_result of_got, of_want;
    session_fill(&got, options, 3);
    session_fill(&want, options, 3);
    assert_int_equal(plan_gradients(got.plan, &of_got), 0);
    assert_int_equal(plan_gradients(want.plan, &of_want), 0);
    assert_sessions_close(&got, &want, logits, TOLERANCE);
    assert_true(of_got.loss > of_want.loss - 1e-3 && of_got.loss < of_want.loss + 1e-3);
    assert_int_equal(plan_step(got.plan, 1e-3, &of_got), 0);
    assert_int_equal(plan_step(want.plan, 1e-3, &of_want), 0);
    assert_int_equal(plan_evaluate(got.plan, options->recipe.batch, &of_got), 0);
    assert_int_equal(plan_evaluate(want.plan, options->recipe.batch, &of_want), 0);
    assert_close("evaluation", plan_logits(got.plan), plan_logits(want.plan), logits, TOLERANCE);
    session_close(&got);
    session_close(&want);
}

static void check(const struct small_network *network)
{
    const struct plan_options options = small_options(network);
    check_on(backend_onednn(), &options);
}

static const struct small_network PLAIN = {.size = 7,
                                           .channels = 3,
                                           .stem_kernel = 3,
                                           .stem_stride = 1,
                                           .stem_channels = 17,
                                           .head_channels = 24,
                                           .batch = 3};

static struct small_network with_stage(struct stage stage)
{
    struct small_network network = PLAIN;
    network.stage = stage;
    network.stage_count = 1;
    return network;
}

static const uint32_t KERNELS[] = {1, 3, 5, 7};
static const uint32_t SIZES[] = {7, 13, 28, 33};

static void test_stem_of_every_kernel_stride_and_channel_count(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LENGTH(KERNELS); k++)
        for (uint32_t stride = 1; stride <= 2; stride++)
            for (uint32_t channels = 1; channels <= 3; channels += 2) {
                struct small_network network = PLAIN;
                network.stem_kernel = KERNELS[k];
                network.stem_stride = stride;
                network.channels = channels;
                check(&network);
            }
}

static void test_stem_at_odd_sizes(void **state)
{
    (void)state;
    for (size_t s = 0; s < ARRAY_LENGTH(SIZES); s++) {
        struct small_network network = PLAIN;
        network.size = SIZES[s];
        network.stem_stride = 2;
        check(&network);
    }
}

static void test_depthwise_of_every_kernel_and_stride(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LENGTH(KERNELS); k++)
        for (uint32_t stride = 1; stride <= 2; stride++) {
            struct small_network network =
                with_stage((struct stage){BLOCK_MBCONV, 1, KERNELS[k], 1, 0, stride, 17});
            check(&network);
            network.size = 10;
            check(&network);
        }
}

static void test_depthwise_at_odd_sizes(void **state)
{
    (void)state;
    for (size_t s = 0; s < ARRAY_LENGTH(SIZES); s++)
        for (uint32_t stride = 1; stride <= 2; stride++) {
            struct small_network network =
                with_stage((struct stage){BLOCK_MBCONV, 1, s % 2 ? 5 : 3, 1, 0, stride, 24});
            network.size = SIZES[s];
            network.stem_channels = 8;
            check(&network);
        }
}

static void test_dense_of_every_kernel_and_stride(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LENGTH(KERNELS); k++)
        for (uint32_t stride = 1; stride <= 2; stride++) {
            const struct small_network network =
                with_stage((struct stage){BLOCK_CONV, 1, KERNELS[k], 1, 0, stride, 24});
            check(&network);
        }
}

/* Even sizes are padded less behind than before, a kernel of 1 even by -1; small maps lie inside the kernel. */
static void test_dense_at_even_and_small_sizes(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 4, 10};
    for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++)
        for (size_t k = 0; k < ARRAY_LENGTH(KERNELS); k++)
            for (uint32_t stride = 1; stride <= 2; stride++) {
                struct small_network network =
                    with_stage((struct stage){BLOCK_CONV, 1, KERNELS[k], 1, 0, stride, 24});
                network.size = sizes[s];
                check(&network);
            }
}

static void test_channels_that_fill_no_block(void **state)
{
    (void)state;
    static const uint32_t channels[] = {3, 17, 24, 48};
    for (size_t in = 0; in < ARRAY_LENGTH(channels); in++)
        for (size_t out = 0; out < ARRAY_LENGTH(channels); out++) {
            struct small_network network =
                with_stage((struct stage){BLOCK_MBCONV, 1, 3, 2, 2500, 1, channels[out]});
            network.stem_channels = channels[in];
            network.size = 5;
            check(&network);
        }
}

static void test_batches_of_one_and_seventeen(void **state)
{
    (void)state;
    static const uint32_t batches[] = {1, 2, 17};
    for (size_t b = 0; b < ARRAY_LENGTH(batches); b++)
        for (uint32_t stride = 1; stride <= 2; stride++) {
            struct small_network network =
                with_stage((struct stage){BLOCK_MBCONV, 1, 5, 3, 2500, stride, 17});
            network.batch = batches[b];
            network.stem_kernel = 1;
            check(&network);
        }
}

static void test_blocks_with_residual_expansion_and_gate(void **state)
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

/* Larger than the cache is meant to hold at once: several chunks a unit. */
static struct plan_options several_chunks(void)
{
    struct small_network network = with_stage((struct stage){BLOCK_MBCONV, 2, 3, 4, 2500, 1, 24});
    network.stem_channels = 24;
    network.size = 20;
    network.batch = 12;
    return small_options(&network);
}

static void test_units_that_pass_in_several_chunks(void **state)
{
    (void)state;
    struct plan_options options = several_chunks();
    check_on(backend_onednn(), &options);
    options.micro_batches = 2;
    check_on(backend_onednn(), &options);
}

/* Branches that end in an activation and that do not, several in a row, in one chunk and in many, in parts of the batch. */
static void test_dropped_branches_and_features(void **state)
{
    (void)state;
    static const struct stage stages[] = {{BLOCK_MBCONV, 3, 3, 2, 2500, 1, 17},
                                          {BLOCK_FUSED_MBCONV, 3, 3, 4, 0, 1, 17},
                                          {BLOCK_CONV, 3, 3, 1, 0, 1, 17},
                                          {BLOCK_MBCONV, 2, 3, 2, 0, 2, 17}};
    for (size_t s = 0; s <= ARRAY_LENGTH(stages); s++) {
        struct small_network network = with_stage(stages[s % ARRAY_LENGTH(stages)]);
        network.batch = 8;
        struct plan_options options =
            s < ARRAY_LENGTH(stages) ? small_options(&network) : several_chunks();
        options.recipe.stochastic_depth = 0.6;
        options.recipe.dropout = 0.4;
        for (options.micro_batches = 1; options.micro_batches <= 2; options.micro_batches++)
            check_on(backend_onednn(), &options);
    }
}

static void test_every_kernel_set_of_the_build(void **state)
{
    (void)state;
    struct backend copy;
    const bool wide_runs = !WIDE_NEEDS_AVX2 || kernels_at(1);
    for (size_t k = 0; k < ARRAY_LENGTH(KERNELS); k++)
        for (uint32_t stride = 1; stride <= 2; stride++) {
            struct small_network network =
                with_stage((struct stage){BLOCK_MBCONV, 2, KERNELS[k], 2, 2500, stride, 17});
            network.stem_stride = stride;
            struct plan_options options = small_options(&network);
            options.recipe.stochastic_depth = 0.4;
            options.recipe.dropout = 0.2;
            check_on(backend_of(open_baseline, &copy), &options);
            if (wide_runs)
                check_on(backend_of(open_wide, &copy), &options);
        }
    if (!wide_runs)
        print_message("SKIP: this processor has no AVX2, kernels of 16 lanes are not tested\n");
}

static void mix(struct session *session, const struct plan_options *options)
{
    for (uint32_t n = 0; n < options->recipe.batch; n += 2) {
        plan_partners(session->plan)[n] = n % options->problem.classes;
        plan_shares(session->plan)[n] = 0.7f;
    }
}

static void check_curve(const struct plan_options *options, bool mixed)
{
    struct session got = session_open(backend_onednn(), options);
    struct session want = session_open(backend_reference(), options);
    struct batch_result of_got, of_want;
    session_fill(&got, options, 3);
    session_fill(&want, options, 3);
    if (mixed) {
        mix(&got, options);
        mix(&want, options);
    }
    for (int step = 0; step < 10; step++) {
        assert_int_equal(plan_step(got.plan, 0.02, &of_got), 0);
        assert_int_equal(plan_step(want.plan, 0.02, &of_want), 0);
        const float a = (float)of_got.loss, b = (float)of_want.loss;
        assert_close("loss", &a, &b, 1, 1e-3);
    }
    assert_int_equal(plan_evaluate(got.plan, options->recipe.batch, &of_got), 0);
    assert_int_equal(plan_evaluate(want.plan, options->recipe.batch, &of_want), 0);
    const float a = (float)of_got.loss, b = (float)of_want.loss;
    assert_close("evaluation", &a, &b, 1, 1e-3);
    session_close(&got);
    session_close(&want);
}

/* Ten steps on one batch. Training amplifies what two correct backends round differently by about 1.5 a step at this
 * learning rate: 1e-6 of the first loss may grow to 1e-4, and 1e-3 is allowed. A wrong gradient differs by 1e-1. */
static void test_loss_curves_of_ten_steps_agree(void **state)
{
    (void)state;
    struct small_network network = with_stage((struct stage){BLOCK_MBCONV, 2, 3, 4, 2500, 1, 17});
    network.size = 12;
    network.batch = 16;
    const struct plan_options plain = small_options(&network);
    struct plan_options full = plain;
    full.recipe.clip_norm = 2;
    full.recipe.ema_decay = 0.99;
    full.recipe.dropout = 0.3;
    full.recipe.stochastic_depth = 0.4;
    full.micro_batches = 2;
    static const enum optimizer_kind optimizers[] = {OPTIMIZER_SGD, OPTIMIZER_RMSPROP,
                                                     OPTIMIZER_ADAMW};
    for (size_t o = 0; o < ARRAY_LENGTH(optimizers); o++) {
        struct plan_options options = plain;
        options.recipe.optimizer = full.recipe.optimizer = optimizers[o];
        check_curve(&options, false);
        check_curve(&full, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stem_of_every_kernel_stride_and_channel_count),
        cmocka_unit_test(test_stem_at_odd_sizes),
        cmocka_unit_test(test_depthwise_of_every_kernel_and_stride),
        cmocka_unit_test(test_depthwise_at_odd_sizes),
        cmocka_unit_test(test_dense_of_every_kernel_and_stride),
        cmocka_unit_test(test_dense_at_even_and_small_sizes),
        cmocka_unit_test(test_channels_that_fill_no_block),
        cmocka_unit_test(test_batches_of_one_and_seventeen),
        cmocka_unit_test(test_blocks_with_residual_expansion_and_gate),
        cmocka_unit_test(test_units_that_pass_in_several_chunks),
        cmocka_unit_test(test_dropped_branches_and_features),
        cmocka_unit_test(test_every_kernel_set_of_the_build),
        cmocka_unit_test(test_loss_curves_of_ten_steps_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
