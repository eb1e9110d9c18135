/* The agent on GPUs that a fake trainer says there are: a slot for each, shared ones, and one whose trainer cannot be ended. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/fault/scene.h"

static const char TWO_GPUS[] = "cuda:0 GPU-aaaa 85899345920 Fake GPU\n"
                               "cuda:1 GPU-bbbb 85899345920 Fake GPU\n";

/* ---- which devices ---- */

static void start(struct scene *scene, const char *devices, const char *const *arguments)
{
    if (devices)
        setenv("FAKE_TRAINER_DEVICES", devices, 1);
    agent_process_start(&scene->agent, scene->daemon.port, FAKE_TRAINER_PROGRAM, "ok", arguments);
    unsetenv("FAKE_TRAINER_DEVICES");
}

static void test_cuda_is_a_slot_for_each_gpu(void **state)
{
    struct scene *scene = *state;
    static const char *const arguments[] = {"--device", "cuda", NULL};
    start(scene, TWO_GPUS, arguments);
    fake_daemon_await(&scene->daemon, fake_has_registered, 1);
    const struct register_request *request = &scene->daemon.last_registration;
    assert_int_equal(request->slot_count, 2);
    assert_string_equal(request->slots[0].device, "cuda:GPU-aaaa");
    assert_string_equal(request->slots[1].device, "cuda:GPU-bbbb");
    scene_end(scene);
}

static void test_more_slots_than_gpus_share_them(void **state)
{
    struct scene *scene = *state;
    static const char *const arguments[] = {"--device", "cuda", "--slots", "3", NULL};
    start(scene, TWO_GPUS, arguments);
    fake_daemon_await(&scene->daemon, fake_has_registered, 1);
    assert_string_equal(scene->daemon.last_registration.slots[2].device, "cuda:GPU-aaaa");
    agent_process_await_log(&scene->agent, "device cuda:GPU-aaaa data unset slot 0 threads 1 "
                                           "descriptors 3 sharing 2");
    agent_process_await_log(&scene->agent, "device cuda:GPU-bbbb data unset slot 1 threads 1 "
                                           "descriptors 3 sharing 1");
    agent_process_await_log(&scene->agent, "device cuda:GPU-aaaa data unset slot 2 threads 1 "
                                           "descriptors 3 sharing 2");
    scene_end(scene);
}

static void test_fewer_slots_than_gpus_are_said(void **state)
{
    struct scene *scene = *state;
    static const char *const arguments[] = {"--device", "cuda", "--slots", "1", NULL};
    start(scene, TWO_GPUS, arguments);
    agent_process_await_log(&scene->agent, "1 of 2 GPUs are used: --slots 1");
    scene_end(scene);
}

static void check_end(struct scene *scene, const char *devices, int status, const char *said)
{
    static const char *const arguments[] = {"--device", "cuda", NULL};
    start(scene, devices, arguments);
    assert_int_equal(agent_process_wait(&scene->agent), status);
    if (!agent_process_logged(&scene->agent, said))
        fail_msg("the log does not have \"%s\"", said);
    assert_int_equal(scene->daemon.counts[FAKE_REGISTER], 0);
}

static void test_without_gpus_the_agent_ends_with_status_4_and_the_trainers_words(void **state)
{
    check_end(*state, NULL, 4, "error archscout-worker: cuda: no such device");
}

static void test_an_empty_list_is_no_gpu(void **state)
{
    check_end(*state, "", 4, "the trainer lists no device");
}

static void test_a_list_that_names_none_is_refused(void **state)
{
    check_end(*state, "Epoch 1/10\n", 1, "lists \"Epoch 1/10\"");
}

/* ---- a trainer that cannot be ended ---- */

struct stuck {
    char directory[32]; /* of the fault that shows once */
    char unreaped[64];
    uint32_t slot; /* that hung */
};

static bool has_drained(const struct fake_daemon *daemon, uint64_t count)
{
    uint64_t drained = 0;
    for (uint32_t i = 0; i < daemon->last_registration.slot_count; i++)
        drained += strncmp(daemon->last_registration.slots[i].device, "drained: ", 9) == 0;
    return drained == count;
}

