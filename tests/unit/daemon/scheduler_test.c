#include "daemon/scheduler.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LEASE_MS = 30000, START_MS = 1000000, SEARCHES = 16 };

/* A scheduler with its clock and the numbers that the coordinator would hand in. */
struct bench {
    struct scheduler *scheduler;
    uint64_t now_ms, attempt, epoch;
    uint64_t proposed[SEARCHES]; /* by search */
    struct effects effects;
};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    assert_int_equal(scheduler_new(LEASE_MS, &bench->scheduler), 0);
    bench->now_ms = START_MS;
    bench->epoch = 70;
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    scheduler_free(bench->scheduler);
    free(bench);
    return 0;
}

static int apply(struct bench *bench, struct scheduler_event event)
{
    return scheduler_apply(bench->scheduler, &event, bench->now_ms, &bench->effects);
}

static void add_search(struct bench *bench, uint64_t search, struct search_terms terms)
{
    terms.search = search;
    if (terms.parallel_max == 0)
        terms.parallel_max = 4;
    if (terms.proposals_max == 0)
        terms.proposals_max = 1000;
    assert_int_equal(scheduler_add_search(bench->scheduler, &terms), 0);
}

static uint32_t add_worker_with(struct bench *bench, uint64_t datasets)
{
    struct dataset_set set = {{datasets}};
    uint32_t worker;
    assert_int_equal(scheduler_add_worker(bench->scheduler, &worker), 0);
    assert_int_equal(apply(bench, (struct scheduler_event){.kind = SCHEDULER_WORKER_CONNECTS,
                                                           .worker = worker,
                                                           .datasets = &set}),
                     0);
    return worker;
}

static uint32_t add_worker(struct bench *bench)
{
    return add_worker_with(bench, 1);
}

/* Asks for work until there is a lease, proposing candidates in order; the lease's effect or NULL. */
static const struct effect *want(struct bench *bench, uint32_t worker, uint32_t slot)
{
    struct scheduler_event event = {.kind = SCHEDULER_WORKER_WANTS,
                                    .worker = worker,
                                    .slot = slot,
                                    .attempt = bench->attempt + 1,
                                    .epoch = bench->epoch + 1};
    for (int round = 0; round < 2; round++) {
        int r = apply(bench, event);
        if (r == SCHEDULER_NOTHING)
            return NULL;
        assert_int_equal(r, 0);
        const struct effect *last = &bench->effects.items[bench->effects.count - 1];
        if (last->kind == EFFECT_LEASE) {
            bench->attempt++;
            bench->epoch++;
        }
        if (last->kind != EFFECT_PROPOSE)
            return last;
        uint64_t search = last->search;
        apply(bench, (struct scheduler_event){.kind = SCHEDULER_PROPOSED,
                                              .search = search,
                                              .candidate = bench->proposed[search]++});
    }
    fail_msg("proposed twice without a lease");
    return NULL;
}

static struct effect must_lease(struct bench *bench, uint32_t worker, uint32_t slot)
{
    const struct effect *effect = want(bench, worker, slot);
    assert_non_null(effect);
    assert_int_equal(effect->kind, EFFECT_LEASE);
    return *effect;
}

static struct effect end(struct bench *bench, const struct effect *lease, enum outcome outcome)
{
    int r = apply(bench, (struct scheduler_event){.kind = SCHEDULER_RESULT,
                                                  .worker = lease->worker,
                                                  .attempt = lease->job.attempt,
                                                  .epoch = lease->job.epoch,
                                                  .outcome = outcome});
    assert_int_equal(r, 0);
    assert_int_equal(bench->effects.count, 1);
    return bench->effects.items[0];
}

static int report(struct bench *bench, const struct effect *lease)
{
    return apply(bench, (struct scheduler_event){.kind = SCHEDULER_REPORT,
                                                 .worker = lease->worker,
                                                 .attempt = lease->job.attempt,
                                                 .epoch = lease->job.epoch});
}

