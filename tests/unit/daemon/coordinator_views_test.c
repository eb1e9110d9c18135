#include "daemon/scheduler.h"
#include "tests/unit/daemon/core_bench.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct numbers {
    uint64_t number[64];
    double value[64];
    size_t count;
};

static int collect(void *context, const struct candidate_view *view)
{
    struct numbers *numbers = context;
    assert_true(numbers->count < 64);
    numbers->value[numbers->count] = view->reward;
    numbers->number[numbers->count++] = view->number;
    return 0;
}

/* All pages of a query. */
static struct numbers all_pages(struct rig *rig, uint64_t search, struct candidate_query query)
{
    struct numbers numbers = {.count = 0};
    do {
        struct candidate_cursor next;
        assert_int_equal(
            coordinator_candidates(rig->coordinator, search, &query, collect, &numbers, &next), 0);
        query.after = next;
    } while (query.after.set);
    return numbers;
}

static void test_pages_cover_everything_once_in_order(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 20, 1, "");
    run_all(rig, search);
    for (uint32_t limit = 1; limit <= 21; limit += 4) {
        struct numbers up = all_pages(rig, search, (struct candidate_query){.limit = limit});
        struct numbers down =
            all_pages(rig, search, (struct candidate_query){.limit = limit, .worst_first = true});
        struct numbers best = all_pages(rig, search,
                                        (struct candidate_query){.sort = CANDIDATE_SORT_OBJECTIVE,
                                                                 .objective = OBJECTIVE_ACCURACY,
                                                                 .limit = limit});
        assert_int_equal(up.count, 20);
        for (size_t i = 0; i < 20; i++) {
            assert_int_equal(up.number[i], i);
            assert_int_equal(down.number[i], 19 - i);
            assert_int_equal(best.number[i], 19 - i);
        }
        struct numbers rewarded = all_pages(
            rig, search, (struct candidate_query){.sort = CANDIDATE_SORT_REWARD, .limit = limit});
        assert_int_equal(rewarded.count, 20);
        for (size_t i = 1; i < 20; i++)
            assert_true(rewarded.value[i] <= rewarded.value[i - 1]);
    }
}

static void test_ranking_uses_the_exponents_asked_for(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 10, 1, "");
    run_all(rig, search);
    struct reward accuracy_only = {.exponent = {[OBJECTIVE_ACCURACY] = 1}};
    struct numbers ranked =
        all_pages(rig, search,
                  (struct candidate_query){
                      .sort = CANDIDATE_SORT_REWARD, .reward = &accuracy_only, .limit = 3});
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(ranked.number[i], 9 - i);
        assert_true(fabs(ranked.value[i] - (double)(10 - i) / 100) < 1e-12);
    }
}

static void test_filter_by_state_leaves_out_the_others(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 10, 4, "");
    assert_int_equal(rig_register(rig, "w", 4), 0);
    struct task a = lease(rig, "w", 0);
    lease(rig, "w", 1);
    struct result result = done(0.5);
    assert_int_equal(deliver(rig, "w", &a, &result), 0);
    struct numbers leased = all_pages(
        rig, search, (struct candidate_query){.states = 1u << CANDIDATE_LEASED, .limit = 9});
    assert_int_equal(leased.count, 1);
    assert_int_equal(leased.number[0], 1);
    struct candidate_query wrong = {.limit = 0};
    struct candidate_cursor next;
    assert_int_equal(
        coordinator_candidates(rig->coordinator, search, &wrong, collect, &leased, &next), -EINVAL);
}

static void test_frontier_is_of_the_objectives_asked_for(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 10, 1, "");
    run_all(rig, search);
    struct frontier_view view;
    struct error error;
    enum objective accuracy = OBJECTIVE_ACCURACY;
    assert_int_equal(coordinator_frontier(rig->coordinator, search, &accuracy, 1, &view, &error),
                     0);
    assert_int_equal(view.point_count, 1);
    assert_int_equal(view.points[0].candidate, 9);
    assert_true(fabs(view.hypervolume_fraction - 0.1) < 1e-12);
    assert_int_equal(coordinator_frontier(rig->coordinator, search, NULL, 0, &view, &error), 0);
    assert_int_equal(view.objective_count, 3);
    assert_true(view.point_count >= 1 && view.hypervolume > 0 && view.hypervolume_fraction < 1);
    enum objective twice[] = {OBJECTIVE_LOSS, OBJECTIVE_LOSS};
    assert_int_equal(coordinator_frontier(rig->coordinator, search, twice, 2, &view, &error),
                     -EINVAL);
    assert_int_equal(coordinator_frontier(rig->coordinator, 99, NULL, 0, &view, &error), -ENOENT);
}

static void test_frontier_is_measured_against_the_reference_of_the_spec(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 10, 1,
                             ", \"objectives\": [\"accuracy\", \"macs\"],"
                             " \"reference\": {\"accuracy\": 0.05, \"macs\": 1e9}");
    run_all(rig, search);
    struct frontier_view view;
    struct error error;
    assert_int_equal(coordinator_frontier(rig->coordinator, search, NULL, 0, &view, &error), 0);
    assert_true(view.reference[0] == 0.05 && view.reference[1] == 1e9);
    /* of 0.01 to 0.1, what is above 0.05 adds volume */
    assert_true(view.hypervolume > 0 && view.hypervolume <= 0.05 * 1e9);
    enum objective others[] = {OBJECTIVE_ACCURACY, OBJECTIVE_LOSS};
    assert_int_equal(coordinator_frontier(rig->coordinator, search, others, 2, &view, &error), 0);
    assert_true(view.reference[0] == 0.05);
    assert_true(fabs(view.reference[1] - log(10)) < 1e-12);
}

