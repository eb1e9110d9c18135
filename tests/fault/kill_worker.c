/* Agents and trainers that are killed, stopped past their lease, or misbehave, against the real archscoutd: each ends as the
 * failure policy says, and the search completes. ARCHSCOUT_SEED says which instants. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "search/attributes.h"
#include "search/random.h"
#include "tests/fault/agent_process.h"
#include "tests/fault/policy.h"
#include "tests/fault/search_watch.h"

enum { AGENTS = 2, POLL_US = 10000, POLLS_MAX = 6000, KILLS = 40, PAUSE_US_MAX = 150000 };

struct rig {
    struct daemon_process daemon;
    struct random_stream random;
    struct agent_process agents[AGENTS];
};

static void start_daemon(struct rig *rig, const char *lease_seconds)
{
    daemon_start(&rig->daemon, (const char *const[]){"--lease-seconds", lease_seconds, NULL});
}

static void start_agent(struct rig *rig, int index, const char *behaviour, const char *slots)
{
    const char *const arguments[] = {"--slots", slots, "--stall-seconds", "1", NULL};
    agent_process_release(&rig->agents[index]);
    agent_process_start(&rig->agents[index], rig->daemon.port, FAKE_TRAINER_PROGRAM, behaviour,
                        arguments);
}

static int64_t submit(const struct rig *rig, int candidates)
{
    return watch_submit(&rig->daemon, &(struct watched_spec){.dataset = "fashion-mnist",
                                                             .candidates = candidates,
                                                             .parallel_max = 4});
}

/* ---- killed ---- */

/* A trainer of the agent's, or 0. */
static pid_t find_trainer(const struct agent_process *agent, uint64_t choice)
{
    char path[64];
    long pids[8];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)agent->pid, (int)agent->pid);
    FILE *file = fopen(path, "r");
    while (file && count < ARRAY_LENGTH(pids) && fscanf(file, "%ld", &pids[count]) == 1)
        count++;
    if (file)
        fclose(file);
    return count ? (pid_t)pids[choice % count] : 0;
}

static void test_search_completes_while_agents_and_trainers_are_killed(void **state)
{
    struct rig *rig = *state;
    int agents_killed = 0, trainers_killed = 0;
    setenv("FAKE_TRAINER_STEP_MS", "15", 1);
    start_daemon(rig, "1");
    for (int i = 0; i < AGENTS; i++)
        start_agent(rig, i, "ok", "2");
    int64_t search = submit(rig, 200);
    for (int i = 0; i < KILLS; i++) {
        usleep((useconds_t)random_below(&rig->random, PAUSE_US_MAX));
        int victim = (int)random_below(&rig->random, AGENTS);
        pid_t trainer = find_trainer(&rig->agents[victim], random_u32(&rig->random));
        if (random_below(&rig->random, 2) && trainer > 0) {
            trainers_killed += kill(trainer, SIGKILL) == 0;
            continue;
        }
        assert_int_equal(agent_process_end(&rig->agents[victim], SIGKILL), -SIGKILL);
        start_agent(rig, victim, "ok", "2");
        agents_killed++;
    }
    assert_false(watch_search(&rig->daemon, search).done);
    watch_until_done(&rig->daemon, search);
    unsetenv("FAKE_TRAINER_STEP_MS");
    struct policy_tally tally = policy_check(&rig->daemon, search);
    print_message("%d agents and %d trainers killed: %d attempts lost, %d of %d candidates "
                  "quarantined\n",
                  agents_killed, trainers_killed, tally.losses, tally.lost, tally.candidates);
    assert_true(tally.losses > 0 && tally.done > 0);
    assert_int_equal(tally.done + tally.lost, tally.candidates);
}

/* ---- stopped ---- */

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

static void await_workers(const struct rig *rig, size_t expected)
{
    size_t count = SIZE_MAX;
    for (int i = 0; i < POLLS_MAX && count != expected; i++) {
        struct answer answer = get(&rig->daemon, "/v1/workers");
        count = json_array_size(member(&answer, "workers"));
        answer_release(&answer);
        usleep(POLL_US);
    }
    assert_int_equal(count, expected);
}

/* The first worker is stopped with an attempt in hand; another one trains the candidate; then the first one goes on and
 * hands its own result in. */
static void stop_past_lease(struct rig *rig, bool until_forgotten)
{
    setenv("FAKE_TRAINER_STEP_MS", "100", 1);
    start_daemon(rig, "2");
    start_agent(rig, 0, "ok", "1");
    int64_t search = submit(rig, 1);
    await_state(rig, search, "leased");
    agent_process_await_log(&rig->agents[0], "trainer: attempt 1: ok"); /* has it */
    assert_int_equal(kill(rig->agents[0].pid, SIGSTOP), 0);
    start_agent(rig, 1, "ok", "1");
    watch_until_done(&rig->daemon, search);
    if (until_forgotten)
        await_workers(rig, 1);
    struct watch_progress before = watch_search(&rig->daemon, search);
    assert_int_equal(kill(rig->agents[0].pid, SIGCONT), 0);
    agent_process_await_log(&rig->agents[0], "attempt 1 is done");
    agent_process_await_log(&rig->agents[0], "attempt 1 is off: its lease had ended");
    struct watch_progress after = watch_search(&rig->daemon, search);
    assert_int_equal(after.results, 1);
    assert_true(before.seconds == after.seconds);
    policy_outcome_is(&rig->daemon, search, 0, 0, "lost");
    policy_outcome_is(&rig->daemon, search, 0, 1, "done");
    assert_int_equal(policy_check(&rig->daemon, search).attempts, 2);
    unsetenv("FAKE_TRAINER_STEP_MS");
}

