/* archscoutd as a process: how it starts, what it refuses, how it ends, and the worker that it runs. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "search/attributes.h"
#include "tests/e2e/fake_worker.h"
#include "tests/e2e/search_spec.h"

enum { OUTPUT_SIZE = 8192, POLL_US = 10000, POLLS_MAX = 6000, PROGRAM_MODE = 0755 };

static void test_version_and_help_say_what_they_should(void **state)
{
    struct daemon_process *process = *state;
    char output[OUTPUT_SIZE];
    assert_int_equal(
        daemon_run(process, (const char *const[]){"--version", NULL}, output, sizeof output), 0);
    assert_string_equal(output, "archscoutd " ARCHSCOUT_VERSION "\n");
    assert_int_equal(
        daemon_run(process, (const char *const[]){"--help", NULL}, output, sizeof output), 0);
    assert_non_null(strstr(output, "--local-worker"));
    assert_int_equal(
        daemon_run(process, (const char *const[]){"--nonsense", NULL}, output, sizeof output), 2);
    assert_non_null(strstr(output, "--nonsense"));
}

static void test_address_that_others_can_reach_is_refused_with_the_reason(void **state)
{
    struct daemon_process *process = *state;
    char output[OUTPUT_SIZE], directory[DAEMON_PATH_SIZE + 8];
    snprintf(directory, sizeof directory, "%s/open", process->directory);
    const char *const words[] = {"--state", directory, "--listen", "0.0.0.0:0", NULL};
    assert_int_equal(daemon_run(process, words, output, sizeof output), 1);
    assert_non_null(strstr(output, "neither tokens nor TLS"));
}

static void test_second_daemon_on_the_same_state_is_refused(void **state)
{
    struct daemon_process *process = *state;
    char output[OUTPUT_SIZE], directory[DAEMON_PATH_SIZE + 8], pid[32];
    snprintf(directory, sizeof directory, "%s/state", process->directory);
    snprintf(pid, sizeof pid, "%ld", (long)process->pid);
    const char *const words[] = {"--state", directory, "--listen", "127.0.0.1:0", NULL};
    assert_int_equal(daemon_run(process, words, output, sizeof output), 1);
    assert_non_null(strstr(output, pid));
    struct answer health = get(process, "/healthz");
    assert_int_equal(health.status, 200);
    answer_release(&health);
}

static void test_port_in_use_is_said_to_be(void **state)
{
    struct daemon_process *process = *state;
    char output[OUTPUT_SIZE], directory[DAEMON_PATH_SIZE + 8], address[32];
    snprintf(directory, sizeof directory, "%s/other", process->directory);
    snprintf(address, sizeof address, "127.0.0.1:%d", process->port);
    const char *const words[] = {"--state", directory, "--listen", address, NULL};
    assert_int_equal(daemon_run(process, words, output, sizeof output), 1);
    assert_non_null(strstr(output, "in use"));
}

static void test_state_directory_that_cannot_be_made_is_named(void **state)
{
    struct daemon_process *process = *state;
    char output[OUTPUT_SIZE];
    const char *const words[] = {"--state", "/proc/none", "--listen", "127.0.0.1:0", NULL};
    assert_int_equal(daemon_run(process, words, output, sizeof output), 1);
    assert_non_null(strstr(output, "/proc/none"));
}

static void test_state_is_for_its_owner_alone(void **state)
{
    struct daemon_process *process = *state;
    char directory[DAEMON_PATH_SIZE + 8];
    struct stat status;
    snprintf(directory, sizeof directory, "%s/state", process->directory);
    assert_int_equal(stat(directory, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
}

static void test_terminated_daemon_ends_whatever_is_in_flight(void **state)
{
    static const char *const requests[] = {
        "GET /v1/searches/1/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHo",
        "POST /v1/searches HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    };
    struct daemon_process *process = *state;
    int fds[ARRAY_LENGTH(requests)];
    search_submit(process, "inflight", 4);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        fds[i] = connection_open(process);
        assert_true(connection_send(fds[i], requests[i], strlen(requests[i])));
    }
    free(connection_read_until(fds[0], "search.created"));
    daemon_stop(process);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++)
        close(fds[i]);
    daemon_start(process, NULL);
    struct answer shown = get(process, "/v1/searches/1");
    assert_int_equal(shown.status, 200);
    answer_release(&shown);
}

/* ---- the local worker: a script that says how it was called ---- */