static uint32_t tick(struct bench *bench)
{
    assert_int_equal(apply(bench, (struct scheduler_event){.kind = SCHEDULER_TICK}), 0);
    return bench->effects.count;
}

static void steer(struct bench *bench, uint64_t search, enum scheduler_event_kind kind)
{
    assert_int_equal(apply(bench, (struct scheduler_event){.kind = kind, .search = search}), 0);
}

/* ---- who is served ---- */

static void test_highest_priority_is_served_first(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){.priority = 0});
    add_search(bench, 2, (struct search_terms){.priority = 5, .parallel_max = 2});
    add_search(bench, 3, (struct search_terms){.priority = -5});
    uint32_t worker = add_worker(bench);
    assert_int_equal(must_lease(bench, worker, 0).search, 2);
    assert_int_equal(must_lease(bench, worker, 1).search, 2);
    assert_int_equal(must_lease(bench, worker, 2).search, 1);
}

static void test_equal_searches_take_turns(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){0});
    add_search(bench, 2, (struct search_terms){0});
    add_search(bench, 3, (struct search_terms){0});
    uint32_t worker = add_worker(bench);
    uint32_t served[4] = {0};
    for (int i = 0; i < 30; i++) {
        struct effect lease = must_lease(bench, worker, 0);
        served[lease.search]++;
        end(bench, &lease, OUTCOME_DONE);
    }
    assert_int_equal(served[1], 10);
    assert_int_equal(served[2], 10);
    assert_int_equal(served[3], 10);
}

static void test_search_with_fewest_running_attempts_goes_first(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){.parallel_max = 8});
    uint32_t worker = add_worker(bench);
    for (uint32_t slot = 0; slot < 3; slot++)
        must_lease(bench, worker, slot);
    add_search(bench, 2, (struct search_terms){.parallel_max = 8});
    for (uint32_t slot = 3; slot < 6; slot++)
        assert_int_equal(must_lease(bench, worker, slot).search, 2);
}

static void test_no_search_exceeds_parallel_max(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){.parallel_max = 3});
    uint32_t worker = add_worker(bench);
    struct effect first = must_lease(bench, worker, 0);
    must_lease(bench, worker, 1);
    must_lease(bench, worker, 2);
    assert_null(want(bench, worker, 3));
    end(bench, &first, OUTCOME_DONE);
    assert_true(bench->effects.work);
    assert_non_null(want(bench, worker, 3));
}

static void test_worker_without_the_data_set_gets_nothing(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){.dataset = 5});
    assert_null(want(bench, add_worker_with(bench, 1u << 4), 0));
    assert_non_null(want(bench, add_worker_with(bench, 1u << 5), 0));
}

static void test_budget_ends_proposals(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){.proposals_max = 2});
    uint32_t worker = add_worker(bench);
    must_lease(bench, worker, 0);
    must_lease(bench, worker, 1);
    assert_null(want(bench, worker, 2));
}

static void test_exhausted_search_proposes_no_more(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){0});
    uint32_t worker = add_worker(bench);
    assert_true(scheduler_can_propose(bench->scheduler, 1));
    steer(bench, 1, SCHEDULER_EXHAUSTED);
    assert_false(scheduler_can_propose(bench->scheduler, 1));
    assert_null(want(bench, worker, 0));
}

static void test_deterministic_search_waits_for_the_oldest_of_its_window(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){.parallel_max = 2, .deterministic = true});
    uint32_t worker = add_worker(bench);
    struct effect zero = must_lease(bench, worker, 0);
    struct effect one = must_lease(bench, worker, 1);
    end(bench, &one, OUTCOME_DONE);
    assert_null(want(bench, worker, 1)); /* candidate 2 needs candidate 0 */
    end(bench, &zero, OUTCOME_DONE);
    assert_int_equal(must_lease(bench, worker, 0).job.candidate, 2);
    assert_int_equal(must_lease(bench, worker, 1).job.candidate, 3);
}

