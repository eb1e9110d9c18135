/* `archscout verify` on real daemons: whatever strategy, killed or not, a search is verified, and is not any more once rows
 * of its database were altered. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "search/attributes.h"
#include "tests/e2e/fake_worker.h"
#include "tests/e2e/search_spec.h"

enum {
    CANDIDATES = 24,
    SLOTS = 3,
    OUTPUT_SIZE = 4096,
    TEXT_SIZE = 16384,
    EXIT_OK = 0,
    EXIT_NOT_FOUND = 3,
    EXIT_DIFFERS = 7
};

static const char evolution[] = "\"name\": \"evolution\", \"population\": 8, \"sample\": 3";

/* Runs archscout with these words. Its exit status; both outputs go to `output`. */
static int run_cli(const struct daemon_process *process, const char *words,
                   char output[OUTPUT_SIZE])
{
    char command[1024];
    snprintf(command, sizeof command, "'%s' --server http://127.0.0.1:%d %s 2>&1", ARCHSCOUT,
             process->port, words);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length = fread(output, 1, OUTPUT_SIZE - 1, pipe);
    output[length] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_verify(const struct daemon_process *process, int64_t search, int status,
                          const char *says)
{
    char words[64], output[OUTPUT_SIZE];
    snprintf(words, sizeof words, "verify %lld", (long long)search);
    int ended = run_cli(process, words, output);
    if (ended != status || !strstr(output, says))
        fail_msg("search %lld ended with %d, not %d and \"%s\": %s", (long long)search, ended,
                 status, says, output);
}

/* Submits a search whose strategy has these members. */
static void submit(const struct daemon_process *process, const char *strategy, bool deterministic)
{
    char plain[SPEC_TEST_SIZE], text[TEXT_SIZE];
    spec_write(plain, "verified", CANDIDATES);
    char *at = strstr(plain, "\"name\": \"evolution\""), *end = strstr(plain, "\"deterministic\"");
    assert_non_null(at);
    assert_non_null(end);
    char *rest = strchr(at, '}');
    snprintf(text, sizeof text, "%.*s%s%.*s\"deterministic\": %s}", (int)(at - plain), plain,
             strategy, (int)(end - rest), rest, deterministic ? "true" : "false");
    struct answer answer = post(process, "/v1/searches", text);
    if (answer.status != 201)
        fail_msg("submit: %d %s: %s", answer.status, answer.body, text);
    answer_release(&answer);
}

/* ---- a worker whose results come out of order ---- */

struct crew {
    struct wire_task tasks[SLOTS];
    bool busy[SLOTS];
    unsigned turn;
};

static void lease_all(const struct daemon_process *process, struct crew *crew)
{
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        struct lease_response response;
        if (crew->busy[slot])
            continue;
        assert_int_equal(fake_worker_lease(process, "w", slot, 0, &response), 200);
        crew->busy[slot] = response.has_task;
        crew->tasks[slot] = response.task;
    }
}

static void deliver_one(const struct daemon_process *process, struct crew *crew)
{
    uint32_t slot = crew->turn * 2 % SLOTS;
    while (!crew->busy[slot])
        slot = (slot + 1) % SLOTS;
    bool accepted = false;
    struct wire_result result = fake_result(&crew->tasks[slot]);
    if (crew->turn % 9 == 4)
        result = (struct wire_result){.outcome = WIRE_OUTCOME_DIVERGED, .seconds = 1};
    assert_int_equal(fake_worker_result(process, "w", &crew->tasks[slot], &result, &accepted), 200);
    assert_true(accepted);
    crew->busy[slot] = false;
    crew->turn++;
}

static void train(const struct daemon_process *process, struct crew *crew, int results)
{
    for (int i = 0; i < results; i++) {
        lease_all(process, crew);
        deliver_one(process, crew);
    }
}

/* ---- tests ---- */

/* The architectures of search 1, as the strategy "list" takes them. */
static void write_list(const struct daemon_process *process, char *text, size_t size)
{
    struct answer log = get(process, "/v1/searches/1/log");
    assert_int_equal(log.status, 200);
    json_t *architectures = json_array();
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(log.json, "candidates"), index, entry)
        assert_int_equal(json_array_append(architectures, json_object_get(entry, "choices")), 0);
    char *list = json_dumps(architectures, JSON_COMPACT);
    snprintf(text, size, "\"name\": \"list\", \"architectures\": %s", list);
    free(list);
    json_decref(architectures);
    answer_release(&log);
}

