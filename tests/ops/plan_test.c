/* Plans with the whole recipe on: what goes on over steps, sizes and checkpoints, on every backend of the build. */
#include "tests/ops/support.h"
#include "worker/engine/backend.h"
#include "worker/engine/optimizer.h"

#include "search/random.h"

#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* MBConv with SE and residuals, odd channels: every kind of operation. */
static const struct small_network NETWORK = {.size = 9,
                                             .channels = 3,
                                             .stem_kernel = 3,
                                             .stem_stride = 2,
                                             .stem_channels = 12,
                                             .stage = {BLOCK_MBCONV, 3, 3, 3, 2500, 1, 12},
                                             .stage_count = 1,
                                             .head_channels = 20,
                                             .batch = 6};

static const enum optimizer_kind OPTIMIZERS[] = {OPTIMIZER_SGD, OPTIMIZER_RMSPROP, OPTIMIZER_ADAMW};

/* Everything on; clipping at a norm that most steps exceed. */
static struct plan_options full_options(enum optimizer_kind optimizer)
{
    struct plan_options options = small_options(&NETWORK);
    options.recipe.optimizer = optimizer;
    options.recipe.clip_norm = 0.5;
    options.recipe.ema_decay = 0.99;
    options.recipe.dropout = 0.3;
    options.recipe.stochastic_depth = 0.4;
    options.micro_batches = 2;
    return options;
}

/* A batch of its own for every step, half of its images mixed. */
static void batch_fill(struct session *session, const struct plan_options *options, uint64_t step)
{
    session_fill(session, options, 100 + step);
    for (uint32_t n = 0; n < options->recipe.batch; n += 2) {
        plan_partners(session->plan)[n] = (uint32_t)(n + step) % options->problem.classes;
        plan_shares(session->plan)[n] = 0.25f + 0.1f * (float)n;
    }
}

static void train(struct session *session, const struct plan_options *options, uint64_t first,
                  uint64_t count)
{
    for (uint64_t step = first; step < first + count; step++) {
        struct batch_result result;
        batch_fill(session, options, step);
        assert_int_equal(plan_step(session->plan, 0.01, &result), 0);
    }
}

static void test_two_runs_are_the_same_to_the_bit(void **state)
{
    for (size_t o = 0; o < ARRAY_LENGTH(OPTIMIZERS); o++) {
        const struct plan_options options = full_options(OPTIMIZERS[o]);
        struct session a = session_open(*state, &options), b = session_open(*state, &options);
        struct batch_result result;
        train(&a, &options, 0, 6);
        for (uint64_t step = 0; step < 6; step++) {
            plan_poison(b.plan);
            train(&b, &options, step, 1);
            assert_int_equal(plan_evaluate(b.plan, 4, &result), 0); /* changes nothing */
        }
        assert_sessions_equal(&a, &b);
        session_close(&a);
        session_close(&b);
    }
}

/* All of a plan's state, one tensor after another; to be freed. */
static float *state_save(struct session *session)
{
    float *saved = NULL;
    size_t at = 0;
    for (size_t i = 0; i < plan_state_count(session->plan); i++) {
        struct tensor_info info;
        plan_state_info(session->plan, i, &info);
        saved = realloc(saved, (at + info.elements) * sizeof *saved);
        assert_non_null(saved);
        assert_int_equal(plan_tensor_read(session->plan, info.name, saved + at), 0);
        at += info.elements;
    }
    return saved;
}

static void state_load(struct session *session, const float *saved)
{
    size_t at = 0;
    for (size_t i = 0; i < plan_state_count(session->plan); i++) {
        struct tensor_info info;
        plan_state_info(session->plan, i, &info);
        assert_int_equal(plan_tensor_write(session->plan, info.name, saved + at), 0);
        at += info.elements;
    }
}

static void check_interrupted(const struct backend *backend, const struct plan_options *options,
                              uint64_t at)
{
    enum { STEPS = 8 };
    struct session whole = session_open(backend, options), first = session_open(backend, options);
    train(&whole, options, 0, STEPS);
    train(&first, options, 0, at);
    float *saved = state_save(&first);
    const uint64_t steps = plan_step_count(first.plan);
    session_close(&first);
    struct session second = session_open(backend, options);
    state_load(&second, saved);
    plan_set_step_count(second.plan, steps);
    train(&second, options, at, STEPS - at);
    assert_int_equal(plan_step_count(second.plan), STEPS);
    assert_sessions_equal(&whole, &second);
    free(saved);
    session_close(&whole);
    session_close(&second);
}

