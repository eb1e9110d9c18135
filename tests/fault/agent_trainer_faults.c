/* The agent and its trainers: what goes well, and trainers that fail as docs/trainer-protocol.md says. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/fault/scene.h"

/* ---- what goes well ---- */

static void test_registration_names_slots_and_data_sets(void **state)
{
    struct scene *scene = *state;
    static const char *const arguments[] = {"--slots", "3", "--name", "w-1", NULL};
    agent_process_start(&scene->agent, scene->daemon.port, FAKE_TRAINER_PROGRAM, "ok", arguments);
    fake_daemon_await(&scene->daemon, fake_has_registered, 1);
    const struct register_request *request = &scene->daemon.last_registration;
    assert_string_equal(request->worker, "w-1");
    assert_string_equal(request->version, ARCHSCOUT_VERSION);
    assert_int_equal(request->slot_count, 3);
    assert_string_equal(request->slots[2].device, "cpu");
    assert_int_equal(request->dataset_count, 5); /* the well-known ones */
    scene_end(scene);
    assert_int_equal(scene->daemon.counts[FAKE_REGISTER], 1);
}

static void test_trainer_gets_its_environment_and_nothing_else(void **state)
{
    struct scene *scene = *state;
    static const char *const arguments[] = {"--slots",  "1",      "--data", "/some/where",
                                            "--device", "cuda:3", NULL};
    agent_process_start(&scene->agent, scene->daemon.port, FAKE_TRAINER_PROGRAM, "ok", arguments);
    agent_process_await_log(
        &scene->agent, "device cuda:3 data /some/where slot 0 threads 1 descriptors 3 sharing 1");
    scene_end(scene);
}

static void test_every_task_is_done_and_every_epoch_is_reported_before_the_result(void **state)
{
    struct scene *scene = *state;
    static const char *const arguments[] = {"--slots", "2", NULL};
    agent_process_start(&scene->agent, scene->daemon.port, FAKE_TRAINER_PROGRAM, "ok", arguments);
    for (uint64_t candidate = 0; candidate < 6; candidate++)
        scene_push(scene, candidate);
    for (uint64_t attempt = 1; attempt <= 6; attempt++) {
        struct wire_result result = fake_daemon_result(&scene->daemon, attempt);
        assert_int_equal(result.outcome, WIRE_OUTCOME_DONE);
        assert_int_equal(result.images, 16000);
        assert_true(result.accuracy > 0.5 && result.accuracy < 1.0);
        assert_true(result.step_time.baseline_s > 0);
    }
    scene_end(scene);
    assert_int_equal(scene->daemon.result_count, 6);
    for (size_t i = 0; i < 6; i++) {
        const struct result_request *result = &scene->daemon.results[i];
        uint32_t epochs = 0;
        for (size_t k = 0; k < scene->daemon.report_count; k++) {
            const struct report_request *report = &scene->daemon.reports[k];
            if (report->attempt == result->attempt)
                epochs += report->epoch_count;
        }
        assert_int_equal(epochs, 2);
        assert_int_equal(result->epoch, 1000 + result->attempt - 1);
    }
}

static void test_a_long_task_is_reported_on_again_and_again(void **state)
{
    struct scene *scene = *state;
    setenv("FAKE_TRAINER_STEP_MS", "50", 1);
    setenv("FAKE_TRAINER_STEPS", "60", 1);
    scene_start(scene, "ok");
    unsetenv("FAKE_TRAINER_STEP_MS");
    unsetenv("FAKE_TRAINER_STEPS");
    const struct wire_task task = fake_daemon_task(1, 1);
    uint64_t attempt = fake_daemon_push(&scene->daemon, &task);
    fake_daemon_result(&scene->daemon, attempt);
    scene_end(scene);
    assert_true(scene->daemon.report_count >= 3);
    assert_true(scene->daemon.reports[1].steps_done > scene->daemon.reports[0].steps_done);
    assert_int_equal(scene->daemon.reports[0].steps_total, 60);
}

/* ---- trainers that fail in the middle of a task ---- */

struct fault {
    const char *behaviour;
    enum wire_outcome outcome;
    const char *message;
    bool replaced; /* the next task is done by another trainer */
};

