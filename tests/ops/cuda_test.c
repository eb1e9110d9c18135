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
/* Of the loss of ten steps on one batch. */
static const double CURVE_TOLERANCE = 3e-2;

enum { SKIPPED = 77 };

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

/* ---- training ---- */

static void mix(struct session *session, const struct plan_options *options)
{
    for (uint32_t n = 0; n < options->recipe.batch; n += 2) {
        plan_partners(session->plan)[n] = n % options->problem.classes;
        plan_shares(session->plan)[n] = 0.7f;
    }
}

static struct plan_options training_options(void)
{
    struct small_network network = with_stage((struct stage){BLOCK_MBCONV, 2, 3, 4, 2500, 1, 17});
    network.batch = 16;
    return small_options(&network);
}

static struct plan_options full_options(enum optimizer_kind optimizer)
{
    struct plan_options options = training_options();
    options.recipe.optimizer = optimizer;
    options.recipe.clip_norm = 2;
    options.recipe.ema_decay = 0.99;
    options.recipe.dropout = 0.3;
    options.recipe.stochastic_depth = 0.4;
    return options;
}

static void check_curve(const struct plan_options *options)
{
    struct session got = session_open(backend_cuda(), options);
    struct session want = session_open(backend_reference(), options);
    struct batch_result of_got, of_want;
    session_fill(&got, options, 3);
    session_fill(&want, options, 3);
    mix(&got, options);
    mix(&want, options);
    for (int step = 0; step < 10; step++) {
        assert_int_equal(plan_step(got.plan, 0.02, &of_got), 0);
        assert_int_equal(plan_step(want.plan, 0.02, &of_want), 0);
        const float a = (float)of_got.loss, b = (float)of_want.loss;
        assert_close("loss", &a, &b, 1, CURVE_TOLERANCE);
    }
    assert_int_equal(plan_evaluate(got.plan, options->recipe.batch, &of_got), 0);
    assert_int_equal(plan_evaluate(want.plan, options->recipe.batch, &of_want), 0);
    const float a = (float)of_got.loss, b = (float)of_want.loss;
    assert_close("evaluation", &a, &b, 1, CURVE_TOLERANCE);
    session_close(&got);
    session_close(&want);
}

static const enum optimizer_kind OPTIMIZERS[] = {OPTIMIZER_SGD, OPTIMIZER_RMSPROP, OPTIMIZER_ADAMW};

static void test_loss_curves_of_ten_steps_agree(void **state)
{
    (void)state;
    for (size_t o = 0; o < ARRAY_LENGTH(OPTIMIZERS); o++) {
        struct plan_options options = full_options(OPTIMIZERS[o]);
        check_curve(&options);
        options.micro_batches = 2;
        check_curve(&options);
    }
}

static void train(struct session *session, const struct plan_options *options, uint64_t first,
                  uint64_t count)
{
    for (uint64_t step = first; step < first + count; step++) {
        struct batch_result result;
        session_fill(session, options, 100 + step);
        mix(session, options);
        assert_int_equal(plan_step(session->plan, 0.01, &result), 0);
    }
}

/* A recorded step and its two halves launch the same. */
static void test_a_step_is_train_and_update_to_the_bit(void **state)
{
    (void)state;
    struct backend halves = *backend_cuda();
    assert_non_null(halves.step);
    halves.step = NULL;
    for (size_t o = 0; o < ARRAY_LENGTH(OPTIMIZERS); o++) {
        const struct plan_options options = full_options(OPTIMIZERS[o]);
        struct session a = session_open(backend_cuda(), &options);
        struct session b = session_open(&halves, &options);
        train(&a, &options, 0, 3);
        train(&b, &options, 0, 3);
        assert_sessions_equal(&a, &b);
        session_close(&a);
        session_close(&b);
    }
}