/* ---- how attempts end ---- */

struct ending {
    const char *what;
    enum outcome outcomes[8]; /* up to OUTCOME_NONE */
    uint32_t attempts;        /* given out until the candidate is finished */
    uint32_t micro_batches;   /* of the last one */
};

static const struct ending endings[] = {
    {"done at once", {OUTCOME_DONE}, 1, 1},
    {"diverged is never retried", {OUTCOME_DIVERGED}, 1, 1},
    {"out of memory twice", {OUTCOME_OUT_OF_MEMORY, OUTCOME_OUT_OF_MEMORY}, 2, 2},
    {"out of memory, then done", {OUTCOME_OUT_OF_MEMORY, OUTCOME_DONE}, 2, 2},
    {"lost three times", {OUTCOME_LOST, OUTCOME_LOST, OUTCOME_LOST}, 3, 1},
    {"lost twice, then done", {OUTCOME_LOST, OUTCOME_LOST, OUTCOME_DONE}, 3, 1},
    {"failed twice", {OUTCOME_FAILED, OUTCOME_FAILED}, 2, 1},
    {"failed, then done", {OUTCOME_FAILED, OUTCOME_DONE}, 2, 1},
    {"handed back by workers that shut down, as often as it may be",
     {OUTCOME_RETURNED, OUTCOME_RETURNED, OUTCOME_RETURNED, OUTCOME_RETURNED, OUTCOME_LOST,
      OUTCOME_DONE},
     6,
     1},
    {"a loss keeps the halved micro-batch",
     {OUTCOME_OUT_OF_MEMORY, OUTCOME_LOST, OUTCOME_DONE},
     3,
     2},
    {"everything once before it is quarantined",
     {OUTCOME_LOST, OUTCOME_FAILED, OUTCOME_OUT_OF_MEMORY, OUTCOME_LOST, OUTCOME_LOST},
     5,
     2},
};

static void test_outcomes_lead_to_retries_and_ends(void **state)
{
    struct bench *bench = *state;
    uint32_t worker = add_worker(bench);
    for (size_t i = 0; i < ARRAY_LENGTH(endings); i++) {
        const struct ending *ending = &endings[i];
        uint64_t search = 1 + i;
        add_search(bench, search, (struct search_terms){.proposals_max = 1});
        for (uint32_t j = 0; j < ending->attempts; j++) {
            struct effect lease = must_lease(bench, worker, 0);
            assert_int_equal(lease.job.attempts, j + 1);
            bool last = j + 1 == ending->attempts;
            if (last && lease.job.micro_batches != ending->micro_batches)
                fail_msg("%s: %u micro-batches", ending->what, lease.job.micro_batches);
            struct effect ended = end(bench, &lease, ending->outcomes[j]);
            assert_int_equal(ended.cause, CAUSE_RESULT);
            if (ended.next != (last ? NEXT_FINISHED : NEXT_RETRY))
                fail_msg("%s: attempt %u leads to %d", ending->what, j + 1, ended.next);
        }
        assert_int_equal(scheduler_job_count(bench->scheduler, search), 0);
        assert_null(want(bench, worker, 0));
    }
}

static void test_out_of_memory_with_an_odd_batch_is_final(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){.proposals_max = 1, .batch_is_odd = true});
    struct effect lease = must_lease(bench, add_worker(bench), 0);
    assert_int_equal(end(bench, &lease, OUTCOME_OUT_OF_MEMORY).next, NEXT_FINISHED);
}

static void test_retry_goes_to_another_worker_that_has_the_data(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){.proposals_max = 1});
    uint32_t a = add_worker(bench), b = add_worker(bench);
    struct effect lease = must_lease(bench, a, 0);
    end(bench, &lease, OUTCOME_FAILED);
    assert_null(want(bench, a, 0));
    assert_int_equal(must_lease(bench, b, 0).job.candidate, lease.job.candidate);
}