/* Gives the daemon a directory of its own with a program beside it. */
static void place_worker(struct daemon_process *process, const char *script)
{
    char path[DAEMON_PATH_SIZE * 2];
    snprintf(path, sizeof path, "%s/archscoutd", process->directory);
    if (link(process->program, path) < 0)
        assert_int_equal(symlink(process->program, path), 0);
    assert_true(strlen(path) < sizeof process->program);
    memcpy(process->program, path, strlen(path) + 1);
    if (!script)
        return;
    snprintf(path, sizeof path, "%s/archscout-worker", process->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    assert_int_equal(chmod(path, PROGRAM_MODE), 0);
}

/* Waits until a line "PID ARGUMENTS" number `index` stands in DIRECTORY/calls. */
static pid_t wait_for_call(const struct daemon_process *process, int index, char *arguments,
                           size_t size)
{
    char path[DAEMON_PATH_SIZE + 8], line[1024];
    snprintf(path, sizeof path, "%s/calls", process->directory);
    for (int i = 0; i < POLLS_MAX; i++) {
        FILE *file = fopen(path, "r");
        int at = 0;
        while (file && fgets(line, sizeof line, file)) {
            if (at++ != index || !strchr(line, '\n'))
                continue;
            char *end = NULL;
            pid_t pid = (pid_t)strtol(line, &end, 10);
            snprintf(arguments, size, "%s", end);
            fclose(file);
            return pid;
        }
        if (file)
            fclose(file);
        usleep(POLL_US);
    }
    fail_msg("the worker was not started %d times", index + 1);
    return 0;
}

static void wait_for_death(pid_t pid)
{
    for (int i = 0; i < POLLS_MAX; i++) {
        if (kill(pid, 0) < 0 && errno == ESRCH)
            return;
        usleep(POLL_US);
    }
    kill(pid, SIGKILL);
    fail_msg("the worker outlives its daemon");
}

static int set_up_prepared(void **state)
{
    struct daemon_process *process = calloc(1, sizeof *process);
    assert_non_null(process);
    daemon_prepare(process);
    *state = process;
    return 0;
}

static const char script_that_sleeps[] =
    "echo \"$$ $*\" >>\"$(dirname \"$0\")/calls\"; exec sleep 1000";

static void test_local_worker_is_told_where_and_what(void **state)
{
    struct daemon_process *process = *state;
    char arguments[1024], expected[128];
    place_worker(process, script_that_sleeps);
    daemon_start(process, (const char *const[]){"--local-worker", "--slots", "3", "--data",
                                                "/usr/share", NULL});
    pid_t pid = wait_for_call(process, 0, arguments, sizeof arguments);
    snprintf(expected, sizeof expected, "--server http://127.0.0.1:%d ", process->port);
    assert_non_null(strstr(arguments, expected));
    assert_non_null(strstr(arguments, "--slots 3 --device cpu "));
    assert_non_null(strstr(arguments, "--data /usr/share"));
    daemon_stop(process);
    wait_for_death(pid);
}

/* How many slots that makes, the worker finds out. */
static void test_local_worker_is_told_to_use_gpus(void **state)
{
    struct daemon_process *process = *state;
    char arguments[1024];
    place_worker(process, script_that_sleeps);
    daemon_start(process, (const char *const[]){"--local-worker", "--device", "cuda", NULL});
    pid_t pid = wait_for_call(process, 0, arguments, sizeof arguments);
    assert_non_null(strstr(arguments, "--device cuda"));
    assert_null(strstr(arguments, "--slots"));
    daemon_stop(process);
    wait_for_death(pid);
}

static void test_local_worker_is_started_again_when_it_dies(void **state)
{
    struct daemon_process *process = *state;
    char arguments[1024];
    place_worker(process, script_that_sleeps);
    daemon_start(process, (const char *const[]){"--local-worker", NULL});
    pid_t first = wait_for_call(process, 0, arguments, sizeof arguments);
    kill(first, SIGKILL);
    pid_t second = wait_for_call(process, 1, arguments, sizeof arguments);
    assert_int_not_equal(first, second);
    struct answer health = get(process, "/healthz");
    assert_int_equal(health.status, 200);
    answer_release(&health);
    daemon_stop(process);
    wait_for_death(second);
}

static void test_local_worker_dies_with_a_killed_daemon(void **state)
{
    struct daemon_process *process = *state;
    char arguments[1024];
    place_worker(process, script_that_sleeps);
    daemon_start(process, (const char *const[]){"--local-worker", NULL});
    pid_t pid = wait_for_call(process, 0, arguments, sizeof arguments);
    daemon_kill(process);
    wait_for_death(pid);
}

static void test_local_worker_that_ignores_sigterm_is_killed(void **state)
{
    struct daemon_process *process = *state;
    char arguments[1024];
    place_worker(process, "trap '' TERM; echo \"$$ $*\" >>\"$(dirname \"$0\")/calls\"\n"
                          "while :; do sleep 1; done");
    daemon_start(process, (const char *const[]){"--local-worker", NULL});
    pid_t pid = wait_for_call(process, 0, arguments, sizeof arguments);
    daemon_stop(process);
    wait_for_death(pid);
}

static void test_missing_worker_program_is_named(void **state)
{
    struct daemon_process *process = *state;
    char output[OUTPUT_SIZE], directory[DAEMON_PATH_SIZE + 8];
    place_worker(process, NULL);
    snprintf(directory, sizeof directory, "%s/state", process->directory);
    const char *const words[] = {"--state",     directory,        "--listen",
                                 "127.0.0.1:0", "--local-worker", NULL};
    assert_int_equal(daemon_run(process, words, output, sizeof output), 1);
    assert_non_null(strstr(output, "archscout-worker"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_set_up, daemon_tear_down)
#define WORKER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_prepared, daemon_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_version_and_help_say_what_they_should),
        TEST(test_address_that_others_can_reach_is_refused_with_the_reason),
        TEST(test_second_daemon_on_the_same_state_is_refused),
        TEST(test_port_in_use_is_said_to_be),
        TEST(test_state_directory_that_cannot_be_made_is_named),
        TEST(test_state_is_for_its_owner_alone),
        TEST(test_terminated_daemon_ends_whatever_is_in_flight),
        WORKER_TEST(test_local_worker_is_told_where_and_what),
        WORKER_TEST(test_local_worker_is_told_to_use_gpus),
        WORKER_TEST(test_local_worker_is_started_again_when_it_dies),
        WORKER_TEST(test_local_worker_dies_with_a_killed_daemon),
        WORKER_TEST(test_local_worker_that_ignores_sigterm_is_killed),
        WORKER_TEST(test_missing_worker_program_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