static void test_steps_between_evaluations_and_written_weights_use_the_right_ones(void **state)
{
    (void)state;
    const struct plan_options options = full_options(OPTIMIZER_ADAMW);
    struct session a = session_open(backend_cuda(), &options);
    struct session b = session_open(backend_cuda(), &options);
    struct batch_result result;
    size_t count = 0;
    for (uint64_t step = 0; step < 3; step++) {
        assert_int_equal(plan_evaluate(b.plan, 5, &result), 0);
        assert_int_equal(plan_gradients(b.plan, &result), 0);
        float *values = session_tensor(&b, "blocks_0.exp.weight", &count);
        assert_int_equal(plan_tensor_write(b.plan, "blocks_0.exp.weight", values), 0);
        free(values);
        train(&a, &options, step, 1);
        train(&b, &options, step, 1);
    }
    assert_sessions_equal(&a, &b);
    session_close(&a);
    session_close(&b);
}

static void test_a_step_says_how_long_it_took(void **state)
{
    (void)state;
    struct plan_options options = training_options();
    for (options.micro_batches = 1; options.micro_batches <= 2; options.micro_batches++) {
        struct session session = session_open(backend_cuda(), &options);
        struct batch_result result;
        assert_true(plan_step_seconds(session.plan) < 0);
        train(&session, &options, 0, 1);
        assert_true(plan_step_seconds(session.plan) >= 0);
        assert_int_equal(plan_evaluate(session.plan, 3, &result), 0);
        assert_true(plan_step_seconds(session.plan) >= 0);
        session_close(&session);
    }
}

/* ---- transforms instead of floats ---- */

enum {
    SET_IMAGES = 40,
    SET_SIZE = 8,
    SET_CHANNELS = 3,
    SET_BYTES = SET_SIZE * SET_SIZE * SET_CHANNELS
};

static void set_fill(uint8_t *bytes, struct image_set *ret_set)
{
    float *values = random_values((size_t)SET_IMAGES * SET_BYTES, 9);
    for (size_t i = 0; i < (size_t)SET_IMAGES * SET_BYTES; i++)
        bytes[i] = (uint8_t)fminf(fmaxf(128 + 50 * values[i], 0), 255);
    free(values);
    *ret_set = (struct image_set){.bytes = bytes,
                                  .count = SET_IMAGES,
                                  .size = SET_SIZE,
                                  .channels = SET_CHANNELS,
                                  .scale = {0.02f, 0.015f, 0.03f},
                                  .offset = {-2, -2.5f, -3}};
}

/* The batch of a step in both forms: images of the set as they are. */
static void batches_fill(struct session *transforms, struct session *floats,
                         const struct image_set *set, const struct plan_options *options,
                         uint32_t step)
{
    for (uint32_t n = 0; n < options->recipe.batch; n++) {
        const uint32_t image = (7 * n + 11 * step) % SET_IMAGES;
        float *to = plan_images(floats->plan) + (size_t)n * SET_BYTES;
        for (size_t i = 0; i < SET_BYTES; i++)
            to[i] = (float)set->bytes[image * SET_BYTES + i] * set->scale[i % SET_CHANNELS] +
                    set->offset[i % SET_CHANNELS];
        plan_transforms(transforms->plan)[n] =
            (struct transform){.image = image,
                               .shown = {0, 0, SET_SIZE, SET_SIZE},
                               .mixing = {.partner = n, .share = 1}};
        plan_labels(floats->plan)[n] = plan_labels(transforms->plan)[n] =
            image % options->problem.classes;
    }
}

static struct session session_of_set(const struct image_set *set,
                                     const struct plan_options *options)
{
    struct session session = {0};
    struct error error = {{0}, {0}};
    assert_int_equal(engine_new(backend_cuda(), &session.engine, &error), 0);
    assert_true(engine_takes_transforms(session.engine));
    assert_int_equal(engine_hold_images(session.engine, set, &error), 0);
    if (plan_new(session.engine, options, &session.plan, &error) < 0)
        fail_msg("plan_new: %s", error.message);
    return session;
}

