/* What engine.h promises, on every backend of the build. */
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

/* MBConv with SE, residual, odd channels: every kind of operation. */
static const struct small_network NETWORK = {.size = 9,
                                             .channels = 3,
                                             .stem_kernel = 3,
                                             .stem_stride = 2,
                                             .stem_channels = 12,
                                             .stage = {BLOCK_MBCONV, 2, 3, 3, 2500, 1, 12},
                                             .stage_count = 1,
                                             .head_channels = 20,
                                             .batch = 6};

static void train(struct session *session, int steps)
{
    for (int i = 0; i < steps; i++) {
        struct batch_result result;
        assert_int_equal(plan_step(session->plan, 0.05, &result), 0);
    }
}

static void test_same_seed_trains_to_the_same_bits(void **state)
{
    const struct plan_options options = small_options(&NETWORK);
    struct session a = session_open(*state, &options), b = session_open(*state, &options);
    session_fill(&a, &options, 3);
    session_fill(&b, &options, 3);
    train(&a, 4);
    train(&b, 4);
    assert_sessions_equal(&a, &b);
    session_close(&a);
    session_close(&b);
}

static void test_a_second_plan_of_an_engine_trains_to_the_same_bits(void **state)
{
    const struct plan_options options = small_options(&NETWORK);
    struct small_network larger = NETWORK;
    larger.size = 14;
    larger.stem_channels = 24;
    const struct plan_options other = small_options(&larger);
    struct session a = session_open(*state, &other), b = session_open(*state, &options);
    session_fill(&a, &other, 5);
    train(&a, 1);
    plan_free(a.plan);
    assert_int_equal(plan_new(a.engine, &options, &a.plan, NULL), 0);
    session_fill(&a, &options, 3);
    session_fill(&b, &options, 3);
    train(&a, 3);
    train(&b, 3);
    assert_sessions_equal(&a, &b);
    session_close(&a);
    session_close(&b);
}

static void test_poisoned_buffers_do_not_change_a_bit(void **state)
{
    struct plan_options options = small_options(&NETWORK);
    for (options.micro_batches = 1; options.micro_batches <= 2; options.micro_batches++) {
        struct session a = session_open(*state, &options), b = session_open(*state, &options);
        struct batch_result of_a, of_b;
        session_fill(&a, &options, 3);
        session_fill(&b, &options, 3);
        for (int i = 0; i < 3; i++) {
            plan_poison(b.plan);
            train(&a, 1);
            train(&b, 1);
        }
        assert_sessions_equal(&a, &b);
        plan_poison(b.plan);
        assert_int_equal(plan_evaluate(a.plan, 5, &of_a), 0);
        assert_int_equal(plan_evaluate(b.plan, 5, &of_b), 0);
        assert_true(of_a.loss == of_b.loss);
        session_close(&a);
        session_close(&b);
    }
}

static void test_training_lowers_the_loss(void **state)
{
    struct plan_options options = small_options(&NETWORK);
    static const enum optimizer_kind kinds[] = {OPTIMIZER_SGD, OPTIMIZER_RMSPROP, OPTIMIZER_ADAMW};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        options.recipe.optimizer = kinds[i];
        struct session session = session_open(*state, &options);
        struct batch_result first, last;
        session_fill(&session, &options, 3);
        assert_int_equal(plan_step(session.plan, 0.02, &first), 0);
        train(&session, 15);
        assert_int_equal(plan_step(session.plan, 0.02, &last), 0);
        assert_true(last.loss < 0.7 * first.loss);
        session_close(&session);
    }
}

static void test_gradients_change_no_parameter(void **state)
{
    const struct plan_options options = small_options(&NETWORK);
    struct session a = session_open(*state, &options), b = session_open(*state, &options);
    struct batch_result result;
    session_fill(&a, &options, 3);
    assert_int_equal(plan_gradients(a.plan, &result), 0);
    assert_sessions_equal(&a, &b);
    session_close(&a);
    session_close(&b);
}

