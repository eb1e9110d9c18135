/* Searches played over tables: the order of results, what proposals have seen, noise, missing rows, and the scores. */
#include "search/rehearsal_score.h"

#include "search/random.h"
#include "tests/unit/search/specs.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define assert_near(a, b, tolerance) assert_true(fabs((double)(a) - (double)(b)) <= (tolerance))

enum { STAGES = 4, CHOICES = 3, ENCODINGS = 81, BUDGET = 40, PARALLEL_MAX = 4, TEXT_SIZE = 16384 };

/* All 81 encodings make different networks. */
static const char space[] =
    "{\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 16}, \"stages\": ["
    "{\"block\": \"mbconv\", \"expansion\": [1, 2, 4], \"channels\": 8, \"stride\": 2},"
    "{\"block\": \"mbconv\", \"expansion\": [1, 2, 4], \"channels\": 12},"
    "{\"block\": \"mbconv\", \"kernel\": [3, 5, 7], \"channels\": 16},"
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3], \"channels\": 24}]}";

static const char *const seeded[] = {"evolution", "local", "random"};

static struct spec *spec;
static struct result_table table;
static struct rehearsal_options options;

static void spec_of(const char *strategy, const char *members)
{
    char text[512];
    snprintf(text, sizeof text,
             ", \"objectives\": [\"accuracy\", \"macs\"], \"reward\": {\"accuracy\": 1},"
             " \"strategy\": {\"name\": \"%s\"}, \"parallel_max\": %d, \"seed\": 7%s",
             strategy, PARALLEL_MAX, members);
    spec_free(spec);
    spec = specs_with(space, text);
}

/* A row for each encoding but the last `missing`: accuracies and seconds that look random, and two runs around the first. */
static void table_of(bool with_seconds, int missing)
{
    static char text[TEXT_SIZE];
    size_t used = (size_t)snprintf(text, sizeof text, "encoding,accuracy,accuracy_1,accuracy_2%s\n",
                                   with_seconds ? ",seconds" : "");
    struct error error = {0};
    for (int i = 0; i < ENCODINGS - missing; i++) {
        struct random_stream random = random_stream_of(3, (uint64_t)i, RANDOM_WEIGHTS);
        double accuracy = 0.5 + 0.4 * random_unit(&random);
        used += (size_t)snprintf(text + used, sizeof text - used, "%d%d%d%d,%.4f,%.4f,%.4f", i / 27,
                                 i / 9 % 3, i / 3 % 3, i % 3, accuracy, accuracy - 0.05,
                                 accuracy + 0.05);
        if (with_seconds)
            used += (size_t)snprintf(text + used, sizeof text - used, ",%u",
                                     10 + (unsigned)random_below(&random, 90));
        used += (size_t)snprintf(text + used, sizeof text - used, "\n");
    }
    assert_true(used < sizeof text);
    result_table_release(&table);
    if (result_table_read(text, used, &(struct result_columns){0}, spec, &table, &error) < 0)
        fail_msg("%s", error.message);
}

static int setup(void **state)
{
    (void)state;
    spec_of("evolution", ", \"budget\": {\"candidates\": 40}");
    table_of(true, 0);
    options = (struct rehearsal_options){.table = &table, .workers = 1};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    result_table_release(&table);
    spec_free(spec);
    spec = NULL;
    return 0;
}

static struct rehearsal play(void)
{
    struct rehearsal rehearsal;
    struct error error = {0};
    assert_int_equal(rehearsal_check(spec, &options, &error), 0);
    if (rehearsal_run(spec, &options, &rehearsal, &error) < 0)
        fail_msg("%s", error.message);
    return rehearsal;
}

static bool same_candidates(const struct rehearsal *a, const struct rehearsal *b)
{
    bool same = a->count == b->count;
    for (uint64_t i = 0; i < a->count && same; i++)
        same = a->candidates[i].hash == b->candidates[i].hash &&
               a->candidates[i].seen == b->candidates[i].seen &&
               a->candidates[i].parent == b->candidates[i].parent &&
               a->candidates[i].accuracy == b->candidates[i].accuracy;
    return same;
}

static void test_one_worker_trains_one_after_the_other(void **state)
{
    (void)state;
    struct rehearsal rehearsal = play();
    double clock = 0;
    assert_int_equal(rehearsal.count, BUDGET);
    assert_int_equal(rehearsal.accepted_count, BUDGET);
    for (uint64_t k = 0; k < BUDGET; k++) {
        const struct rehearsal_candidate *candidate = &rehearsal.candidates[k];
        clock += candidate->entry->seconds;
        assert_int_equal(rehearsal.accepted[k], k);
        assert_int_equal(candidate->seen, k);
        assert_near(candidate->finish, clock, 1e-6);
        assert_near(candidate->accuracy, candidate->entry->accuracy, 0);
        assert_near(candidate->reward, candidate->accuracy, 1e-12);
    }
    rehearsal_release(&rehearsal);
}