static void test_transforms_train_as_the_floats_that_they_make(void **state)
{
    (void)state;
    static uint8_t bytes[SET_IMAGES * SET_BYTES];
    struct image_set set;
    struct plan_options options = full_options(OPTIMIZER_SGD);
    set_fill(bytes, &set);
    for (options.micro_batches = 1; options.micro_batches <= 2; options.micro_batches++) {
        struct session a = session_of_set(&set, &options);
        struct session b = session_open(backend_cuda(), &options);
        struct batch_result of_a, of_b;
        assert_null(plan_images(a.plan));
        for (uint32_t step = 0; step < 3; step++) {
            batches_fill(&a, &b, &set, &options, step);
            assert_int_equal(plan_step(a.plan, 0.02, &of_a), 0);
            assert_int_equal(plan_step(b.plan, 0.02, &of_b), 0);
            assert_true(of_a.loss == of_b.loss);
        }
        assert_sessions_equal(&a, &b);
        assert_int_equal(plan_evaluate(a.plan, 11, &of_a), 0);
        assert_int_equal(plan_evaluate(b.plan, 11, &of_b), 0);
        assert_true(of_a.loss == of_b.loss && of_a.correct == of_b.correct);
        session_close(&a);
        session_close(&b);
    }
}

static void transforms_fill(struct session *session, const struct plan_options *options,
                            uint32_t step)
{
    for (uint32_t n = 0; n < options->recipe.batch; n++) {
        const uint32_t image = (7 * n + 11 * step) % SET_IMAGES;
        plan_transforms(session->plan)[n] = (struct transform){
            .image = image,
            .shown = {1, 0, SET_SIZE - 2, SET_SIZE - 1},
            .moved = {.flip = n % 2, .shift_x = 1},
            .mixing = {MIXING_MIXUP, (n + 1) % options->recipe.batch, 0.7f, {0, 0, 0, 0}}};
        plan_labels(session->plan)[n] = image % options->problem.classes;
    }
}

static void transforms_train(struct session *session, const struct plan_options *options,
                             uint32_t first, uint32_t count)
{
    for (uint32_t step = first; step < first + count; step++) {
        struct batch_result result;
        transforms_fill(session, options, step);
        assert_int_equal(plan_step(session->plan, 0.02, &result), 0);
    }
}

static void state_copy(struct session *to, struct session *from)
{
    for (size_t i = 0; i < plan_state_count(from->plan); i++) {
        struct tensor_info info;
        size_t count = 0;
        plan_state_info(from->plan, i, &info);
        float *values = session_tensor(from, info.name, &count);
        assert_int_equal(plan_tensor_write(to->plan, info.name, values), 0);
        free(values);
    }
    plan_set_step_count(to->plan, plan_step_count(from->plan));
}

/* To a larger size and on, against a plan of that size. */
static void test_transforms_go_on_at_another_size(void **state)
{
    (void)state;
    static uint8_t bytes[SET_IMAGES * SET_BYTES];
    struct image_set set;
    struct plan_options options = full_options(OPTIMIZER_SGD), large = options;
    struct error error = {{0}, {0}};
    set_fill(bytes, &set);
    large.problem.image_size = 11;
    struct session a = session_of_set(&set, &options), b = session_of_set(&set, &large);
    transforms_train(&a, &options, 0, 2);
    assert_int_equal(plan_resize(a.plan, 11, options.recipe.dropout, &error), 0);
    state_copy(&b, &a);
    transforms_train(&a, &large, 2, 2);
    transforms_train(&b, &large, 2, 2);
    assert_sessions_equal(&a, &b);
    session_close(&a);
    session_close(&b);
}

static void test_an_engine_goes_from_transforms_to_floats_and_back(void **state)
{
    (void)state;
    static uint8_t bytes[SET_IMAGES * SET_BYTES];
    struct image_set set;
    const struct plan_options options = full_options(OPTIMIZER_ADAMW);
    struct error error = {{0}, {0}};
    set_fill(bytes, &set);
    struct session a = session_of_set(&set, &options), b = session_of_set(&set, &options);
    struct session floats = session_open(backend_cuda(), &options);
    transforms_train(&a, &options, 0, 1);
    plan_free(a.plan);
    assert_int_equal(engine_hold_images(a.engine, NULL, &error), 0);
    assert_int_equal(plan_new(a.engine, &options, &a.plan, &error), 0);
    train(&a, &options, 0, 2);
    train(&floats, &options, 0, 2);
    assert_sessions_equal(&a, &floats);
    plan_free(a.plan);
    assert_int_equal(engine_hold_images(a.engine, &set, &error), 0);
    assert_int_equal(plan_new(a.engine, &options, &a.plan, &error), 0);
    transforms_train(&a, &options, 0, 2);
    transforms_train(&b, &options, 0, 2);
    assert_sessions_equal(&a, &b);
    session_close(&a);
    session_close(&b);
    session_close(&floats);
}