/* An agent with these slots on two GPUs, and a task of which the trainer hangs and is not gone after it was killed. */
static void make_stuck(struct scene *scene, struct stuck *stuck, const char *slots)
{
    const char *const arguments[] = {
        "--device", "cuda", "--slots", slots, "--stall-seconds", "1", "--drain-seconds", "1", NULL};
    *stuck = (struct stuck){.directory = "/tmp/archscout-stuck-XXXXXX"};
    assert_non_null(mkdtemp(stuck->directory));
    snprintf(stuck->unreaped, sizeof stuck->unreaped, "%s/unreaped", stuck->directory);
    setenv("FAKE_TRAINER_ONCE", stuck->directory, 1);
    setenv("FAKE_TRAINER_DEVICES", TWO_GPUS, 1);
    setenv("UNREAPED", stuck->unreaped, 1);
    agent_process_start(&scene->agent, scene->daemon.port, FAKE_TRAINER_PROGRAM, "hang@2",
                        arguments);
    unsetenv("UNREAPED");
    unsetenv("FAKE_TRAINER_DEVICES");
    unsetenv("FAKE_TRAINER_ONCE");
    fake_daemon_await(&scene->daemon, fake_has_registered, 1);
    int fd = open(stuck->unreaped, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    struct wire_result result = fake_daemon_result(&scene->daemon, scene_push(scene, 1));
    assert_int_equal(result.outcome, WIRE_OUTCOME_LOST);
    agent_process_await_log(&scene->agent, "is not gone 1 s after it was killed");
    while (!agent_process_logged(&scene->agent, "slot 0: attempt 1 of search") &&
           stuck->slot == 0) {
        assert_true(agent_process_logged(&scene->agent, "slot 1: attempt 1 of search") ||
                    agent_process_logged(&scene->agent, "slot 2: attempt 1 of search"));
        stuck->slot = agent_process_logged(&scene->agent, "slot 1: attempt 1 of search") ? 1 : 2;
    }
}

static void stuck_release(struct stuck *stuck)
{
    char marker[64];
    snprintf(marker, sizeof marker, "%s/7.1", stuck->directory);
    unlink(marker);
    unlink(stuck->unreaped);
    rmdir(stuck->directory);
}

/* How often the log says that the slot was given a task. */
static int tasks_of(const struct scene *scene, uint32_t slot)
{
    int count = 0;
    for (uint64_t attempt = 1; attempt <= scene->daemon.result_count; attempt++) {
        char text[64];
        snprintf(text, sizeof text, "slot %u: attempt %llu of search", slot,
                 (unsigned long long)attempt);
        count += agent_process_logged(&scene->agent, text);
    }
    return count;
}

static void test_a_gpu_whose_trainer_stays_gets_no_more_work_until_it_goes(void **state)
{
    struct scene *scene = *state;
    struct stuck stuck;
    make_stuck(scene, &stuck, "2");
    fake_daemon_await(&scene->daemon, has_drained, 1);
    const uint32_t other = 1 - stuck.slot;
    assert_int_equal(
        strncmp(scene->daemon.last_registration.slots[stuck.slot].device, "drained: cuda:GPU-", 18),
        0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(fake_daemon_result(&scene->daemon, scene_push(scene, 1)).outcome,
                         WIRE_OUTCOME_DONE);
    assert_int_equal(tasks_of(scene, stuck.slot), 1);
    assert_int_equal(tasks_of(scene, other), 4);
    unlink(stuck.unreaped); /* the driver lets go, and the kernel says so */
    assert_int_equal(kill(scene->agent.pid, SIGCHLD), 0);
    agent_process_await_log(&scene->agent, "is gone after all");
    fake_daemon_await(&scene->daemon, has_drained, 0);
    scene_end(scene);
    stuck_release(&stuck);
}

/* Slots 0 and 2 are on one GPU, slot 1 on the other. */
static void test_all_slots_of_that_gpu_are_drained(void **state)
{
    struct scene *scene = *state;
    struct stuck stuck;
    make_stuck(scene, &stuck, "3");
    fake_daemon_await(&scene->daemon, has_drained, stuck.slot == 1 ? 1 : 2);
    /* a request for work that was under way brings one more task at most, which goes back unharmed */
    for (int i = 0; i < 6; i++) {
        enum wire_outcome outcome =
            fake_daemon_result(&scene->daemon, scene_push(scene, 1)).outcome;
        assert_true(outcome == WIRE_OUTCOME_DONE || outcome == WIRE_OUTCOME_RETURNED);
    }
    for (uint32_t slot = 0; slot < 3; slot++)
        if (slot % 2 == stuck.slot % 2)
            assert_int_equal(tasks_of(scene, slot), slot == stuck.slot);
    scene_end(scene); /* with the process still there */
    stuck_release(&stuck);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(test_cuda_is_a_slot_for_each_gpu),
        SCENE(test_more_slots_than_gpus_share_them),
        SCENE(test_fewer_slots_than_gpus_are_said),
        SCENE(test_without_gpus_the_agent_ends_with_status_4_and_the_trainers_words),
        SCENE(test_an_empty_list_is_no_gpu),
        SCENE(test_a_list_that_names_none_is_refused),
        SCENE(test_a_gpu_whose_trainer_stays_gets_no_more_work_until_it_goes),
        SCENE(test_all_slots_of_that_gpu_are_drained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