static void test_every_strategy_is_verified_however_often_it_was_killed(void **state)
{
    static const char *const strategies[] = {"\"name\": \"random\"",
                                             evolution,
                                             "\"name\": \"model\"",
                                             "\"name\": \"grid\"",
                                             "\"name\": \"nsga2\", \"population\": 8",
                                             "\"name\": \"local\"",
                                             "\"name\": \"policy\", \"minibatch\": 4"};
    enum {
        SEARCHES = 2 * (ARRAY_LENGTH(strategies) + 1),
        RESULTS = SEARCHES * CANDIDATES,
        KILLS = 6
    };
    struct daemon_process *process = *state;
    struct crew crew = {.turn = 0};
    char list[TEXT_SIZE / 2];
    fake_worker_register(process, "w", SLOTS);
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(strategies); i++) {
        submit(process, strategies[i / 2], i % 2);
        if (i == 0)
            train(process, &crew, CANDIDATES);
    }
    write_list(process, list, sizeof list);
    submit(process, list, false);
    submit(process, list, true);
    const int rest = RESULTS - CANDIDATES;
    for (int i = 0; i < KILLS; i++) {
        train(process, &crew, rest / KILLS);
        daemon_kill(process);
        daemon_start(process, NULL);
        fake_worker_register(process, "w", SLOTS);
        for (int64_t search = 1; search <= SEARCHES; search++)
            assert_verify(process, search, EXIT_OK, "is verified");
    }
    train(process, &crew, rest % KILLS);
    for (int64_t search = 1; search <= SEARCHES; search++)
        assert_verify(process, search, EXIT_OK, "is verified: 24 candidates and 24 results");
}

