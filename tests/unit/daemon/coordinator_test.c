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

/* ---- submitting ---- */

static void test_submitted_search_is_there_after_a_restart(void **state)
{
    struct rig *rig = *state;
    char text[TEXT_SIZE];
    rig_spec(text, sizeof(text), 5, 2, ", \"priority\": 7, \"name\": \"mine\"");
    uint64_t search = rig_submit(rig, text);
    restart(rig);
    struct search_view view = search_view(rig, search);
    assert_int_equal(view.state, SEARCH_RUNNING);
    assert_string_equal(view.spec->name, "mine");
    assert_int_equal(view.text_length, strlen(text));
    assert_memory_equal(view.text, text, strlen(text));
    assert_int_equal(view.progress.budget, 5);
}

static void test_uncommitted_search_is_gone_after_a_restart(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 5, 2, "");
    rig_kill(rig);
    assert_int_equal(rig_start(rig), 0);
    struct search_view view;
    assert_int_equal(coordinator_search(rig->coordinator, search, &view), -ENOENT);
}

static void test_same_idempotency_key_names_the_same_search(void **state)
{
    struct rig *rig = *state;
    char text[TEXT_SIZE], other[TEXT_SIZE];
    rig_spec(text, sizeof(text), 5, 2, "");
    rig_spec(other, sizeof(other), 6, 2, "");
    struct submission submission = {.text = text, .length = strlen(text), .idempotency_key = "k"};
    uint64_t first, second;
    struct error error;
    assert_int_equal(coordinator_submit(rig->coordinator, &submission, &first, &error), 0);
    assert_int_equal(coordinator_submit(rig->coordinator, &submission, &second, &error),
                     SUBMIT_REPEATED);
    assert_int_equal(first, second);
    restart(rig);
    assert_int_equal(coordinator_submit(rig->coordinator, &submission, &second, &error),
                     SUBMIT_REPEATED);
    submission.text = other;
    submission.length = strlen(other);
    assert_int_equal(coordinator_submit(rig->coordinator, &submission, &second, &error), -EEXIST);
    submission.idempotency_key = "";
    assert_int_equal(coordinator_submit(rig->coordinator, &submission, &second, &error), -EINVAL);
}

static void test_wrong_spec_is_refused_and_leaves_nothing(void **state)
{
    struct rig *rig = *state;
    struct submission submission = {.text = "{\"budget\": 3}", .length = 13};
    uint64_t search;
    struct error error;
    assert_int_equal(coordinator_submit(rig->coordinator, &submission, &search, &error), -EINVAL);
    assert_true(error.message[0] != '\0');
    struct coordinator_statistics statistics;
    next_tick(rig, 0);
    coordinator_statistics(rig->coordinator, &statistics);
    assert_int_equal(statistics.searches[SEARCH_RUNNING], 0);
}

/* ---- the life of a candidate ---- */

static void test_candidate_goes_from_lease_to_done(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 3, 2, "");
    assert_int_equal(rig_register(rig, "w", 2), 0);
    struct task task = lease(rig, "w", 0);
    assert_int_equal(task.search, search);
    assert_int_equal(task.candidate, 0);
    assert_true(task.epoch != 0);
    struct candidate_view view = candidate_view(rig, search, 0);
    assert_int_equal(view.state, CANDIDATE_LEASED);
    assert_string_equal(view.worker, "w");
    assert_int_equal(report(rig, "w", &task, 1), 0);
    assert_int_equal(candidate_view(rig, search, 0).steps_done, 10);
    struct result result = done(0.5);
    assert_int_equal(deliver(rig, "w", &task, &result), 0);
    view = candidate_view(rig, search, 0);
    assert_int_equal(view.state, CANDIDATE_DONE);
    assert_true(view.measures.value[OBJECTIVE_ACCURACY] == 0.5);
    assert_true(view.measures.value[OBJECTIVE_STEP_TIME] == 0.5);
    assert_true(view.measures.value[OBJECTIVE_PARAMS] == (double)view.cost.params);
    assert_true(view.reward > 0);
    assert_int_equal(view.attempts, 1);
    struct search_view whole = search_view(rig, search);
    assert_int_equal(whole.progress.created, 1);
    assert_int_equal(whole.progress.count[CANDIDATE_DONE], 1);
    assert_true(whole.spend.seconds == 3 && whole.spend.images == 1000 && whole.spend.results == 1);
}

