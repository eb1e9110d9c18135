/* Commands of a user's that train, or do anything else: each attempt ends as docs/exec-trainer.md says, the search completes, and
 * nothing of a command stays. The real archscoutd and archscout-worker --exec. */
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

enum { AGENTS = 2, POLL_US = 10000, POLLS_MAX = 6000, SPEC_SIZE = 1024, COMMAND_SIZE = 1024 };

#define PROGRESS(done) "echo '{\"progress\": {\"steps_done\": " #done ", \"steps_total\": 9}}'; "
#define EPOCH(number, loss)                                                                        \
    "echo '{\"epoch\": {\"number\": " #number ", \"train_loss\": " loss                            \
    ", \"train_accuracy\": 0.5, \"validation_loss\": 1.25, \"validation_accuracy\": 0.625}}'; "
#define RESULT "echo '{\"result\": {\"accuracy\": 0.625, \"loss\": 1.25}}'; "
#define TIMED                                                                                      \
    "echo '{\"result\": {\"accuracy\": 0.625, \"loss\": 1.25, \"timing\": {\"median_seconds\": "   \
    "0.5, \"baseline_seconds\": 0.25}}}'; "
#define WORDS "echo last words >&2; "

struct rig {
    struct daemon_process daemon;
    struct agent_process agents[AGENTS];
    char work[DAEMON_PATH_SIZE + 32];
};

static void start_agent(struct rig *rig, int index, const char *command)
{
    const char *const arguments[] = {
        "--slots",       "1",      "--stall-seconds", "1", "--work", rig->work, "--exec-dataset",
        "fashion-mnist", "--exec", command,           NULL};
    agent_process_release(&rig->agents[index]);
    agent_process_start(&rig->agents[index], rig->daemon.port, NULL, "ok", arguments);
}

static void start_agents(struct rig *rig, const char *command)
{
    for (int i = 0; i < AGENTS; i++)
        start_agent(rig, i, command);
    for (int i = 0; i < AGENTS; i++)
        agent_process_await_log(&rig->agents[i], "registered at");
}

/* A search whose objectives need no step time, or one's that do. */
static int64_t submit(const struct rig *rig, int candidates, bool timed)
{
    char text[SPEC_SIZE];
    snprintf(text, sizeof text,
             "{\"name\": \"commands\","
             " \"dataset\": {\"name\": \"fashion-mnist\", \"train\": %d, \"validation\": 200},"
             " \"space\": {\"preset\": \"efficientnetv2-small-images\"},"
             " \"objectives\": [\"accuracy\", %s\"params\"], \"reward\": {\"params\": -0.05},"
             " \"strategy\": {\"name\": \"random\"},"
             " \"budget\": {\"candidates\": %d, \"epochs\": 1},"
             " \"recipe\": {\"preset\": \"search-short\", \"batch\": 128, \"image_size\": 28},"
             " \"baseline\": {\"preset\": \"efficientnetv2-b0-small-images\"},"
             " \"parallel_max\": 2, \"seed\": 7}",
             LEDGER_IMAGES, timed ? "\"step_time\", " : "", candidates);
    struct answer answer = post(&rig->daemon, "/v1/searches", text);
    if (answer.status != 201)
        fail_msg("submit: %d %s", answer.status, answer.body);
    int64_t id = integer_at(&answer, "id");
    answer_release(&answer);
    return id;
}

/* The whole search with this command; candidate 0 as the API shows it. */
static struct answer search_with(struct rig *rig, const char *command, bool timed,
                                 struct policy_tally *ret_tally)
{
    start_agents(rig, command);
    int64_t search = submit(rig, 2, timed);
    watch_until_done(&rig->daemon, search);
    *ret_tally = policy_check(&rig->daemon, search);
    return get(&rig->daemon, "/v1/searches/%" PRId64 "/candidates/0", search);
}

/* ---- what goes well ---- */

static void test_command_trains_candidates_without_step_times(void **state)
{
    struct policy_tally tally;
    struct answer shown =
        search_with(*state, "cat > /dev/null; " PROGRESS(1) EPOCH(1, "1.5") RESULT, false, &tally);
    assert_int_equal(tally.done, 2);
    assert_near(number_at(&shown, "accuracy"), 0.625, 0);
    assert_true(is_null_at(&shown, "step_time") && is_null_at(&shown, "timing"));
    assert_near(number_at(&shown, "attempts.0.epochs.0.train_loss"), 1.5, 0);
    assert_near(number_at(&shown, "attempts.0.epochs.0.validation_accuracy"), 0.625, 0);
    assert_int_equal(integer_at(&shown, "attempts.0.images"), LEDGER_IMAGES);
    answer_release(&shown);
}