/* Trainings that are under way just before candidate k finishes, its own included. */
static uint32_t under_way(const struct rehearsal *rehearsal, uint64_t k)
{
    double end = rehearsal->candidates[k].finish;
    uint32_t count = 0;
    for (uint64_t i = 0; i < rehearsal->count; i++) {
        const struct rehearsal_candidate *other = &rehearsal->candidates[i];
        count += other->finish >= end && other->finish - other->entry->seconds < end;
    }
    return count;
}

static void test_workers_train_side_by_side_and_results_come_as_they_end(void **state)
{
    (void)state;
    options.workers = 3;
    struct rehearsal rehearsal = play();
    bool overtaken = false;
    for (uint64_t i = 0; i < BUDGET; i++) {
        uint64_t k = rehearsal.accepted[i];
        uint64_t before = i > 0 ? rehearsal.accepted[i - 1] : k;
        assert_true(rehearsal.candidates[before].finish <= rehearsal.candidates[k].finish);
        if (rehearsal.candidates[before].finish == rehearsal.candidates[k].finish && i > 0)
            assert_true(before < k);
        overtaken = overtaken || before > k;
        assert_in_range(under_way(&rehearsal, k), 1, 3);
        /* The first three are made at once; each of the others as soon as a result frees its worker. */
        assert_int_equal(rehearsal.candidates[i].seen, i < 3 ? 0 : i - 2);
        if (i >= 3)
            assert_near(rehearsal.candidates[i].finish - rehearsal.candidates[i].entry->seconds,
                        rehearsal.candidates[rehearsal.accepted[i - 3]].finish, 1e-6);
    }
    assert_true(overtaken);
    rehearsal_release(&rehearsal);
}

static void test_no_more_than_parallel_max_are_unfinished(void **state)
{
    (void)state;
    options.workers = PARALLEL_MAX;
    struct rehearsal four = play();
    options.workers = 100;
    struct rehearsal many = play();
    assert_true(same_candidates(&four, &many));
    assert_int_equal(many.candidates[PARALLEL_MAX].seen, 1);
    assert_memory_equal(four.accepted, many.accepted, BUDGET * sizeof four.accepted[0]);
    rehearsal_release(&four);
    rehearsal_release(&many);
}

static void test_a_rehearsal_is_a_function_of_the_seed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(seeded); i++) {
        spec_of(seeded[i], ", \"budget\": {\"candidates\": 40}");
        options.workers = 3;
        struct rehearsal first = play(), second = play();
        spec->seed++;
        struct rehearsal other = play();
        assert_true(same_candidates(&first, &second));
        assert_false(same_candidates(&first, &other));
        rehearsal_release(&first);
        rehearsal_release(&second);
        rehearsal_release(&other);
    }
}

static void test_deterministic_search_is_the_same_with_any_number_of_workers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(seeded); i++) {
        spec_of(seeded[i], ", \"budget\": {\"candidates\": 40}, \"deterministic\": true");
        options.noise = true;
        options.workers = 1;
        struct rehearsal alone = play();
        for (uint64_t k = 0; k < BUDGET; k++)
            assert_int_equal(alone.candidates[k].seen, k < PARALLEL_MAX ? 0 : k - PARALLEL_MAX + 1);
        for (options.workers = 2; options.workers <= PARALLEL_MAX + 1; options.workers++) {
            struct rehearsal together = play();
            assert_true(same_candidates(&alone, &together));
            assert_true(together.candidates[BUDGET - 1].finish <
                        alone.candidates[BUDGET - 1].finish);
            rehearsal_release(&together);
        }
        rehearsal_release(&alone);
    }
}

static void test_noise_gives_one_of_the_runs(void **state)
{
    (void)state;
    options.noise = true;
    struct rehearsal rehearsal = play();
    unsigned runs[2] = {0, 0};
    for (uint64_t k = 0; k < BUDGET; k++) {
        const struct rehearsal_candidate *candidate = &rehearsal.candidates[k];
        for (int i = 0; i < 2; i++)
            runs[i] += candidate->accuracy == candidate->entry->run[i];
    }
    assert_int_equal(runs[0] + runs[1], BUDGET);
    assert_true(runs[0] > BUDGET / 5 && runs[1] > BUDGET / 5);
    rehearsal_release(&rehearsal);
    table.run_count = 1;
    struct error error = {0};
    assert_int_equal(rehearsal_check(spec, &options, &error), -EINVAL);
    assert_non_null(strstr(error.message, "two runs"));
}

