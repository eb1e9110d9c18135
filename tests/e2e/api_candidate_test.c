/* What a search finds: candidates, frontier, ranking, export. Workers here train nothing: fake_result() makes up what they
 * measure from the architecture. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "search/attributes.h"
#include "tests/e2e/fake_worker.h"
#include "tests/e2e/search_spec.h"

enum { CANDIDATES = 12 };

/* A running daemon whose search 1 is done. */
static int set_up_done(void **state)
{
    daemon_set_up(state);
    struct daemon_process *process = *state;
    search_submit(process, "done", CANDIDATES);
    fake_worker_register(process, "w", 1);
    fake_worker_train(process, "w", CANDIDATES);
    return 0;
}

static void test_finished_search_counts_what_was_done(void **state)
{
    struct daemon_process *process = *state;
    struct answer shown = get(process, "/v1/searches/1");
    assert_string_equal(text_at(&shown, "state"), "done");
    assert_int_equal(integer_at(&shown, "progress.created"), CANDIDATES);
    assert_int_equal(integer_at(&shown, "progress.done"), CANDIDATES);
    assert_int_equal(integer_at(&shown, "progress.queued"), 0);
    assert_int_equal(integer_at(&shown, "spend.results"), CANDIDATES);
    assert_int_equal(integer_at(&shown, "spend.images"), CANDIDATES * 1600);
    assert_near(number_at(&shown, "spend.seconds"), CANDIDATES * 2.5, 1e-9);
    assert_false(is_null_at(&shown, "finished_at"));
    assert_string_equal(text_at(&shown, "best.state"), "done");
    assert_int_equal(search_steer(process, 1, "pause"), 409);
    assert_int_equal(search_steer(process, 1, "resume"), 409);
    answer_release(&shown);
}

static void test_candidate_shows_its_attempt_epochs_and_stage_table(void **state)
{
    struct daemon_process *process = *state;
    struct answer shown = get(process, "/v1/searches/1/candidates/3");
    assert_int_equal(shown.status, 200);
    assert_int_equal(integer_at(&shown, "number"), 3);
    assert_string_equal(text_at(&shown, "outcome"), "done");
    assert_true(strstr(text_at(&shown, "architecture"), "stem_") != NULL);
    assert_near(number_at(&shown, "timing.baseline_seconds"), 0.005, 1e-12);
    assert_near(number_at(&shown, "step_time"), number_at(&shown, "timing.median_seconds") / 0.005,
                1e-9);
    assert_true(json_is_false(member(&shown, "timing.contended")));
    assert_true(is_null_at(&shown, "running"));
    assert_int_equal(json_array_size(member(&shown, "attempts")), 1);
    assert_string_equal(text_at(&shown, "attempts.0.worker"), "w");
    assert_string_equal(text_at(&shown, "attempts.0.outcome"), "done");
    assert_near(number_at(&shown, "attempts.0.accuracy"), number_at(&shown, "accuracy"), 0);
    assert_int_equal(json_array_size(member(&shown, "attempts.0.epochs")), 2);
    assert_near(number_at(&shown, "attempts.0.epochs.1.train_loss"), 0.5, 1e-12);
    assert_int_equal(integer_at(&shown, "model.params"), integer_at(&shown, "params"));
    assert_int_equal(integer_at(&shown, "model.macs"), integer_at(&shown, "macs"));
    assert_true(json_array_size(member(&shown, "model.stages")) > 0);
    answer_release(&shown);
}

/* Candidates in the order of `sort`; `key` must go the way of `direction` (1 up, -1 down), and each come once. */
static void check_order(const struct daemon_process *process, const char *sort, const char *key,
                        double direction)
{
    char token[128] = "";
    bool seen[CANDIDATES] = {false};
    double last = -direction * INFINITY;
    int count = 0;
    do {
        struct answer page = get(
            process, "/v1/searches/1/candidates?sort=%s&page_size=5&page_token=%s", sort, token);
        assert_int_equal(page.status, 200);
        size_t i = 0;
        json_t *item = NULL;
        json_array_foreach(member(&page, "candidates"), i, item)
        {
            double value = json_number_value(json_object_get(item, key));
            json_int_t number = json_integer_value(json_object_get(item, "number"));
            if (direction * value < direction * last)
                fail_msg("%s: %g after %g", sort, value, last);
            assert_true(number >= 0 && number < CANDIDATES && !seen[number]);
            seen[number] = true;
            last = value;
            count++;
        }
        snprintf(token, sizeof token, "%s", text_at(&page, "next_page_token"));
        answer_release(&page);
    } while (*token);
    assert_int_equal(count, CANDIDATES);
}