static void test_retry_stays_where_no_other_worker_has_the_data(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){.proposals_max = 1});
    uint32_t a = add_worker(bench);
    add_worker_with(bench, 2);
    struct effect lease = must_lease(bench, a, 0);
    end(bench, &lease, OUTCOME_LOST);
    assert_non_null(want(bench, a, 0));
}

static void test_avoided_worker_gets_the_retry_after_a_term(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){.proposals_max = 1});
    uint32_t a = add_worker(bench);
    add_worker(bench);
    struct effect lease = must_lease(bench, a, 0);
    end(bench, &lease, OUTCOME_LOST);
    bench->now_ms += LEASE_MS - 1;
    tick(bench);
    assert_null(want(bench, a, 0));
    bench->now_ms++;
    assert_true(scheduler_due_ms(bench->scheduler) <= bench->now_ms);
    tick(bench);
    assert_true(bench->effects.work);
    assert_non_null(want(bench, a, 0));
}

/* ---- leases ---- */

static void test_lease_ends_at_its_deadline_and_not_before(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){0});
    struct effect lease = must_lease(bench, add_worker(bench), 0);
    bench->now_ms += LEASE_MS - 1;
    assert_int_equal(tick(bench), 0);
    bench->now_ms++;
    assert_true(scheduler_due_ms(bench->scheduler) <= bench->now_ms);
    assert_int_equal(tick(bench), 1);
    assert_int_equal(bench->effects.items[0].kind, EFFECT_ATTEMPT_ENDED);
    assert_int_equal(bench->effects.items[0].outcome, OUTCOME_LOST);
    assert_int_equal(bench->effects.items[0].cause, CAUSE_EXPIRED);
    assert_int_equal(bench->effects.items[0].next, NEXT_RETRY);
    assert_int_equal(report(bench, &lease), SCHEDULER_STALE);
}

static void test_report_renews_the_lease(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){0});
    struct effect lease = must_lease(bench, add_worker(bench), 0);
    for (int i = 0; i < 5; i++) {
        bench->now_ms += LEASE_MS - 1;
        assert_int_equal(tick(bench), 0);
        assert_int_equal(report(bench, &lease), 0);
    }
    bench->now_ms += LEASE_MS;
    assert_int_equal(tick(bench), 1);
}

static void test_all_of_many_leases_expire(void **state)
{
    struct bench *bench = *state;
    enum { LEASES = 3 * EFFECTS_MAX / 2 };
    add_search(bench, 1, (struct search_terms){.parallel_max = LEASES});
    uint32_t worker = add_worker(bench);
    for (uint32_t slot = 0; slot < LEASES; slot++)
        must_lease(bench, worker, slot);
    bench->now_ms += LEASE_MS;
    assert_int_equal(tick(bench), EFFECTS_MAX);
    assert_true(bench->effects.more);
    assert_true(scheduler_due_ms(bench->scheduler) <= bench->now_ms);
    assert_int_equal(tick(bench), LEASES - EFFECTS_MAX);
    assert_false(bench->effects.more);
}

static void test_stale_and_foreign_reports_are_told_apart(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){0});
    uint32_t a = add_worker(bench), b = add_worker(bench);
    struct effect lease = must_lease(bench, a, 0), wrong = lease;
    wrong.job.epoch++;
    assert_int_equal(report(bench, &wrong), SCHEDULER_STALE);
    wrong = lease;
    wrong.job.attempt++;
    assert_int_equal(report(bench, &wrong), SCHEDULER_STALE);
    wrong = lease;
    wrong.worker = b;
    assert_int_equal(report(bench, &wrong), SCHEDULER_STALE);
    assert_int_equal(report(bench, &lease), 0);
}

