/* Promise I9: whatever write, sync or truncation fails, nothing that was acknowledged is lost, nothing is acknowledged
 * that is not there, and the daemon goes on by itself once the disk is well. */
#include "tests/sim/rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    CANDIDATES = 4,
    PARALLEL_MAX = 2,
    SPEC_SIZE = 2048,
    TICKS_MAX = 400,
    TICK_MS = 300,
    STARTS_MAX = 20
};

/* A client's side of a whole search: it repeats what got 503, and remembers what was acknowledged. */
struct script {
    struct rig rig;
    uint64_t search; /* 0 = not acknowledged yet */
    bool registered;
    struct task task; /* attempt 0 = idle */
    struct result result;
    double accuracy[CANDIDATES]; /* of acknowledged results; negative = diverged; 0 = none */
    unsigned failed_ticks;
};

static int submit(struct script *script, uint64_t *ret_search)
{
    char text[SPEC_SIZE];
    rig_spec(text, sizeof(text), CANDIDATES, PARALLEL_MAX,
             ", \"deterministic\": true, \"seed\": 11");
    struct submission submission = {
        .text = text, .length = strlen(text), .idempotency_key = "once"};
    struct error error;
    return coordinator_submit(script->rig.coordinator, &submission, ret_search, &error);
}

static int report(struct script *script)
{
    struct epoch_metrics epoch = {.number = 1, .validation_accuracy = 0.5};
    struct report report = {.worker = "w",
                            .attempt = script->task.attempt,
                            .epoch = script->task.epoch,
                            .epochs = &epoch,
                            .epoch_count = 1};
    return coordinator_report(script->rig.coordinator, &report);
}

/* One tick with the next thing to do. True where its reply is a success. */
static bool tick(struct script *script, struct task *ret_task, uint64_t *ret_search)
{
    struct coordinator *coordinator = script->rig.coordinator;
    rig_begin(&script->rig, TICK_MS);
    int r;
    if (script->search == 0) {
        r = submit(script, ret_search);
    } else if (!script->registered) {
        r = rig_register(&script->rig, "w", 1);
    } else if (script->task.attempt == 0) {
        r = coordinator_lease(coordinator, "w", 0, ret_task);
    } else {
        r = report(script);
        if (r == 0)
            r = coordinator_result(coordinator, "w", script->task.attempt, script->task.epoch,
                                   &script->result);
        else if (r ==
                 -ESTALE) /* its result was taken in a tick whose reply failed: deliver again */
            r = coordinator_result(coordinator, "w", script->task.attempt, script->task.epoch,
                                   &script->result);
    }
    int commit = rig_commit(&script->rig);
    script->failed_ticks += commit < 0;
    if (r == -ENOENT && script->search)
        script->registered = false;
    return commit == 0 && (r == 0 || r == SUBMIT_REPEATED);
}

static void acknowledged(struct script *script, const struct task *task, uint64_t search)
{
    if (script->search == 0) {
        script->search = search;
    } else if (!script->registered) {
        script->registered = true;
    } else if (script->task.attempt == 0) {
        script->task = *task;
        script->result = rig_result(task);
    } else {
        bool done = script->result.outcome == OUTCOME_DONE;
        script->accuracy[script->task.candidate] = done ? script->result.accuracy : -1;
        script->task.attempt = 0;
    }
}

static void check_acknowledged(struct script *script)
{
    struct search_view search;
    if (script->search == 0)
        return;
    assert_int_equal(coordinator_search(script->rig.coordinator, script->search, &search), 0);
    for (uint64_t i = 0; i < CANDIDATES; i++) {
        struct candidate_view view;
        if (script->accuracy[i] == 0)
            continue;
        assert_int_equal(coordinator_candidate(script->rig.coordinator, script->search, i, &view),
                         0);
        assert_int_equal(view.state, script->accuracy[i] > 0 ? CANDIDATE_DONE : CANDIDATE_FAILED);
        if (script->accuracy[i] > 0)
            assert_true(view.measures.value[OBJECTIVE_ACCURACY] == script->accuracy[i]);
    }
}

static bool is_done(struct script *script)
{
    struct search_view search;
    return script->search != 0 &&
           coordinator_search(script->rig.coordinator, script->search, &search) == 0 &&
           search.state == SEARCH_DONE;
}

static void start(struct script *script)
{
    int r = rig_start(&script->rig);
    for (int i = 0; r < 0 && i < STARTS_MAX; i++) /* as a service manager does */
        r = rig_start(&script->rig);
    assert_int_equal(r, 0);
    script->registered = false;
}

struct fault {
    uint64_t after, failures;
    int error_number;
    bool power_fails; /* after the first tick that failed, instead of going on */
};