static int check_attempt(void *context, const struct attempt_view *view)
{
    unsigned *seen = context;
    if ((*seen)++ == 0) {
        assert_int_equal(view->result.outcome, OUTCOME_OUT_OF_MEMORY);
        assert_string_equal(view->result.message, "needs 3 GiB");
        assert_int_equal(view->micro_batches, 1);
        assert_int_equal(view->epoch_count, 0);
        assert_true(isnan(view->result.accuracy));
    } else {
        assert_int_equal(view->result.outcome, OUTCOME_DONE);
        assert_true(view->result.accuracy == 0.25);
        assert_int_equal(view->micro_batches, 2);
        assert_int_equal(view->epoch_count, 2);
        assert_true(view->epochs[1].validation_accuracy == 0.2);
    }
    return 0;
}

static void test_attempts_tell_the_whole_story(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 10, 1, "");
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0);
    struct result memory = {.outcome = OUTCOME_OUT_OF_MEMORY,
                            .memory_needed_bytes = 3u << 30,
                            .message = "needs 3 GiB"};
    assert_int_equal(deliver(rig, "w", &task, &memory), 0);
    task = lease(rig, "w", 0);
    assert_int_equal(task.micro_batches, 2);
    assert_int_equal(report(rig, "w", &task, 2), 0);
    struct result result = done(0.25);
    assert_int_equal(deliver(rig, "w", &task, &result), 0);
    unsigned seen = 0;
    assert_int_equal(coordinator_attempts(rig->coordinator, search, 0, check_attempt, &seen), 0);
    assert_int_equal(seen, 2);
    assert_int_equal(candidate_view(rig, search, 0).attempts, 2);
}

static int collect_kind(void *context, const struct event_view *event)
{
    char *line = context;
    snprintf(line + strlen(line), 256 - strlen(line), "%d", event->kind);
    return 0;
}

static void test_events_show_only_what_is_committed(void **state)
{
    struct rig *rig = *state;
    char kinds[256] = "";
    uint64_t search = submit(rig, 1, 1, "");
    assert_int_equal(coordinator_events(rig->coordinator, search, 0, 100, collect_kind, kinds), 0);
    assert_string_equal(kinds, "");
    assert_true(coordinator_events_pending(rig->coordinator));
    coordinator_take_events(rig->coordinator);
    next_tick(rig, 0);
    assert_false(coordinator_events_pending(rig->coordinator));
    assert_true(coordinator_take_events(rig->coordinator));
    assert_false(coordinator_take_events(rig->coordinator));
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0);
    assert_int_equal(report(rig, "w", &task, 2), 0);
    struct result result = done(0.25);
    assert_int_equal(deliver(rig, "w", &task, &result), 0);
    restart(rig);
    assert_int_equal(coordinator_events(rig->coordinator, search, 0, 100, collect_kind, kinds), 0);
    assert_string_equal(kinds, "167795"); /* created, leased, two epochs, finished, done */
    kinds[0] = '\0';
    assert_int_equal(coordinator_events(rig->coordinator, 0, 4, 100, collect_kind, kinds), 0);
    assert_string_equal(kinds, "95");
}

static void test_end_of_a_search_is_its_last_event(void **state)
{
    struct rig *rig = *state;
    char kinds[256] = "";
    uint64_t search = submit(rig, 2, 2, "");
    for (int i = 0; i < LOSSES_MAX; i++) {
        assert_int_equal(rig_register(rig, "w", 2), 0);
        lease(rig, "w", 0);
        lease(rig, "w", 1);
        next_tick(rig, RIG_LEASE_MS); /* both end at once */
    }
    assert_int_equal(search_view(rig, search).state, SEARCH_DONE);
    next_tick(rig, 0);
    assert_int_equal(coordinator_events(rig->coordinator, search, 0, 100, collect_kind, kinds), 0);
    assert_string_equal(kinds, "16688668866995"); /* created, leased twice, retried twice, ... */
}

static int check_worker(void *context, const struct worker_view *view)
{
    unsigned *seen = context;
    (*seen)++;
    assert_string_equal(view->name, "w");
    assert_int_equal(view->slot_count, 2);
    assert_true(view->slots[0].busy);
    assert_false(view->slots[1].busy);
    assert_int_equal(view->slots[0].steps_total, 20);
    assert_string_equal(view->slots[1].device, "cpu");
    assert_int_equal(view->dataset_count, 1);
    assert_string_equal(view->datasets[0]->name, "fashion-mnist");
    return 0;
}

static void test_workers_show_what_they_do_until_they_are_silent(void **state)
{
    struct rig *rig = *state;
    submit(rig, 4, 1, "");
    assert_int_equal(rig_register(rig, "w", 2), 0);
    struct task task = lease(rig, "w", 0);
    assert_int_equal(report(rig, "w", &task, 0), 0);
    unsigned seen = 0;
    assert_int_equal(coordinator_workers(rig->coordinator, check_worker, &seen), 0);
    assert_int_equal(seen, 1);
    next_tick(rig, 4 * RIG_LEASE_MS);
    next_tick(rig, 1);
    assert_int_equal(coordinator_workers(rig->coordinator, check_worker, &seen), 0);
    assert_int_equal(seen, 1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, bench_set_up, bench_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_pages_cover_everything_once_in_order),
        TEST(test_ranking_uses_the_exponents_asked_for),
        TEST(test_filter_by_state_leaves_out_the_others),
        TEST(test_frontier_is_of_the_objectives_asked_for),
        TEST(test_frontier_is_measured_against_the_reference_of_the_spec),
        TEST(test_attempts_tell_the_whole_story),
        TEST(test_events_show_only_what_is_committed),
        TEST(test_end_of_a_search_is_its_last_event),
        TEST(test_workers_show_what_they_do_until_they_are_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
