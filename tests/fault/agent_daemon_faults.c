/* The agent and its daemon: restarts, errors, leases that end, and stopping, as docs/trainer-protocol.md says. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/fault/scene.h"

static bool has_stale_result(const struct fake_daemon *daemon, uint64_t count)
{
    return daemon->stale_results >= count;
}

static bool has_asked_for_work(const struct fake_daemon *daemon, uint64_t count)
{
    return daemon->counts[FAKE_LEASE] >= count;
}

static void set_stale(struct fake_daemon *daemon, uint64_t attempt)
{
    pthread_mutex_lock(&daemon->mutex);
    daemon->stale = attempt;
    pthread_mutex_unlock(&daemon->mutex);
}

/* ---- a daemon that is not there, or errs ---- */

static void test_the_agent_may_start_before_the_daemon(void **state)
{
    struct scene *scene = *state;
    fake_daemon_hang_up(&scene->daemon);
    scene_start(scene, "ok");
    agent_process_await_log(&scene->agent, "trying again in");
    fake_daemon_listen(&scene->daemon);
    uint64_t attempt = scene_push(scene, 1);
    assert_int_equal(fake_daemon_result(&scene->daemon, attempt).outcome, WIRE_OUTCOME_DONE);
    assert_true(agent_process_logged(&scene->agent, "answers again"));
    scene_end(scene);
}

/* 40 steps of 50 ms */
static uint64_t start_two_seconds(struct scene *scene)
{
    setenv("FAKE_TRAINER_STEP_MS", "50", 1);
    setenv("FAKE_TRAINER_STEPS", "20", 1);
    scene_start(scene, "ok");
    unsetenv("FAKE_TRAINER_STEP_MS");
    unsetenv("FAKE_TRAINER_STEPS");
    uint64_t attempt = scene_push(scene, 1);
    agent_process_await_log(&scene->agent, "attempt 1 of search 7");
    return attempt;
}

static void test_a_restart_of_the_daemon_does_not_lose_a_running_attempt(void **state)
{
    struct scene *scene = *state;
    uint64_t attempt = start_two_seconds(scene);
    pid_t trainer = agent_process_trainer(&scene->agent);
    fake_daemon_hang_up(&scene->daemon);
    agent_process_await_log(&scene->agent, "trying again in");
    fake_daemon_listen(&scene->daemon);
    assert_int_equal(fake_daemon_result(&scene->daemon, attempt).outcome, WIRE_OUTCOME_DONE);
    assert_int_equal(agent_process_trainer(&scene->agent), trainer);
    assert_int_equal(scene->daemon.counts[FAKE_REGISTER], 2);
    scene_end(scene);
}

static void test_a_result_that_ends_while_the_daemon_is_away_is_handed_in_later(void **state)
{
    struct scene *scene = *state;
    uint64_t attempt = start_two_seconds(scene);
    fake_daemon_hang_up(&scene->daemon);
    agent_process_await_log(&scene->agent, "is done");
    fake_daemon_listen(&scene->daemon);
    assert_int_equal(fake_daemon_result(&scene->daemon, attempt).outcome, WIRE_OUTCOME_DONE);
    uint32_t epochs = 0;
    for (size_t i = 0; i < scene->daemon.report_count; i++)
        epochs += scene->daemon.reports[i].epoch_count;
    assert_int_equal(epochs, 2);
    scene_end(scene);
}

static void test_a_result_is_repeated_until_it_is_acknowledged(void **state)
{
    struct scene *scene = *state;
    fake_daemon_answer(&scene->daemon, FAKE_RESULT, 500);
    fake_daemon_answer(&scene->daemon, FAKE_RESULT, FAKE_CLOSE);
    fake_daemon_answer(&scene->daemon, FAKE_RESULT, 503);
    fake_daemon_answer(&scene->daemon, FAKE_RESULT, 429);
    scene_start(scene, "ok");
    uint64_t attempt = scene_push(scene, 1);
    assert_int_equal(fake_daemon_result(&scene->daemon, attempt).outcome, WIRE_OUTCOME_DONE);
    assert_int_equal(scene->daemon.counts[FAKE_RESULT], 5);
    assert_true(agent_process_logged(&scene->agent, "handing in a result at http://127.0.0.1:"));
    assert_int_equal(fake_daemon_result(&scene->daemon, scene_push(scene, 2)).outcome,
                     WIRE_OUTCOME_DONE);
    scene_end(scene);
    assert_int_equal(scene->daemon.result_count, 2);
}

static void test_a_result_that_is_refused_is_dropped(void **state)
{
    struct scene *scene = *state;
    fake_daemon_answer(&scene->daemon, FAKE_RESULT, 422);
    scene_start(scene, "ok");
    scene_push(scene, 1);
    uint64_t second = scene_push(scene, 2);
    fake_daemon_result(&scene->daemon, second);
    assert_true(agent_process_logged(&scene->agent, "was refused: status 422"));
    scene_end(scene);
    assert_int_equal(scene->daemon.result_count, 1);
}

