/* Which checkpoint a candidate continues from, how long it is kept, and what a pause asks of what runs. */
#include "tests/unit/daemon/core_bench.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct checkpoint checkpoint(uint8_t content, uint64_t steps)
{
    struct checkpoint made = {.bytes = 100, .steps_done = steps};
    memset(made.sha256, content, sizeof made.sha256);
    return made;
}

static int report_checkpoint(struct rig *rig, const struct task *task, uint8_t content,
                             uint64_t steps)
{
    struct report report = {.worker = "w",
                            .attempt = task->attempt,
                            .epoch = task->epoch,
                            .steps_done = steps,
                            .steps_total = 100,
                            .checkpoint = checkpoint(content, steps)};
    return coordinator_report(rig->coordinator, &report);
}

static bool wanted(struct rig *rig, uint8_t content)
{
    return coordinator_wants_artifact(rig->coordinator, checkpoint(content, 1).sha256);
}

static void end(struct rig *rig, const struct task *task, enum outcome outcome)
{
    struct result result = done(0.5);
    result.outcome = outcome;
    assert_int_equal(deliver(rig, "w", task, &result), 0);
}

static void test_next_attempt_continues_from_the_newest_checkpoint(void **state)
{
    struct rig *rig = *state;
    submit(rig, 3, 1, "");
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0);
    assert_int_equal(task.checkpoint.bytes, 0);
    assert_int_equal(report_checkpoint(rig, &task, 1, 10), 0);
    assert_int_equal(report_checkpoint(rig, &task, 2, 30), 0);
    assert_int_equal(report_checkpoint(rig, &task, 1, 10), 0); /* repeated, late */
    next_tick(rig, 0);
    assert_true(coordinator_take_garbage(rig->coordinator));
    assert_false(coordinator_take_garbage(rig->coordinator));
    assert_false(wanted(rig, 1));
    assert_true(wanted(rig, 2));
    assert_int_equal(lease(rig, "w", 0).checkpoint.steps_done, 30); /* the same lease again */
    end(rig, &task, OUTCOME_RETURNED);
    restart(rig);
    assert_true(wanted(rig, 2));
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task next = lease(rig, "w", 0);
    assert_int_equal(next.candidate, task.candidate);
    assert_int_equal(next.checkpoint.steps_done, 30);
    assert_int_equal(next.checkpoint.bytes, 100);
    assert_int_equal(next.checkpoint.sha256[5], 2);
    end(rig, &next, OUTCOME_DONE);
    assert_false(wanted(rig, 2));
    assert_int_equal(lease(rig, "w", 0).checkpoint.bytes, 0);
}

static void test_checkpoint_outlives_a_lost_worker(void **state)
{
    struct rig *rig = *state;
    submit(rig, 3, 1, "");
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0);
    assert_int_equal(report_checkpoint(rig, &task, 1, 10), 0);
    next_tick(rig, RIG_LEASE_MS + 1);
    assert_int_equal(report_checkpoint(rig, &task, 2, 20), -ESTALE);
    assert_int_equal(rig_register(rig, "other", 1), 0);
    struct task next = lease(rig, "other", 0);
    assert_int_equal(next.checkpoint.steps_done, 10);
}

static void test_checkpoint_goes_where_it_is_of_no_use(void **state)
{
    static const enum outcome outcomes[] = {OUTCOME_DONE, OUTCOME_DIVERGED, OUTCOME_OUT_OF_MEMORY,
                                            OUTCOME_FAILED};
    struct rig *rig = *state;
    assert_int_equal(rig_register(rig, "w", 1), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(outcomes); i++) {
        uint64_t search = submit(rig, 3, 1, "");
        struct task task = lease(rig, "w", 0);
        struct error error;
        assert_int_equal(report_checkpoint(rig, &task, 1, 10), 0);
        next_tick(rig, 0);
        coordinator_take_garbage(rig->coordinator);
        assert_true(wanted(rig, 1));
        end(rig, &task, outcomes[i]);
        assert_false(wanted(rig, 1));
        next_tick(rig, 0);
        assert_true(coordinator_take_garbage(rig->coordinator));
        task = lease(rig, "w", 0);
        assert_int_equal(task.checkpoint.bytes, 0);
        assert_int_equal(report_checkpoint(rig, &task, 3, 10), 0);
        assert_int_equal(coordinator_cancel(rig->coordinator, search, &error), 0);
        assert_false(wanted(rig, 3));
        struct result late = done(0.5);
        assert_int_equal(deliver(rig, "w", &task, &late), RESULT_KEPT);
    }
}

static void test_rolled_back_checkpoint_is_no_garbage(void **state)
{
    struct rig *rig = *state;
    submit(rig, 3, 1, "");
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0);
    next_tick(rig, 0);
    coordinator_take_garbage(rig->coordinator);
    assert_int_equal(report_checkpoint(rig, &task, 1, 10), 0);
    rig_kill(rig);
    assert_int_equal(rig_start(rig), 0);
    assert_false(wanted(rig, 1));
    assert_true(coordinator_take_garbage(rig->coordinator)); /* whatever is there is looked at */
}

static void test_pause_asks_for_what_runs_and_a_gentle_one_does_not(void **state)
{
    struct rig *rig = *state;
    struct error error;
    uint64_t search = submit(rig, 3, 1, "");
    assert_int_equal(rig_register(rig, "w", 1), 0);
    struct task task = lease(rig, "w", 0);
    assert_int_equal(coordinator_pause_gently(rig->coordinator, search, &error), 0);
    assert_int_equal(report_checkpoint(rig, &task, 1, 10), 0);
    assert_int_equal(coordinator_pause(rig->coordinator, search, &error), 0);
    assert_int_equal(report_checkpoint(rig, &task, 2, 20), REPORT_HAND_BACK);
    restart(rig);
    assert_int_equal(rig_register(rig, "w", 1), 0);
    assert_int_equal(report_checkpoint(rig, &task, 3, 30), REPORT_HAND_BACK);
    end(rig, &task, OUTCOME_RETURNED);
    struct task none;
    assert_int_equal(coordinator_lease(rig->coordinator, "w", 0, &none), LEASE_NOTHING);
    assert_int_equal(coordinator_resume(rig->coordinator, search, &error), 0);
    struct task next = lease(rig, "w", 0);
    assert_int_equal(next.candidate, task.candidate);
    assert_int_equal(next.checkpoint.steps_done, 30);
    assert_int_equal(report_checkpoint(rig, &next, 4, 40), 0);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(test_next_attempt_continues_from_the_newest_checkpoint),
        BENCH_TEST(test_checkpoint_outlives_a_lost_worker),
        BENCH_TEST(test_checkpoint_goes_where_it_is_of_no_use),
        BENCH_TEST(test_rolled_back_checkpoint_is_no_garbage),
        BENCH_TEST(test_pause_asks_for_what_runs_and_a_gentle_one_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