static void test_command_measures_step_times(void **state)
{
    struct policy_tally tally;
    struct answer shown = search_with(*state, TIMED, true, &tally);
    assert_int_equal(tally.done, 2);
    assert_near(number_at(&shown, "step_time"), 2, 0);
    assert_near(number_at(&shown, "timing.baseline_seconds"), 0.25, 0);
    answer_release(&shown);
}

/* Asked for their order, candidates without a step time are left out. */
static void test_frontier_of_step_times_has_no_candidate_without_one(void **state)
{
    struct rig *rig = *state;
    struct policy_tally tally;
    struct answer shown = search_with(rig, RESULT, false, &tally);
    int64_t search = integer_at(&shown, "search");
    answer_release(&shown);
    struct answer frontier = get(
        &rig->daemon, "/v1/searches/%" PRId64 "/frontier?objectives=accuracy,step_time", search);
    assert_int_equal(frontier.status, 200);
    assert_int_equal(json_array_size(member(&frontier, "points")), 0);
    answer_release(&frontier);
}

/* ---- what goes wrong ---- */

static void test_each_fault_ends_as_a_failed_attempt_with_its_last_words(void **state)
{
    static const struct {
        const char *command, *outcome, *message;
        int attempts; /* a candidate */
        bool timed;   /* objectives need a step time */
    } cases[] = {
        {WORDS "echo Epoch 1/10: loss 2.3", "failed", "Epoch 1/10: loss 2.3", 2, false},
        {WORDS "echo Epoch 1/10: loss 2.3", "failed", "last words", 2, false},
        {WORDS "exit 3", "failed", "exited with status 3 without a result", 2, false},
        {WORDS "exit 3", "failed", "last words", 2, false},
        {WORDS RESULT "exit 3", "failed", "exited with status 3; its last words", 2, false},
        {WORDS PROGRESS(1), "failed", "exited with status 0 without a result", 2, false},
        {WORDS "kill -SEGV $$", "failed", "killed by signal 11", 2, false},
        {"no-such-program", "failed", "not found", 2, false},
        {WORDS PROGRESS(1) "sleep 600", "lost", "made no progress", 3, false},
        {WORDS PROGRESS(1) "sleep 600", "lost", "last words", 3, false},
        {WORDS EPOCH(1, "NaN") "sleep 600", "diverged", "/epoch/train_loss is not finite", 1,
         false},
        {"echo '{\"result\": {\"accuracy\": NaN, \"loss\": 1}}'", "diverged", "accuracy", 1, false},
        {WORDS "exec >&-; sleep 600", "failed", "closed its standard output", 2, false},
        {WORDS "head -c 1000000000 /dev/zero | tr '\\0' x", "failed", "longer than 65536", 2,
         false},
        {"yes '{}'", "failed", "one of progress, epoch and result", 2, false},
        {"head -c 50000000 /dev/zero | tr '\\0' x >&2; echo >&2; " WORDS "exit 3", "failed",
         "last words", 2, false},
        {WORDS EPOCH(2, "1.5"), "failed", "epoch 2 out of turn", 2, false},
        {WORDS RESULT RESULT, "failed", "the result must be the last", 2, false},
        {WORDS RESULT, "failed", "without a step time", 2, true},
        {"echo '{\"result\": {\"outcome\": \"failed\", \"message\": \"no images\"}}'", "failed",
         "no images", 2, false},
        {"echo '{\"result\": {\"outcome\": \"out_of_memory\"}}'", "out_of_memory", "", 2, false},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct policy_tally tally;
        struct answer shown = search_with(rig, cases[i].command, cases[i].timed, &tally);
        if (strcmp(text_at(&shown, "outcome"), cases[i].outcome) != 0 ||
            !strstr(text_at(&shown, "attempts.0.message"), cases[i].message) ||
            tally.attempts != 2 * cases[i].attempts)
            fail_msg("%s: %d attempts, %s", cases[i].command, tally.attempts, shown.body);
        answer_release(&shown);
    }
}

/* ---- what stays ---- */

/* The number that a command has written to a file. */
static pid_t await_pid(const struct rig *rig, const char *name)
{
    char path[DAEMON_PATH_SIZE + 64], text[32] = "";
    snprintf(path, sizeof path, "%s/%s", rig->daemon.directory, name);
    for (int i = 0; i < POLLS_MAX; i++) {
        FILE *file = fopen(path, "r");
        const bool read = file && fgets(text, sizeof text, file) && strchr(text, '\n');
        if (file)
            fclose(file);
        if (read)
            return (pid_t)strtol(text, NULL, 10);
        usleep(POLL_US);
    }
    fail_msg("%s is not written", path);
    return 0;
}

