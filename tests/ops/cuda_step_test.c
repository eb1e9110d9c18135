/* Steps of the CUDA backend: ten of them against the reference, recorded ones against their halves, those that are refused, and
 * images that the device makes. Linked with the emulated runtime and with the real one, as cuda_test.c. */
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

/* Of the loss of ten steps on one batch. */
static const double CURVE_TOLERANCE = 3e-2;

static void mix(struct session *session, const struct plan_options *options)
{
    for (uint32_t n = 0; n < options->recipe.batch; n += 2) {
        plan_partners(session->plan)[n] = n % options->problem.classes;
        plan_shares(session->plan)[n] = 0.7f;
    }
}

static struct plan_options training_options(void)
{
    const struct small_network network = {.size = 8,
                                          .channels = 3,
                                          .stem_kernel = 3,
                                          .stem_stride = 1,
                                          .stem_channels = 17,
                                          .stage = {BLOCK_MBCONV, 2, 3, 4, 2500, 1, 17},
                                          .stage_count = 1,
                                          .head_channels = 24,
                                          .batch = 16};
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

/* Losses say little of constants that act slowly: a decay that takes much of the weights in a few steps shows in the weights. */
static void test_weights_that_decay_fast_agree(void **state)
{
    (void)state;
    static const char *const names[] = {"stem.weight", "blocks_0.dw.weight", "fc.weight"};
    for (size_t o = 0; o < ARRAY_LENGTH(OPTIMIZERS); o++) {
        struct plan_options options = training_options();
        options.recipe.optimizer = OPTIMIZERS[o];
        options.recipe.weight_decay = 1;
        struct session got = session_open(backend_cuda(), &options);
        struct session want = session_open(backend_reference(), &options);
        train(&got, &options, 0, 10);
        train(&want, &options, 0, 10);
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
            size_t count;
            float *a = session_tensor(&got, names[i], &count);
            float *b = session_tensor(&want, names[i], &count);
            assert_near(names[i], a, b, count, 0.1);
            free(a);
            free(b);
        }
        session_close(&got);
        session_close(&want);
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

/* The averages that a step has moved are those that the next evaluation uses, whatever was evaluated before. */
static void test_an_evaluation_after_a_step_uses_the_averages_of_then(void **state)
{
    (void)state;
    struct plan_options options = full_options(OPTIMIZER_SGD);
    for (options.micro_batches = 1; options.micro_batches <= 2; options.micro_batches++) {
        struct session a = session_open(backend_cuda(), &options);
        struct session b = session_open(backend_cuda(), &options);
        struct batch_result of_a, of_b;
        train(&a, &options, 0, 1);
        assert_int_equal(plan_evaluate(a.plan, 9, &of_a), 0);
        train(&a, &options, 1, 1);
        train(&b, &options, 0, 2);
        assert_int_equal(plan_evaluate(a.plan, 9, &of_a), 0);
        assert_int_equal(plan_evaluate(b.plan, 9, &of_b), 0);
        assert_true(of_a.loss == of_b.loss);
        session_close(&a);
        session_close(&b);
    }
}

/* A step that was recorded with one rate is not replayed with another. */
static void test_a_step_takes_a_new_dropout(void **state)
{
    (void)state;
    static const double rates[] = {0, 0.5, 0.3};
    struct backend halves = *backend_cuda();
    halves.step = NULL;
    const struct plan_options options = full_options(OPTIMIZER_SGD);
    struct session a = session_open(backend_cuda(), &options);
    struct session b = session_open(&halves, &options);
    for (uint64_t step = 0; step < ARRAY_LENGTH(rates); step++) {
        train(&a, &options, step, 1);
        train(&b, &options, step, 1);
        assert_int_equal(plan_resize(a.plan, options.problem.image_size, rates[step], NULL), 0);
        assert_int_equal(plan_resize(b.plan, options.problem.image_size, rates[step], NULL), 0);
    }
    train(&a, &options, ARRAY_LENGTH(rates), 1);
    train(&b, &options, ARRAY_LENGTH(rates), 1);
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
    if (!device_is_here(backend_cuda()))
        return DEVICE_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_curves_of_ten_steps_agree),
        cmocka_unit_test(test_weights_that_decay_fast_agree),
        cmocka_unit_test(test_a_step_is_train_and_update_to_the_bit),
        cmocka_unit_test(test_steps_between_evaluations_and_written_weights_use_the_right_ones),
        cmocka_unit_test(test_an_evaluation_after_a_step_uses_the_averages_of_then),
        cmocka_unit_test(test_a_step_takes_a_new_dropout),
        cmocka_unit_test(test_a_step_says_how_long_it_took),
        cmocka_unit_test(test_transforms_train_as_the_floats_that_they_make),
        cmocka_unit_test(test_transforms_go_on_at_another_size),
        cmocka_unit_test(test_an_engine_goes_from_transforms_to_floats_and_back),
        cmocka_unit_test(test_a_loss_that_is_not_finite_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
