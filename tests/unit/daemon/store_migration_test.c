/* A database of version 1 is brought forward with its rows, and what version 2 keeps comes back as written. */
#include "daemon/store.h"
#include "schema/migrations.h"

#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_SIZE = 512 };

struct bench {
    char directory[64];
    struct store *store;
};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    snprintf(bench->directory, sizeof(bench->directory), "/tmp/archscout_schema_XXXXXX");
    assert_non_null(mkdtemp(bench->directory));
    *state = bench;
    return 0;
}

static void path_of(const struct bench *bench, const char *name, char ret_path[PATH_SIZE])
{
    snprintf(ret_path, PATH_SIZE, "%s/%s", bench->directory, name);
}

static int tear_down(void **state)
{
    static const char *const names[] = {"archscout.db", "archscout.db-wal", "archscout.db-shm",
                                        "archscout.lock", "archscout.reserve"};
    struct bench *bench = *state;
    store_close(bench->store);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char path[PATH_SIZE];
        path_of(bench, names[i], path);
        unlink(path);
    }
    rmdir(bench->directory);
    free(bench);
    return 0;
}

static void execute(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
}

/* As the first version left it: one paused search, a done candidate and one that is running. */
static void write_version_1(const struct bench *bench)
{
    char path[PATH_SIZE];
    sqlite3 *db = NULL;
    path_of(bench, "archscout.db", path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    execute(db, "PRAGMA application_id = 1095983988;"
                "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL,"
                " applied TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) STRICT");
    execute(db, schema_migrations[0].sql);
    execute(db, "INSERT INTO schema_version (version, name) VALUES (1, 'first_light');"
                "INSERT INTO searches VALUES (1, '{}', '{}', 1, 0, NULL, 5, NULL);"
                "INSERT INTO candidates VALUES (1, 0, x'0100', 7, 1, 2, 3, 0, NULL, 5);"
                "INSERT INTO candidates VALUES (1, 1, x'0200', 8, 1, 2, 3, 0, NULL, 5);"
                "INSERT INTO attempts VALUES (1, 1, 0, 0, 9, 'w', 0, 1, 5, 6, 1, 1, 2.5, 0.5,"
                " NULL, NULL);"
                "INSERT INTO attempts (id, search, candidate, rung, epoch, worker, slot,"
                " micro_batches, started_us) VALUES (2, 1, 1, 0, 10, 'w', 0, 1, 5);"
                "INSERT INTO results VALUES (1, 0, 0, 0, 1, 1, 1, 0.75, 0.5, 0.125, 0.01, 7, 0.25,"
                " 0.8, 12.5, 16000, 99)");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void open_store(struct bench *bench)
{
    struct store_options options = {.directory = bench->directory, .reserve_bytes = 65536};
    struct error error;
    if (store_open(&options, &bench->store, &error) < 0)
        fail_msg("%s", error.message);
}

static int check_search(void *context, const struct search_row *row)
{
    const bool *hand_back = context;
    assert_int_equal(row->id, 1);
    assert_int_equal(row->hand_back, *hand_back);
    return 3;
}

static int check_result(void *context, const struct result_row *row)
{
    const bool *contended = context;
    assert_true(row->accuracy == 0.75 && row->step_time.baseline_s == 0.25);
    assert_int_equal(row->step_time.contended, *contended);
    return 5;
}

static void test_version_1_is_brought_forward(void **state)
{
    struct bench *bench = *state;
    bool no = false;
    write_version_1(bench);
    for (int i = 0; i < 2; i++) {
        open_store(bench);
        assert_int_equal(store_each_search(bench->store, check_search, &no), 3);
        assert_int_equal(store_find_result(bench->store, 1, 0, check_result, &no), 5);
        store_close(bench->store);
        bench->store = NULL;
    }
}

static struct checkpoint_row row_of(uint64_t candidate, uint64_t steps, uint8_t content)
{
    struct checkpoint_row row = {.search = 1,
                                 .candidate = candidate,
                                 .attempt = 2,
                                 .checkpoint = {.bytes = UINT64_C(1) << 33, .steps_done = steps},
                                 .stored_us = 77};
    memset(row.checkpoint.sha256, content, SHA256_SIZE);
    return row;
}

static void put(struct bench *bench, uint64_t candidate, uint64_t steps, uint8_t content)
{
    const struct checkpoint_row row = row_of(candidate, steps, content);
    assert_int_equal(store_put_checkpoint(bench->store, &row), 0);
}

static bool has(struct bench *bench, uint8_t content)
{
    const struct checkpoint_row row = row_of(0, 0, content);
    int r = store_has_checkpoint(bench->store, row.checkpoint.sha256);
    assert_true(r == 0 || r == 1);
    return r == 1;
}

static void test_the_checkpoint_with_most_steps_is_kept(void **state)
{
    struct bench *bench = *state;
    struct checkpoint found;
    write_version_1(bench);
    open_store(bench);
    assert_int_equal(store_find_checkpoint(bench->store, 1, 1, 0, &found), -ENOENT);
    put(bench, 1, 20, 0xa0);
    put(bench, 1, 10, 0xb0);
    put(bench, 0, 5, 0xa0); /* another candidate's may have the same content */
    assert_int_equal(store_commit(bench->store), 0);
    store_close(bench->store);
    open_store(bench);
    assert_int_equal(store_find_checkpoint(bench->store, 1, 1, 0, &found), 0);
    assert_int_equal(found.steps_done, 20);
    assert_true(found.bytes == UINT64_C(1) << 33);
    assert_int_equal(found.sha256[31], 0xa0);
    assert_true(has(bench, 0xa0));
    assert_false(has(bench, 0xb0));
    put(bench, 1, 30, 0xc0);
    assert_true(has(bench, 0xc0));
    assert_true(has(bench, 0xa0));
    assert_int_equal(store_drop_checkpoint(bench->store, 1, 0), 1);
    assert_int_equal(store_drop_checkpoint(bench->store, 1, 0), 0);
    assert_false(has(bench, 0xa0));
    assert_int_equal(store_drop_checkpoints(bench->store, 1), 1);
    assert_int_equal(store_drop_checkpoints(bench->store, 1), 0);
    assert_false(has(bench, 0xc0));
}

static void test_checkpoint_without_its_candidate_is_refused(void **state)
{
    struct bench *bench = *state;
    write_version_1(bench);
    open_store(bench);
    const struct checkpoint_row row = row_of(77, 1, 1);
    assert_true(store_put_checkpoint(bench->store, &row) < 0);
    store_rollback(bench->store);
}

static void test_flags_come_back(void **state)
{
    struct bench *bench = *state;
    bool yes = true;
    write_version_1(bench);
    open_store(bench);
    assert_int_equal(store_set_hand_back(bench->store, 1, true), 0);
    struct result_row row = {
        .search = 1,
        .candidate = 1,
        .position = 1,
        .attempt = 2,
        .outcome = OUTCOME_DONE,
        .accepted_us = 1,
        .accuracy = 0.75,
        .step_time = {.median_s = 0.125, .baseline_s = 0.25, .contended = true}};
    assert_int_equal(store_insert_result(bench->store, &row), 0);
    assert_int_equal(store_commit(bench->store), 0);
    store_close(bench->store);
    open_store(bench);
    assert_int_equal(store_each_search(bench->store, check_search, &yes), 3);
    assert_int_equal(store_find_result(bench->store, 1, 1, check_result, &yes), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_version_1_is_brought_forward, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_checkpoint_with_most_steps_is_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_checkpoint_without_its_candidate_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_flags_come_back, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
