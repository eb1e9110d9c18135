#include "worker/agent_attempt.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct attempt *begun(uint32_t epochs)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    assert_non_null(attempt);
    const struct wire_task task = {
        .search = "s", .candidate = 4, .attempt = 8, .epoch = 15, .epochs = epochs};
    attempt_begin(attempt, &task, 1000);
    return attempt;
}

static struct wire_epoch epoch(uint32_t number)
{
    return (struct wire_epoch){.number = number, .train_loss = number};
}

static void test_steps_count_as_progress_only_when_they_change(void **state)
{
    (void)state;
    struct attempt *attempt = begun(2);
    assert_false(attempt_step(attempt, &(struct wire_progress){0, 10}));
    assert_true(attempt_step(attempt, &(struct wire_progress){1, 10}));
    assert_false(attempt_step(attempt, &(struct wire_progress){1, 10}));
    assert_true(attempt_step(attempt, &(struct wire_progress){2, 10}));
    struct report_request report;
    attempt_report(attempt, "w", &report);
    assert_int_equal(report.steps_done, 2);
    assert_int_equal(report.steps_total, 10);
    assert_int_equal(report.attempt, 8);
    assert_int_equal(report.epoch, 15);
    assert_string_equal(report.worker, "w");
    free(attempt);
}

static void test_epochs_come_in_turn_and_within_the_task(void **state)
{
    (void)state;
    struct attempt *attempt = begun(3);
    assert_int_equal(attempt_epoch(attempt, &(struct wire_epoch){.number = 1}), 0);
    assert_int_equal(attempt_epoch(attempt, &(struct wire_epoch){.number = 1}), -EINVAL);
    assert_int_equal(attempt_epoch(attempt, &(struct wire_epoch){.number = 3}), 0);
    assert_int_equal(attempt_epoch(attempt, &(struct wire_epoch){.number = 2}), -EINVAL);
    assert_int_equal(attempt_epoch(attempt, &(struct wire_epoch){.number = 4}), -EINVAL);
    assert_int_equal(attempt->epoch_count, 2);
    free(attempt);
}

static void test_epochs_wait_until_they_are_acknowledged(void **state)
{
    (void)state;
    struct attempt *attempt = begun(RECIPE_EPOCHS_MAX);
    struct report_request report;
    for (uint32_t i = 1; i <= 100; i++) {
        const struct wire_epoch metrics = epoch(i);
        assert_int_equal(attempt_epoch(attempt, &metrics), 0);
    }
    attempt_report(attempt, "w", &report);
    assert_int_equal(report.epoch_count, WIRE_EPOCHS_MAX);
    const struct wire_epoch later = epoch(101); /* while the report is on its way */
    assert_int_equal(attempt_epoch(attempt, &later), 0);
    attempt_reported(attempt, &report);
    assert_int_equal(attempt->epoch_count, 101 - WIRE_EPOCHS_MAX);
    attempt_report(attempt, "w", &report);
    assert_int_equal(report.epochs[0].number, WIRE_EPOCHS_MAX + 1);
    attempt_reported(attempt, &report);
    assert_int_equal(attempt->epoch_count, 0);
    attempt_report(attempt, "w", &report);
    assert_int_equal(report.epoch_count, 0);
    attempt_reported(attempt, &report);
    free(attempt);
}