static void test_errors_to_a_registration_are_tried_again(void **state)
{
    struct scene *scene = *state;
    fake_daemon_answer(&scene->daemon, FAKE_REGISTER, 500);
    fake_daemon_answer(&scene->daemon, FAKE_REGISTER, 422);
    fake_daemon_answer(&scene->daemon, FAKE_REGISTER, 200); /* with nothing in it */
    scene_start(scene, "ok");
    fake_daemon_result(&scene->daemon, scene_push(scene, 1));
    assert_int_equal(scene->daemon.counts[FAKE_REGISTER], 4);
    scene_end(scene);
}

static void set_dataset_problem(struct fake_daemon *daemon, const char *problem)
{
    pthread_mutex_lock(&daemon->mutex);
    daemon->dataset_problem = problem;
    pthread_mutex_unlock(&daemon->mutex);
}

static void test_a_data_set_that_is_left_out_is_logged_once_and_offered_again(void **state)
{
    struct scene *scene = *state;
    scene->daemon.lease_seconds = 1;
    set_dataset_problem(&scene->daemon, "data set birds is left out: there is another");
    scene_start(scene, "ok");
    fake_daemon_await(&scene->daemon, fake_has_registered, 4);
    uint64_t attempt = scene_push(scene, 1);
    assert_int_equal(fake_daemon_result(&scene->daemon, attempt).outcome, WIRE_OUTCOME_DONE);
    set_dataset_problem(&scene->daemon, "data set birds is left out: search 2 names it");
    agent_process_await_log(&scene->agent, "search 2 names it");
    set_dataset_problem(&scene->daemon, NULL);
    agent_process_await_log(&scene->agent, "the daemon takes all data sets");
    scene_end(scene);
    assert_int_equal(agent_process_log_count(&scene->agent, "warning archscout-worker: data set"),
                     2);
    assert_int_equal(agent_process_log_count(&scene->agent, "registered at"), 1);
}

static void test_an_unknown_worker_registers_again_and_goes_on(void **state)
{
    static const enum fake_route routes[] = {FAKE_LEASE, FAKE_REPORT, FAKE_RESULT};
    struct scene *scene = *state;
    scene_start(scene, "ok");
    for (size_t i = 0; i < ARRAY_LENGTH(routes); i++) {
        /* a request for work may be waiting already: the one after it is answered with 404 */
        fake_daemon_answer(&scene->daemon, routes[i], 404);
        if (routes[i] == FAKE_LEASE)
            fake_daemon_result(&scene->daemon, scene_push(scene, 10));
        uint64_t attempt = scene_push(scene, i);
        assert_int_equal(fake_daemon_result(&scene->daemon, attempt).outcome, WIRE_OUTCOME_DONE);
        assert_int_equal(scene->daemon.counts[FAKE_REGISTER], i + 2);
    }
    scene_end(scene);
}

/* ---- leases that end ---- */

static void test_a_stale_report_stops_the_trainer_and_no_result_is_sent(void **state)
{
    struct scene *scene = *state;
    scene_start(scene, "ok");
    pid_t trainer = agent_process_trainer(&scene->agent);
    uint64_t attempt = scene_push_long(scene, 1);
    fake_daemon_await(&scene->daemon, fake_has_report, attempt);
    set_stale(&scene->daemon, attempt);
    await_gone(trainer);
    uint64_t next = scene_push(scene, 2);
    assert_int_equal(fake_daemon_result(&scene->daemon, next).outcome, WIRE_OUTCOME_DONE);
    scene_end(scene);
    assert_int_equal(scene->daemon.counts[FAKE_RESULT], 1);
    assert_false(fake_has_result(&scene->daemon, attempt));
}

static void test_a_cancelled_search_stops_the_trainer_and_no_result_is_sent(void **state)
{
    struct scene *scene = *state;
    scene_start(scene, "ok");
    pid_t trainer = agent_process_trainer(&scene->agent);
    scene->daemon.stop = true;
    uint64_t attempt = scene_push_long(scene, 1);
    await_gone(trainer);
    scene->daemon.stop = false;
    uint64_t next = scene_push(scene, 2);
    assert_int_equal(fake_daemon_result(&scene->daemon, next).outcome, WIRE_OUTCOME_DONE);
    scene_end(scene);
    assert_int_equal(scene->daemon.counts[FAKE_RESULT], 1);
    assert_false(fake_has_result(&scene->daemon, attempt));
}

static void test_an_agent_stopped_past_its_lease_hands_its_late_result_in_and_drops_it(void **state)
{
    struct scene *scene = *state;
    uint64_t attempt = start_two_seconds(scene);
    kill(scene->agent.pid, SIGSTOP); /* before its first report */
    set_stale(&scene->daemon, attempt);
    sleep(3); /* the trainer, which was not stopped, is done by then */
    kill(scene->agent.pid, SIGCONT);
    fake_daemon_await(&scene->daemon, has_stale_result, 1);
    agent_process_await_log(&scene->agent, "is off: its lease had ended");
    uint64_t next = scene_push(scene, 2);
    assert_int_equal(fake_daemon_result(&scene->daemon, next).outcome, WIRE_OUTCOME_DONE);
    scene_end(scene);
    assert_int_equal(scene->daemon.result_count, 1);
}