static void test_a_plan_interrupted_at_any_step_goes_on_to_the_same_bits(void **state)
{
    struct random_stream random = random_stream_of(5, 0, RANDOM_AUGMENT);
    for (size_t o = 0; o < ARRAY_LENGTH(OPTIMIZERS); o++) {
        const struct plan_options options = full_options(OPTIMIZERS[o]);
        for (int i = 0; i < 2; i++)
            check_interrupted(*state, &options, random_below(&random, 9));
    }
}

static void test_state_names_are_there_as_the_recipe_has_them(void **state)
{
    struct plan_options options = full_options(OPTIMIZER_SGD);
    struct session session = session_open(*state, &options);
    float unused = 0;
    struct tensor_info info;
    /* parameters, averages and one state of those that are trained: two of a norm's four are not */
    const size_t count = plan_state_count(session.plan),
                 parameters = plan_tensor_count(session.plan);
    size_t statistics = 0;
    for (size_t i = 0; i < parameters; i++) {
        plan_tensor_info(session.plan, i, &info);
        statistics += strstr(info.name, ".bn.mean") || strstr(info.name, ".bn.variance");
    }
    assert_int_equal(count, 3 * parameters - statistics);
    plan_state_info(session.plan, 0, &info);
    assert_string_equal(info.name, "stem.weight");
    plan_state_info(session.plan, parameters, &info);
    assert_string_equal(info.name, "ema:stem.weight");
    plan_state_info(session.plan, count - 1, &info);
    assert_string_equal(info.name, "state0:fc.bias");
    assert_int_equal(plan_tensor_read(session.plan, "state1:fc.bias", &unused), -ENOENT);
    assert_int_equal(plan_tensor_read(session.plan, "state0:stem.bn.mean", &unused), -ENOENT);
    assert_int_equal(plan_tensor_write(session.plan, "grad:fc.bias", &unused), -ENOENT);
    session_close(&session);
    options.recipe.ema_decay = 0;
    session = session_open(*state, &options);
    assert_int_equal(plan_tensor_read(session.plan, "ema:fc.bias", &unused), -ENOENT);
    session_close(&session);
}

static void test_averages_begin_with_the_initial_values(void **state)
{
    const struct plan_options options = full_options(OPTIMIZER_SGD);
    struct session session = session_open(*state, &options);
    for (size_t i = 0; i < plan_tensor_count(session.plan); i++) {
        struct tensor_info info;
        char average[80];
        size_t count = 0;
        plan_tensor_info(session.plan, i, &info);
        snprintf(average, sizeof average, "ema:%s", info.name);
        float *values = session_tensor(&session, info.name, &count);
        float *averages = session_tensor(&session, average, &count);
        assert_memory_equal(averages, values, count * sizeof *values);
        free(values);
        free(averages);
    }
    session_close(&session);
}

/* The averages of one weight and one statistic, followed in doubles. */
static void test_averages_follow_weights_and_statistics(void **state)
{
    const struct plan_options options = full_options(OPTIMIZER_SGD);
    static const char *const names[] = {"blocks_1.exp.weight", "stem.bn.variance"};
    struct session session = session_open(*state, &options);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char average[80];
        size_t count = 0;
        snprintf(average, sizeof average, "ema:%s", names[i]);
        float *want = session_tensor(&session, average, &count);
        for (int n = 0; n < 3; n++) {
            const uint64_t step = plan_step_count(session.plan);
            const double d = fmin(0.99, (1.0 + (double)step) / (10.0 + (double)step));
            train(&session, &options, step, 1);
            float *now = session_tensor(&session, names[i], &count);
            for (size_t j = 0; j < count; j++)
                want[j] = (float)(d * (double)want[j] + (1 - d) * (double)now[j]);
            float *got = session_tensor(&session, average, &count);
            assert_close(average, got, want, count, 1e-5);
            free(now);
            free(got);
        }
        free(want);
    }
    session_close(&session);
}

/* Gives `to` the averages of `from` as its weights. */
static void averages_take(struct session *to, struct session *from)
{
    for (size_t i = 0; i < plan_tensor_count(to->plan); i++) {
        struct tensor_info info;
        char average[80];
        size_t count = 0;
        plan_tensor_info(to->plan, i, &info);
        snprintf(average, sizeof average, "ema:%s", info.name);
        float *values = session_tensor(from, average, &count);
        assert_int_equal(plan_tensor_write(to->plan, info.name, values), 0);
        free(values);
    }
}

