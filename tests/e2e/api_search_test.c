/* What people do with searches: submit, list, steer; and the rules that hold for every route. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "search/attributes.h"
#include "tests/e2e/fake_worker.h"
#include "tests/e2e/search_spec.h"

/* ---- submit ---- */

static void test_submitted_search_is_shown_as_it_was_sent(void **state)
{
    struct daemon_process *process = *state;
    char text[SPEC_TEST_SIZE];
    spec_write(text, "first", 7);
    struct answer made = post(process, "/v1/searches", text);
    assert_int_equal(made.status, 201);
    assert_string_equal(answer_header(&made, "Location"), "/v1/searches/1");
    assert_string_equal(answer_header(&made, "Content-Type"), "application/json");
    struct answer shown = get(process, "/v1/searches/1");
    assert_int_equal(shown.status, 200);
    assert_true(json_equal(made.json, shown.json));
    json_t *spec = json_loads(text, 0, NULL);
    assert_true(json_equal(spec, member(&shown, "spec")));
    assert_string_equal(text_at(&shown, "name"), "first");
    assert_string_equal(text_at(&shown, "state"), "running");
    assert_string_equal(text_at(&shown, "dataset"), "fashion-mnist");
    assert_string_equal(text_at(&shown, "objectives.1"), "step_time");
    assert_int_equal(integer_at(&shown, "progress.budget"), 7);
    assert_true(is_null_at(&shown, "best"));
    assert_true(is_null_at(&shown, "finished_at"));
    assert_int_equal(strlen(text_at(&shown, "created_at")), strlen("2026-01-31T12:00:00.000Z"));
    json_decref(spec);
    answer_release(&made);
    answer_release(&shown);
}

static void test_invalid_specs_are_refused_with_the_place(void **state)
{
    static const struct {
        const char *old, *new, *pointer;
    } table[] = {
        {"\"priority\": 0", "\"priority\": 0, \"colour\": 1", "/colour"},
        {"\"priority\": 0", "\"priority\": 0, \"priority\": 0", ""},
        {"\"candidates\": 4", "\"candidates\": -4", "/budget/candidates"},
        {"\"candidates\": 4", "\"candidates\": 0", "/budget/candidates"},
        {"\"candidates\": 4", "\"candidates\": 4.5", "/budget/candidates"},
        {"\"candidates\": 4", "\"candidates\": \"4\"", "/budget/candidates"},
        {"\"candidates\": 4", "\"candidates\": 1e999", ""},
        {"\"candidates\": 4", "\"candidates\": NaN", ""},
        {"\"params\": -0.05", "\"params\": NaN", ""},
        {"fashion-mnist", "no-such-images", "/dataset/name"},
        {"\"train\": 800", "\"train\": 80000000", "/dataset/train"},
        {"efficientnetv2-small-images", "no-such-space", "/space/preset"},
        {"{\"preset\": \"efficientnetv2-small-images\"}", "{\"stages\": []}", "/space"},
        {"\"params_max\": 2000000", "\"params_max\": 10", "/constraints"},
        {"\"evolution\"", "\"magic\"", "/strategy/name"},
        {"\"params\"]", "\"beauty\"]", "/objectives/2"},
        {"\"parallel_max\": 4", "\"parallel_max\": 0", "/parallel_max"},
        {"\"batch\": 128", "\"batch\": 0", "/recipe/batch"},
        {"\"seed\": 1", "\"seed\": 1.5", "/seed"},
        {"\"deterministic\": false", "\"deterministic\": null", "/deterministic"},
    };
    struct daemon_process *process = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        char text[SPEC_TEST_SIZE];
        spec_write_with(text, table[i].old, table[i].new);
        struct answer answer = post(process, "/v1/searches", text);
        assert_problem(&answer, 422, "invalid-spec");
        const char *pointer = json_string_value(json_object_get(answer.json, "pointer"));
        size_t length = strlen(table[i].pointer);
        if (length > 0 && (!pointer || strncmp(pointer, table[i].pointer, length) != 0))
            fail_msg("'%s' should point to %s: %s", table[i].new, table[i].pointer, answer.body);
        answer_release(&answer);
    }
    struct answer list = get(process, "/v1/searches");
    assert_int_equal(json_array_size(member(&list, "searches")), 0);
    answer_release(&list);
}