static void test_search_ends_when_its_budget_is_used(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 4, 2, "");
    run_all(rig, search);
    struct search_view view = search_view(rig, search);
    assert_int_equal(view.state, SEARCH_DONE);
    assert_int_equal(view.progress.count[CANDIDATE_DONE], 4);
    assert_int_equal(view.best, 3);
    assert_true(view.finished_us > 0 && view.eta_s == 0);
    restart(rig);
    view = search_view(rig, search);
    assert_int_equal(view.state, SEARCH_DONE);
    assert_int_equal(view.best, 3);
}

/* A reader of events must not take "done" for the end before the event that says so is there. */
static void test_events_are_pending_until_the_commit(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 1, 1, "");
    next_tick(rig, 0);
    assert_false(coordinator_events_pending(rig->coordinator));
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0);
    struct result result = done(0.5);
    assert_int_equal(deliver(rig, "w", &task, &result), 0);
    assert_int_equal(search_view(rig, search).state, SEARCH_DONE);
    assert_true(coordinator_events_pending(rig->coordinator));
    next_tick(rig, 0);
    assert_false(coordinator_events_pending(rig->coordinator));
}

static void test_exhausted_space_ends_the_search(void **state)
{
    struct rig *rig = *state;
    char text[TEXT_SIZE];
    snprintf(
        text, sizeof(text),
        "{\"dataset\": {\"name\": \"fashion-mnist\"}, \"space\": {\"stem\": {\"channels\": 8},"
        " \"head\": {\"channels\": 16}, \"stages\": [{\"block\": \"mbconv\", \"layers\": [1, 2, 3],"
        " \"channels\": 8}]}, \"budget\": {\"candidates\": 50}}");
    uint64_t search = rig_submit(rig, text);
    assert_int_equal(rig_register(rig, "w", 1), 0);
    for (int i = 0; i < 3; i++) {
        struct task task = lease(rig, "w", 0);
        struct result result = done(0.5);
        assert_int_equal(deliver(rig, "w", &task, &result), 0);
    }
    struct task none;
    assert_int_equal(coordinator_lease(rig->coordinator, "w", 0, &none), LEASE_NOTHING);
    struct search_view view = search_view(rig, search);
    assert_int_equal(view.state, SEARCH_DONE);
    assert_true(view.exhausted);
    assert_int_equal(view.progress.created, 3);
}

struct broken_result {
    const char *what;
    struct result result;
    enum candidate_state state; /* after it */
};

static void test_done_without_its_figures_is_not_done(void **state)
{
    struct rig *rig = *state;
    struct broken_result broken[] = {{"accuracy NaN", done(NAN), CANDIDATE_FAILED},
                                     {"loss infinite", done(0.5), CANDIDATE_FAILED},
                                     {"no step time", done(0.5), CANDIDATE_QUEUED},
                                     {"no baseline", done(0.5), CANDIDATE_QUEUED},
                                     {"accuracy 1.5", done(1.5), CANDIDATE_QUEUED}};
    broken[1].result.loss = INFINITY;
    broken[2].result.step_time.median_s = 0;
    broken[3].result.step_time.baseline_s = NAN;
    assert_int_equal(rig_register(rig, "w", 1), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
        uint64_t search = submit(rig, 1, 1, "");
        struct task task = lease(rig, "w", 0);
        assert_int_equal(deliver(rig, "w", &task, &broken[i].result), 0);
        struct candidate_view view = candidate_view(rig, search, 0);
        if (view.state != broken[i].state)
            fail_msg("%s: %s", broken[i].what, candidate_state_name(view.state));
        struct error error;
        if (view.state == CANDIDATE_QUEUED)
            assert_int_equal(coordinator_cancel(rig->coordinator, search, &error), 0);
    }
}

/* Neither the objectives nor the reward of this search are made of step times. */
static void test_step_time_may_be_missing_where_nothing_is_made_of_it(void **state)
{
    struct rig *rig = *state;
    uint64_t search = rig_submit(
        rig, "{\"dataset\": {\"name\": \"fashion-mnist\"}, \"space\": {\"preset\": "
             "\"efficientnetv2-small-images\"}, \"objectives\": [\"accuracy\", \"params\"], "
             "\"reward\": {\"params\": -0.05}, \"budget\": {\"candidates\": 2}}");
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0);
    struct result result = done(0.5);
    result.step_time = (struct step_time){.blocks = 3};
    assert_int_equal(deliver(rig, "w", &task, &result), 0);
    for (int i = 0; i < 2; i++) {
        struct candidate_view view = candidate_view(rig, search, 0);
        assert_int_equal(view.state, CANDIDATE_DONE);
        assert_true(isnan(view.step_time.median_s) && isnan(view.step_time.baseline_s));
        assert_true(isnan(view.measures.value[OBJECTIVE_STEP_TIME]));
        assert_true(isfinite(view.reward) && view.reward > 0);
        restart(rig);
    }
}