/* ---- steps that are refused ---- */

static bool is_statistic(const char *name)
{
    return strstr(name, ".bn.mean") || strstr(name, ".bn.variance");
}

/* Everything that a refused step must not have changed; to be freed. */
static float *kept_state(struct session *session, size_t *ret_count)
{
    float *kept = NULL;
    *ret_count = 0;
    for (size_t i = 0; i < plan_state_count(session->plan); i++) {
        struct tensor_info info;
        plan_state_info(session->plan, i, &info);
        if (is_statistic(info.name) && !strchr(info.name, ':'))
            continue;
        kept = realloc(kept, (*ret_count + info.elements) * sizeof *kept);
        assert_non_null(kept);
        assert_int_equal(plan_tensor_read(session->plan, info.name, kept + *ret_count), 0);
        *ret_count += info.elements;
    }
    return kept;
}

static void check_refused(const struct plan_options *options, const char *poisoned, float value)
{
    struct session session = session_open(backend_cuda(), options);
    struct batch_result result = {.loss = 7};
    size_t count = 0, elements = 0;
    train(&session, options, 0, 2);
    if (poisoned) {
        float *weights = session_tensor(&session, poisoned, &elements);
        weights[0] = value;
        assert_int_equal(plan_tensor_write(session.plan, poisoned, weights), 0);
        free(weights);
    } else
        plan_images(session.plan)[5] = value;
    float *before = kept_state(&session, &count);
    assert_int_equal(plan_step(session.plan, 0.1, &result), -EDOM);
    assert_true(result.loss == 7);
    assert_int_equal(plan_step_count(session.plan), 2);
    float *after = kept_state(&session, &count);
    assert_memory_equal(before, after, count * sizeof *before);
    free(before);
    free(after);
    session_close(&session);
}

static void test_a_loss_that_is_not_finite_changes_nothing(void **state)
{
    (void)state;
    for (size_t o = 0; o < ARRAY_LENGTH(OPTIMIZERS); o++) {
        struct plan_options options = full_options(OPTIMIZERS[o]);
        check_refused(&options, NULL, NAN);
        options.micro_batches = 2;
        check_refused(&options, NULL, INFINITY);
    }
    const struct plan_options options = training_options();
    check_refused(&options, "fc.bias", NAN);
}

int main(void)
{
    struct device_info device;
    struct error error = {{0}, {0}};
    if (backend_devices(backend_cuda(), NULL, &device, 1, &error) < 0) {
        printf("SKIP: %s\n", error.message);
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stem_of_every_kernel_stride_and_channel_count),
        cmocka_unit_test(test_blocks_of_every_kind_kernel_and_stride),
        cmocka_unit_test(test_depthwise_inputs_of_every_kind),
        cmocka_unit_test(test_residuals_and_gates),
        cmocka_unit_test(test_channels_that_are_no_multiple_of_eight),
        cmocka_unit_test(test_odd_sizes_and_batches),
        cmocka_unit_test(test_dropped_branches_and_features_in_parts_of_the_batch),
        cmocka_unit_test(test_loss_curves_of_ten_steps_agree),
        cmocka_unit_test(test_a_step_is_train_and_update_to_the_bit),
        cmocka_unit_test(test_steps_between_evaluations_and_written_weights_use_the_right_ones),
        cmocka_unit_test(test_a_step_says_how_long_it_took),
        cmocka_unit_test(test_transforms_train_as_the_floats_that_they_make),
        cmocka_unit_test(test_transforms_go_on_at_another_size),
        cmocka_unit_test(test_an_engine_goes_from_transforms_to_floats_and_back),
        cmocka_unit_test(test_a_loss_that_is_not_finite_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