static struct answer submit_with_key(const struct daemon_process *process, const char *key,
                                     const char *text)
{
    char headers[256];
    snprintf(headers, sizeof headers, "Idempotency-Key: %s\r\n", key);
    return call(process, &(struct call){.method = "POST",
                                        .path = "/v1/searches",
                                        .headers = headers,
                                        .type = "application/json",
                                        .body = text,
                                        .body_bytes = strlen(text)});
}

static void test_idempotency_key_makes_one_search_of_one_body(void **state)
{
    struct daemon_process *process = *state;
    char one[SPEC_TEST_SIZE], other[SPEC_TEST_SIZE];
    spec_write(one, "one", 4);
    spec_write(other, "other", 4);
    struct answer first = submit_with_key(process, "key 1", one);
    struct answer again = submit_with_key(process, "key 1", one);
    struct answer mismatch = submit_with_key(process, "key 1", other);
    struct answer second = submit_with_key(process, "key 2", other);
    assert_int_equal(first.status, 201);
    assert_int_equal(again.status, 201);
    assert_true(json_equal(first.json, again.json));
    assert_string_equal(answer_header(&again, "Location"), "/v1/searches/1");
    assert_problem(&mismatch, 422, "idempotency-mismatch");
    assert_int_equal(integer_at(&second, "id"), 2);
    answer_release(&first);
    answer_release(&again);
    answer_release(&mismatch);
    answer_release(&second);
}

static void test_idempotency_key_survives_a_crash(void **state)
{
    struct daemon_process *process = *state;
    char text[SPEC_TEST_SIZE];
    spec_write(text, "one", 4);
    struct answer first = submit_with_key(process, "key", text);
    daemon_kill(process);
    daemon_start(process, NULL);
    struct answer again = submit_with_key(process, "key", text);
    assert_int_equal(again.status, 201);
    assert_int_equal(integer_at(&again, "id"), integer_at(&first, "id"));
    answer_release(&first);
    answer_release(&again);
}

static void test_idempotency_key_must_be_a_short_plain_text(void **state)
{
    struct daemon_process *process = *state;
    char text[SPEC_TEST_SIZE], key[140];
    spec_write(text, "one", 4);
    memset(key, 'k', 129);
    key[129] = '\0';
    struct answer empty = submit_with_key(process, "", text);
    struct answer wide = submit_with_key(process, "k\xc3\xa4", text);
    struct answer endless = submit_with_key(process, key, text);
    key[128] = '\0';
    struct answer longest = submit_with_key(process, key, text);
    assert_problem(&empty, 400, "invalid-parameter");
    assert_problem(&wide, 400, "invalid-parameter");
    assert_problem(&endless, 400, "invalid-parameter");
    assert_string_equal(text_at(&endless, "parameter"), "Idempotency-Key");
    assert_int_equal(longest.status, 201);
    answer_release(&empty);
    answer_release(&wide);
    answer_release(&endless);
    answer_release(&longest);
}

/* ---- list ---- */

static void test_searches_are_listed_newest_first_in_pages(void **state)
{
    enum { SEARCHES = 5 };
    struct daemon_process *process = *state;
    char token[128] = "";
    int64_t expected = SEARCHES;
    for (int i = 0; i < SEARCHES; i++)
        search_submit(process, "listed", 4);
    do {
        struct answer page = get(process, "/v1/searches?page_size=2&page_token=%s", token);
        assert_int_equal(page.status, 200);
        size_t count = json_array_size(member(&page, "searches"));
        assert_int_equal(count, expected >= 2 ? 2 : expected);
        assert_int_equal(integer_at(&page, "searches.0.id"), expected);
        assert_null(json_object_get(member(&page, "searches.0"), "spec"));
        expected -= (int64_t)count;
        snprintf(token, sizeof token, "%s", text_at(&page, "next_page_token"));
        answer_release(&page);
    } while (*token);
    assert_int_equal(expected, 0);
}

static void test_page_tokens_belong_to_their_query(void **state)
{
    struct daemon_process *process = *state;
    search_submit(process, "a", 4);
    search_submit(process, "b", 4);
    struct answer page = get(process, "/v1/searches?page_size=1");
    const char *token = text_at(&page, "next_page_token");
    assert_true(*token);
    struct answer other = get(process, "/v1/searches/1/candidates?page_token=%s", token);
    struct answer spoilt =
        get(process, "/v1/searches?page_token=%.*sx", (int)strlen(token) - 1, token);
    struct answer resized = get(process, "/v1/searches?page_size=7&page_token=%s", token);
    assert_problem(&other, 400, "invalid-parameter");
    assert_problem(&spoilt, 400, "invalid-parameter");
    assert_string_equal(text_at(&spoilt, "parameter"), "page_token");
    assert_int_equal(resized.status, 200);
    assert_int_equal(integer_at(&resized, "searches.0.id"), 1);
    answer_release(&page);
    answer_release(&other);
    answer_release(&spoilt);
    answer_release(&resized);
}