/* Without batch normalisation between the images (one image repeated) accumulating changes nothing. */
static void test_micro_batches_of_equal_images_give_the_gradients_of_the_batch(void **state)
{
    struct plan_options options = small_options(&NETWORK);
    struct session whole = session_open(*state, &options);
    options.micro_batches = 3;
    struct session parts = session_open(*state, &options);
    struct session *sessions[] = {&whole, &parts};
    const size_t pixels = 9 * 9 * 3;
    for (size_t s = 0; s < ARRAY_LENGTH(sessions); s++) {
        struct batch_result result;
        session_fill(sessions[s], &options, 3);
        for (uint32_t n = 2; n < NETWORK.batch; n++) {
            memcpy(plan_images(sessions[s]->plan) + n * pixels,
                   plan_images(sessions[s]->plan) + (n - 2) * pixels, pixels * sizeof(float));
            plan_labels(sessions[s]->plan)[n] = plan_labels(sessions[s]->plan)[n - 2];
        }
        assert_int_equal(plan_gradients(sessions[s]->plan, &result), 0);
    }
    /* Maps in bfloat16: statistics that differ in their last bit round some values the other way. */
    if (plan_precision(whole.plan) == PRECISION_BF16)
        assert_gradients_near(&parts, &whole, 2e-2);
    else
        assert_sessions_close(&parts, &whole, NETWORK.batch * options.problem.classes, 1e-4);
    session_close(&whole);
    session_close(&parts);
}

static void test_evaluation_of_some_images_ignores_the_others(void **state)
{
    struct plan_options options = small_options(&NETWORK);
    for (options.micro_batches = 1; options.micro_batches <= 3; options.micro_batches++) {
        struct session session = session_open(*state, &options);
        struct batch_result four, three, again;
        session_fill(&session, &options, 3);
        train(&session, 2);
        assert_int_equal(plan_evaluate(session.plan, 4, &four), 0);
        assert_int_equal(plan_evaluate(session.plan, 3, &three), 0);
        plan_images(session.plan)[3 * 9 * 9 * 3] = NAN;
        assert_int_equal(plan_evaluate(session.plan, 3, &again), 0);
        assert_true(three.loss == again.loss);
        assert_true(three.loss < four.loss);
        session_close(&session);
    }
}

static void test_loss_that_is_not_finite_is_edom_and_leaves_the_weights(void **state)
{
    const struct plan_options options = small_options(&NETWORK);
    struct session session = session_open(*state, &options);
    struct batch_result result = {.loss = 7};
    size_t count = 0;
    session_fill(&session, &options, 3);
    float *before = session_tensor(&session, "blocks_0.exp.weight", &count);
    plan_images(session.plan)[5] = NAN;
    assert_int_equal(plan_step(session.plan, 0.1, &result), -EDOM);
    assert_true(result.loss == 7);
    float *after = session_tensor(&session, "blocks_0.exp.weight", &count);
    assert_memory_equal(before, after, count * sizeof *before);
    free(before);
    free(after);
    session_close(&session);
}

static void test_memory_limit_is_enomem_with_the_bytes_in_the_message(void **state)
{
    const struct plan_options options = small_options(&NETWORK);
    struct session session = session_open(*state, &options);
    const size_t bytes = plan_bytes(session.plan);
    char figure[32];
    struct error error = {{0}, {0}};
    struct plan *plan = NULL;
    snprintf(figure, sizeof figure, "%zu", bytes);
    plan_free(session.plan);
    engine_limit_memory(session.engine, bytes - 1);
    assert_int_equal(plan_new(session.engine, &options, &plan, &error), -ENOMEM);
    assert_null(plan);
    assert_non_null(strstr(error.message, figure));
    engine_limit_memory(session.engine, bytes);
    assert_int_equal(plan_new(session.engine, &options, &session.plan, &error), 0);
    session_close(&session);
}

static void test_wrong_options_are_einval_and_name_the_field(void **state)
{
    struct plan_options good = small_options(&NETWORK), bad = good;
    struct engine *engine = NULL;
    struct plan *plan = NULL;
    struct error error = {{0}, {0}};
    assert_int_equal(engine_new(*state, &engine, NULL), 0);
    bad.micro_batches = 4; /* of 6 images */
    assert_int_equal(plan_new(engine, &bad, &plan, &error), -EINVAL);
    assert_string_equal(error.pointer, "/micro_batches");
    bad = good;
    bad.architecture.stages[0].kernel = 4;
    assert_int_equal(plan_new(engine, &bad, &plan, &error), -EINVAL);
    assert_string_equal(error.pointer, "/stages/0/kernel");
    assert_null(plan);
    engine_free(engine);
}

