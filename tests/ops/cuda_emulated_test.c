/* The CUDA backend on the emulated runtime alone: what no device can be asked to do. */
#include "search/preset.h"
#include "tests/emulator/emulator.h"
#include "tests/ops/support.h"
#include "worker/engine/backend.h"
#include "worker/engine/cuda/program.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* MBConv with SE and residuals, and Fused-MBConv: every kind of launch. */
static struct plan_options full_options(void)
{
    const struct small_network network = {.size = 8,
                                          .channels = 3,
                                          .stem_kernel = 3,
                                          .stem_stride = 1,
                                          .stem_channels = 12,
                                          .stage = {BLOCK_MBCONV, 2, 3, 3, 2500, 1, 12},
                                          .stage_count = 1,
                                          .head_channels = 20,
                                          .batch = 6};
    struct plan_options options = small_options(&network);
    options.architecture.stage_count = 2;
    options.architecture.stages[1] = (struct stage){BLOCK_FUSED_MBCONV, 2, 3, 2, 5000, 2, 20};
    options.recipe.optimizer = OPTIMIZER_ADAMW;
    options.recipe.clip_norm = 0.5;
    options.recipe.ema_decay = 0.99;
    options.recipe.dropout = 0.3;
    options.recipe.stochastic_depth = 0.4;
    return options;
}

static void train(struct session *session, const struct plan_options *options, uint64_t steps)
{
    for (uint64_t step = 0; step < steps; step++) {
        struct batch_result result;
        session_fill(session, options, 100 + step);
        assert_int_equal(plan_step(session->plan, 0.01, &result), 0);
    }
}

/* A barrier that is missing, or a sum without an order, would show. */
static void test_every_order_of_threads_trains_to_the_same_bits(void **state)
{
    (void)state;
    struct plan_options options = full_options();
    for (options.micro_batches = 1; options.micro_batches <= 2; options.micro_batches++) {
        struct session sessions[EMULATOR_ORDERS];
        for (int order = 0; order < EMULATOR_ORDERS; order++) {
            struct batch_result result;
            emulator_set_order((enum emulator_order)order);
            sessions[order] = session_open(backend_cuda(), &options);
            train(&sessions[order], &options, 2);
            assert_int_equal(plan_evaluate(sessions[order].plan, 5, &result), 0);
            assert_sessions_equal(&sessions[0], &sessions[order]);
            assert_memory_equal(plan_logits(sessions[0].plan), plan_logits(sessions[order].plan),
                                5 * options.problem.classes * sizeof(float));
        }
        for (int order = 0; order < EMULATOR_ORDERS; order++)
            session_close(&sessions[order]);
    }
    emulator_set_order(EMULATOR_ASCENDING);
}

enum { MANY_BYTES = 64 << 20 };

static void test_a_plan_that_the_device_has_no_room_for_is_enomem_with_the_bytes(void **state)
{
    (void)state;
    const struct plan_options options = full_options();
    struct engine *engine = NULL;
    struct plan *plan = NULL;
    struct error error = {{0}, {0}};
    char figure[32];
    emulator_set_memory(100000);
    assert_int_equal(engine_new(backend_cuda(), &engine, &error), 0);
    assert_int_equal(plan_new(engine, &options, &plan, &error), -ENOMEM);
    assert_null(plan);
    snprintf(figure, sizeof figure, "%zu", engine_bytes_needed(engine));
    assert_true(engine_bytes_needed(engine) > 100000);
    assert_non_null(strstr(error.message, figure));
    /* room for the plan, but for none of what the driver needs beside it */
    emulator_set_memory(engine_bytes_needed(engine) + engine_bytes_needed(engine) / 128);
    assert_int_equal(plan_new(engine, &options, &plan, &error), -ENOMEM);
    emulator_set_memory(MANY_BYTES);
    assert_int_equal(plan_new(engine, &options, &plan, &error), 0);
    assert_int_equal(plan_bytes(plan), engine_bytes_needed(engine));
    plan_free(plan);
    engine_free(engine);
    emulator_set_memory((size_t)4 << 30);
}

/* After the n-th operation every call fails: a step, an evaluation and a new plan say -EIO, and everything can be freed. */
static void test_a_device_that_breaks_is_eio_and_can_be_freed(void **state)
{
    (void)state;
    const struct plan_options options = full_options();
    static const uint64_t moments[] = {1, 2, 7, 30, 60};
    for (size_t m = 0; m < ARRAY_LENGTH(moments); m++) {
        struct session session = session_open(backend_cuda(), &options);
        struct batch_result result;
        float value;
        train(&session, &options, 1);
        session_fill(&session, &options, 3);
        emulator_break_at(moments[m]);
        assert_int_equal(plan_step(session.plan, 0.01, &result), -EIO);
        assert_int_equal(plan_step(session.plan, 0.01, &result), -EIO);
        assert_int_equal(plan_evaluate(session.plan, 3, &result), -EIO);
        assert_int_equal(plan_gradients(session.plan, &result), -EIO);
        assert_int_equal(plan_tensor_read(session.plan, "blocks_0.se_r.bias", &value), -EIO);
        assert_int_equal(plan_step_count(session.plan), 1);
        char said[ENGINE_FAILURE_SIZE];
        engine_failure(session.engine, said);
        assert_true(strlen(said) > 0);
        session_close(&session);
        emulator_mend();
        emulator_break_at(0);
    }
}