static void test_candidates_are_sorted_and_paged(void **state)
{
    static const struct {
        const char *key;
        double best_first;
    } table[] = {{"number", 1}, {"reward", -1}, {"accuracy", -1}, {"step_time", 1},
                 {"params", 1}, {"macs", 1},    {"memory", 1},    {"loss", 1}};
    struct daemon_process *process = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        char worst[32];
        snprintf(worst, sizeof worst, "-%s", table[i].key);
        check_order(process, table[i].key, table[i].key, table[i].best_first);
        check_order(process, worst, table[i].key, -table[i].best_first);
    }
}

static void test_candidates_are_filtered_by_state(void **state)
{
    struct daemon_process *process = *state;
    int64_t id = search_submit(process, "half", 6);
    char path[128];
    fake_worker_train(process, "w", 2);
    struct wire_task task = fake_worker_task(process, "w", 0);
    struct wire_result result = {.outcome = WIRE_OUTCOME_DIVERGED, .seconds = 1, .message = "NaN"};
    bool accepted = false;
    assert_int_equal(fake_worker_result(process, "w", &task, &result, &accepted), 200);
    fake_worker_task(process, "w", 0);
    static const struct {
        const char *states;
        size_t count;
    } table[] = {{"done", 2}, {"failed", 1}, {"leased", 1}, {"done,failed", 3}, {"cancelled", 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        snprintf(path, sizeof path, "/v1/searches/%lld/candidates?state=%s", (long long)id,
                 table[i].states);
        struct answer page = get(process, "%s", path);
        assert_int_equal(json_array_size(member(&page, "candidates")), table[i].count);
        answer_release(&page);
    }
    struct answer leased = get(process, "/v1/searches/%lld/candidates?state=leased", (long long)id);
    assert_string_equal(text_at(&leased, "candidates.0.running.worker"), "w");
    assert_true(is_null_at(&leased, "candidates.0.reward"));
    struct answer failed = get(process, "/v1/searches/%lld/candidates/%llu", (long long)id,
                               (unsigned long long)task.candidate);
    assert_string_equal(text_at(&failed, "outcome"), "diverged");
    assert_string_equal(text_at(&failed, "attempts.0.message"), "NaN");
    answer_release(&leased);
    answer_release(&failed);
}

/* ---- frontier ---- */

struct point {
    double accuracy, step_time, params;
    bool front;
};

static bool dominates(const struct point *a, const struct point *b)
{
    bool no_worse =
        a->accuracy >= b->accuracy && a->step_time <= b->step_time && a->params <= b->params;
    return no_worse &&
           (a->accuracy > b->accuracy || a->step_time < b->step_time || a->params < b->params);
}

static void test_frontier_is_what_no_candidate_dominates(void **state)
{
    struct daemon_process *process = *state;
    struct point points[CANDIDATES];
    struct answer all = get(process, "/v1/searches/1/candidates");
    struct answer shown = get(process, "/v1/searches/1/frontier");
    size_t i = 0, expected = 0;
    json_t *item = NULL;
    json_array_foreach(member(&all, "candidates"), i, item)
    {
        points[i] =
            (struct point){.accuracy = json_number_value(json_object_get(item, "accuracy")),
                           .step_time = json_number_value(json_object_get(item, "step_time")),
                           .params = json_number_value(json_object_get(item, "params"))};
    }
    for (size_t a = 0; a < CANDIDATES; a++) {
        points[a].front = true;
        for (size_t b = 0; b < CANDIDATES; b++)
            points[a].front = points[a].front && !dominates(&points[b], &points[a]);
        expected += points[a].front;
    }
    assert_int_equal(json_array_size(member(&shown, "points")), expected);
    json_array_foreach(member(&shown, "points"), i, item)
    {
        assert_true(points[json_integer_value(json_object_get(item, "candidate"))].front);
    }
    assert_true(number_at(&shown, "hypervolume") > 0);
    assert_true(number_at(&shown, "hypervolume_fraction") > 0);
    assert_true(number_at(&shown, "hypervolume_fraction") < 1);
    assert_true(number_at(&shown, "reference.params") > 0);
    answer_release(&all);
    answer_release(&shown);
}

static void test_frontier_of_one_objective_is_its_best(void **state)
{
    struct daemon_process *process = *state;
    struct answer front = get(process, "/v1/searches/1/frontier?objectives=accuracy");
    struct answer best = get(process, "/v1/searches/1/candidates?sort=accuracy&page_size=1");
    assert_int_equal(json_array_size(member(&front, "objectives")), 1);
    assert_near(number_at(&front, "points.0.accuracy"), number_at(&best, "candidates.0.accuracy"),
                0);
    assert_null(json_object_get(member(&front, "points.0"), "params"));
    answer_release(&front);
    answer_release(&best);
}

/* ---- ranking ---- */

static void test_ranking_rescores_with_other_exponents(void **state)
{
    struct daemon_process *process = *state;
    struct answer own = get(process, "/v1/searches/1/ranking?limit=3");
    struct answer plain = get(process, "/v1/searches/1/ranking?limit=1&params=0");
    struct answer heavy = get(process, "/v1/searches/1/ranking?params=-5");
    struct answer accurate = get(process, "/v1/searches/1/candidates?sort=accuracy&page_size=1");
    struct answer smallest = get(process, "/v1/searches/1/candidates?sort=params&page_size=1");
    assert_int_equal(json_array_size(member(&own, "candidates")), 3);
    assert_near(number_at(&own, "reward.step_time"), -0.07, 1e-12);
    struct answer best = get(process, "/v1/searches/1");
    assert_int_equal(integer_at(&own, "candidates.0.number"), integer_at(&best, "best.number"));
    assert_near(number_at(&plain, "candidates.0.reward"),
                number_at(&accurate, "candidates.0.accuracy"), 1e-12);
    assert_int_equal(integer_at(&heavy, "candidates.0.params"),
                     integer_at(&smallest, "candidates.0.params"));
    assert_int_equal(json_array_size(member(&heavy, "candidates")), CANDIDATES);
    answer_release(&own);
    answer_release(&plain);
    answer_release(&heavy);
    answer_release(&accurate);
    answer_release(&smallest);
    answer_release(&best);
}

/* ---- export ---- */

static void test_export_comes_in_three_formats(void **state)
{
    static const struct {
        const char *format, *type;
    } table[] = {{"json", "application/json"}, {"csv", "text/csv"}, {"markdown", "text/markdown"}};
    struct daemon_process *process = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct answer answer =
            get(process, "/v1/searches/1/export?format=%s&candidate=3", table[i].format);
        assert_int_equal(answer.status, 200);
        const char *type = answer_header(&answer, "Content-Type");
        assert_memory_equal(type, table[i].type, strlen(table[i].type));
        assert_true(strstr(answer.body, "stem") != NULL);
        answer_release(&answer);
    }
}