static void test_a_device_that_the_backend_cannot_have_is_einval(void **state)
{
    struct engine *engine = NULL;
    struct error error = {{0}, {0}};
    assert_int_equal(engine_new_on(*state, "abacus:0", &engine, &error), -EINVAL);
    assert_null(engine);
    assert_non_null(strstr(error.message, "abacus:0"));
}

static void test_tensors_are_found_by_name_and_written_back(void **state)
{
    const struct plan_options options = small_options(&NETWORK);
    struct session session = session_open(*state, &options);
    float unused = 0;
    for (size_t i = 0; i < plan_tensor_count(session.plan); i++) {
        struct tensor_info info;
        size_t count = 0;
        plan_tensor_info(session.plan, i, &info);
        float *values = random_values(info.elements, i);
        assert_int_equal(plan_tensor_write(session.plan, info.name, values), 0);
        float *back = session_tensor(&session, info.name, &count);
        assert_int_equal(count, info.elements);
        assert_memory_equal(values, back, count * sizeof *values);
        free(values);
        free(back);
    }
    assert_int_equal(plan_tensor_read(session.plan, "no.such", &unused), -ENOENT);
    assert_int_equal(plan_tensor_write(session.plan, "no.such", &unused), -ENOENT);
    assert_int_equal(plan_tensor_read(session.plan, "grad:stem.bn.mean", &unused), -ENOENT);
    session_close(&session);
}

static void test_running_statistics_move_by_the_momentum(void **state)
{
    struct plan_options options = small_options(&NETWORK);
    options.recipe.bn_momentum = 0;
    struct session all = session_open(*state, &options);
    options.recipe.bn_momentum = 0.75;
    struct session quarter = session_open(*state, &options);
    struct session *sessions[] = {&all, &quarter};
    float *means[2], *variances[2];
    size_t count = 0;
    for (size_t s = 0; s < ARRAY_LENGTH(sessions); s++) {
        session_fill(sessions[s], &options, 3);
        train(sessions[s], 1);
        means[s] = session_tensor(sessions[s], "stem.bn.mean", &count);
        variances[s] = session_tensor(sessions[s], "stem.bn.variance", &count);
    }
    for (size_t c = 0; c < count; c++) {
        means[0][c] *= 0.25f;
        variances[0][c] = 0.75f + 0.25f * variances[0][c];
    }
    assert_close("mean", means[1], means[0], count, 1e-5);
    assert_close("variance", variances[1], variances[0], count, 1e-5);
    for (size_t s = 0; s < ARRAY_LENGTH(sessions); s++) {
        free(means[s]);
        free(variances[s]);
        session_close(sessions[s]);
    }
}

static void test_batch_of_one_on_maps_of_one_pixel_does_not_blow_up(void **state)
{
    struct small_network network = NETWORK;
    network.size = 2;
    network.batch = 1;
    const struct plan_options options = small_options(&network);
    struct session session = session_open(*state, &options);
    session_fill(&session, &options, 3);
    train(&session, 3);
    session_close(&session);
}

static void test_processors_have_no_clock_of_their_own(void **state)
{
    const struct plan_options options = small_options(&NETWORK);
    struct session session = session_open(*state, &options);
    struct batch_result result;
    session_fill(&session, &options, 3);
    assert_int_equal(plan_step(session.plan, 0.01, &result), 0);
    assert_true(plan_step_seconds(session.plan) < 0);
    session_close(&session);
}

static void test_the_processor_is_a_device_without_memory_of_its_own(void **state)
{
    struct engine *engine = NULL;
    struct device_info devices[2];
    assert_int_equal(backend_devices(*state, NULL, devices, 2, NULL), 1);
    assert_int_equal(backend_devices(*state, "cuda:0", devices, 2, NULL), -EINVAL);
    assert_int_equal(engine_new_on(*state, "cpu", &engine, NULL), 0);
    assert_int_equal(engine_device(engine, devices, NULL), 0);
    assert_string_equal(devices[0].id, "cpu");
    assert_string_equal(devices[0].uuid, "");
    assert_int_equal(devices[0].memory_bytes, 0);
    assert_int_equal(engine_memory_free(engine), 0);
    engine_free(engine);
}