static void test_evaluation_uses_the_averages_and_drops_nothing(void **state)
{
    struct plan_options options = full_options(OPTIMIZER_RMSPROP), bare = options;
    bare.recipe.ema_decay = bare.recipe.dropout = bare.recipe.stochastic_depth = 0;
    struct session session = session_open(*state, &options), other = session_open(*state, &bare);
    struct batch_result got, want;
    for (uint64_t step = 0; step < 3; step++) {
        batch_fill(&session, &options, 50);
        batch_fill(&other, &options, 50);
        averages_take(&other, &session);
        assert_int_equal(plan_evaluate(session.plan, 6, &got), 0);
        assert_int_equal(plan_evaluate(other.plan, 6, &want), 0);
        assert_true(got.loss == want.loss);
        assert_int_equal(got.correct, want.correct);
        train(&session, &options, step, 1);
    }
    session_close(&session);
    session_close(&other);
}

static void test_masks_change_with_the_step_and_gradients_use_the_next_ones(void **state)
{
    const struct plan_options options = full_options(OPTIMIZER_SGD);
    struct session session = session_open(*state, &options);
    struct batch_result of_gradients, of_step, other;
    batch_fill(&session, &options, 0);
    assert_int_equal(plan_gradients(session.plan, &of_gradients), 0);
    plan_set_step_count(session.plan, 1);
    assert_int_equal(plan_gradients(session.plan, &other), 0);
    assert_true(other.loss != of_gradients.loss);
    plan_set_step_count(session.plan, 0);
    assert_int_equal(plan_step(session.plan, 0.01, &of_step), 0);
    /* In bfloat16 the running mean, which a step's first part has moved, says how the second one's sums are rounded. */
    const double apart = plan_precision(session.plan) == PRECISION_BF16 ? 1e-3 : 0;
    assert_true(fabs(of_step.loss - of_gradients.loss) <= apart * of_step.loss);
    session_close(&session);
}

/* One image six times, in two parts: what the parts drop differs, so their logits do. */
static void test_parts_of_a_batch_drop_different_things(void **state)
{
    const struct plan_options options = full_options(OPTIMIZER_SGD);
    struct session session = session_open(*state, &options);
    const size_t floats = 9 * 9 * 3, part = 3 * options.problem.classes;
    struct batch_result result;
    batch_fill(&session, &options, 0);
    for (size_t n = 1; n < 6; n++)
        memcpy(plan_images(session.plan) + n * floats, plan_images(session.plan),
               floats * sizeof(float));
    assert_int_equal(plan_gradients(session.plan, &result), 0);
    const float *logits = plan_logits(session.plan);
    assert_memory_not_equal(logits, logits + part, part * sizeof *logits);
    session_close(&session);
}

/* Parts are batches of their own for BN: the gradients are the mean of theirs. */
static void test_gradients_of_micro_batches_are_the_mean_of_their_own(void **state)
{
    struct plan_options options = small_options(&NETWORK), single = options;
    options.micro_batches = 3;
    single.recipe.batch = 2;
    struct session parts = session_open(*state, &options), alone = session_open(*state, &single);
    const size_t floats = 2 * 9 * 9 * 3;
    struct batch_result result, sum = {0};
    size_t count = 0;
    batch_fill(&parts, &options, 0);
    float *want = zero_values((size_t)36 * 12);
    for (size_t p = 0; p < 3; p++) {
        memcpy(plan_images(alone.plan), plan_images(parts.plan) + p * floats,
               floats * sizeof(float));
        for (size_t n = 0; n < 2; n++) {
            plan_labels(alone.plan)[n] = plan_labels(parts.plan)[2 * p + n];
            plan_partners(alone.plan)[n] = plan_partners(parts.plan)[2 * p + n];
            plan_shares(alone.plan)[n] = plan_shares(parts.plan)[2 * p + n];
        }
        assert_int_equal(plan_gradients(alone.plan, &result), 0);
        sum.loss += result.loss;
        float *gradient = session_tensor(&alone, "grad:blocks_0.exp.weight", &count);
        assert_int_equal(count, 36 * 12);
        for (size_t i = 0; i < count; i++)
            want[i] += gradient[i] / 3;
        free(gradient);
    }
    assert_int_equal(plan_gradients(parts.plan, &result), 0);
    float *got = session_tensor(&parts, "grad:blocks_0.exp.weight", &count);
    /* In bfloat16 a third is rounded at other places than a whole. */
    if (plan_precision(parts.plan) == PRECISION_BF16)
        assert_near("gradient", got, want, count, 2e-2);
    else
        assert_close("gradient", got, want, count, 1e-5);
    assert_true(fabs(result.loss - sum.loss) < 1e-4);
    free(got);
    free(want);
    session_close(&parts);
    session_close(&alone);
}