/* ---- answers to workers ---- */

static void test_same_result_again_gets_the_same_answer(void **state)
{
    struct rig *rig = *state;
    submit(rig, 3, 1, "");
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0);
    struct result result = done(0.5), other = done(0.9);
    assert_int_equal(deliver(rig, "w", &task, &result), 0);
    assert_int_equal(deliver(rig, "w", &task, &other), 0);
    restart(rig);
    assert_int_equal(rig_register(rig, "w", 1), 0);
    assert_int_equal(deliver(rig, "w", &task, &other), 0);
    assert_true(candidate_view(rig, task.search, 0).measures.value[OBJECTIVE_ACCURACY] == 0.5);
    struct task stale = task;
    stale.epoch++;
    assert_int_equal(deliver(rig, "w", &stale, &other), -ESTALE);
}

static void test_result_after_the_lease_ran_out_is_stale(void **state)
{
    struct rig *rig = *state;
    submit(rig, 3, 1, "");
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0);
    next_tick(rig, RIG_LEASE_MS);
    struct result result = done(0.5);
    assert_int_equal(deliver(rig, "w", &task, &result), -ESTALE);
    assert_int_equal(report(rig, "w", &task, 0), -ESTALE);
    assert_int_equal(candidate_view(rig, task.search, 0).state, CANDIDATE_QUEUED);
    struct task again = lease(rig, "w", 0);
    assert_int_equal(again.candidate, task.candidate);
    assert_true(again.epoch != task.epoch && again.attempt != task.attempt);
}

static void test_unknown_worker_is_told_to_register(void **state)
{
    struct rig *rig = *state;
    submit(rig, 3, 1, "");
    struct task task = {0};
    struct result result = done(0.5);
    assert_int_equal(coordinator_lease(rig->coordinator, "nobody", 0, &task), -ENOENT);
    assert_int_equal(report(rig, "nobody", &task, 0), -ENOENT);
    assert_int_equal(deliver(rig, "nobody", &task, &result), -ENOENT);
    assert_int_equal(rig_register(rig, "w", 1), 0);
    assert_int_equal(coordinator_lease(rig->coordinator, "w", 1, &task), -EINVAL);
}

static void test_lease_lives_on_over_a_restart(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 3, 2, "");
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0);
    next_tick(rig, RIG_LEASE_MS - 1);
    restart(rig);
    next_tick(rig, RIG_LEASE_MS - 10); /* a full term */
    assert_int_equal(report(rig, "w", &task, 0), -ENOENT);
    assert_int_equal(rig_register(rig, "w", 1), 0);
    assert_int_equal(report(rig, "w", &task, 2), 0);
    assert_int_equal(candidate_view(rig, search, task.candidate).state, CANDIDATE_LEASED);
    struct result result = done(0.5);
    assert_int_equal(deliver(rig, "w", &task, &result), 0);
}

static struct task end_with(struct rig *rig, enum outcome outcome)
{
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0);
    struct result result = {.outcome = outcome};
    assert_int_equal(deliver(rig, "w", &task, &result), 0);
    restart(rig);
    return task;
}

static void test_losses_are_counted_over_restarts(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 1, 1, "");
    for (int i = 0; i < LOSSES_MAX; i++) {
        assert_int_equal(search_view(rig, search).state, SEARCH_RUNNING);
        assert_int_equal(end_with(rig, OUTCOME_LOST).candidate, 0);
    }
    assert_int_equal(candidate_view(rig, search, 0).state, CANDIDATE_FAILED);
    assert_int_equal(candidate_view(rig, search, 0).outcome, OUTCOME_LOST);
    assert_int_equal(search_view(rig, search).state, SEARCH_DONE);
}

static void test_halved_micro_batch_survives_a_restart(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 1, 1, "");
    assert_int_equal(end_with(rig, OUTCOME_OUT_OF_MEMORY).micro_batches, 1);
    assert_int_equal(end_with(rig, OUTCOME_FAILED).micro_batches, 2);
    assert_int_equal(end_with(rig, OUTCOME_OUT_OF_MEMORY).micro_batches, 2);
    assert_int_equal(candidate_view(rig, search, 0).outcome, OUTCOME_OUT_OF_MEMORY);
}

