/* A store that somebody else has changed: one search is lost to it, not the daemon. */
#include "tests/unit/daemon/core_bench.h"

#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SQL_SIZE = 256 };

struct damage {
    const char *what;
    const char *sql; /* with the search's id for %llu */
};

static const struct damage damages[] = {
    {"a spec of another version",
     "UPDATE searches SET resolved = '{\"from\": \"the future\"}' WHERE id = %llu"},
    {"a state that there is not", "UPDATE searches SET state = 99 WHERE id = %llu"},
    {"a candidate that is missing", "DELETE FROM candidates WHERE search = %llu AND number = 1"},
    {"an encoding that is not of the space",
     "UPDATE candidates SET encoding = x'ffffffffffff' WHERE search = %llu AND number = 1"},
    {"an encoding that is cut",
     "UPDATE candidates SET encoding = x'00' WHERE search = %llu AND number = 1"},
    {"an encoding that means another network than the one that was trained",
     "UPDATE candidates SET hash = 42 WHERE search = %llu AND number = 1"},
    {"a proposal that has seen the future",
     "UPDATE candidates SET seen = 3 WHERE search = %llu AND number = 2"},
    {"a result without its accuracy",
     "UPDATE results SET accuracy = NULL WHERE search = %llu AND candidate = 0"},
    {"a gap in the order of acceptance",
     "UPDATE results SET position = 3 WHERE search = %llu AND position = 2"},
    {"a position out of range",
     "UPDATE results SET position = 99999 WHERE search = %llu AND position = 1"},
    {"a result that was not counted",
     "UPDATE results SET position = NULL WHERE search = %llu AND position = 1"},
    {"more unfinished candidates than there may be", "DELETE FROM results WHERE search = %llu"},
    {"a slot that no worker has",
     "UPDATE attempts SET slot = 4000 WHERE search = %llu AND outcome IS NULL"},
};

static void change_database(struct rig *rig, const char *format, uint64_t search)
{
    char path[128], sql[SQL_SIZE];
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/archscout.db", rig->directory);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(sql, sizeof(sql), format, (unsigned long long)search);
#pragma GCC diagnostic pop
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Three finished candidates and one that runs. */
static uint64_t start_search(struct rig *rig)
{
    uint64_t search = submit(rig, 10, 2, "");
    for (int i = 0; i < 3; i++) {
        struct task task = lease(rig, "w", 0);
        struct result result = done(0.5);
        assert_int_equal(deliver(rig, "w", &task, &result), 0);
    }
    lease(rig, "w", 0);
    return search;
}

static void test_damage_costs_one_search_and_not_the_daemon(void **state)
{
    struct rig *rig = *state;
    struct error error;
    for (size_t i = 0; i < ARRAY_LENGTH(damages); i++) {
        assert_int_equal(rig_register(rig, "w", 2), 0);
        uint64_t damaged = start_search(rig);
        assert_int_equal(rig_commit(rig), 0);
        rig_kill(rig);
        change_database(rig, damages[i].sql, damaged);
        if (rig_start(rig) < 0)
            fail_msg("%s: the daemon does not start", damages[i].what);
        rig_begin(rig, 1);
        struct search_view view = search_view(rig, damaged);
        if (view.state != SEARCH_FAILED || view.problem[0] == '\0')
            fail_msg("%s: the search is %s", damages[i].what, search_state_name(view.state));
        assert_null(view.spec);
        assert_int_equal(coordinator_pause(rig->coordinator, damaged, &error), -EPERM);
        struct frontier_view front;
        assert_int_equal(coordinator_frontier(rig->coordinator, damaged, NULL, 0, &front, &error),
                         -EPERM);
        uint64_t sound = submit(rig, 1, 1, "");
        run_all(rig, sound);
        assert_int_equal(search_view(rig, sound).state, SEARCH_DONE);
    }
}

/* As if a later version had other presets and defaults. */
static void test_a_search_goes_on_with_what_its_spec_meant_when_it_was_submitted(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(rig_register(rig, "w", 2), 0);
    uint64_t search = start_search(rig);
    struct spec before = *search_view(rig, search).spec;
    assert_int_equal(rig_commit(rig), 0);
    rig_kill(rig);
    change_database(rig, "UPDATE searches SET spec = '{\"seed\": 9}' WHERE id = %llu", search);
    assert_int_equal(rig_start(rig), 0);
    rig_begin(rig, 1);
    struct search_view view = search_view(rig, search);
    assert_int_equal(view.state, SEARCH_RUNNING);
    assert_int_equal(view.spec->seed, before.seed);
    assert_int_equal(view.spec->candidates_max, before.candidates_max);
    assert_memory_equal(&view.spec->recipe, &before.recipe, sizeof before.recipe);
    assert_int_equal(view.progress.created, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_damage_costs_one_search_and_not_the_daemon,
                                        bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_search_goes_on_with_what_its_spec_meant_when_it_was_submitted, bench_set_up,
            bench_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
