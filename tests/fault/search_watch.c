#include "tests/fault/search_watch.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SPEC_SIZE = 2048,
    POLL_US = 10000,
    POLLS_MAX = 12000,
    REFUSALS_MAX = 10,
    IMAGES = LEDGER_IMAGES
};

/* ---- through the API ---- */

int64_t watch_submit(const struct daemon_process *process, const struct watched_spec *spec)
{
    char text[SPEC_SIZE];
    snprintf(text, sizeof text,
             "{\"name\": \"watched\","
             " \"dataset\": {\"name\": \"%s\", \"train\": %d, \"validation\": 200},"
             " \"space\": {\"preset\": \"efficientnetv2-small-images\"},"
             " \"objectives\": [\"accuracy\", \"step_time\", \"params\"],"
             " \"strategy\": {\"name\": \"evolution\", \"population\": 8, \"sample\": 3},"
             " \"budget\": {\"candidates\": %d, \"epochs\": 1},"
             " \"recipe\": {\"preset\": \"search-short\", \"batch\": 128, \"image_size\": 28},"
             " \"baseline\": {\"preset\": \"efficientnetv2-b0-small-images\"},"
             " \"parallel_max\": %d, \"seed\": 7, \"deterministic\": %s}",
             spec->dataset, IMAGES, spec->candidates, spec->parallel_max,
             spec->deterministic ? "true" : "false");
    struct answer answer = post(process, "/v1/searches", text);
    if (answer.status != 201)
        fail_msg("submit: %d %s", answer.status, answer.body);
    int64_t id = integer_at(&answer, "id");
    answer_release(&answer);
    return id;
}

struct answer watch_get(const struct daemon_process *process, const char *path)
{
    struct answer answer = get(process, "%s", path);
    for (int i = 0; i < REFUSALS_MAX && answer.status == 503; i++) {
        answer_release(&answer);
        usleep(POLL_US);
        answer = get(process, "%s", path);
    }
    if (answer.status != 200)
        fail_msg("%s: %d %s", path, answer.status, answer.body);
    return answer;
}

struct watch_progress watch_search(const struct daemon_process *process, int64_t search)
{
    char path[64];
    snprintf(path, sizeof path, "/v1/searches/%" PRId64, search);
    struct answer answer = watch_get(process, path);
    int64_t queued = integer_at(&answer, "progress.queued");
    int64_t leased = integer_at(&answer, "progress.leased");
    int64_t done = integer_at(&answer, "progress.done");
    int64_t cancelled = integer_at(&answer, "progress.cancelled");
    struct watch_progress progress = {
        .done = strcmp(text_at(&answer, "state"), "done") == 0,
        .created = integer_at(&answer, "progress.created"),
        .failed = integer_at(&answer, "progress.failed"),
        .results = integer_at(&answer, "spend.results"),
        .seconds = number_at(&answer, "spend.seconds"),
    };
    progress.finished = done + progress.failed;
    assert_int_equal(queued + leased + progress.finished + cancelled, progress.created);
    assert_int_equal(progress.results, progress.finished);
    assert_true(integer_at(&answer, "spend.images") >= done * IMAGES);
    assert_true(integer_at(&answer, "spend.images") <= progress.finished * IMAGES);
    assert_true(progress.created <= integer_at(&answer, "progress.budget"));
    if (progress.done)
        assert_int_equal(progress.finished, integer_at(&answer, "progress.budget"));
    answer_release(&answer);
    return progress;
}

struct watch_progress watch_until_done(const struct daemon_process *process, int64_t search)
{
    for (int i = 0; i < POLLS_MAX; i++) {
        struct watch_progress progress = watch_search(process, search);
        if (progress.done)
            return progress;
        usleep(POLL_US);
    }
    struct answer answer = get(process, "/v1/searches/%" PRId64, search);
    fail_msg("the search does not complete: %s", answer.body);
    return (struct watch_progress){.done = false};
}

static struct answer candidates(const struct daemon_process *process, int64_t search)
{
    char path[64];
    snprintf(path, sizeof path, "/v1/searches/%" PRId64 "/candidates?page_size=1000", search);
    struct answer answer = watch_get(process, path);
    assert_string_equal(text_at(&answer, "next_page_token"), "");
    return answer;
}

static double real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

char *watch_list(const struct daemon_process *process, int64_t search)
{
    char *text = NULL;
    size_t size = 0, index;
    const json_t *candidate;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    struct answer answer = candidates(process, search);
    json_array_foreach(member(&answer, "candidates"), index, candidate)
    {
        const json_t *parent = json_object_get(candidate, "parent");
        const char *outcome = json_string_value(json_object_get(candidate, "outcome"));
        fprintf(stream, "%d %s seen %d parent %d %s %.12g\n", (int)real(candidate, "number"),
                json_string_value(json_object_get(candidate, "hash")), (int)real(candidate, "seen"),
                json_is_null(parent) ? -1 : (int)json_integer_value(parent),
                outcome ? outcome : "-", real(candidate, "reward"));
    }
    answer_release(&answer);
    fclose(stream);
    return text;
}