/* Runs the script to its end with one fault; returns the operations it took. */
static uint64_t run(struct script *script, const struct fault *fault)
{
    struct rig rig = script->rig;
    *script = (struct script){.rig = rig};
    rig_reset(&script->rig);
    uint64_t before = memory_vfs_operations(script->rig.vfs);
    memory_vfs_fail(script->rig.vfs, fault->after, fault->failures, fault->error_number);
    start(script);
    bool power_fails = fault->power_fails;
    for (unsigned i = 0; i < TICKS_MAX && !is_done(script); i++) {
        struct task task;
        uint64_t search;
        unsigned failed = script->failed_ticks;
        if (tick(script, &task, &search))
            acknowledged(script, &task, search);
        if (script->failed_ticks == failed) {
            check_acknowledged(script);
        } else if (power_fails) {
            power_fails = false;
            memory_vfs_fail(script->rig.vfs, UINT64_MAX, 0, 0);
            rig_lose_power(&script->rig, fault->after);
            start(script);
            check_acknowledged(script);
        }
    }
    if (!is_done(script))
        fail_msg("the search did not end after fault %d at operation %llu", fault->error_number,
                 (unsigned long long)fault->after);
    return memory_vfs_operations(script->rig.vfs) - before;
}

static uint64_t digest(struct script *script)
{
    uint64_t digest = 0;
    for (uint64_t i = 0; i < CANDIDATES; i++) {
        struct candidate_view view;
        assert_int_equal(coordinator_candidate(script->rig.coordinator, script->search, i, &view),
                         0);
        digest = (digest ^ view.hash ^ view.seen) * 0x9e3779b97f4a7c15u + view.state;
    }
    return digest;
}

/* Everything again with the fault at every operation. Returns how many of the runs met it. */
static unsigned sweep(struct script *script, struct fault fault)
{
    struct fault none = {.after = UINT64_MAX};
    uint64_t operations = run(script, &none);
    uint64_t expected = digest(script);
    unsigned met = 0;
    for (fault.after = 0; fault.after < operations; fault.after++) {
        run(script, &fault);
        assert_int_equal(digest(script), expected);
        met += memory_vfs_failed(script->rig.vfs) > 0 || fault.power_fails;
        rig_kill(&script->rig);
        start(script);
        check_acknowledged(script);
        assert_int_equal(digest(script), expected);
    }
    assert_true(operations > 50);
    return met;
}

static int set_up(void **state)
{
    struct script *script = calloc(1, sizeof(*script));
    assert_non_null(script);
    rig_init(&script->rig);
    *state = script;
    return 0;
}

static int tear_down(void **state)
{
    struct script *script = *state;
    rig_release(&script->rig);
    free(script);
    return 0;
}

static void test_one_io_error_at_any_operation_is_survived(void **state)
{
    assert_true(sweep(*state, (struct fault){.failures = 1, .error_number = EIO}) > 50);
}

static void test_a_full_disk_for_a_while_is_survived(void **state)
{
    assert_true(sweep(*state, (struct fault){.failures = 12, .error_number = ENOSPC}) > 50);
}

static void test_io_error_followed_by_a_power_failure_is_survived(void **state)
{
    assert_true(sweep(*state, (struct fault){
                                  .failures = 3, .error_number = EIO, .power_fails = true}) > 50);
}

/* The sweeps would pass if faults never reached a commit. */
static void test_changes_are_refused_and_views_go_on_until_the_disk_is_well(void **state)
{
    struct script *script = *state;
    struct task task;
    uint64_t search;
    start(script);
    memory_vfs_fail(script->rig.vfs, 0, UINT64_MAX, ENOSPC);
    for (int i = 0; i < 5; i++) {
        assert_false(tick(script, &task, &search));
        assert_int_equal(script->failed_ticks,
                         1); /* the later ones refuse before they change anything */
        assert_int_equal(coordinator_ready(script->rig.coordinator), -ENOSPC);
        assert_true(coordinator_deadline_ms(script->rig.coordinator) <=
                    script->rig.now.monotonic_ms + 1000);
    }
    rig_begin(&script->rig, TICK_MS);
    struct search_view view;
    assert_int_equal(coordinator_search(script->rig.coordinator, 1, &view), -ENOENT);
    assert_int_equal(rig_register(&script->rig, "w", 1), -ENOSPC);
    assert_int_equal(rig_commit(&script->rig), 0);
    assert_true(coordinator_problem(script->rig.coordinator)[0] != '\0');
    memory_vfs_fail(script->rig.vfs, UINT64_MAX, 0, 0);
    rig_begin(&script->rig, 2000); /* recovers, and fills the reserve again */
    assert_int_equal(rig_commit(&script->rig), 0);
    assert_int_equal(coordinator_ready(script->rig.coordinator), 0);
    assert_true(tick(script, &task, &search));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_changes_are_refused_and_views_go_on_until_the_disk_is_well),
        TEST(test_one_io_error_at_any_operation_is_survived),
        TEST(test_a_full_disk_for_a_while_is_survived),
        TEST(test_io_error_followed_by_a_power_failure_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