static void test_export_takes_the_best_by_default(void **state)
{
    struct daemon_process *process = *state;
    struct answer search = get(process, "/v1/searches/1");
    struct answer chosen = get(process, "/v1/searches/1/export");
    struct answer named = get(process, "/v1/searches/1/export?format=json&candidate=%lld",
                              (long long)integer_at(&search, "best.number"));
    assert_string_equal(chosen.body, named.body);
    assert_int_equal(integer_at(&chosen, "params"), integer_at(&search, "best.params"));
    answer_release(&search);
    answer_release(&chosen);
    answer_release(&named);
}

static void test_export_without_a_result_is_a_conflict(void **state)
{
    struct daemon_process *process = *state;
    int64_t id = search_submit(process, "empty", 4);
    struct answer answer = get(process, "/v1/searches/%lld/export", (long long)id);
    assert_problem(&answer, 409, "no-result");
    answer_release(&answer);
}

static void test_everything_is_the_same_after_a_crash(void **state)
{
    static const char *const paths[] = {"/v1/searches/1", "/v1/searches/1/candidates",
                                        "/v1/searches/1/candidates/5", "/v1/searches/1/frontier",
                                        "/v1/searches/1/ranking?params=-1"};
    struct daemon_process *process = *state;
    struct answer before[ARRAY_LENGTH(paths)];
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
        before[i] = get(process, "%s", paths[i]);
    daemon_kill(process);
    daemon_start(process, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        struct answer after = get(process, "%s", paths[i]);
        assert_string_equal(after.body, before[i].body);
        answer_release(&after);
        answer_release(&before[i]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_done, daemon_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_finished_search_counts_what_was_done),
        TEST(test_candidate_shows_its_attempt_epochs_and_stage_table),
        TEST(test_candidates_are_sorted_and_paged),
        TEST(test_candidates_are_filtered_by_state),
        TEST(test_frontier_is_what_no_candidate_dominates),
        TEST(test_frontier_of_one_objective_is_its_best),
        TEST(test_ranking_rescores_with_other_exponents),
        TEST(test_export_comes_in_three_formats),
        TEST(test_export_takes_the_best_by_default),
        TEST(test_export_without_a_result_is_a_conflict),
        TEST(test_everything_is_the_same_after_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