static void count_part(void *context)
{
    ++*(int *)context;
}

/* Three passes of each dense convolution, but two of the first. */
static void test_building_a_plan_says_each_convolution(void **state)
{
    (void)state;
    const struct plan_options options = full_options();
    struct engine *engine = NULL;
    struct plan *plan = NULL;
    char said[ENGINE_FAILURE_SIZE];
    int parts = 0;
    assert_int_equal(engine_new(backend_cuda(), &engine, NULL), 0);
    engine_watch_building(engine, count_part, &parts);
    assert_int_equal(plan_new(engine, &options, &plan, NULL), 0);
    assert_int_equal(parts % 3, 2);
    assert_true(parts > 3 * 4);
    engine_failure(engine, said);
    assert_string_equal(said, "");
    plan_free(plan);
    engine_free(engine);
}

static void test_without_a_device_the_engine_is_enodev(void **state)
{
    (void)state;
    struct engine *engine = NULL;
    struct device_info devices[2];
    struct error error = {{0}, {0}};
    emulator_set_devices(0);
    assert_int_equal(engine_new(backend_cuda(), &engine, &error), -ENODEV);
    assert_int_equal(backend_devices(backend_cuda(), NULL, devices, 2, &error), -ENODEV);
    emulator_set_devices(3);
    assert_int_equal(backend_devices(backend_cuda(), NULL, devices, 2, &error), 2);
    assert_int_equal(backend_devices(backend_cuda(), "cuda:2", devices, 2, &error), 1);
    assert_string_equal(devices[0].id, "cuda:2");
    assert_int_equal(engine_new_on(backend_cuda(), devices[0].uuid, &engine, &error), -EINVAL);
    assert_int_equal(engine_new_on(backend_cuda(), "cuda:3", &engine, &error), -ENODEV);
    assert_int_equal(engine_new_on(backend_cuda(), "cuda:1", &engine, &error), 0);
    engine_free(engine);
    emulator_set_devices(1);
}

/* ---- the schedule ---- */

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Of a network with one MBConv block with SE and a residual: facts of its passes, each once. */
static void test_the_schedule_says_what_is_launched(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "masks_launch", "images_pack_launch",
        /* stem */
        "convolver_run forward", "batch_norm_statistics_launch", "batch_norm_apply_launch",
        /* expansion; its output is made again by what reads it */
        "convolver_run forward", "batch_norm_statistics_launch",
        /* depthwise, squeeze-and-excitation, projection */
        "depthwise_forward_launch", "batch_norm_statistics_finish_launch", "batch_norm_pool_launch",
        "squeeze_forward_launch", "batch_norm_apply_launch", "convolver_run forward",
        "batch_norm_statistics_launch", "batch_norm_apply_launch",
        /* head, last layer, loss */
        "convolver_run forward", "batch_norm_statistics_launch", "batch_norm_pool_launch",
        "matrix_product_launch", "cross_entropy_launch", "device_read_async",
        /* and back: last layer, head */
        "matrix_products_launch", "batch_norm_backward_sums_launch",
        "batch_norm_backward_finish_launch", "batch_norm_backward_apply_launch",
        "convolver_run backward-filter", "convolver_run backward-data",
        /* projection */
        "batch_norm_backward_sums_launch", "batch_norm_backward_finish_launch",
        "batch_norm_backward_apply_launch", "convolver_run backward-filter",
        "convolver_run backward-data",
        /* squeeze-and-excitation, depthwise, expansion */
        "squeeze_sums_launch", "squeeze_backward_launch", "squeeze_finish_launch",
        "depthwise_backward_launch", "batch_norm_backward_finish_launch",
        "batch_norm_backward_apply_launch", "convolver_run backward-filter",
        "convolver_run backward-data", "map_add_launch",
        /* stem */
        "batch_norm_backward_sums_launch", "batch_norm_backward_finish_launch",
        "batch_norm_backward_apply_launch", "convolver_run backward-filter",
        /* update */
        "optimizer_launch", "device_read_async"};
    const struct small_network network = {.size = 8,
                                          .channels = 3,
                                          .stem_kernel = 3,
                                          .stem_stride = 1,
                                          .stem_channels = 16,
                                          .stage = {BLOCK_MBCONV, 1, 3, 4, 2500, 1, 16},
                                          .stage_count = 1,
                                          .head_channels = 24,
                                          .batch = 2};
    const struct plan_options options = small_options(&network);
    struct session session = session_open(backend_cuda(), &options);
    const struct program *program = plan_program(session.plan);
    assert_int_equal(cuda_launch_count(program), ARRAY_LENGTH(wanted));
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        char text[CUDA_LAUNCH_TEXT_SIZE], start[64];
        cuda_launch_text(program, i, text);
        snprintf(start, sizeof start, "%s  ", wanted[i]);
        if (!starts_with(text, start))
            fail_msg("launch %zu is \"%s\", not %s", i, text, wanted[i]);
    }
    char text[CUDA_LAUNCH_TEXT_SIZE];
    cuda_launch_text(program, 1, text);
    assert_string_equal(text, "images_pack_launch  reads images 1536  writes packed 2048");
    assert_int_equal(cuda_launch_bytes(program, 1), 2 * 8 * 8 * (3 * 4 + 8 * 2));
    session_close(&session);
}