static void test_an_agent_that_was_stopped_for_long_does_not_blame_its_trainer(void **state)
{
    struct scene *scene = *state;
    uint64_t attempt = start_two_seconds(scene);
    kill(scene->agent.pid, SIGSTOP);
    sleep(2); /* longer than --stall-seconds */
    kill(scene->agent.pid, SIGCONT);
    assert_int_equal(fake_daemon_result(&scene->daemon, attempt).outcome, WIRE_OUTCOME_DONE);
    scene_end(scene);
}

/* ---- stopping ---- */

static void test_sigterm_hands_the_running_attempt_back(void **state)
{
    struct scene *scene = *state;
    scene_start(scene, "ok");
    pid_t trainer = agent_process_trainer(&scene->agent);
    uint64_t attempt = scene_push_long(scene, 1);
    fake_daemon_await(&scene->daemon, fake_has_report, attempt);
    scene_end(scene);
    struct wire_result result = fake_daemon_result(&scene->daemon, attempt);
    assert_int_equal(result.outcome, WIRE_OUTCOME_RETURNED);
    assert_string_equal(result.message, "the worker shut down");
    await_gone(trainer);
}

static void test_sigint_ends_an_idle_agent(void **state)
{
    struct scene *scene = *state;
    scene_start(scene, "ok");
    fake_daemon_await(&scene->daemon, has_asked_for_work, 1);
    assert_int_equal(agent_process_end(&scene->agent, SIGINT), 0);
}

static void test_sigterm_ends_an_agent_whose_daemon_is_away(void **state)
{
    struct scene *scene = *state;
    scene_start(scene, "ok");
    pid_t trainer = agent_process_trainer(&scene->agent);
    scene_push_long(scene, 1);
    agent_process_await_log(&scene->agent, "attempt 1 of search 7");
    fake_daemon_hang_up(&scene->daemon);
    scene_end(scene);
    assert_true(agent_process_logged(&scene->agent, "stopping without having told the daemon all"));
    await_gone(trainer);
}

static void test_a_trainer_ends_with_its_agent(void **state)
{
    struct scene *scene = *state;
    scene_start(scene, "hang@1");
    pid_t trainer = agent_process_trainer(&scene->agent);
    scene_push_long(scene, 1);
    agent_process_await_log(&scene->agent, "attempt 1 of search 7");
    assert_int_equal(agent_process_end(&scene->agent, SIGKILL), -SIGKILL);
    await_gone(trainer);
}

/* A process between the test and the agent, which ends when it is told to. */
static pid_t start_below(struct scene *scene, const char *const *arguments)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t middle = fork();
    if (middle == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        agent_process_start(&scene->agent, scene->daemon.port, FAKE_TRAINER_PROGRAM, "ok",
                            arguments);
        if (write(pipe_fds[1], &scene->agent, sizeof scene->agent) < 0)
            _exit(1);
        pause();
        _exit(0);
    }
    ssize_t length = read(pipe_fds[0], &scene->agent, sizeof scene->agent);
    assert_int_equal(length, sizeof scene->agent);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return middle;
}

static void test_an_agent_ends_with_its_parent_when_asked_to(void **state)
{
    struct scene *scene = *state;
    static const char *const arguments[] = {"--slots", "1", "--exit-with-parent", NULL};
    pid_t middle = start_below(scene, arguments);
    pid_t agent = scene->agent.pid;
    scene->agent.pid = 0; /* not a child of this process */
    pid_t trainer = agent_process_trainer(&scene->agent);
    kill(middle, SIGKILL);
    waitpid(middle, NULL, 0);
    await_gone(trainer);
    await_gone(agent);
    assert_true(agent_process_logged(&scene->agent, "Terminated: stopping"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(test_the_agent_may_start_before_the_daemon),
        SCENE(test_a_restart_of_the_daemon_does_not_lose_a_running_attempt),
        SCENE(test_a_result_that_ends_while_the_daemon_is_away_is_handed_in_later),
        SCENE(test_a_result_is_repeated_until_it_is_acknowledged),
        SCENE(test_a_result_that_is_refused_is_dropped),
        SCENE(test_errors_to_a_registration_are_tried_again),
        SCENE(test_a_data_set_that_is_left_out_is_logged_once_and_offered_again),
        SCENE(test_an_unknown_worker_registers_again_and_goes_on),
        SCENE(test_a_stale_report_stops_the_trainer_and_no_result_is_sent),
        SCENE(test_a_cancelled_search_stops_the_trainer_and_no_result_is_sent),
        SCENE(test_an_agent_stopped_past_its_lease_hands_its_late_result_in_and_drops_it),
        SCENE(test_an_agent_that_was_stopped_for_long_does_not_blame_its_trainer),
        SCENE(test_sigterm_hands_the_running_attempt_back),
        SCENE(test_sigint_ends_an_idle_agent),
        SCENE(test_sigterm_ends_an_agent_whose_daemon_is_away),
        SCENE(test_a_trainer_ends_with_its_agent),
        SCENE(test_an_agent_ends_with_its_parent_when_asked_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