static void check_fault(struct scene *scene, const struct fault *fault)
{
    char directory[] = "/tmp/archscout-once-XXXXXX";
    char marker[64];
    assert_non_null(mkdtemp(directory));
    setenv("FAKE_TRAINER_ONCE", directory, 1);
    scene_start(scene, fault->behaviour);
    pid_t first = agent_process_trainer(&scene->agent);
    struct wire_result result = fake_daemon_result(&scene->daemon, scene_push(scene, 1));
    assert_string_equal(wire_outcome_name(result.outcome), wire_outcome_name(fault->outcome));
    scene_has(result.message, fault->message);
    /* the same candidate again: faults show once */
    result = fake_daemon_result(&scene->daemon, scene_push(scene, 1));
    if (fault->replaced)
        assert_int_equal(result.outcome, WIRE_OUTCOME_DONE);
    assert_true((agent_process_trainer(&scene->agent) != first) == fault->replaced);
    scene_end(scene);
    await_gone(first);
    unsetenv("FAKE_TRAINER_ONCE");
    snprintf(marker, sizeof marker, "%s/7.1", directory);
    unlink(marker);
    rmdir(directory);
}

static void test_a_trainer_that_hangs_is_lost(void **state)
{
    check_fault(*state, &(struct fault){"hang@3", WIRE_OUTCOME_LOST,
                                        "made no progress for 1 s after step 3 of 8", true});
}

static void test_a_trainer_that_crashes_is_lost_with_its_last_words(void **state)
{
    check_fault(*state, &(struct fault){"segv@2", WIRE_OUTCOME_LOST, "signal 11", true});
    assert_true(
        strstr(((struct scene *)*state)->daemon.results[0].result.message, "about to crash"));
}

static void test_a_trainer_that_exits_is_lost_with_its_status(void **state)
{
    check_fault(*state, &(struct fault){"exit3@2", WIRE_OUTCOME_LOST,
                                        "exited with status 3; its last words: ", true});
    assert_true(strstr(((struct scene *)*state)->daemon.results[0].result.message,
                       "giving up | with status 3"));
}

static void test_a_trainer_that_prints_to_its_standard_output_is_lost(void **state)
{
    check_fault(*state, &(struct fault){"garbage@2", WIRE_OUTCOME_LOST, "no frame", true});
}

static void test_a_frame_beyond_the_maximum_is_lost(void **state)
{
    check_fault(*state, &(struct fault){"oversize@2", WIRE_OUTCOME_LOST, "no frame", true});
}

static void test_a_message_with_a_wrong_field_is_lost(void **state)
{
    check_fault(*state,
                &(struct fault){"badfield@2", WIRE_OUTCOME_LOST, "/progress/steps_done", true});
}

static void test_a_trainer_that_exits_inside_a_frame_is_lost(void **state)
{
    check_fault(*state,
                &(struct fault){"truncated@2", WIRE_OUTCOME_LOST, "status 0 inside a frame", true});
}

/* It would live on: what has lost its device is not to be trusted with another task. */
static void test_a_trainer_that_lost_its_device_is_replaced(void **state)
{
    check_fault(*state,
                &(struct fault){"devicelost@2", WIRE_OUTCOME_LOST, "fallen off the bus", true});
}

static void test_epochs_that_are_not_finite_end_as_diverged(void **state)
{
    check_fault(*state, &(struct fault){"nan", WIRE_OUTCOME_DIVERGED, "not finite", false});
    assert_int_equal(((struct scene *)*state)->daemon.report_count, 0);
}

static void test_a_result_that_is_not_a_number_is_diverged(void **state)
{
    check_fault(*state, &(struct fault){"nandone", WIRE_OUTCOME_DIVERGED, "not finite", false});
}

static void test_out_of_memory_keeps_the_measured_need(void **state)
{
    check_fault(*state, &(struct fault){"oom", WIRE_OUTCOME_OUT_OF_MEMORY, "5 GiB", false});
    assert_true(((struct scene *)*state)->daemon.results[0].result.memory_needed_bytes ==
                UINT64_C(5) << 30);
}

static void test_a_refused_task_is_failed_with_the_reason(void **state)
{
    check_fault(*state, &(struct fault){"fail", WIRE_OUTCOME_FAILED, "damaged", false});
}

static void test_a_task_that_cannot_be_read_is_failed(void **state)
{
    struct scene *scene = *state;
    scene_start(scene, "ok");
    struct wire_task task = fake_daemon_task(1, 2);
    task.recipe.batch = 0;
    struct wire_result result =
        fake_daemon_result(&scene->daemon, fake_daemon_push(&scene->daemon, &task));
    assert_int_equal(result.outcome, WIRE_OUTCOME_FAILED);
    scene_has(result.message, "/task/recipe/batch");
    assert_int_equal(fake_daemon_result(&scene->daemon, scene_push(scene, 2)).outcome,
                     WIRE_OUTCOME_DONE);
    scene_end(scene);
}

/* ---- trainers that do not start ---- */