/* ---- memory ---- */

struct life {
    uint32_t first, last;
    bool written_first;
};

/* When a tensor is used, and whether its first use writes it. */
static struct life life_of(const struct schedule *schedule, uint32_t tensor)
{
    struct life life = {UINT32_MAX, 0, false};
    for (uint32_t i = 0; i < schedule->launch_count; i++) {
        const struct launch *launch = &schedule->launches[i];
        for (uint32_t use = 0; use < launch->use_count; use++) {
            if (launch->uses[use].tensor != tensor)
                continue;
            if (i < life.first)
                life.written_first = launch->uses[use].written;
            life.first = i < life.first ? i : life.first;
            life.last = i;
        }
    }
    return life;
}

static bool overlap(const struct tensor *a, const struct tensor *b)
{
    return a->data < b->data + b->bytes && b->data < a->data + a->bytes;
}

static void check_memory(const struct cuda_program *program)
{
    const struct schedule *schedule = &program->schedule;
    struct life *lives = calloc(schedule->tensor_count, sizeof *lives);
    assert_non_null(lives);
    for (uint32_t t = 0; t < schedule->tensor_count; t++) {
        const struct tensor *tensor = &schedule->tensors[t];
        lives[t] = life_of(schedule, t);
        if (!tensor->kept && t != program->inputs.images && !lives[t].written_first)
            fail_msg("tensor %u, %s of unit %u, is read before it is written", t, tensor->role,
                     tensor->unit);
        if (tensor->kept)
            lives[t] = (struct life){0, UINT32_MAX, true};
    }
    for (uint32_t a = 0; a < schedule->tensor_count; a++)
        for (uint32_t b = 0; b < a; b++) {
            const bool meet = lives[a].first <= lives[b].last && lives[b].first <= lives[a].last;
            if (meet && overlap(&schedule->tensors[a], &schedule->tensors[b]))
                fail_msg("tensors %u and %u share memory while both are needed", a, b);
        }
    free(lives);
}

static void test_no_tensor_is_read_before_it_is_written_or_lies_where_another_lives(void **state)
{
    (void)state;
    static const char *const presets[] = {"archscout-reference", "efficientnet-b0",
                                          "efficientnetv2-b0-small-images"};
    for (size_t p = 0; p < ARRAY_LENGTH(presets); p++) {
        struct plan_options options = full_options();
        struct error error = {{0}, {0}};
        if (preset_find(presets[p], &options.architecture, &error) < 0)
            fail_msg("%s", error.message);
        options.problem.image_size = 16;
        options.recipe.batch = 2;
        struct session session = session_open(backend_cuda(), &options);
        check_memory((const struct cuda_program *)plan_program(session.plan));
        session_close(&session);
    }
}

static void test_timed_plans_and_launches_leave_later_plans_as_they_were(void **state)
{
    (void)state;
    const struct plan_options options = full_options();
    struct session a = session_open(backend_cuda(), &options);
    struct session b = session_open(backend_cuda(), &options);
    struct error error = {{0}, {0}};
    struct program *program = plan_program(a.plan);
    double *seconds = calloc(cuda_launch_count(program), sizeof *seconds);
    assert_non_null(seconds);
    assert_int_equal(cuda_tune(program, &error), 0);
    assert_int_equal(cuda_profile(program, seconds, &error), -EINVAL);
    train(&a, &options, 1);
    assert_int_equal(cuda_profile(program, seconds, &error), 0);
    for (size_t i = 0; i < cuda_launch_count(program); i++)
        assert_true(seconds[i] >= 0);
    plan_free(a.plan);
    assert_int_equal(plan_new(a.engine, &options, &a.plan, &error), 0);
    train(&a, &options, 2);
    train(&b, &options, 2);
    assert_sessions_equal(&a, &b);
    free(seconds);
    session_close(&a);
    session_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_order_of_threads_trains_to_the_same_bits),
        cmocka_unit_test(test_a_plan_that_the_device_has_no_room_for_is_enomem_with_the_bytes),
        cmocka_unit_test(test_a_device_that_breaks_is_eio_and_can_be_freed),
        cmocka_unit_test(test_building_a_plan_says_each_convolution),
        cmocka_unit_test(test_without_a_device_the_engine_is_enodev),
        cmocka_unit_test(test_the_schedule_says_what_is_launched),
        cmocka_unit_test(test_no_tensor_is_read_before_it_is_written_or_lies_where_another_lives),
        cmocka_unit_test(test_timed_plans_and_launches_leave_later_plans_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