static void test_slot_that_runs_is_given_the_same_again(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){0});
    uint32_t worker = add_worker(bench);
    struct effect lease = must_lease(bench, worker, 0);
    bench->now_ms += LEASE_MS - 1;
    const struct effect *again = want(bench, worker, 0);
    assert_non_null(again);
    assert_int_equal(again->kind, EFFECT_LEASE_AGAIN);
    assert_int_equal(again->job.attempt, lease.job.attempt);
    assert_int_equal(again->job.epoch, lease.job.epoch);
    bench->now_ms += LEASE_MS - 1;
    assert_int_equal(tick(bench), 0);
    assert_int_equal(scheduler_running_count(bench->scheduler, 1), 1);
}

static void test_restored_lease_gets_a_full_term(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){.proposed = 8});
    uint32_t worker;
    assert_int_equal(scheduler_add_worker(bench->scheduler, &worker), 0);
    struct job job = {.candidate = 7,
                      .attempts = 1,
                      .micro_batches = 1,
                      .running = true,
                      .worker = worker,
                      .attempt = 41,
                      .epoch = 43};
    assert_int_equal(scheduler_restore_job(bench->scheduler, 1, &job, bench->now_ms), 0);
    bench->now_ms += LEASE_MS - 1;
    assert_int_equal(tick(bench), 0);
    struct effect lease = {.worker = worker, .job = job};
    assert_int_equal(end(bench, &lease, OUTCOME_DONE).next, NEXT_FINISHED);
}

static void test_restored_job_without_room_is_refused(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1,
               (struct search_terms){.parallel_max = 2, .proposed = 9, .deterministic = true});
    struct job job = {.candidate = 6, .micro_batches = 1};
    assert_int_equal(scheduler_restore_job(bench->scheduler, 1, &job, bench->now_ms), 0);
    job.candidate = 8;
    assert_int_equal(scheduler_restore_job(bench->scheduler, 1, &job, bench->now_ms), -EINVAL);
}

/* ---- steering ---- */

static void test_paused_search_gives_nothing_and_finishes_what_runs(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){0});
    uint32_t worker = add_worker(bench);
    struct effect lease = must_lease(bench, worker, 0);
    steer(bench, 1, SCHEDULER_SEARCH_PAUSE);
    assert_null(want(bench, worker, 1));
    assert_int_equal(report(bench, &lease), 0);
    assert_int_equal(end(bench, &lease, OUTCOME_DONE).next, NEXT_FINISHED);
    steer(bench, 1, SCHEDULER_SEARCH_RUN);
    assert_true(bench->effects.work);
    assert_non_null(want(bench, worker, 1));
}

static void test_paused_search_asks_for_what_runs_where_that_is_wanted(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){0});
    uint32_t worker = add_worker(bench);
    struct effect lease = must_lease(bench, worker, 0);
    apply(bench,
          (struct scheduler_event){.kind = SCHEDULER_SEARCH_PAUSE, .search = 1, .hand_back = true});
    assert_int_equal(report(bench, &lease), SCHEDULER_HAND_BACK);
    assert_int_equal(end(bench, &lease, OUTCOME_RETURNED).next, NEXT_RETRY);
    assert_null(want(bench, worker, 0));
    steer(bench, 1, SCHEDULER_SEARCH_RUN);
    struct effect again = must_lease(bench, worker, 0);
    assert_int_equal(again.job.candidate, lease.job.candidate);
    assert_int_equal(again.job.losses + again.job.failures, 0);
    assert_int_equal(report(bench, &again), 0);
    steer(bench, 1, SCHEDULER_SEARCH_PAUSE); /* gently */
    assert_int_equal(report(bench, &again), 0);
}

static void test_cancelled_search_stops_workers_and_keeps_results(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){0});
    uint32_t worker = add_worker(bench);
    struct effect a = must_lease(bench, worker, 0), b = must_lease(bench, worker, 1);
    struct effect c = must_lease(bench, worker, 2);
    end(bench, &c, OUTCOME_OUT_OF_MEMORY); /* waits for its retry */
    steer(bench, 1, SCHEDULER_SEARCH_CANCEL);
    assert_int_equal(scheduler_job_count(bench->scheduler, 1), 2);
    assert_null(want(bench, worker, 2));
    assert_int_equal(report(bench, &a), SCHEDULER_STOP);
    struct effect kept = end(bench, &a, OUTCOME_LOST);
    assert_int_equal(kept.cause, CAUSE_KEPT);
    assert_int_equal(kept.next, NEXT_CANCELLED);
    assert_null(want(bench, worker, b.job.slot));
    assert_int_equal(bench->effects.count, 1);
    assert_int_equal(bench->effects.items[0].cause, CAUSE_ABANDONED);
    assert_int_equal(scheduler_job_count(bench->scheduler, 1), 0);
}