static void test_odd_batch_that_runs_out_of_memory_is_not_tried_again(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 1, 1, ", \"recipe\": {\"batch\": 125}");
    assert_int_equal(end_with(rig, OUTCOME_OUT_OF_MEMORY).micro_batches, 1);
    assert_int_equal(candidate_view(rig, search, 0).outcome, OUTCOME_OUT_OF_MEMORY);
    assert_int_equal(search_view(rig, search).state, SEARCH_DONE);
}

/* I3: the restored store gives the same attempt number again, and the epoch tells the two apart. */
static void test_restored_backup_does_not_accept_what_came_after_it(void **state)
{
    struct rig *rig = *state;
    submit(rig, 3, 1, "");
    assert_int_equal(rig_commit(rig), 0);
    rig_kill(rig);
    assert_int_equal(memory_vfs_back_up(rig->vfs), 0);
    struct task tasks[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(memory_vfs_restore(rig->vfs), 0);
        assert_int_equal(rig_start(rig), 0);
        rig_begin(rig, 1);
        assert_int_equal(rig_register(rig, "w", 1), 0);
        tasks[i] = lease(rig, "w", 0);
        if (i == 1)
            break;
        assert_int_equal(rig_commit(rig), 0);
        rig_kill(rig);
    }
    assert_int_equal(tasks[0].attempt, tasks[1].attempt);
    assert_true(tasks[0].epoch != tasks[1].epoch);
    struct result result = done(0.5);
    assert_int_equal(deliver(rig, "w", &tasks[0], &result), -ESTALE);
    assert_int_equal(report(rig, "w", &tasks[0], 0), -ESTALE);
    assert_int_equal(deliver(rig, "w", &tasks[1], &result), 0);
}

static void test_lost_answer_costs_nothing(void **state)
{
    struct rig *rig = *state;
    submit(rig, 3, 2, "");
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0), again = lease(rig, "w", 0);
    assert_int_equal(again.attempt, task.attempt);
    assert_int_equal(again.epoch, task.epoch);
    assert_true(architecture_equal(&again.architecture, &task.architecture));
}

/* Reports without news are written nowhere, so they never wait for the disk. */
static void test_report_without_new_epochs_writes_nothing(void **state)
{
    struct rig *rig = *state;
    submit(rig, 3, 2, "");
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0);
    assert_int_equal(report(rig, "w", &task, 1), 0);
    next_tick(rig, 1);
    uint64_t before = memory_vfs_operations(rig->vfs);
    assert_int_equal(report(rig, "w", &task, 1), 0);
    next_tick(rig, 1);
    assert_int_equal(memory_vfs_operations(rig->vfs), before);
    assert_int_equal(report(rig, "w", &task, 2), 0);
    next_tick(rig, 1);
    assert_true(memory_vfs_operations(rig->vfs) > before);
}

static void test_worker_with_a_wrong_name_is_refused(void **state)
{
    struct rig *rig = *state;
    const char *device = "cpu";
    struct registration registration = {
        .worker = "no spaces", .host = "", .version = "", .devices = &device, .slot_count = 1};
    struct terms terms;
    struct error error;
    assert_int_equal(coordinator_register(rig->coordinator, &registration, &terms, &error),
                     -EINVAL);
    assert_string_equal(error.pointer, "/worker");
}

/* ---- steering ---- */

struct transition {
    enum search_state from;
    int (*verb)(struct coordinator *, uint64_t, struct error *);
    int answer;
    enum search_state to;
};

static const struct transition transitions[] = {
    {SEARCH_RUNNING, coordinator_pause, 0, SEARCH_PAUSED},
    {SEARCH_RUNNING, coordinator_resume, 0, SEARCH_RUNNING},
    {SEARCH_RUNNING, coordinator_cancel, 0, SEARCH_CANCELLED},
    {SEARCH_PAUSED, coordinator_pause, 0, SEARCH_PAUSED},
    {SEARCH_PAUSED, coordinator_resume, 0, SEARCH_RUNNING},
    {SEARCH_PAUSED, coordinator_cancel, 0, SEARCH_CANCELLED},
    {SEARCH_CANCELLED, coordinator_pause, -EPERM, SEARCH_CANCELLED},
    {SEARCH_CANCELLED, coordinator_resume, -EPERM, SEARCH_CANCELLED},
    {SEARCH_CANCELLED, coordinator_cancel, 0, SEARCH_CANCELLED},
    {SEARCH_DONE, coordinator_pause, -EPERM, SEARCH_DONE},
    {SEARCH_DONE, coordinator_resume, -EPERM, SEARCH_DONE},
    {SEARCH_DONE, coordinator_cancel, -EPERM, SEARCH_DONE},
};

