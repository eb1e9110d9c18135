/* Candidates that are stopped in the middle go on from their checkpoints: the real archscoutd and archscout-worker, with the
 * fake trainer, which says in its log after which step it continues. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "search/attributes.h"
#include "tests/fault/agent_process.h"
#include "tests/fault/policy.h"
#include "tests/fault/search_watch.h"

enum { AGENTS = 2, POLL_US = 10000, POLLS_MAX = 6000, LINE_SIZE = 128 };

struct rig {
    struct daemon_process daemon;
    struct agent_process agents[AGENTS];
    char artifacts[DAEMON_PATH_SIZE + 32], work[DAEMON_PATH_SIZE + 32];
};

static void start_daemon(struct rig *rig, const char *lease_seconds, const char *mib)
{
    daemon_start(&rig->daemon, (const char *const[]){"--lease-seconds", lease_seconds,
                                                     "--checkpoint-mib", mib, NULL});
}

static void start_agent(struct rig *rig, int index)
{
    const char *const arguments[] = {"--slots", "1", "--work", rig->work, NULL};
    agent_process_release(&rig->agents[index]);
    agent_process_start(&rig->agents[index], rig->daemon.port, FAKE_TRAINER_PROGRAM, "ok",
                        arguments);
}

static int64_t submit(const struct rig *rig, int candidates)
{
    return watch_submit(&rig->daemon, &(struct watched_spec){.dataset = "fashion-mnist",
                                                             .candidates = candidates,
                                                             .parallel_max = 1});
}

/* The names in a directory; the first of them goes to `name`. */
static size_t count_entries(const char *path, char name[LINE_SIZE])
{
    size_t count = 0;
    DIR *directory = opendir(path);
    for (struct dirent *item = directory ? readdir(directory) : NULL; item;
         item = readdir(directory)) {
        if (item->d_name[0] == '.')
            continue;
        if (count++ == 0 && name)
            snprintf(name, LINE_SIZE, "%.*s", LINE_SIZE - 1, item->d_name);
    }
    if (directory)
        closedir(directory);
    return count;
}

static void await_entries(const char *path, size_t count)
{
    for (int i = 0; i < POLLS_MAX; i++) {
        if (count_entries(path, NULL) == count)
            return;
        usleep(POLL_US);
    }
    fail_msg("%s does not come to have %zu entries", path, count);
}

/* The daemon has been told of a checkpoint of the candidate: files are named by content, and half-made ones otherwise. */
static void await_checkpoint(const struct rig *rig)
{
    char name[LINE_SIZE];
    for (int i = 0; i < POLLS_MAX; i++) {
        if (count_entries(rig->artifacts, name) == 1 && strlen(name) == 64)
            return;
        usleep(POLL_US);
    }
    fail_msg("no checkpoint comes to the daemon");
}

/* The second one's report has taken the first one's place. */
static void await_second_checkpoint(const struct rig *rig)
{
    char first[LINE_SIZE], name[LINE_SIZE];
    await_checkpoint(rig);
    count_entries(rig->artifacts, first);
    for (int i = 0; i < POLLS_MAX; i++) {
        if (count_entries(rig->artifacts, name) == 1 && strlen(name) == 64 &&
            strcmp(name, first) != 0)
            return;
        usleep(POLL_US);
    }
    fail_msg("no second checkpoint comes to the daemon");
}

static void await_state(const struct rig *rig, int64_t search, const char *state)
{
    for (int i = 0; i < POLLS_MAX; i++) {
        struct answer answer =
            get(&rig->daemon, "/v1/searches/%" PRId64 "/candidates?state=%s", search, state);
        size_t count = json_array_size(member(&answer, "candidates"));
        answer_release(&answer);
        if (count > 0)
            return;
        usleep(POLL_US);
    }
    fail_msg("no candidate is %s", state);
}

/* What the next trainer says, or fails the test. */
static void continued(const struct rig *rig, int agent)
{
    agent_process_await_log(&rig->agents[agent], "candidate 0 continues after step ");
    assert_false(agent_process_logged(&rig->agents[agent], "continues after step 0"));
}

/* Nothing stays of what is over. */
static void all_is_tidy(struct rig *rig)
{
    await_entries(rig->artifacts, 0);
    for (int i = 0; i < AGENTS; i++)
        if (rig->agents[i].pid > 0)
            assert_int_equal(agent_process_end(&rig->agents[i], SIGTERM), 0);
    await_entries(rig->work, 0);
}

static void steer(const struct rig *rig, int64_t search, const char *verb)
{
    char path[64];
    snprintf(path, sizeof path, "/v1/searches/%" PRId64 ":%s", search, verb);
    struct answer answer = post(&rig->daemon, path, "");
    assert_int_equal(answer.status, 200);
    answer_release(&answer);
}

static void test_stopped_agent_hands_its_task_to_another(void **state)
{
    struct rig *rig = *state;
    start_daemon(rig, "30", "1");
    start_agent(rig, 0);
    int64_t search = submit(rig, 1);
    await_checkpoint(rig);
    assert_int_equal(agent_process_end(&rig->agents[0], SIGTERM), 0);
    assert_int_equal(count_entries(rig->artifacts, NULL), 1);
    start_agent(rig, 1);
    continued(rig, 1);
    watch_until_done(&rig->daemon, search);
    policy_outcome_is(&rig->daemon, search, 0, 0, "returned");
    policy_outcome_is(&rig->daemon, search, 0, 1, "done");
    all_is_tidy(rig);
}