static void test_result_of_agent_stopped_past_its_lease_is_refused(void **state)
{
    stop_past_lease(*state, false);
}

static void test_result_of_agent_stopped_until_forgotten_is_refused(void **state)
{
    stop_past_lease(*state, true);
}

static void test_agent_stopped_within_its_lease_keeps_its_attempt(void **state)
{
    struct rig *rig = *state;
    setenv("FAKE_TRAINER_STEP_MS", "100", 1);
    start_daemon(rig, "30");
    start_agent(rig, 0, "ok", "1");
    int64_t search = submit(rig, 1);
    await_state(rig, search, "leased");
    assert_int_equal(kill(rig->agents[0].pid, SIGSTOP), 0);
    usleep(3000000); /* longer than what counts as a stall */
    assert_int_equal(kill(rig->agents[0].pid, SIGCONT), 0);
    watch_until_done(&rig->daemon, search);
    assert_int_equal(policy_check(&rig->daemon, search).attempts, 1);
    unsetenv("FAKE_TRAINER_STEP_MS");
}

/* ---- misbehaving ---- */

static void test_each_fault_ends_as_the_policy_says(void **state)
{
    static const struct {
        const char *behaviour, *outcome;
        int attempts; /* a candidate */
    } cases[] = {
        {"nan", "diverged", 1},  {"nandone", "diverged", 1},
        {"oom", "done", 2},      {"oomalways", "out_of_memory", 2},
        {"fail", "failed", 2},   {"hang", "lost", 3},
        {"segv", "lost", 3},     {"exit3", "lost", 3},
        {"garbage", "lost", 3},  {"oversize", "lost", 3},
        {"badfield", "lost", 3}, {"truncated", "lost", 3},
    };
    enum { CANDIDATES = 2 };
    struct rig *rig = *state;
    start_daemon(rig, "30");
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        for (int k = 0; k < AGENTS; k++)
            start_agent(rig, k, cases[i].behaviour, "1");
        for (int k = 0; k < AGENTS; k++)
            agent_process_await_log(&rig->agents[k], "registered at");
        int64_t search = submit(rig, CANDIDATES);
        watch_until_done(&rig->daemon, search);
        struct policy_tally tally = policy_check(&rig->daemon, search);
        for (int k = 0; k < CANDIDATES; k++)
            policy_outcome_is(&rig->daemon, search, k, cases[i].attempts - 1, cases[i].outcome);
        assert_int_equal(tally.attempts, CANDIDATES * cases[i].attempts);
        assert_int_equal(tally.stayed, 0);
        for (int k = 0; k < AGENTS; k++)
            assert_int_equal(agent_process_end(&rig->agents[k], SIGTERM), 0);
    }
}

static void test_mixed_search_completes(void **state)
{
    struct rig *rig = *state;
    start_daemon(rig, "30");
    for (int i = 0; i < AGENTS; i++)
        start_agent(rig, i, "mixed", "2");
    int64_t search = submit(rig, 120);
    watch_until_done(&rig->daemon, search);
    struct policy_tally tally = policy_check(&rig->daemon, search);
    print_message("mixed: %d candidates in %d attempts: %d done (%d of them in two parts), %d "
                  "diverged, %d out of memory, %d quarantined, %d attempts lost\n",
                  tally.candidates, tally.attempts, tally.done, tally.halved, tally.diverged,
                  tally.out_of_memory, tally.lost, tally.losses);
    assert_true(tally.halved > 0 && tally.diverged > 0 && tally.out_of_memory > 0);
    assert_true(tally.losses > 0);
    assert_int_equal(tally.failed, 0);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    const char *seed = getenv("ARCHSCOUT_SEED");
    assert_non_null(rig);
    rig->random = random_stream_of(seed ? strtoull(seed, NULL, 10) : 1, 0, RANDOM_CANDIDATE);
    daemon_prepare(&rig->daemon);
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
    free(rig);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_search_completes_while_agents_and_trainers_are_killed),
        TEST(test_result_of_agent_stopped_past_its_lease_is_refused),
        TEST(test_result_of_agent_stopped_until_forgotten_is_refused),
        TEST(test_agent_stopped_within_its_lease_keeps_its_attempt),
        TEST(test_each_fault_ends_as_the_policy_says),
        TEST(test_mixed_search_completes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