/* ---- steer ---- */

static void test_search_is_paused_resumed_and_cancelled(void **state)
{
    struct daemon_process *process = *state;
    int64_t id = search_submit(process, "steered", 4);
    static const struct {
        const char *verb;
        int status;
        const char *then;
    } table[] = {
        {"resume", 200, "running"},   {"pause", 200, "paused"},    {"pause", 200, "paused"},
        {"resume", 200, "running"},   {"pause", 200, "paused"},    {"cancel", 200, "cancelled"},
        {"cancel", 200, "cancelled"}, {"pause", 409, "cancelled"}, {"resume", 409, "cancelled"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        assert_int_equal(search_steer(process, id, table[i].verb), table[i].status);
        struct answer shown = get(process, "/v1/searches/%lld", (long long)id);
        assert_string_equal(text_at(&shown, "state"), table[i].then);
        answer_release(&shown);
    }
    struct answer conflict = post(process, "/v1/searches/1:pause", NULL);
    assert_problem(&conflict, 409, "conflict");
    answer_release(&conflict);
}

static void test_paused_search_gives_no_work(void **state)
{
    struct daemon_process *process = *state;
    struct lease_response response;
    int64_t id = search_submit(process, "paused", 4);
    fake_worker_register(process, "w", 1);
    assert_int_equal(search_steer(process, id, "pause"), 200);
    assert_int_equal(fake_worker_lease(process, "w", 0, 0, &response), 200);
    assert_false(response.has_task);
    assert_int_equal(search_steer(process, id, "resume"), 200);
    assert_int_equal(fake_worker_lease(process, "w", 0, 0, &response), 200);
    assert_true(response.has_task);
}

/* ---- the rules of all routes ---- */

static void test_unknown_things_are_404(void **state)
{
    static const char *const paths[] = {"/v1/searches/7",
                                        "/v1/searches/x",
                                        "/v1/searches/007",
                                        "/v1/searches/18446744073709551616",
                                        "/v1/searches/-1",
                                        "/v1/searches/7/candidates",
                                        "/v1/searches/7/candidates/1",
                                        "/v1/searches/1/candidates/99",
                                        "/v1/searches/1/candidates/x",
                                        "/v1/searches/7/frontier",
                                        "/v1/searches/7/ranking",
                                        "/v1/searches/7/export",
                                        "/v1/searches/1/export?candidate=99",
                                        "/v1/searches/7/events",
                                        "/v1/nothing",
                                        "/v1/searches/",
                                        "/v1/../etc/passwd",
                                        "/nothing",
                                        "/v2/searches"};
    struct daemon_process *process = *state;
    search_submit(process, "only", 4);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        struct answer answer = get(process, "%s", paths[i]);
        assert_problem(&answer, 404, "not-found");
        answer_release(&answer);
    }
    assert_int_equal(search_steer(process, 7, "pause"), 404);
}

static void test_wrong_methods_are_405_and_told_the_right_ones(void **state)
{
    static const struct {
        const char *method, *path, *allow;
    } table[] = {
        {"DELETE", "/v1/searches", "POST, GET, HEAD"},
        {"PUT", "/v1/searches/1", "GET, HEAD"},
        {"GET", "/v1/searches/1:pause", "POST"},
        {"POST", "/v1/searches/1/candidates", "GET, HEAD"},
        {"PATCH", "/v1/searches/1/candidates/1", "GET, HEAD"},
        {"POST", "/v1/searches/1/frontier", "GET, HEAD"},
        {"POST", "/v1/searches/1/ranking", "GET, HEAD"},
        {"POST", "/v1/searches/1/export", "GET, HEAD"},
        {"POST", "/v1/searches/1/events", "GET, HEAD"},
        {"POST", "/v1/workers", "GET, HEAD"},
        {"POST", "/v1/datasets", "GET, HEAD"},
        {"POST", "/v1/presets", "GET, HEAD"},
        {"OPTIONS", "/healthz", "GET, HEAD"},
        {"TRACE", "/readyz", "GET, HEAD"},
        {"GET", "/worker/v1/lease", "POST"},
        {"BREW", "/worker/v1/report", "POST"},
        {"GET", "/worker/v1/result", "POST"},
    };
    struct daemon_process *process = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct call request = {.method = table[i].method, .path = table[i].path};
        struct answer answer = call(process, &request);
        assert_problem(&answer, 405, "method-not-allowed");
        assert_string_equal(answer_header(&answer, "Allow"), table[i].allow);
        answer_release(&answer);
    }
}

