/* The trainer on a device that has a clock and memory of its own, and fails: the CPU's backend, dressed up as one. */
#include "worker/trainer.h"

#include "tests/unit/worker/fake_nvml.h"
#include "tests/unit/worker/task.h"
#include "worker/engine/backend.h"
#include "worker/gpu_clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the device ---- */

static const size_t MUCH = (size_t)64 << 30;

static struct {
    struct device *open;
    size_t memory_bytes, memory_free_bytes;
    double step_s;
    uint32_t programs; /* compiled since the test began */
    uint32_t steps;    /* of the latest */
    uint32_t all_steps;
    uint32_t failing_program; /* its fifth step fails; 1 is the candidate's, 2 the baseline's */
    int failure;              /* with this code */
    bool bfloat;              /* it says that it trains in bf16 */
} fake;

static const struct backend *inner(void)
{
    return backend_onednn() ? backend_onednn() : backend_reference();
}

static int fake_open(const char *name, struct device **ret_device, struct error *error)
{
    assert_string_equal(name, "fake:0");
    int r = inner()->device_open(NULL, ret_device, error);
    if (r == 0)
        fake.open = *ret_device;
    return r;
}

static int fake_devices(const char *name, struct device_info *ret_devices, uint32_t max,
                        struct error *error)
{
    (void)error;
    assert_string_equal(name, "fake:0");
    assert_true(max >= 1);
    ret_devices[0] = (struct device_info){
        .id = "fake:0", .name = "Fake", .uuid = FAKE_NVML_UUID, .memory_bytes = fake.memory_bytes};
    return 1;
}

static size_t fake_memory_free(const struct device *device)
{
    assert_ptr_equal(device, fake.open);
    return fake.memory_free_bytes;
}

static int fake_compile(struct device *device, const struct graph *graph,
                        const struct plan_options *options, struct program **ret_program,
                        struct error *error)
{
    fake.programs++;
    fake.steps = 0;
    device_built_part(device);
    int r = inner()->compile(device, graph, options, ret_program, error);
    if (r == 0 && fake.bfloat)
        (*ret_program)->precision = PRECISION_BF16;
    return r;
}

static int fake_train(struct program *program, const struct part *part,
                      struct batch_result *ret_result)
{
    fake.all_steps++;
    if (++fake.steps != 5 || fake.programs != fake.failing_program)
        return inner()->train(program, part, ret_result);
    return fake.failure;
}

static void fake_failure(const struct device *device, char *ret_text, size_t size)
{
    assert_ptr_equal(device, fake.open);
    snprintf(ret_text, size, "an illegal memory access");
}

static double fake_seconds(struct program *program)
{
    (void)program;
    return fake.step_s;
}

static const struct backend *fake_backend(void)
{
    static struct backend backend;
    backend = *inner();
    backend.device_open = fake_open;
    backend.devices = fake_devices;
    backend.memory_free = fake_memory_free;
    backend.compile = fake_compile;
    backend.train = fake_train;
    backend.seconds = fake_seconds;
    backend.failure = fake_failure;
    return &backend;
}

/* ---- the bench ---- */

struct bench {
    struct catalog *catalog;
    struct trainer *trainer;
    struct fake_nvml *nvml;
    char notes[4096];
    uint64_t steps_done;
    uint32_t signs; /* of life, before the first step */
};

static void on_progress(void *context, uint64_t steps_done, uint64_t steps_total)
{
    struct bench *bench = context;
    assert_true(steps_done == bench->steps_done + 1 && steps_done <= steps_total);
    bench->steps_done = steps_done;
    if (fake.all_steps == 0)
        bench->signs++;
}

static void on_note(void *context, const char *text)
{
    struct bench *bench = context;
    const size_t length = strlen(bench->notes);
    snprintf(bench->notes + length, sizeof bench->notes - length, "%s\n", text);
}

static void bench_open(void **state, struct bench *bench, uint32_t trainers, const char *nvml)
{
    char path[FILE_PATH_SIZE];
    bench->notes[0] = '\0';
    fixture_path(*state, "", path);
    const struct trainer_options options = {.backend = fake_backend(),
                                            .device = "fake:0",
                                            .device_trainers = trainers,
                                            .nvml_library = nvml,
                                            .catalog = bench->catalog,
                                            .cache_directory = path,
                                            .memory_bytes_max = 1};
    assert_int_equal(trainer_new(&options, &bench->trainer, NULL), 0);
}