/* Without momentum and decay a step of rate 1 is the clipped gradient: that of all parts together. */
static void test_a_clipped_step_is_as_long_as_the_norm(void **state)
{
    struct plan_options options = full_options(OPTIMIZER_SGD);
    options.recipe.momentum = options.recipe.weight_decay = 0;
    options.recipe.clip_norm = 1e-2;
    struct session session = session_open(*state, &options);
    struct session before = session_open(*state, &options);
    struct batch_result result;
    double squares = 0;
    batch_fill(&session, &options, 0);
    assert_int_equal(plan_step(session.plan, 1, &result), 0);
    for (size_t i = 0; i < plan_tensor_count(session.plan); i++) {
        struct tensor_info info;
        size_t count = 0;
        plan_tensor_info(session.plan, i, &info);
        if (strstr(info.name, ".bn.mean") || strstr(info.name, ".bn.variance"))
            continue;
        float *a = session_tensor(&session, info.name, &count);
        float *b = session_tensor(&before, info.name, &count);
        for (size_t j = 0; j < count; j++)
            squares += ((double)a[j] - (double)b[j]) * ((double)a[j] - (double)b[j]);
        free(a);
        free(b);
    }
    assert_true(fabs(sqrt(squares) - 1e-2) < 1e-5);
    session_close(&session);
    session_close(&before);
}

/* ---- other image sizes ---- */

static struct plan_options resized(const struct plan_options *options, uint32_t size)
{
    struct plan_options other = *options;
    other.problem.image_size = size;
    return other;
}

static void resize(struct session *session, uint32_t size)
{
    struct error error = {{0}, {0}};
    if (plan_resize(session->plan, size, 0.3, &error) < 0)
        fail_msg("plan_resize: %s", error.message);
}

/* There and back again without a step, and with steps in between against a plan that was made at that size. */
static void test_a_resized_plan_goes_on_as_one_of_that_size(void **state)
{
    for (size_t o = 0; o < ARRAY_LENGTH(OPTIMIZERS); o++) {
        const struct plan_options small = full_options(OPTIMIZERS[o]), large = resized(&small, 14);
        struct session a = session_open(*state, &small), b = session_open(*state, &large);
        train(&a, &small, 0, 2);
        float *saved = state_save(&a);
        resize(&a, 14);
        resize(&a, 9);
        resize(&a, 14);
        plan_poison(a.plan);
        assert_int_equal(plan_step_count(a.plan), 2);
        state_load(&b, saved);
        plan_set_step_count(b.plan, 2);
        train(&a, &large, 2, 2);
        train(&b, &large, 2, 2);
        assert_sessions_equal(&a, &b);
        free(saved);
        session_close(&a);
        session_close(&b);
    }
}

static void test_a_resize_takes_the_new_dropout(void **state)
{
    const struct plan_options options = full_options(OPTIMIZER_SGD);
    struct plan_options without = options;
    without.recipe.dropout = 0;
    struct session a = session_open(*state, &options), b = session_open(*state, &without);
    assert_int_equal(plan_resize(a.plan, 9, 0, NULL), 0);
    train(&a, &options, 0, 2);
    train(&b, &options, 0, 2);
    assert_sessions_equal(&a, &b);
    session_close(&a);
    session_close(&b);
}

static void test_a_resize_that_does_not_fit_leaves_the_plan_as_it_was(void **state)
{
    const struct plan_options options = full_options(OPTIMIZER_ADAMW);
    struct session a = session_open(*state, &options), b = session_open(*state, &options);
    struct error error = {{0}, {0}};
    train(&a, &options, 0, 2);
    train(&b, &options, 0, 2);
    engine_limit_memory(a.engine, plan_bytes(a.plan));
    assert_int_equal(plan_resize(a.plan, 33, 0.1, &error), -ENOMEM);
    assert_true(strlen(error.message) > 0);
    assert_int_equal(plan_resize(a.plan, 0, 0.1, &error), -EINVAL);
    assert_string_equal(error.pointer, "/image_size");
    assert_int_equal(plan_resize(a.plan, 33, 1, &error), -EINVAL);
    assert_string_equal(error.pointer, "/dropout");
    train(&a, &options, 2, 2);
    train(&b, &options, 2, 2);
    assert_sessions_equal(&a, &b);
    session_close(&a);
    session_close(&b);
}

/* A backend whose every compile after the first fails. */
static int (*compile_of_backend)(struct device *, const struct graph *, const struct plan_options *,
                                 struct program **, struct error *);