static void check_offline(struct scene *scene, const char *behaviour, const char *text)
{
    scene_start(scene, behaviour);
    agent_process_await_log(&scene->agent, text);
    agent_process_await_log(&scene->agent, "slot 0 is offline");
    assert_int_equal(scene->daemon.counts[FAKE_REGISTER], 0);
    scene_end(scene);
}

static void test_a_trainer_that_exits_at_once_leaves_the_slot_offline(void **state)
{
    check_offline(*state, "earlyexit", "exited with status 4; its last words: ");
}

static void test_a_trainer_that_crashes_at_once_leaves_the_slot_offline(void **state)
{
    check_offline(*state, "earlysegv", "signal 11");
}

static void test_a_trainer_without_frames_leaves_the_slot_offline(void **state)
{
    check_offline(*state, "wronghello", "no frame");
}

static void test_a_trainer_of_another_protocol_leaves_the_slot_offline(void **state)
{
    check_offline(*state, "protocol2", "speaks protocol 2, this agent speaks 1");
}

static void test_a_trainer_without_a_hello_is_replaced(void **state)
{
    struct scene *scene = *state;
    static const char *const arguments[] = {"--slots", "1", "--first-step-seconds", "1", NULL};
    agent_process_start(&scene->agent, scene->daemon.port, FAKE_TRAINER_PROGRAM, "mute", arguments);
    agent_process_await_log(&scene->agent, "did not say hello within 1 s");
    scene_end(scene);
}

static void test_a_trainer_that_ends_while_idle_is_started_again(void **state)
{
    struct scene *scene = *state;
    scene_start(scene, "idleexit");
    pid_t first = agent_process_trainer(&scene->agent);
    agent_process_await_log(&scene->agent, "slot 0 is offline: its trainer exited with status 0");
    await_gone(first);
    while (agent_process_trainer(&scene->agent) == first)
        usleep(10000);
    scene_end(scene);
}

static void test_a_missing_trainer_ends_the_agent_with_status_3(void **state)
{
    struct scene *scene = *state;
    agent_process_start(&scene->agent, scene->daemon.port, "/no/such/trainer", "ok", NULL);
    assert_int_equal(agent_process_wait(&scene->agent), 3);
    assert_true(agent_process_logged(&scene->agent,
                                     "cannot run trainer \"/no/such/trainer\": no such program"));
}

static void test_a_trainer_that_is_no_program_ends_the_agent_with_status_3(void **state)
{
    struct scene *scene = *state;
    agent_process_start(&scene->agent, scene->daemon.port, "/etc/passwd", "ok", NULL);
    assert_int_equal(agent_process_wait(&scene->agent), 3);
    assert_true(agent_process_logged(&scene->agent, "not an executable file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(test_registration_names_slots_and_data_sets),
        SCENE(test_trainer_gets_its_environment_and_nothing_else),
        SCENE(test_every_task_is_done_and_every_epoch_is_reported_before_the_result),
        SCENE(test_a_long_task_is_reported_on_again_and_again),
        SCENE(test_a_trainer_that_hangs_is_lost),
        SCENE(test_a_trainer_that_crashes_is_lost_with_its_last_words),
        SCENE(test_a_trainer_that_exits_is_lost_with_its_status),
        SCENE(test_a_trainer_that_prints_to_its_standard_output_is_lost),
        SCENE(test_a_frame_beyond_the_maximum_is_lost),
        SCENE(test_a_message_with_a_wrong_field_is_lost),
        SCENE(test_a_trainer_that_exits_inside_a_frame_is_lost),
        SCENE(test_a_trainer_that_lost_its_device_is_replaced),
        SCENE(test_epochs_that_are_not_finite_end_as_diverged),
        SCENE(test_a_result_that_is_not_a_number_is_diverged),
        SCENE(test_out_of_memory_keeps_the_measured_need),
        SCENE(test_a_refused_task_is_failed_with_the_reason),
        SCENE(test_a_task_that_cannot_be_read_is_failed),
        SCENE(test_a_trainer_that_exits_at_once_leaves_the_slot_offline),
        SCENE(test_a_trainer_that_crashes_at_once_leaves_the_slot_offline),
        SCENE(test_a_trainer_without_frames_leaves_the_slot_offline),
        SCENE(test_a_trainer_of_another_protocol_leaves_the_slot_offline),
        SCENE(test_a_trainer_without_a_hello_is_replaced),
        SCENE(test_a_trainer_that_ends_while_idle_is_started_again),
        SCENE(test_a_missing_trainer_ends_the_agent_with_status_3),
        SCENE(test_a_trainer_that_is_no_program_ends_the_agent_with_status_3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