static void test_missing_rows_fail_or_are_refused(void **state)
{
    (void)state;
    table_of(true, 60);
    assert_false(table.complete);
    struct rehearsal rehearsal;
    struct error error = {0};
    assert_int_equal(rehearsal_run(spec, &options, &rehearsal, &error), -ENOENT);
    assert_non_null(strstr(error.message, "The table has no result for "));
    assert_non_null(strstr(error.message, "of strategy evolution with seed 7"));
    options.missing = REHEARSAL_MISSING_REFUSED;
    rehearsal = play();
    unsigned refused = 0;
    for (uint64_t k = 0; k < BUDGET; k++)
        refused += rehearsal.candidates[k].entry == NULL;
    assert_int_equal(rehearsal.accepted_count, BUDGET);
    assert_in_range(refused, 1, BUDGET - 1);
    rehearsal_release(&rehearsal);
}

static void test_a_space_that_is_exhausted_ends_the_rehearsal(void **state)
{
    (void)state;
    spec_of("random", ", \"budget\": {\"candidates\": 200}");
    options.workers = 3;
    struct rehearsal rehearsal = play();
    assert_int_equal(rehearsal.count, ENCODINGS);
    assert_int_equal(rehearsal.accepted_count, ENCODINGS);
    struct rehearsal_truth truth;
    struct rehearsal_score score;
    assert_int_equal(rehearsal_truth_of(spec, &table, &truth), 0);
    assert_int_equal(rehearsal_score_of(spec, &rehearsal, &truth, 0, &score), 0);
    for (size_t mark = 2; mark < 4; mark++) { /* 100 and 200 results */
        assert_near(score.standings[mark].regret, 0, 0);
        assert_near(score.standings[mark].hypervolume, 1, 1e-12);
        assert_near(score.standings[mark].clock,
                    rehearsal.candidates[rehearsal.accepted[ENCODINGS - 1]].finish, 0);
    }
    assert_in_range(score.reached, 1, ENCODINGS);
    rehearsal_release(&rehearsal);
}

static void test_without_seconds_a_mean_training_is_the_unit(void **state)
{
    (void)state;
    table_of(false, 0);
    double sum = 0;
    for (size_t i = 0; i < table.count; i++)
        sum += rehearsal_duration(&table, &table.entries[i]);
    assert_near(sum / (double)table.count, 1, 1e-6);
    const struct result_entry *a = &table.entries[0], *b = &table.entries[80];
    assert_near(rehearsal_duration(&table, b) / rehearsal_duration(&table, a),
                (double)b->cost.macs / (double)a->cost.macs, 1e-6);
    struct rehearsal rehearsal = play();
    assert_near(rehearsal.candidates[0].finish,
                rehearsal_duration(&table, rehearsal.candidates[0].entry), 1e-6);
    rehearsal_release(&rehearsal);
}

static void test_what_the_table_cannot_answer_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    spec_free(spec);
    spec = specs_with(space, "");
    assert_int_equal(rehearsal_check(spec, &options, &error), -EINVAL);
    assert_non_null(strstr(error.message, "reward takes step_time"));
    spec_free(spec);
    spec = specs_with(space, ", \"objectives\": [\"accuracy\", \"loss\"], \"reward\": {}");
    assert_int_equal(rehearsal_check(spec, &options, &error), -EINVAL);
    assert_non_null(strstr(error.message, "objectives have loss"));
    spec_of("random", "");
    spec->constraints.macs_max = 1;
    assert_int_equal(rehearsal_check(spec, &options, &error), -EINVAL);
    assert_non_null(strstr(error.message, "No architecture of the table"));
}

/* Counted by hand from the candidates of a play. */
static void test_scores_follow_from_the_accepted_results(void **state)
{
    (void)state;
    options.workers = 3;
    options.noise = true;
    struct rehearsal rehearsal = play();
    struct rehearsal_truth truth;
    struct rehearsal_score score;
    assert_int_equal(rehearsal_truth_of(spec, &table, &truth), 0);
    double best = 0;
    for (size_t i = 0; i < table.count; i++)
        best = fmax(best, table.entries[i].accuracy);
    assert_near(truth.reward, best, 0);
    const double within = 0.03;
    assert_int_equal(rehearsal_score_of(spec, &rehearsal, &truth, within, &score), 0);
    const struct rehearsal_candidate *chosen = NULL;
    uint64_t reached = 0;
    for (uint64_t i = 0; i < 25; i++) {
        const struct rehearsal_candidate *candidate = &rehearsal.candidates[rehearsal.accepted[i]];
        if (!chosen || candidate->accuracy > chosen->accuracy)
            chosen = candidate;
        if (reached == 0 && best - candidate->entry->accuracy <= within)
            reached = i + 1;
    }
    assert_true(reached > 0);
    assert_int_equal(score.reached, reached);
    assert_near(score.standings[0].accuracy, chosen->entry->accuracy, 0);
    assert_near(score.standings[0].regret, best - chosen->entry->accuracy, 1e-12);
    assert_near(score.standings[0].clock, rehearsal.candidates[rehearsal.accepted[24]].finish, 0);
    assert_true(score.standings[0].hypervolume > 0.5 && score.standings[0].hypervolume < 1);
    assert_true(score.standings[1].hypervolume >= score.standings[0].hypervolume);
    rehearsal_release(&rehearsal);
}