static int compiles_left;

static int compile_once(struct device *device, const struct graph *graph,
                        const struct plan_options *options, struct program **ret_program,
                        struct error *error)
{
    if (compiles_left-- <= 0)
        return error_set(error, -ENOMEM, "", "no more programs");
    return compile_of_backend(device, graph, options, ret_program, error);
}

static void test_a_plan_that_cannot_be_built_again_can_be_freed(void **state)
{
    const struct plan_options options = full_options(OPTIMIZER_SGD);
    struct backend backend = *(const struct backend *)*state;
    struct error error = {{0}, {0}};
    compile_of_backend = backend.compile;
    backend.compile = compile_once;
    compiles_left = 1;
    struct session session = session_open(&backend, &options);
    assert_int_equal(plan_resize(session.plan, 14, 0.1, &error), -ENOTRECOVERABLE);
    assert_true(strlen(error.message) > 0);
    session_close(&session);
}

static int (*write_of_backend)(struct program *, enum value_class, size_t, const float *);
static int failure_of_writes;

static int write_or_fail(struct program *program, enum value_class class, size_t parameter,
                         const float *values)
{
    return failure_of_writes < 0 ? failure_of_writes
                                 : write_of_backend(program, class, parameter, values);
}

static void test_a_device_that_fails_while_the_size_changes_is_eio(void **state)
{
    const struct plan_options options = full_options(OPTIMIZER_SGD);
    struct backend backend = *(const struct backend *)*state;
    struct error error = {{0}, {0}};
    write_of_backend = backend.write;
    backend.write = write_or_fail;
    failure_of_writes = 0;
    struct session session = session_open(&backend, &options);
    failure_of_writes = -EIO;
    assert_int_equal(plan_resize(session.plan, 14, 0.1, &error), -EIO);
    assert_string_equal(error.message, "the weights could not be written");
    session_close(&session);
}

/* What malloc has given out, after one round through the sizes and after forty. Where malloc is replaced (sanitizers) it is
 * always 0, and leaks are found by them. */
static void test_many_resizes_do_not_grow(void **state)
{
    const struct plan_options options = full_options(OPTIMIZER_RMSPROP);
    static const uint32_t sizes[] = {14, 5, 20, 9};
    struct session session = session_open(*state, &options);
    const size_t bytes = plan_bytes(session.plan);
    size_t in_use = 0;
    for (int round = 0; round < 40; round++) {
        for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
            const struct plan_options at = resized(&options, sizes[s]);
            resize(&session, sizes[s]);
            train(&session, &at, (uint64_t)round, 1);
        }
        assert_int_equal(plan_bytes(session.plan), bytes);
        if (round == 4)
            in_use = mallinfo2().uordblks;
    }
    assert_true(mallinfo2().uordblks <= in_use + (64 << 10));
    session_close(&session);
}

static int run_on(const struct backend *backend)
{
#define ON_BACKEND(function) cmocka_unit_test_prestate(function, (void *)backend)
    const struct CMUnitTest tests[] = {
        ON_BACKEND(test_two_runs_are_the_same_to_the_bit),
        ON_BACKEND(test_a_plan_interrupted_at_any_step_goes_on_to_the_same_bits),
        ON_BACKEND(test_state_names_are_there_as_the_recipe_has_them),
        ON_BACKEND(test_averages_begin_with_the_initial_values),
        ON_BACKEND(test_averages_follow_weights_and_statistics),
        ON_BACKEND(test_evaluation_uses_the_averages_and_drops_nothing),
        ON_BACKEND(test_masks_change_with_the_step_and_gradients_use_the_next_ones),
        ON_BACKEND(test_parts_of_a_batch_drop_different_things),
        ON_BACKEND(test_gradients_of_micro_batches_are_the_mean_of_their_own),
        ON_BACKEND(test_a_clipped_step_is_as_long_as_the_norm),
        ON_BACKEND(test_a_resized_plan_goes_on_as_one_of_that_size),
        ON_BACKEND(test_a_resize_takes_the_new_dropout),
        ON_BACKEND(test_a_resize_that_does_not_fit_leaves_the_plan_as_it_was),
        ON_BACKEND(test_a_plan_that_cannot_be_built_again_can_be_freed),
        ON_BACKEND(test_a_device_that_fails_while_the_size_changes_is_eio),
        ON_BACKEND(test_many_resizes_do_not_grow),
    };
    return cmocka_run_group_tests_name(backend_name(backend), tests, NULL, NULL);
}

int main(void)
{
    return backends_run(run_on);
}