static void test_altered_rows_are_found(void **state)
{
    static const struct {
        const char *sql, *says;
    } alterations[] = {
        {"SELECT 1", NULL},
        {"UPDATE results SET accuracy = accuracy + 0.001 WHERE search = 2 AND candidate = 5",
         "candidate 5, reward: "},
        {"UPDATE results SET reward = reward * 1.0001 WHERE search = 3 AND candidate = 6",
         "candidate 6, reward: "},
        {"UPDATE results SET step_s = step_s * 0.99 WHERE search = 4 AND candidate = 0",
         "candidate 0, reward: "},
        {"CREATE TEMP TABLE kept AS SELECT * FROM candidates WHERE search = 5;"
         "UPDATE candidates SET (encoding, hash, params, macs, memory) = (SELECT encoding, hash, "
         "params, macs, memory FROM kept WHERE kept.number = 7 - candidates.number) "
         "WHERE search = 5 AND number IN (3, 4);"
         "UPDATE results SET reward = 0, accuracy = 0 WHERE search = 5 AND candidate IN (3, 4)",
         "candidate 3, choices: "},
        {"UPDATE candidates SET encoding = (SELECT encoding FROM candidates AS c WHERE c.search = "
         "6 "
         "AND c.number = 9) WHERE search = 6 AND number = 8",
         "contradict each other or its spec at candidate 8"},
        {"UPDATE results SET position = -1 WHERE search = 7 AND position = 0;"
         "UPDATE results SET position = 0 WHERE search = 7 AND position = 23;"
         "UPDATE results SET position = 23 WHERE search = 7 AND position = -1",
         "seen: stored is the result of candidate "},
        {"UPDATE candidates SET macs = macs + 1 WHERE search = 8 AND number = 2",
         "candidate 2, macs: "},
        {"UPDATE candidates SET parent = parent + 1 WHERE search = 9 AND number = 20",
         "candidate 20, parent: "},
        {"UPDATE searches SET resolved = json_set(resolved, '$.seed', 2) WHERE id = 10",
         "candidate 0, choices: "},
        {"UPDATE results SET outcome = 2, accuracy = NULL, loss = NULL, reward = NULL, step_s = "
         "NULL, "
         "baseline_s = NULL WHERE search = 11 AND candidate < 20",
         "choices: "},
    };
    struct daemon_process *process = *state;
    struct crew crew = {.turn = 0};
    char path[DAEMON_PATH_SIZE + 32];
    sqlite3 *db;
    fake_worker_register(process, "w", SLOTS);
    for (size_t i = 0; i < ARRAY_LENGTH(alterations); i++)
        submit(process, evolution, false);
    train(process, &crew, CANDIDATES * (int)ARRAY_LENGTH(alterations));
    daemon_stop(process);
    snprintf(path, sizeof path, "%s/state/archscout.db", process->directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (size_t i = 0; i < ARRAY_LENGTH(alterations); i++)
        if (sqlite3_exec(db, alterations[i].sql, NULL, NULL, NULL) != SQLITE_OK)
            fail_msg("%s: %s", alterations[i].sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    daemon_start(process, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(alterations); i++) {
        bool altered = alterations[i].says != NULL;
        assert_verify(process, (int64_t)i + 1, altered ? EXIT_DIFFERS : EXIT_OK,
                      altered ? alterations[i].says : "is verified");
    }
}

static void test_verify_says_it_as_json(void **state)
{
    struct daemon_process *process = *state;
    struct crew crew = {.turn = 0};
    char output[OUTPUT_SIZE];
    fake_worker_register(process, "w", SLOTS);
    submit(process, evolution, false);
    train(process, &crew, 5);
    assert_int_equal(run_cli(process, "verify verified --json", output), EXIT_OK);
    json_t *json = json_loads(output, 0, NULL);
    assert_true(json_is_true(json_object_get(json, "verified")));
    assert_int_equal(json_integer_value(json_object_get(json, "results")), 5);
    assert_true(json_is_null(json_object_get(json, "difference")));
    json_decref(json);
    assert_int_equal(run_cli(process, "verify 99", output), EXIT_NOT_FOUND);
}

static void test_log_comes_in_pages(void **state)
{
    struct daemon_process *process = *state;
    search_submit(process, "logged", 6);
    fake_worker_register(process, "w", 1);
    fake_worker_train(process, "w", 6);
    struct answer log = get(process, "/v1/searches/1/log?first=4&limit=1"),
                  shown = get(process, "/v1/searches/1/candidates/4"),
                  none = get(process, "/v1/searches/1/log?first=6"),
                  spec = get(process, "/v1/searches/1/spec");
    assert_int_equal(json_array_size(member(&log, "candidates")), 1);
    assert_int_equal(integer_at(&log, "candidates.0.number"), 4);
    assert_int_equal(integer_at(&log, "candidates.0.position"), 4);
    assert_string_equal(text_at(&log, "candidates.0.hash"), text_at(&shown, "hash"));
    assert_near(number_at(&log, "candidates.0.reward"), number_at(&shown, "reward"), 1e-12);
    assert_true(json_is_true(member(&log, "candidates.0.usable")));
    assert_int_equal(integer_at(&log, "created"), 6);
    assert_int_equal(integer_at(&log, "results"), 6);
    assert_int_equal(json_array_size(member(&none, "candidates")), 0);
    assert_true(is_null_at(&none, "front"));
    assert_int_equal(integer_at(&spec, "seed"), 1);
    assert_true(json_is_object(member(&spec, "recipe")));
    answer_release(&log);
    answer_release(&shown);
    answer_release(&none);
    answer_release(&spec);
    struct answer refused = get(process, "/v1/searches/1/log?limit=501"),
                  unknown = get(process, "/v1/searches/2/log"),
                  other = get(process, "/v1/searches/2/spec");
    assert_problem(&refused, 400, "invalid-parameter");
    assert_problem(&unknown, 404, "not-found");
    assert_problem(&other, 404, "not-found");
    answer_release(&refused);
    answer_release(&unknown);
    answer_release(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_strategy_is_verified_however_often_it_was_killed,
                                        daemon_set_up, daemon_tear_down),
        cmocka_unit_test_setup_teardown(test_altered_rows_are_found, daemon_set_up,
                                        daemon_tear_down),
        cmocka_unit_test_setup_teardown(test_verify_says_it_as_json, daemon_set_up,
                                        daemon_tear_down),
        cmocka_unit_test_setup_teardown(test_log_comes_in_pages, daemon_set_up, daemon_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