static void test_the_oldest_epochs_are_dropped_when_the_daemon_is_away_for_long(void **state)
{
    (void)state;
    struct attempt *attempt = begun(RECIPE_EPOCHS_MAX);
    struct report_request report;
    for (uint32_t i = 1; i <= ATTEMPT_EPOCHS_MAX; i++) {
        const struct wire_epoch metrics = epoch(i);
        assert_int_equal(attempt_epoch(attempt, &metrics), 0);
    }
    attempt_report(attempt, "w", &report);
    for (uint32_t i = 1; i <= 10; i++) {
        const struct wire_epoch metrics = epoch(ATTEMPT_EPOCHS_MAX + i);
        assert_int_equal(attempt_epoch(attempt, &metrics), 0);
    }
    assert_int_equal(attempt->epoch_count, ATTEMPT_EPOCHS_MAX);
    assert_int_equal(attempt->epochs_dropped, 10);
    attempt_reported(attempt, &report); /* epochs 1 to 64, of which 10 are gone already */
    assert_int_equal(attempt->epoch_count, ATTEMPT_EPOCHS_MAX - WIRE_EPOCHS_MAX + 10);
    assert_int_equal(attempt->epochs[0].number, WIRE_EPOCHS_MAX + 1);
    free(attempt);
}

static void test_a_result_is_handed_in_as_the_trainer_said_it(void **state)
{
    (void)state;
    struct attempt *attempt = begun(2);
    struct result_request request;
    attempt_finish(attempt, &(struct wire_result){.outcome = WIRE_OUTCOME_DONE, .accuracy = 0.75});
    attempt_result(attempt, "w", &request);
    assert_int_equal(request.attempt, 8);
    assert_int_equal(request.epoch, 15);
    assert_int_equal(request.result.outcome, WIRE_OUTCOME_DONE);
    assert_true(request.result.accuracy == 0.75);
    free(attempt);
}

static void test_done_after_a_value_that_was_not_finite_is_diverged(void **state)
{
    (void)state;
    struct attempt *attempt = begun(2);
    attempt->diverged = true;
    attempt_finish(attempt, &(struct wire_result){.outcome = WIRE_OUTCOME_DONE, .accuracy = 0.75});
    assert_int_equal(attempt->result.outcome, WIRE_OUTCOME_DIVERGED);
    assert_true(attempt->result.accuracy == 0);
    free(attempt);
}

static void test_an_attempt_without_a_result_is_lost_unless_it_diverged(void **state)
{
    (void)state;
    struct attempt *attempt = begun(2);
    attempt_lose(attempt, "the trainer \xff died", 3500);
    assert_int_equal(attempt->result.outcome, WIRE_OUTCOME_LOST);
    assert_string_equal(attempt->result.message, "the trainer ? died");
    assert_true(attempt->result.seconds == 2.5);
    free(attempt);
    attempt = begun(2);
    attempt->diverged = true;
    attempt_lose(attempt, "the trainer died", 3500);
    assert_int_equal(attempt->result.outcome, WIRE_OUTCOME_DIVERGED);
    free(attempt);
}

static void test_an_attempt_of_a_worker_that_shuts_down_is_handed_back_unless_it_diverged(
    void **state)
{
    (void)state;
    struct attempt *attempt = begun(2);
    attempt_return(attempt, "the worker shut down", 3500);
    assert_int_equal(attempt->result.outcome, WIRE_OUTCOME_RETURNED);
    assert_true(attempt->result.seconds == 2.5);
    free(attempt);
    attempt = begun(2);
    attempt->diverged = true;
    attempt_return(attempt, "the worker shut down", 3500);
    assert_int_equal(attempt->result.outcome, WIRE_OUTCOME_DIVERGED);
    free(attempt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_count_as_progress_only_when_they_change),
        cmocka_unit_test(test_epochs_come_in_turn_and_within_the_task),
        cmocka_unit_test(test_epochs_wait_until_they_are_acknowledged),
        cmocka_unit_test(test_the_oldest_epochs_are_dropped_when_the_daemon_is_away_for_long),
        cmocka_unit_test(test_a_result_is_handed_in_as_the_trainer_said_it),
        cmocka_unit_test(test_done_after_a_value_that_was_not_finite_is_diverged),
        cmocka_unit_test(test_an_attempt_without_a_result_is_lost_unless_it_diverged),
        cmocka_unit_test(
            test_an_attempt_of_a_worker_that_shuts_down_is_handed_back_unless_it_diverged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