static void test_cancelled_lease_expires_as_cancelled(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){0});
    must_lease(bench, add_worker(bench), 0);
    steer(bench, 1, SCHEDULER_SEARCH_CANCEL);
    bench->now_ms += LEASE_MS;
    assert_int_equal(tick(bench), 1);
    assert_int_equal(bench->effects.items[0].outcome, OUTCOME_CANCELLED);
    assert_int_equal(bench->effects.items[0].next, NEXT_CANCELLED);
}

/* ---- workers ---- */

static void test_silent_worker_is_forgotten_after_its_leases(void **state)
{
    struct bench *bench = *state;
    add_search(bench, 1, (struct search_terms){0});
    uint32_t worker = add_worker(bench);
    must_lease(bench, worker, 0);
    bench->now_ms += SILENT_LEASES * LEASE_MS - 1;
    assert_int_equal(tick(bench), 1);
    bench->now_ms++;
    assert_true(scheduler_due_ms(bench->scheduler) <= bench->now_ms);
    assert_int_equal(tick(bench), 1);
    assert_int_equal(bench->effects.items[0].kind, EFFECT_WORKER_FORGOTTEN);
    assert_int_equal(bench->effects.items[0].worker, worker);
    assert_int_equal(add_worker(bench), worker); /* the handle is free again */
}

static void test_worker_that_is_seen_is_not_forgotten(void **state)
{
    struct bench *bench = *state;
    uint32_t worker = add_worker(bench);
    for (int i = 0; i < 10; i++) {
        bench->now_ms += SILENT_LEASES * LEASE_MS - 1;
        assert_int_equal(tick(bench), 0);
        apply(bench, (struct scheduler_event){.kind = SCHEDULER_WORKER_SEEN, .worker = worker});
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_highest_priority_is_served_first),
        TEST(test_equal_searches_take_turns),
        TEST(test_search_with_fewest_running_attempts_goes_first),
        TEST(test_no_search_exceeds_parallel_max),
        TEST(test_worker_without_the_data_set_gets_nothing),
        TEST(test_budget_ends_proposals),
        TEST(test_exhausted_search_proposes_no_more),
        TEST(test_deterministic_search_waits_for_the_oldest_of_its_window),
        TEST(test_outcomes_lead_to_retries_and_ends),
        TEST(test_out_of_memory_with_an_odd_batch_is_final),
        TEST(test_retry_goes_to_another_worker_that_has_the_data),
        TEST(test_retry_stays_where_no_other_worker_has_the_data),
        TEST(test_avoided_worker_gets_the_retry_after_a_term),
        TEST(test_lease_ends_at_its_deadline_and_not_before),
        TEST(test_report_renews_the_lease),
        TEST(test_all_of_many_leases_expire),
        TEST(test_stale_and_foreign_reports_are_told_apart),
        TEST(test_slot_that_runs_is_given_the_same_again),
        TEST(test_restored_lease_gets_a_full_term),
        TEST(test_restored_job_without_room_is_refused),
        TEST(test_paused_search_gives_nothing_and_finishes_what_runs),
        TEST(test_paused_search_asks_for_what_runs_where_that_is_wanted),
        TEST(test_cancelled_search_stops_workers_and_keeps_results),
        TEST(test_cancelled_lease_expires_as_cancelled),
        TEST(test_silent_worker_is_forgotten_after_its_leases),
        TEST(test_worker_that_is_seen_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