static void test_wrong_parameters_are_refused_by_name(void **state)
{
    static const struct {
        const char *path, *parameter;
    } table[] = {
        {"/v1/searches?pagesize=1", "pagesize"},
        {"/v1/searches?page_size=0", "page_size"},
        {"/v1/searches?page_size=1001", "page_size"},
        {"/v1/searches?page_size=ten", "page_size"},
        {"/v1/searches?page_token=x", "page_token"},
        {"/v1/searches/1?x=1", "x"},
        {"/v1/searches/1/candidates?state=happy", "state"},
        {"/v1/searches/1/candidates?state=done,,failed", "state"},
        {"/v1/searches/1/candidates?sort=beauty", "sort"},
        {"/v1/searches/1/candidates?sort=", "sort"},
        {"/v1/searches/1/frontier?objectives=accuracy,beauty", "objectives"},
        {"/v1/searches/1/frontier?objectives=accuracy,accuracy", "objectives"},
        {"/v1/searches/1/frontier?objectives=accuracy,params,macs,memory", "objectives"},
        {"/v1/searches/1/ranking?beauty=1", "beauty"},
        {"/v1/searches/1/ranking?params=nan", "params"},
        {"/v1/searches/1/ranking?params=inf", "params"},
        {"/v1/searches/1/ranking?params=", "params"},
        {"/v1/searches/1/ranking?params=-11", "params"},
        {"/v1/searches/1/ranking?limit=0", "limit"},
        {"/v1/searches/1/export?format=exe", "format"},
        {"/v1/searches/1/export?candidate=-1", "candidate"},
        {"/v1/searches/1/events?after=x", "after"},
        {"/healthz?x", "x"},
    };
    struct daemon_process *process = *state;
    search_submit(process, "only", 4);
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct answer answer = get(process, "%s", table[i].path);
        assert_problem(&answer, 400, "invalid-parameter");
        assert_string_equal(text_at(&answer, "parameter"), table[i].parameter);
        answer_release(&answer);
    }
}

static void test_health_and_catalogues_answer(void **state)
{
    struct daemon_process *process = *state;
    struct answer health = get(process, "/healthz"), ready = get(process, "/readyz");
    struct answer datasets = get(process, "/v1/datasets"), presets = get(process, "/v1/presets");
    struct answer workers = get(process, "/v1/workers");
    assert_string_equal(text_at(&health, "status"), "ok");
    assert_string_equal(text_at(&health, "version"), ARCHSCOUT_VERSION);
    assert_string_equal(text_at(&ready, "status"), "ready");
    assert_true(json_array_size(member(&datasets, "datasets")) >= 4);
    assert_string_equal(text_at(&datasets, "datasets.3.name"), "fashion-mnist");
    assert_int_equal(integer_at(&datasets, "datasets.3.train_images"), 60000);
    assert_true(json_array_size(member(&presets, "presets")) >= 16);
    assert_int_equal(json_array_size(member(&workers, "workers")), 0);
    answer_release(&health);
    answer_release(&ready);
    answer_release(&datasets);
    answer_release(&presets);
    answer_release(&workers);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_set_up, daemon_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_submitted_search_is_shown_as_it_was_sent),
        TEST(test_invalid_specs_are_refused_with_the_place),
        TEST(test_idempotency_key_makes_one_search_of_one_body),
        TEST(test_idempotency_key_survives_a_crash),
        TEST(test_idempotency_key_must_be_a_short_plain_text),
        TEST(test_searches_are_listed_newest_first_in_pages),
        TEST(test_page_tokens_belong_to_their_query),
        TEST(test_search_is_paused_resumed_and_cancelled),
        TEST(test_paused_search_gives_no_work),
        TEST(test_unknown_things_are_404),
        TEST(test_wrong_methods_are_405_and_told_the_right_ones),
        TEST(test_wrong_parameters_are_refused_by_name),
        TEST(test_health_and_catalogues_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