static void bench_init(void **state, struct bench *bench)
{
    char path[FILE_PATH_SIZE];
    *bench = (struct bench){0};
    memset(&fake, 0, sizeof fake);
    fake.memory_bytes = fake.memory_free_bytes = MUCH;
    fake.step_s = 0.001;
    void *library = dlopen(FAKE_NVML, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    bench->nvml = dlsym(library, "fake_nvml");
    *bench->nvml = (struct fake_nvml){.sm_mhz = 1785, .sm_mhz_max = 1980};
    fixture_write_synthetic(*state, "bars", &task_images);
    assert_int_equal(catalog_new(&bench->catalog), 0);
    fixture_path(*state, "", path);
    assert_int_equal(catalog_add(bench->catalog, path, NULL), 0);
    bench_open(state, bench, 1, FAKE_NVML);
}

static void bench_release(struct bench *bench)
{
    trainer_free(bench->trainer);
    assert_int_equal(bench->nvml->started, 0);
    catalog_free(bench->catalog);
}

static struct wire_result bench_run(struct bench *bench)
{
    struct wire_task task = small_task();
    const struct trainer_events events = {
        .context = bench, .on_progress = on_progress, .on_note = on_note};
    bench->steps_done = 0;
    struct wire_result result;
    task.epochs = 1;
    trainer_run(bench->trainer, &task, &events, &result);
    assert_int_equal(wire_result_validate(&result, NULL), 0);
    return result;
}

static uint32_t count_of(const char *text, const char *part)
{
    uint32_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        count++;
    return count;
}

/* ---- the tests ---- */

static void test_step_time_is_the_devices_own(void **state)
{
    struct bench bench;
    bench_init(state, &bench);
    const struct wire_result result = bench_run(&bench);
    assert_int_equal(result.outcome, WIRE_OUTCOME_DONE);
    assert_true(result.step_time.median_s > 0.000999999 && result.step_time.median_s < 0.001000001);
    assert_true(result.step_time.baseline_s > 0.000999999);
    assert_true(result.step_time.spread_s < 1e-9);
    assert_int_equal(result.step_time.blocks, 20);
    assert_false(result.step_time.contended);
    /* 10 steps make no group of 20 ms: 20 groups of 20 steps were timed, and as many of the baseline */
    assert_true(fake.all_steps >= 10 + 2 * 20 * 20);
    assert_non_null(strstr(bench.notes, "candidate: 0.001000 s a step, spread 0.000000 s, 20 "
                                        "blocks, 1785 of 1980 MHz\n"));
    assert_non_null(strstr(bench.notes, "baseline: 0.001000 s a step"));
    assert_true(bench.nvml->reads >= 4);
    bench_release(&bench);
}

/* Of 0.3 s each, a round of five seconds cannot have 20. */
static void test_long_steps_need_not_be_as_many(void **state)
{
    struct bench bench;
    bench_init(state, &bench);
    fake.step_s = 0.3;
    const struct wire_result result = bench_run(&bench);
    assert_int_equal(result.outcome, WIRE_OUTCOME_DONE);
    assert_false(result.step_time.contended);
    assert_int_equal(result.step_time.blocks, 8); /* the task's own steps, without the warm-up */
    bench_release(&bench);
}

static void test_a_time_of_a_throttled_device_is_contended(void **state)
{
    struct bench bench;
    bench_init(state, &bench);
    bench.nvml->reasons = GPU_CLOCK_SOFTWARE_THERMAL;
    const struct wire_result result = bench_run(&bench);
    assert_int_equal(result.outcome, WIRE_OUTCOME_DONE);
    assert_true(result.step_time.contended);
    assert_true(fake.all_steps >= 10 + 2 * TRAINER_ROUNDS * 20 * 20);
    assert_int_equal(count_of(bench.notes, "1785 of 1980 MHz, heat (software); contended"), 2);
    bench_release(&bench);
}

static void test_a_clock_that_cannot_be_had_is_said_once(void **state)
{
    struct bench bench;
    bench_init(state, &bench);
    trainer_free(bench.trainer);
    bench_open(state, &bench, 1, "libno-such.so.1");
    assert_int_equal(bench_run(&bench).outcome, WIRE_OUTCOME_DONE);
    assert_int_equal(bench_run(&bench).outcome, WIRE_OUTCOME_DONE);
    assert_int_equal(count_of(bench.notes, "the clock of fake:0 is not known"), 1);
    assert_non_null(strstr(bench.notes, "libno-such.so.1"));
    assert_null(strstr(bench.notes, "MHz"));
    bench_release(&bench);
}

static void test_a_clock_that_goes_away_is_said_and_no_failure(void **state)
{
    struct bench bench;
    bench_init(state, &bench);
    bench.nvml->clock_status = 15;
    assert_int_equal(bench_run(&bench).outcome, WIRE_OUTCOME_DONE);
    assert_int_equal(bench_run(&bench).outcome, WIRE_OUTCOME_DONE);
    assert_int_equal(count_of(bench.notes, "the clock of fake:0 is not known"), 1);
    bench_release(&bench);
}

static void test_a_failed_device_is_lost_and_breaks_the_trainer(void **state)
{
    struct bench bench;
    bench_init(state, &bench);
    fake.failing_program = 1;
    fake.failure = -EIO;
    assert_false(trainer_is_broken(bench.trainer));
    const struct wire_result result = bench_run(&bench);
    assert_int_equal(result.outcome, WIRE_OUTCOME_LOST);
    assert_string_equal(result.message, "fake:0 failed: an illegal memory access; training step "
                                        "failed: Input/output error");
    assert_true(trainer_is_broken(bench.trainer));
    bench_release(&bench);
}

static void test_a_device_that_fails_under_the_baseline_is_lost_too(void **state)
{
    struct bench bench;
    bench_init(state, &bench);
    fake.failing_program = 2;
    fake.failure = -EIO;
    const struct wire_result result = bench_run(&bench);
    assert_int_equal(result.outcome, WIRE_OUTCOME_LOST);
    assert_non_null(strstr(result.message, "the baseline could not be timed"));
    assert_true(trainer_is_broken(bench.trainer));
    bench_release(&bench);
}

static void test_memory_that_runs_out_in_a_step_is_out_of_memory(void **state)
{
    struct bench bench;
    bench_init(state, &bench);
    fake.failing_program = 1;
    fake.failure = -ENOMEM;
    const struct wire_result result = bench_run(&bench);
    assert_int_equal(result.outcome, WIRE_OUTCOME_OUT_OF_MEMORY);
    assert_true(result.memory_needed_bytes > 0);
    assert_false(trainer_is_broken(bench.trainer));
    assert_int_equal(bench_run(&bench).outcome, WIRE_OUTCOME_DONE);
    bench_release(&bench);
}

/* The baseline is not the candidate: that it has no room is no word on the candidate's need. */
static void test_memory_that_runs_out_under_the_baseline_is_a_failure(void **state)
{
    struct bench bench;
    bench_init(state, &bench);
    fake.failing_program = 2;
    fake.failure = -ENOMEM;
    assert_int_equal(bench_run(&bench).outcome, WIRE_OUTCOME_FAILED);
    assert_false(trainer_is_broken(bench.trainer));
    bench_release(&bench);
}

static enum wire_outcome outcome_with(void **state, struct bench *bench, uint32_t trainers)
{
    trainer_free(bench->trainer);
    bench_open(state, bench, trainers, FAKE_NVML);
    return bench_run(bench).outcome;
}

static void test_trainers_of_one_device_share_its_memory(void **state)
{
    struct bench bench;
    bench_init(state, &bench);
    fake.memory_bytes = 100;
    trainer_free(bench.trainer);
    bench_open(state, &bench, 1, FAKE_NVML);
    const uint64_t needed = bench_run(&bench).memory_needed_bytes;
    assert_true(needed > 100);
    fake.memory_bytes = needed * 3 / 2;
    assert_int_equal(outcome_with(state, &bench, 1), WIRE_OUTCOME_DONE);
    assert_int_equal(outcome_with(state, &bench, 2), WIRE_OUTCOME_OUT_OF_MEMORY);
    fake.memory_bytes *= 2;
    assert_int_equal(outcome_with(state, &bench, 2), WIRE_OUTCOME_DONE);
    fake.memory_free_bytes = needed / 2; /* somebody else has the rest */
    assert_int_equal(outcome_with(state, &bench, 2), WIRE_OUTCOME_OUT_OF_MEMORY);
    bench_release(&bench);
}

static void test_building_a_plan_gives_signs_of_life(void **state)
{
    struct bench bench;
    bench_init(state, &bench);
    assert_int_equal(bench_run(&bench).outcome, WIRE_OUTCOME_DONE);
    assert_int_equal(bench.signs, 1);
    bench_release(&bench);
}

static void test_a_recipe_in_f32_is_told_that_it_trains_in_bf16(void **state)
{
    struct bench bench;
    bench_init(state, &bench);
    fake.bfloat = true;
    assert_int_equal(bench_run(&bench).outcome, WIRE_OUTCOME_DONE);
    assert_non_null(
        strstr(bench.notes, "training in bf16: the GPU engine has no other precision\n"));
    bench_release(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_step_time_is_the_devices_own),
        FIXTURE_TEST(test_long_steps_need_not_be_as_many),
        FIXTURE_TEST(test_a_time_of_a_throttled_device_is_contended),
        FIXTURE_TEST(test_a_clock_that_cannot_be_had_is_said_once),
        FIXTURE_TEST(test_a_clock_that_goes_away_is_said_and_no_failure),
        FIXTURE_TEST(test_a_failed_device_is_lost_and_breaks_the_trainer),
        FIXTURE_TEST(test_a_device_that_fails_under_the_baseline_is_lost_too),
        FIXTURE_TEST(test_memory_that_runs_out_in_a_step_is_out_of_memory),
        FIXTURE_TEST(test_memory_that_runs_out_under_the_baseline_is_a_failure),
        FIXTURE_TEST(test_trainers_of_one_device_share_its_memory),
        FIXTURE_TEST(test_building_a_plan_gives_signs_of_life),
        FIXTURE_TEST(test_a_recipe_in_f32_is_told_that_it_trains_in_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