static void assert_taken(const json_t *list, const struct ledger_entry *entry)
{
    const json_t *candidate = json_array_get(list, entry->candidate);
    const char *state = json_string_value(json_object_get(candidate, "state"));
    if (!candidate || (uint64_t)real(candidate, "number") != entry->candidate ||
        strcmp(state, "done") != 0 || real(candidate, "accuracy") != entry->accuracy) {
        char *text = candidate ? json_dumps(candidate, 0) : NULL;
        fail_msg("the acknowledged result of attempt %" PRIu64 " is lost: %s", entry->attempt,
                 text ? text : "no candidate");
    }
}

uint64_t watch_ledger(const struct daemon_process *process, int64_t search,
                      const struct ledger *ledger)
{
    uint64_t acknowledged = 0;
    uint_fast32_t count = atomic_load(&ledger->count);
    bool *known = calloc(count + 1, sizeof *known);
    assert_non_null(known);
    for (uint_fast32_t i = 0; i < count; i++)
        known[i] = atomic_load(&ledger->entries[i].acknowledged);
    struct answer answer = candidates(process, search);
    const json_t *list = member(&answer, "candidates");
    for (uint_fast32_t i = 0; i < count; i++) {
        if (!known[i] || ledger->entries[i].search != (uint64_t)search)
            continue;
        assert_taken(list, &ledger->entries[i]);
        acknowledged++;
    }
    answer_release(&answer);
    free(known);
    return acknowledged;
}

/* ---- in the store ---- */

static sqlite3 *open_store(const struct daemon_process *process)
{
    char path[DAEMON_PATH_SIZE + 32];
    sqlite3 *db = NULL;
    assert_int_equal(process->pid, 0);
    snprintf(path, sizeof path, "%s/state/archscout.db", process->directory);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    return db;
}

static int64_t number_of(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int code = sqlite3_step(statement);
    int64_t number = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_finalize(statement);
    return number;
}

static void assert_integrity(sqlite3 *db)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
    sqlite3_finalize(statement);
}

int64_t watch_store(const struct daemon_process *process)
{
    static const char *const contradictions[] = {
        "SELECT count(*) FROM pragma_foreign_key_check",
        "SELECT count(*) - count(DISTINCT epoch) FROM attempts",
        "SELECT count(*) FROM (SELECT 1 FROM attempts WHERE cause = 1 AND outcome = 1"
        " GROUP BY search, candidate, rung HAVING count(*) > 1)",
        "SELECT count(*) FROM attempts a LEFT JOIN results r ON r.attempt = a.id"
        " WHERE a.outcome = 1 AND r.attempt IS NULL",
        "SELECT count(*) FROM (SELECT 1 FROM results WHERE position IS NOT NULL"
        " GROUP BY search HAVING count(*) <> max(position) + 1)",
        "SELECT count(*) FROM results r JOIN attempts a ON a.id = r.attempt"
        " WHERE a.outcome <> r.outcome OR a.search <> r.search OR a.candidate <> r.candidate",
        "SELECT count(*) FROM (SELECT 1 FROM candidates GROUP BY search"
        " HAVING count(*) <> max(number) + 1)",
    };
    sqlite3 *db = open_store(process);
    assert_integrity(db);
    for (size_t i = 0; i < sizeof contradictions / sizeof contradictions[0]; i++)
        if (number_of(db, contradictions[i]) != 0)
            fail_msg("the store contradicts itself: %s", contradictions[i]);
    int64_t attempts = number_of(db, "SELECT count(*) FROM attempts");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return attempts;
}

static void assert_stored(sqlite3_stmt *statement, const struct ledger_entry *entry)
{
    sqlite3_reset(statement);
    sqlite3_bind_int64(statement, 1, (int64_t)entry->attempt);
    if (sqlite3_step(statement) != SQLITE_ROW)
        fail_msg("attempt %" PRIu64 " was handed out and is not in the store", entry->attempt);
    assert_int_equal((uint64_t)sqlite3_column_int64(statement, 0), entry->epoch);
    assert_int_equal((uint64_t)sqlite3_column_int64(statement, 1), entry->search);
    assert_int_equal((uint64_t)sqlite3_column_int64(statement, 2), entry->candidate);
    if (!atomic_load(&entry->acknowledged))
        return;
    assert_int_equal(sqlite3_column_int(statement, 3), 1);
    assert_int_not_equal(sqlite3_column_type(statement, 4), SQLITE_NULL);
    assert_true(sqlite3_column_double(statement, 5) == entry->accuracy);
    assert_true(sqlite3_column_double(statement, 6) == entry->seconds);
}

void watch_store_ledger(const struct daemon_process *process, const struct ledger *ledger)
{
    sqlite3 *db = open_store(process);
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db,
                                  "SELECT a.epoch, a.search, a.candidate, a.outcome, r.position,"
                                  " r.accuracy, r.seconds FROM attempts a"
                                  " LEFT JOIN results r ON r.attempt = a.id WHERE a.id = ?",
                                  -1, &statement, NULL);
    assert_int_equal(code, SQLITE_OK);
    for (uint_fast32_t i = 0; i < atomic_load(&ledger->count); i++)
        assert_stored(statement, &ledger->entries[i]);
    sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}