static uint64_t search_in(struct rig *rig, enum search_state state)
{
    struct error error;
    uint64_t search = submit(rig, 1, 1, "");
    if (state == SEARCH_PAUSED)
        assert_int_equal(coordinator_pause(rig->coordinator, search, &error), 0);
    if (state == SEARCH_CANCELLED)
        assert_int_equal(coordinator_cancel(rig->coordinator, search, &error), 0);
    if (state == SEARCH_DONE)
        run_all(rig, search);
    return search;
}

static void test_steering_follows_the_state_machine(void **state)
{
    struct rig *rig = *state;
    struct error error;
    for (size_t i = 0; i < ARRAY_LENGTH(transitions); i++) {
        const struct transition *row = &transitions[i];
        uint64_t search = search_in(rig, row->from);
        assert_int_equal(row->verb(rig->coordinator, search, &error), row->answer);
        assert_int_equal(search_view(rig, search).state, row->to);
        restart(rig);
        assert_int_equal(search_view(rig, search).state, row->to);
        if (row->to == SEARCH_RUNNING || row->to == SEARCH_PAUSED)
            assert_int_equal(coordinator_cancel(rig->coordinator, search, &error), 0);
    }
    assert_int_equal(coordinator_pause(rig->coordinator, 999, &error), -ENOENT);
}

static void test_late_result_of_a_cancelled_search_is_kept_and_not_counted(void **state)
{
    struct rig *rig = *state;
    uint64_t search = submit(rig, 5, 2, "");
    assert_int_equal(rig_register(rig, "w", 2), 0);
    struct task first = lease(rig, "w", 0), late = lease(rig, "w", 1);
    struct result result = done(0.5), late_result = done(0.7);
    struct error error;
    assert_int_equal(deliver(rig, "w", &first, &result), 0);
    assert_int_equal(coordinator_cancel(rig->coordinator, search, &error), 0);
    restart(rig);
    assert_int_equal(rig_register(rig, "w", 2), 0);
    assert_int_equal(report(rig, "w", &late, 0), REPORT_STOP);
    assert_int_equal(deliver(rig, "w", &late, &late_result), RESULT_KEPT);
    assert_int_equal(deliver(rig, "w", &late, &late_result), RESULT_KEPT);
    for (int i = 0; i < 2; i++) {
        struct search_view view = search_view(rig, search);
        assert_int_equal(view.spend.results, 1);
        assert_int_equal(view.progress.count[CANDIDATE_DONE], 1);
        assert_int_equal(view.progress.count[CANDIDATE_CANCELLED], 1);
        assert_int_equal(candidate_view(rig, search, late.candidate).state, CANDIDATE_CANCELLED);
        restart(rig);
    }
    struct task none;
    assert_int_equal(rig_register(rig, "w", 2), 0);
    assert_int_equal(coordinator_lease(rig->coordinator, "w", 0, &none), LEASE_NOTHING);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, bench_set_up, bench_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_submitted_search_is_there_after_a_restart),
        TEST(test_uncommitted_search_is_gone_after_a_restart),
        TEST(test_same_idempotency_key_names_the_same_search),
        TEST(test_wrong_spec_is_refused_and_leaves_nothing),
        TEST(test_candidate_goes_from_lease_to_done),
        TEST(test_search_ends_when_its_budget_is_used),
        TEST(test_events_are_pending_until_the_commit),
        TEST(test_exhausted_space_ends_the_search),
        TEST(test_done_without_its_figures_is_not_done),
        TEST(test_step_time_may_be_missing_where_nothing_is_made_of_it),
        TEST(test_same_result_again_gets_the_same_answer),
        TEST(test_result_after_the_lease_ran_out_is_stale),
        TEST(test_unknown_worker_is_told_to_register),
        TEST(test_lease_lives_on_over_a_restart),
        TEST(test_losses_are_counted_over_restarts),
        TEST(test_halved_micro_batch_survives_a_restart),
        TEST(test_odd_batch_that_runs_out_of_memory_is_not_tried_again),
        TEST(test_restored_backup_does_not_accept_what_came_after_it),
        TEST(test_lost_answer_costs_nothing),
        TEST(test_report_without_new_epochs_writes_nothing),
        TEST(test_worker_with_a_wrong_name_is_refused),
        TEST(test_steering_follows_the_state_machine),
        TEST(test_late_result_of_a_cancelled_search_is_kept_and_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