/* A command with a child in its own group, one in a session of its own, and one of that one's. */
static void make_family(const struct rig *rig, const char *end, char ret_command[COMMAND_SIZE])
{
    snprintf(
        ret_command, COMMAND_SIZE,
        "cd %s; echo $$ > shell; sleep 600 & echo $! > child; setsid sh -c 'echo $$ > session; "
        "sleep 600 & echo $! > grandchild; wait' & "
        "until [ -s grandchild ]; do sleep 0.01; done; %s",
        rig->daemon.directory, end);
}

static void family_is_gone(const struct rig *rig)
{
    static const char *const names[] = {"shell", "child", "session", "grandchild"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        await_gone(await_pid(rig, names[i]));
}

static void test_nothing_of_an_ended_command_stays(void **state)
{
    struct rig *rig = *state;
    char command[COMMAND_SIZE];
    make_family(rig, RESULT, command);
    start_agent(rig, 0, command);
    int64_t search = submit(rig, 1, false);
    watch_until_done(&rig->daemon, search);
    policy_outcome_is(&rig->daemon, search, 0, 0, "done");
    family_is_gone(rig);
}

static void test_nothing_of_a_command_stays_when_the_agent_is_killed(void **state)
{
    struct rig *rig = *state;
    char command[COMMAND_SIZE];
    make_family(rig, "wait", command);
    start_agent(rig, 0, command);
    submit(rig, 1, false);
    await_pid(rig, "grandchild");
    assert_int_equal(agent_process_end(&rig->agents[0], SIGKILL), -SIGKILL);
    family_is_gone(rig);
}

/* ---- handing back ---- */

#define DIRECTORY "dir=$(sed 's/.*\"checkpoint_directory\":\"\\([^\"]*\\)\".*/\\1/'); "

static void test_stopped_command_continues_from_its_directory(void **state)
{
    static const char command[] = DIRECTORY
        "if [ -f $dir/step ]; then echo continues after step $(cat $dir/step) >&2; " RESULT
        "exit 0; fi; trap 'echo 7 > $dir/step; exit 0' TERM; " PROGRESS(
            1) "echo is training >&2; while :; do sleep 600; done";
    struct rig *rig = *state;
    start_agent(rig, 0, command);
    int64_t search = submit(rig, 1, false);
    agent_process_await_log(&rig->agents[0], "trainer: is training");
    assert_int_equal(agent_process_end(&rig->agents[0], SIGTERM), 0);
    start_agent(rig, 0, command);
    agent_process_await_log(&rig->agents[0], "continues after step 7");
    watch_until_done(&rig->daemon, search);
    policy_outcome_is(&rig->daemon, search, 0, 0, "returned");
    policy_outcome_is(&rig->daemon, search, 0, 1, "done");
}

static void test_command_that_does_not_stop_is_killed_and_its_task_handed_back(void **state)
{
    struct rig *rig = *state;
    char command[COMMAND_SIZE];
    make_family(rig, PROGRESS(1) "trap '' TERM; while :; do sleep 600; done", command);
    start_agent(rig, 0, command);
    int64_t search = submit(rig, 1, false);
    await_pid(rig, "grandchild");
    assert_int_equal(agent_process_end(&rig->agents[0], SIGTERM), 0);
    family_is_gone(rig);
    start_agent(rig, 0, RESULT);
    watch_until_done(&rig->daemon, search);
    policy_outcome_is(&rig->daemon, search, 0, 0, "returned");
    policy_outcome_is(&rig->daemon, search, 0, 1, "done");
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    daemon_prepare(&rig->daemon);
    snprintf(rig->work, sizeof rig->work, "%s/work", rig->daemon.directory);
    daemon_start(&rig->daemon, NULL);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < AGENTS; i++)
        agent_process_release(&rig->agents[i]);
    daemon_remove(&rig->daemon);
    free(rig);
    return 0;
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG(test_command_trains_candidates_without_step_times),
        RIG(test_command_measures_step_times),
        RIG(test_frontier_of_step_times_has_no_candidate_without_one),
        RIG(test_each_fault_ends_as_a_failed_attempt_with_its_last_words),
        RIG(test_nothing_of_an_ended_command_stays),
        RIG(test_nothing_of_a_command_stays_when_the_agent_is_killed),
        RIG(test_stopped_command_continues_from_its_directory),
        RIG(test_command_that_does_not_stop_is_killed_and_its_task_handed_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