static int open_any(const char *name, struct device **ret_device, struct error *error)
{
    (void)name;
    return backend_reference()->device_open(NULL, ret_device, error);
}

static int two_devices(const char *name, struct device_info *ret_devices, uint32_t max,
                       struct error *error)
{
    static const struct device_info both[] = {{.id = "fake:0", .memory_bytes = 1000},
                                              {.id = "fake:1", .memory_bytes = 2000}};
    (void)error;
    if (name) {
        ret_devices[0] = both[name[5] - '0'];
        return 1;
    }
    for (uint32_t i = 0; i < max && i < 2; i++)
        ret_devices[i] = both[i];
    return max < 2 ? (int)max : 2;
}

static void test_an_engine_says_which_device_it_was_opened_on(void **state)
{
    (void)state;
    struct backend several = *backend_reference();
    struct engine *engine = NULL;
    struct device_info device;
    several.device_open = open_any;
    several.devices = two_devices;
    assert_int_equal(engine_new_on(&several, "fake:1", &engine, NULL), 0);
    assert_int_equal(engine_device(engine, &device, NULL), 0);
    assert_int_equal(device.memory_bytes, 2000);
    engine_free(engine);
    assert_int_equal(engine_new(&several, &engine, NULL), 0);
    assert_int_equal(engine_device(engine, &device, NULL), 0);
    assert_int_equal(device.memory_bytes, 1000);
    engine_free(engine);
}

static double quarter_second(struct program *program)
{
    (void)program;
    return 0.25;
}

static void test_a_device_clock_says_the_seconds_of_a_step(void **state)
{
    (void)state;
    struct backend clocked = *backend_reference();
    clocked.seconds = quarter_second;
    const struct plan_options options = small_options(&NETWORK);
    struct session session = session_open(&clocked, &options);
    assert_true(plan_step_seconds(session.plan) == 0.25);
    session_close(&session);
}

static int run_on(const struct backend *backend)
{
#define ON_BACKEND(function) cmocka_unit_test_prestate(function, (void *)backend)
    const struct CMUnitTest tests[] = {
        ON_BACKEND(test_same_seed_trains_to_the_same_bits),
        ON_BACKEND(test_a_second_plan_of_an_engine_trains_to_the_same_bits),
        ON_BACKEND(test_poisoned_buffers_do_not_change_a_bit),
        ON_BACKEND(test_training_lowers_the_loss),
        ON_BACKEND(test_gradients_change_no_parameter),
        ON_BACKEND(test_micro_batches_of_equal_images_give_the_gradients_of_the_batch),
        ON_BACKEND(test_evaluation_of_some_images_ignores_the_others),
        ON_BACKEND(test_loss_that_is_not_finite_is_edom_and_leaves_the_weights),
        ON_BACKEND(test_memory_limit_is_enomem_with_the_bytes_in_the_message),
        ON_BACKEND(test_wrong_options_are_einval_and_name_the_field),
        ON_BACKEND(test_a_device_that_the_backend_cannot_have_is_einval),
        ON_BACKEND(test_tensors_are_found_by_name_and_written_back),
        ON_BACKEND(test_running_statistics_move_by_the_momentum),
        ON_BACKEND(test_batch_of_one_on_maps_of_one_pixel_does_not_blow_up),
    };
    return cmocka_run_group_tests_name(backend_name(backend), tests, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest devices[] = {
        cmocka_unit_test_prestate(test_processors_have_no_clock_of_their_own,
                                  (void *)backend_reference()),
        cmocka_unit_test(test_a_device_clock_says_the_seconds_of_a_step),
        cmocka_unit_test_prestate(test_the_processor_is_a_device_without_memory_of_its_own,
                                  (void *)backend_reference()),
        cmocka_unit_test(test_an_engine_says_which_device_it_was_opened_on),
    };
    int failed = cmocka_run_group_tests_name("devices", devices, NULL, NULL);
    return failed + backends_run(run_on);
}
