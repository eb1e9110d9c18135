#include "daemon/store.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { RESERVE_BYTES = 65536, PATH_SIZE = 512 };

/* A state directory of the test's own, and the store in it. */
struct bench {
    char directory[64];
    struct store *store;
};

static int open_again(struct bench *bench, struct error *error)
{
    struct store_options options = {.directory = bench->directory, .reserve_bytes = RESERVE_BYTES};
    return store_open(&options, &bench->store, error);
}

static void reopen(struct bench *bench)
{
    struct error error;
    store_close(bench->store);
    bench->store = NULL;
    if (open_again(bench, &error) < 0)
        fail_msg("%s", error.message);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    snprintf(bench->directory, sizeof(bench->directory), "/tmp/archscout_store_XXXXXX");
    assert_non_null(mkdtemp(bench->directory));
    reopen(bench);
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

/* ---- rows to write ---- */

static const char spec_text[] = "{\"name\": \"caf\xc3\xa9\"}";

static struct search_row search_row(uint64_t id)
{
    return (struct search_row){.id = id,
                               .text = spec_text,
                               .length = sizeof(spec_text) - 1,
                               .resolved = "{\"name\": \"resolved\"}",
                               .state = SEARCH_RUNNING,
                               .priority = -3,
                               .created_us = 1700000000000000};
}

static struct candidate_row candidate_row(uint64_t search, uint64_t number)
{
    return (struct candidate_row){.search = search,
                                  .number = number,
                                  .encoding = {.choices = {1, 258, 65535}},
                                  .stage_count = 3,
                                  .hash = 0xfedcba9876543210u,
                                  .params = 123456789012u,
                                  .macs = 2,
                                  .memory = 3,
                                  .seen = number,
                                  .parent = number ? number - 1 : UINT64_MAX,
                                  .created_us = 5};
}

static struct attempt_row attempt_row(uint64_t id, uint64_t search, uint64_t candidate)
{
    return (struct attempt_row){.id = id,
                                .search = search,
                                .candidate = candidate,
                                .epoch = 0xffffffffffff0000u + id,
                                .worker = "box:1",
                                .slot = 2,
                                .micro_batches = 1,
                                .started_us = 77};
}

static struct result_row result_row(uint64_t search, uint64_t candidate, uint64_t position,
                                    uint64_t attempt)
{
    return (struct result_row){
        .search = search,
        .candidate = candidate,
        .position = position,
        .attempt = attempt,
        .attempts = 2,
        .outcome = OUTCOME_DONE,
        .accuracy = 0.75,
        .loss = 0.5,
        .step_time = {.median_s = 0.125, .spread_s = NAN, .blocks = 7, .baseline_s = 0.25},
        .reward = 0.8,
        .seconds = 12.5,
        .images = 16000,
        .accepted_us = 99};
}

/* A search with candidates 0 .. count - 1, each with a running attempt of the same number + 1. */
static void write_search(struct store *store, uint64_t id, uint64_t count)
{
    struct search_row search = search_row(id);
    assert_int_equal(store_insert_search(store, &search), 0);
    for (uint64_t i = 0; i < count; i++) {
        struct candidate_row candidate = candidate_row(id, i);
        struct attempt_row attempt = attempt_row(100 * id + i, id, i);
        assert_int_equal(store_insert_candidate(store, &candidate), 0);
        assert_int_equal(store_insert_attempt(store, &attempt), 0);
    }
}

static int count_search(void *context, const struct search_row *row)
{
    (void)row;
    ++*(unsigned *)context;
    return 0;
}

static unsigned search_count(struct store *store)
{
    unsigned count = 0;
    assert_int_equal(store_each_search(store, count_search, &count), 0);
    return count;
}

/* ---- transactions ---- */

static void test_what_is_committed_survives_and_the_rest_does_not(void **state)
{
    struct bench *bench = *state;
    write_search(bench->store, 1, 1);
    assert_int_equal(store_commit(bench->store), 0);
    write_search(bench->store, 2, 1);
    store_rollback(bench->store);
    assert_int_equal(search_count(bench->store), 1);
    write_search(bench->store, 3, 1);
    reopen(bench);
    assert_int_equal(search_count(bench->store), 1);
}

static void test_commit_of_nothing_succeeds(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(store_commit(bench->store), 0);
    assert_int_equal(store_probe(bench->store), 0);
}

static void test_failed_mutation_spoils_the_transaction(void **state)
{
    struct bench *bench = *state;
    write_search(bench->store, 1, 1);
    struct search_row again = search_row(1), other = search_row(2);
    assert_int_equal(store_insert_search(bench->store, &again), -EEXIST);
    assert_int_equal(store_insert_search(bench->store, &other), -EEXIST);
    assert_int_equal(store_commit(bench->store), -EEXIST);
    store_rollback(bench->store);
    assert_int_equal(search_count(bench->store), 0);
    assert_int_equal(store_insert_search(bench->store, &other), 0);
    assert_int_equal(store_commit(bench->store), 0);
}

/* ---- what the schema refuses ---- */

static void test_second_result_of_a_candidate_is_refused(void **state)
{
    struct bench *bench = *state;
    write_search(bench->store, 1, 2);
    struct result_row first = result_row(1, 0, 0, 100), second = result_row(1, 0, 1, 100);
    assert_int_equal(store_insert_result(bench->store, &first), 0);
    assert_int_equal(store_insert_result(bench->store, &second), -EEXIST);
}

static void test_second_result_at_a_position_is_refused(void **state)
{
    struct bench *bench = *state;
    write_search(bench->store, 1, 2);
    struct result_row first = result_row(1, 0, 0, 100), second = result_row(1, 1, 0, 101);
    assert_int_equal(store_insert_result(bench->store, &first), 0);
    assert_int_equal(store_insert_result(bench->store, &second), -EEXIST);
}

static void test_epoch_given_twice_is_refused(void **state)
{
    struct bench *bench = *state;
    write_search(bench->store, 1, 2);
    struct attempt_row again = attempt_row(100, 1, 1);
    again.id = 555;
    assert_int_equal(store_insert_attempt(bench->store, &again), -EEXIST);
}

static void test_result_without_its_candidate_is_refused(void **state)
{
    struct bench *bench = *state;
    write_search(bench->store, 1, 1);
    struct result_row row = result_row(1, 7, 0, 100);
    assert_true(store_insert_result(bench->store, &row) < 0);
}

/* ---- rows come back as written ---- */

static int check_search(void *context, const struct search_row *row)
{
    (void)context;
    assert_int_equal(row->length, sizeof(spec_text) - 1);
    assert_memory_equal(row->text, spec_text, row->length);
    assert_string_equal(row->resolved, "{\"name\": \"resolved\"}");
    assert_string_equal(row->idempotency_key, "key-1");
    assert_int_equal(row->state, SEARCH_DONE);
    assert_int_equal(row->priority, -3);
    assert_int_equal(row->created_us, 1700000000000000);
    assert_int_equal(row->finished_us, 1700000000000001);
    return 7;
}

static void test_search_comes_back(void **state)
{
    struct bench *bench = *state;
    struct search_row row = search_row(4);
    row.idempotency_key = "key-1";
    assert_int_equal(store_insert_search(bench->store, &row), 0);
    assert_int_equal(store_update_search(bench->store, 4, SEARCH_DONE, 1700000000000001), 0);
    assert_int_equal(store_commit(bench->store), 0);
    reopen(bench);
    assert_int_equal(store_each_search(bench->store, check_search, NULL),
                     7); /* the visitor's answer */
    uint64_t found;
    assert_int_equal(store_find_submission(bench->store, "key-1", &found), 0);
    assert_int_equal(found, 4);
    assert_int_equal(store_find_submission(bench->store, "key-2", &found), -ENOENT);
}

static int check_candidate(void *context, const struct candidate_row *row)
{
    uint64_t *next = context;
    struct candidate_row expected = candidate_row(1, (*next)++);
    assert_int_equal(row->number, expected.number);
    assert_int_equal(row->stage_count, 3);
    assert_memory_equal(&row->encoding, &expected.encoding, sizeof(row->encoding));
    assert_int_equal(row->hash, expected.hash);
    assert_int_equal(row->params, expected.params);
    assert_int_equal(row->seen, expected.seen);
    assert_int_equal(row->parent, expected.parent);
    return 0;
}

static void test_candidates_come_back_by_number(void **state)
{
    struct bench *bench = *state;
    write_search(bench->store, 1, 300);
    assert_int_equal(store_commit(bench->store), 0);
    reopen(bench);
    uint64_t next = 0;
    assert_int_equal(store_each_candidate(bench->store, check_candidate, &next), 0);
    assert_int_equal(next, 300);
}

static int check_result(void *context, const struct result_row *row)
{
    (void)context;
    assert_int_equal(row->position, 0);
    assert_int_equal(row->attempt, 100);
    assert_int_equal(row->attempts, 2);
    assert_int_equal(row->outcome, OUTCOME_DONE);
    assert_true(row->accuracy == 0.75 && row->loss == 0.5 && row->reward == 0.8 &&
                row->seconds == 12.5);
    assert_true(row->step_time.median_s == 0.125 && isnan(row->step_time.spread_s));
    assert_int_equal(row->step_time.blocks, 7);
    assert_int_equal(row->images, 16000);
    return 5;
}

static void test_result_comes_back(void **state)
{
    struct bench *bench = *state;
    write_search(bench->store, 1, 1);
    struct result_row row = result_row(1, 0, 0, 100);
    assert_int_equal(store_insert_result(bench->store, &row), 0);
    assert_int_equal(store_commit(bench->store), 0);
    assert_int_equal(store_each_result(bench->store, check_result, NULL), 5);
    assert_int_equal(store_find_result(bench->store, 1, 0, check_result, NULL), 5);
    assert_int_equal(store_find_result(bench->store, 1, 1, check_result, NULL), -ENOENT);
}

static int check_ended(void *context, const struct attempt_row *row)
{
    (void)context;
    assert_int_equal(row->epoch, 0xffffffffffff0000u + 100);
    assert_string_equal(row->worker, "box:1");
    assert_int_equal(row->outcome, OUTCOME_OUT_OF_MEMORY);
    assert_int_equal(row->cause, CAUSE_RESULT);
    assert_int_equal(row->memory_needed_bytes, 1u << 30);
    assert_string_equal(row->message, "needs 1 GiB");
    assert_true(isnan(row->first_step_s));
    return 3;
}

static int count_attempt(void *context, const struct attempt_row *row)
{
    (void)row;
    ++*(unsigned *)context;
    return 0;
}

static void test_attempt_runs_until_it_is_ended(void **state)
{
    struct bench *bench = *state;
    write_search(bench->store, 1, 2);
    unsigned running = 0;
    assert_int_equal(store_each_running_attempt(bench->store, count_attempt, &running), 0);
    assert_int_equal(running, 2);
    struct attempt_row row = attempt_row(100, 1, 0);
    row.ended_us = 88;
    row.outcome = OUTCOME_OUT_OF_MEMORY;
    row.cause = CAUSE_RESULT;
    row.first_step_s = NAN;
    row.memory_needed_bytes = 1u << 30;
    row.message = "needs 1 GiB";
    assert_int_equal(store_end_attempt(bench->store, &row), 0);
    assert_int_equal(store_find_attempt(bench->store, 100, check_ended, NULL), 3);
    assert_int_equal(store_each_attempt_of(bench->store, 1, 0, check_ended, NULL), 3);
    assert_int_equal(store_find_attempt(bench->store, 999, check_ended, NULL), -ENOENT);
    running = 0;
    assert_int_equal(store_each_running_attempt(bench->store, count_attempt, &running), 0);
    assert_int_equal(running, 1);
}

static int sum_epochs(void *context, const struct epoch_metrics *epoch)
{
    double *sum = context;
    *sum = *sum * 10 + epoch->number + epoch->validation_accuracy;
    return 0;
}

static void test_epoch_is_kept_once(void **state)
{
    struct bench *bench = *state;
    write_search(bench->store, 1, 1);
    struct epoch_metrics epoch = {.number = 2, .validation_accuracy = 0.5, .train_loss = NAN};
    assert_int_equal(store_insert_epoch(bench->store, 100, &epoch), 1);
    epoch.validation_accuracy = 0.25;
    assert_int_equal(store_insert_epoch(bench->store, 100, &epoch), 0);
    epoch.number = 1;
    assert_int_equal(store_insert_epoch(bench->store, 100, &epoch), 1);
    double sum = 0;
    assert_int_equal(store_each_epoch_of(bench->store, 100, sum_epochs, &sum), 0);
    assert_true(sum == 1.25 * 10 + 2.5);
}

static int collect_event(void *context, const struct event_view *event)
{
    uint64_t *ids = context;
    assert_true(isnan(event->accuracy) && event->loss == 0.5);
    ids[0]++;
    ids[ids[0]] = event->id;
    return 0;
}

static void test_events_come_back_by_range_and_search(void **state)
{
    struct bench *bench = *state;
    for (uint64_t id = 1; id <= 10; id++) {
        struct event_view event = {.id = id,
                                   .kind = EVENT_CANDIDATE_EPOCH,
                                   .search = 1 + id % 2,
                                   .candidate = 0,
                                   .attempt = 9,
                                   .accuracy = NAN,
                                   .loss = 0.5};
        assert_int_equal(store_insert_event(bench->store, &event), 0);
    }
    uint64_t ids[16] = {0};
    struct event_range all = {.after = 2, .last = 9, .limit = 5};
    assert_int_equal(store_each_event(bench->store, &all, collect_event, ids), 0);
    assert_int_equal(ids[0], 5);
    assert_int_equal(ids[1], 3);
    struct event_range odd = {.search = 2, .after = 0, .last = 9, .limit = 100};
    memset(ids, 0, sizeof(ids));
    assert_int_equal(store_each_event(bench->store, &odd, collect_event, ids), 0);
    assert_int_equal(ids[0], 5);
    assert_int_equal(ids[5], 9);
    assert_int_equal(store_drop_events(bench->store, 8), 0);
    memset(ids, 0, sizeof(ids));
    all.after = 0;
    assert_int_equal(store_each_event(bench->store, &all, collect_event, ids), 0);
    assert_int_equal(ids[0], 1);
}

static int check_dataset(void *context, const struct dataset *dataset)
{
    const struct dataset *expected = context;
    assert_string_equal(dataset->name, expected->name);
    assert_true(dataset_facts_agree(dataset, expected));
    return 9;
}

static void test_dataset_comes_back_as_it_was_put_last(void **state)
{
    struct bench *bench = *state;
    struct dataset birds = {.name = "birds",
                            .image_size = 32,
                            .image_channels = 1,
                            .classes = 2,
                            .train_images = 3,
                            .test_images = 4};
    assert_int_equal(store_put_dataset(bench->store, &birds), 0);
    assert_int_equal(store_commit(bench->store), 0);
    birds.image_size = 64;
    birds.image_channels = 3;
    birds.classes = 10;
    birds.train_images = 6;
    birds.test_images = 5;
    assert_int_equal(store_put_dataset(bench->store, &birds), 0);
    assert_int_equal(store_commit(bench->store), 0);
    reopen(bench);
    assert_int_equal(store_each_dataset(bench->store, check_dataset, &birds), 9);
}

static void test_counters_are_the_largest_in_use(void **state)
{
    struct bench *bench = *state;
    struct store_counters counters;
    assert_int_equal(store_counters(bench->store, &counters), 0);
    assert_int_equal(counters.search + counters.attempt + counters.event, 0);
    write_search(bench->store, 5, 3);
    assert_int_equal(store_counters(bench->store, &counters), 0);
    assert_int_equal(counters.search, 5);
    assert_int_equal(counters.attempt, 502);
}

/* ---- opening ---- */

static void test_second_daemon_is_refused_and_told_who_is_there(void **state)
{
    struct bench *bench = *state;
    struct store_options options = {.directory = bench->directory};
    struct store *second = NULL;
    struct error error;
    assert_int_equal(store_open(&options, &second, &error), -EBUSY);
    char pid[32];
    snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    assert_non_null(strstr(error.message, pid));
    assert_null(second);
}

static void change_database(struct bench *bench, const char *sql)
{
    char path[PATH_SIZE];
    sqlite3 *db;
    store_close(bench->store);
    bench->store = NULL;
    path_of(bench, "archscout.db", path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_newer_database_is_refused(void **state)
{
    struct bench *bench = *state;
    change_database(bench,
                    "INSERT INTO schema_version (version, name) VALUES (9999, 'from_the_future')");
    struct error error;
    assert_int_equal(open_again(bench, &error), -EPROTO);
    assert_non_null(strstr(error.message, "9999"));
}

static void test_other_programs_database_is_refused(void **state)
{
    struct bench *bench = *state;
    change_database(bench, "PRAGMA application_id = 12345");
    struct error error;
    assert_int_equal(open_again(bench, &error), -EPROTO);
    change_database(bench, "PRAGMA application_id = 0");
    assert_int_equal(open_again(bench, &error), -EPROTO);
}

static void test_file_that_is_no_database_is_refused(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE];
    store_close(bench->store);
    bench->store = NULL;
    path_of(bench, "archscout.db", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("this is not a database\n", file);
    fclose(file);
    struct error error;
    assert_true(open_again(bench, &error) < 0);
}

static void test_missing_directory_is_refused(void **state)
{
    (void)state;
    struct store_options options = {.directory = "/nonexistent/archscout"};
    struct store *store = NULL;
    struct error error;
    assert_int_equal(store_open(&options, &store, &error), -ENOENT);
}

static void test_reserve_is_held_and_given_up(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE];
    struct stat status;
    path_of(bench, "archscout.reserve", path);
    assert_true(store_reserve_ensure(bench->store));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, RESERVE_BYTES);
    store_reserve_release(bench->store);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 0);
    assert_true(store_reserve_ensure(bench->store));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_committed_survives_and_the_rest_does_not),
        TEST(test_commit_of_nothing_succeeds),
        TEST(test_failed_mutation_spoils_the_transaction),
        TEST(test_second_result_of_a_candidate_is_refused),
        TEST(test_second_result_at_a_position_is_refused),
        TEST(test_epoch_given_twice_is_refused),
        TEST(test_result_without_its_candidate_is_refused),
        TEST(test_search_comes_back),
        TEST(test_candidates_come_back_by_number),
        TEST(test_result_comes_back),
        TEST(test_attempt_runs_until_it_is_ended),
        TEST(test_epoch_is_kept_once),
        TEST(test_events_come_back_by_range_and_search),
        TEST(test_dataset_comes_back_as_it_was_put_last),
        TEST(test_counters_are_the_largest_in_use),
        TEST(test_second_daemon_is_refused_and_told_who_is_there),
        TEST(test_newer_database_is_refused),
        TEST(test_other_programs_database_is_refused),
        TEST(test_file_that_is_no_database_is_refused),
        TEST(test_missing_directory_is_refused),
        TEST(test_reserve_is_held_and_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