/* Its lease ends, and what it has left on the disk goes when the next agent starts. */
static void test_killed_agent_costs_no_more_than_since_its_checkpoint(void **state)
{
    struct rig *rig = *state;
    start_daemon(rig, "1", "1");
    start_agent(rig, 0);
    int64_t search = submit(rig, 1);
    await_second_checkpoint(rig);
    assert_int_equal(agent_process_end(&rig->agents[0], SIGKILL), -SIGKILL);
    assert_int_equal(count_entries(rig->work, NULL), 1);
    start_agent(rig, 1);
    continued(rig, 1);
    watch_until_done(&rig->daemon, search);
    policy_outcome_is(&rig->daemon, search, 0, 0, "lost");
    policy_outcome_is(&rig->daemon, search, 0, 1, "done");
    all_is_tidy(rig);
}

static void test_daemon_killed_in_between_keeps_the_checkpoint(void **state)
{
    struct rig *rig = *state;
    start_daemon(rig, "30", "1");
    start_agent(rig, 0);
    int64_t search = submit(rig, 1);
    await_second_checkpoint(rig);
    daemon_kill(&rig->daemon);
    assert_int_equal(agent_process_end(&rig->agents[0], SIGKILL), -SIGKILL);
    start_daemon(rig, "1", "1");
    start_agent(rig, 1);
    continued(rig, 1);
    watch_until_done(&rig->daemon, search);
    all_is_tidy(rig);
}

static void test_paused_search_goes_on_where_it_was(void **state)
{
    struct rig *rig = *state;
    start_daemon(rig, "1", "1");
    start_agent(rig, 0);
    int64_t search = submit(rig, 1);
    await_state(rig, search, "leased");
    steer(rig, search, "pause");
    agent_process_await_log(&rig->agents[0], "attempt 1 is asked back");
    await_state(rig, search, "queued");
    assert_int_equal(count_entries(rig->artifacts, NULL), 1);
    steer(rig, search, "resume");
    continued(rig, 0);
    watch_until_done(&rig->daemon, search);
    policy_outcome_is(&rig->daemon, search, 0, 0, "returned");
    policy_outcome_is(&rig->daemon, search, 0, 1, "done");
    all_is_tidy(rig);
}

static void test_damaged_checkpoint_is_not_used(void **state)
{
    struct rig *rig = *state;
    char name[LINE_SIZE], path[sizeof rig->artifacts + LINE_SIZE + 1];
    start_daemon(rig, "30", "1");
    start_agent(rig, 0);
    int64_t search = submit(rig, 1);
    await_checkpoint(rig);
    assert_int_equal(agent_process_end(&rig->agents[0], SIGTERM), 0);
    assert_int_equal(count_entries(rig->artifacts, name), 1);
    snprintf(path, sizeof path, "%s/%s", rig->artifacts, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "9", 1, 3), 1);
    close(fd);
    start_agent(rig, 1);
    agent_process_await_log(&rig->agents[1], "came damaged; training begins anew");
    agent_process_await_log(&rig->agents[1], "no checkpoint: starting from the beginning");
    watch_until_done(&rig->daemon, search);
    policy_outcome_is(&rig->daemon, search, 0, 1, "done");
    all_is_tidy(rig);
}

static void test_checkpoint_that_is_too_large_costs_nothing_else(void **state)
{
    struct rig *rig = *state;
    setenv("FAKE_TRAINER_CHECKPOINT_BYTES", "2000000", 1);
    start_daemon(rig, "30", "1");
    start_agent(rig, 0);
    int64_t search = submit(rig, 1);
    agent_process_await_log(&rig->agents[0], "too-large");
    watch_until_done(&rig->daemon, search);
    policy_outcome_is(&rig->daemon, search, 0, 0, "done");
    all_is_tidy(rig);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    daemon_prepare(&rig->daemon);
    snprintf(rig->artifacts, sizeof rig->artifacts, "%s/state/artifacts", rig->daemon.directory);
    snprintf(rig->work, sizeof rig->work, "%s/work", rig->daemon.directory);
    setenv("FAKE_TRAINER_STEP_MS", "50", 1);
    setenv("FAKE_TRAINER_STEPS", "20", 1);
    setenv("FAKE_TRAINER_CHECKPOINTS", "4", 1);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < AGENTS; i++)
        agent_process_release(&rig->agents[i]);
    if (rig->daemon.pid > 0) {
        daemon_stop(&rig->daemon);
        watch_store(&rig->daemon);
    }
    daemon_remove(&rig->daemon);
    unsetenv("FAKE_TRAINER_STEP_MS");
    unsetenv("FAKE_TRAINER_STEPS");
    unsetenv("FAKE_TRAINER_CHECKPOINTS");
    unsetenv("FAKE_TRAINER_CHECKPOINT_BYTES");
    free(rig);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_stopped_agent_hands_its_task_to_another),
        TEST(test_killed_agent_costs_no_more_than_since_its_checkpoint),
        TEST(test_daemon_killed_in_between_keeps_the_checkpoint),
        TEST(test_paused_search_goes_on_where_it_was),
        TEST(test_damaged_checkpoint_is_not_used),
        TEST(test_checkpoint_that_is_too_large_costs_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