static void test_hypervolume_is_a_share_of_the_tables_front(void **state)
{
    (void)state;
    struct rehearsal_candidate candidate = {.entry = &table.entries[40], .finish = 5};
    uint64_t accepted[1] = {0};
    struct rehearsal rehearsal = {&candidate, accepted, 1, 1};
    struct rehearsal_truth truth;
    struct rehearsal_score score;
    spec->has_reference = true;
    spec->reference.value[OBJECTIVE_ACCURACY] = 0;
    spec->reference.value[OBJECTIVE_MACS] = 2 * (double)table.entries[40].cost.macs;
    assert_int_equal(rehearsal_truth_of(spec, &table, &truth), 0);
    assert_int_equal(rehearsal_score_of(spec, &rehearsal, &truth, 0, &score), 0);
    assert_near(score.standings[0].hypervolume * truth.hypervolume,
                table.entries[40].accuracy * (double)table.entries[40].cost.macs, 1);
    assert_near(score.standings[0].clock, 5, 0);
}

static void test_marks_double_up_to_the_budget(void **state)
{
    (void)state;
    static const struct {
        uint32_t budget;
        size_t count;
        uint32_t last_but_one;
    } cases[] = {{1, 1, 0}, {25, 1, 0}, {26, 2, 25}, {200, 4, 100}, {201, 5, 200}};
    uint32_t marks[REHEARSAL_MARKS_MAX];
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        size_t count = rehearsal_marks(cases[i].budget, marks);
        assert_int_equal(count, cases[i].count);
        assert_int_equal(marks[count - 1], cases[i].budget);
        if (count > 1)
            assert_int_equal(marks[count - 2], cases[i].last_but_one);
    }
    assert_in_range(rehearsal_marks(SPEC_CANDIDATES_MAX, marks), 1, REHEARSAL_MARKS_MAX);
}

static void test_means_have_students_intervals(void **state)
{
    (void)state;
    const double values[] = {1, NAN, 2, 3}, none[] = {NAN, NAN};
    struct rehearsal_mean mean = rehearsal_mean_of(values, 4);
    assert_int_equal(mean.count, 3);
    assert_near(mean.mean, 2, 1e-12);
    assert_near(mean.half_width, 4.303 / sqrt(3), 1e-6);
    mean = rehearsal_mean_of(values, 1);
    assert_true(mean.mean == 1 && isnan(mean.half_width));
    assert_true(isnan(rehearsal_mean_of(none, 2).mean));
    double many[31];
    for (int i = 0; i < 31; i++)
        many[i] = i % 2 ? 1 : -1;
    mean = rehearsal_mean_of(many, 31);
    /* 30 degrees of freedom: 2.0423 */
    double variance = (31 - 31 * mean.mean * mean.mean) / 30;
    assert_near(mean.half_width / sqrt(variance / 31), 2.0423, 1e-3);
}

int main(void)
{
#define PLAY_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        PLAY_TEST(test_one_worker_trains_one_after_the_other),
        PLAY_TEST(test_workers_train_side_by_side_and_results_come_as_they_end),
        PLAY_TEST(test_no_more_than_parallel_max_are_unfinished),
        PLAY_TEST(test_a_rehearsal_is_a_function_of_the_seed),
        PLAY_TEST(test_deterministic_search_is_the_same_with_any_number_of_workers),
        PLAY_TEST(test_noise_gives_one_of_the_runs),
        PLAY_TEST(test_missing_rows_fail_or_are_refused),
        PLAY_TEST(test_a_space_that_is_exhausted_ends_the_rehearsal),
        PLAY_TEST(test_without_seconds_a_mean_training_is_the_unit),
        PLAY_TEST(test_what_the_table_cannot_answer_is_refused),
        PLAY_TEST(test_scores_follow_from_the_accepted_results),
        PLAY_TEST(test_hypervolume_is_a_share_of_the_tables_front),
        cmocka_unit_test(test_marks_double_up_to_the_budget),
        cmocka_unit_test(test_means_have_students_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
