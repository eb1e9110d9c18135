/* The trainer with the CUDA backend, on the emulated runtime: what the two have to say to each other. */
#include "worker/trainer.h"

#include "proto/frame.h"
#include "proto/trainer_pipe.h"
#include "tests/emulator/emulator.h"
#include "tests/unit/worker/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const size_t MANY_BYTES = (size_t)4 << 30;

struct bench {
    struct catalog *catalog;
    struct trainer *trainer;
    char notes[4096];
};

static void on_note(void *context, const char *text)
{
    struct bench *bench = context;
    const size_t length = strlen(bench->notes);
    snprintf(bench->notes + length, sizeof bench->notes - length, "%s\n", text);
}

static void bench_init(void **state, struct bench *bench, const char *device)
{
    char path[FILE_PATH_SIZE];
    struct error error = {0};
    *bench = (struct bench){0};
    fixture_path(*state, "bars", path);
    if (access(path, F_OK) < 0)
        fixture_write_synthetic(*state, "bars", &task_images);
    assert_int_equal(catalog_new(&bench->catalog), 0);
    fixture_path(*state, "", path);
    assert_int_equal(catalog_add(bench->catalog, path, NULL), 0);
    const struct trainer_options options = {.backend = backend_find("cuda"),
                                            .device = device,
                                            .nvml_library = "libno-such.so.1",
                                            .catalog = bench->catalog,
                                            .cache_directory = path};
    if (trainer_new(&options, &bench->trainer, &error) < 0)
        fail_msg("%s", error.message);
}

static void bench_release(struct bench *bench)
{
    trainer_free(bench->trainer);
    catalog_free(bench->catalog);
}

static struct wire_result bench_run(struct bench *bench, uint32_t epochs)
{
    struct wire_task task = small_task();
    const struct trainer_events events = {.context = bench, .on_note = on_note};
    struct wire_result result;
    task.epochs = epochs;
    trainer_run(bench->trainer, &task, &events, &result);
    assert_int_equal(wire_result_validate(&result, NULL), 0);
    return result;
}

static void test_a_small_network_learns_on_the_second_device(void **state)
{
    struct bench bench;
    emulator_set_devices(2);
    bench_init(state, &bench, "cuda:1");
    const struct wire_result result = bench_run(&bench, 3);
    assert_int_equal(result.outcome, WIRE_OUTCOME_DONE);
    if (result.accuracy < 0.6) /* chance is 0.25 */
        fail_msg("accuracy %g", result.accuracy);
    assert_true(result.step_time.median_s > 0 && result.step_time.baseline_s > 0);
    assert_true(result.step_time.blocks >= 5);
    assert_string_equal(trainer_device(bench.trainer)->id, "cuda:1");
    assert_non_null(strstr(bench.notes, "training in bf16: the GPU engine has no other precision"));
    assert_non_null(strstr(bench.notes, "the clock of cuda:1 is not known"));
    bench_release(&bench);
    emulator_set_devices(1);
}

/* Early in the first epoch, and later. */
static void test_a_device_that_breaks_is_lost_in_cudas_words(void **state)
{
    static const uint64_t moments[] = {40, 700};
    for (size_t i = 0; i < ARRAY_LENGTH(moments); i++) {
        struct bench bench;
        bench_init(state, &bench, "cuda");
        emulator_break_at(moments[i]);
        const struct wire_result result = bench_run(&bench, 1);
        assert_int_equal(result.outcome, WIRE_OUTCOME_LOST);
        assert_memory_equal(result.message, "cuda:0 failed: ", 15);
        assert_true(result.message[15] != ';');
        assert_true(trainer_is_broken(bench.trainer));
        bench_release(&bench);
        emulator_mend();
        emulator_break_at(0);
    }
}

static void test_a_network_that_the_device_has_no_room_for_is_out_of_memory(void **state)
{
    struct bench bench;
    emulator_set_memory(100000);
    bench_init(state, &bench, "cuda");
    const struct wire_result result = bench_run(&bench, 1);
    assert_int_equal(result.outcome, WIRE_OUTCOME_OUT_OF_MEMORY);
    assert_true(result.memory_needed_bytes > 90000);
    assert_false(trainer_is_broken(bench.trainer));
    bench_release(&bench);
    emulator_set_memory(MANY_BYTES);
    bench_init(state, &bench, "cuda");
    assert_int_equal(bench_run(&bench, 1).outcome, WIRE_OUTCOME_DONE);
    bench_release(&bench);
}

/* ---- the program ---- */

static int program_end(FILE *output)
{
    const int status = pclose(output);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_the_program_lists_its_device(void **state)
{
    (void)state;
    char line[256] = "", uuid[64] = "", command[512];
    FILE *output = popen(TRAINER_PROGRAM " --device cuda --list-devices", "re");
    assert_non_null(output);
    assert_non_null(fgets(line, sizeof line, output));
    assert_int_equal(program_end(output), 0);
    assert_memory_equal(line, "cuda:0 GPU-", 11);
    memcpy(uuid, line + 7, 40);
    snprintf(command, sizeof command, TRAINER_PROGRAM " --device cuda:%s --list-devices", uuid);
    output = popen(command, "re");
    assert_non_null(output);
    assert_non_null(fgets(line, sizeof line, output));
    assert_memory_equal(line + 7, uuid, 40);
    assert_int_equal(program_end(output), 0);
    output = popen(TRAINER_PROGRAM " --device cuda:7 --list-devices 2>&1", "re");
    assert_non_null(output);
    assert_non_null(fgets(line, sizeof line, output));
    assert_non_null(strstr(line, "cuda:7"));
    assert_int_equal(program_end(output), 4);
}

static void test_the_programs_hello_names_the_device(void **state)
{
    (void)state;
    static struct trainer_message message;
    struct buffer body;
    FILE *output = popen(TRAINER_PROGRAM " --device cuda </dev/null", "re");
    assert_non_null(output);
    buffer_init(&body, FRAME_BODY_MAX);
    assert_int_equal(frame_read(fileno(output), &body), FRAME_READY);
    assert_int_equal(trainer_message_unpack(body.data, body.length, &message, NULL), 0);
    buffer_release(&body);
    assert_int_equal(message.kind, TRAINER_HELLO);
    assert_memory_equal(message.hello.device, "cuda:0 ", 7);
    assert_non_null(strstr(message.hello.device, " MiB, GPU-"));
    assert_int_equal(program_end(output), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_a_small_network_learns_on_the_second_device),
        FIXTURE_TEST(test_a_device_that_breaks_is_lost_in_cudas_words),
        FIXTURE_TEST(test_a_network_that_the_device_has_no_room_for_is_out_of_memory),
        cmocka_unit_test(test_the_program_lists_its_device),
        cmocka_unit_test(test_the_programs_hello_names_the_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
