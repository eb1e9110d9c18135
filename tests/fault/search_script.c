#include "tests/fault/search_script.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { PARALLEL_MAX = 2, SPEC_SIZE = 2048, TICKS_MAX = 400, TICK_MS = 300, STARTS_MAX = 20 };

static int submit(struct script *script, uint64_t *ret_search)
{
    char text[SPEC_SIZE];
    rig_spec(text, sizeof(text), SCRIPT_CANDIDATES, PARALLEL_MAX,
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

static int deliver(struct script *script)
{
    int r = report(script);
    /* Stale: the result was taken in a tick whose reply failed. It is delivered again. */
    if (r != 0 && r != -ESTALE)
        return r;
    return coordinator_result(script->rig.coordinator, "w", script->task.attempt,
                              script->task.epoch, &script->result);
}

static void acknowledge(struct script *script, const struct task *task, uint64_t search)
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

bool script_tick(struct script *script)
{
    struct task task;
    uint64_t search = 0;
    int r;
    rig_begin(&script->rig, TICK_MS);
    if (script->search == 0)
        r = submit(script, &search);
    else if (!script->registered)
        r = rig_register(&script->rig, "w", 1);
    else if (script->task.attempt == 0)
        r = coordinator_lease(script->rig.coordinator, "w", 0, &task);
    else
        r = deliver(script);
    int commit = rig_commit(&script->rig);
    script->failed_ticks += commit < 0;
    if (r == -ENOENT && script->search)
        script->registered = false;
    bool success = commit == 0 && (r == 0 || r == SUBMIT_REPEATED);
    if (success)
        acknowledge(script, &task, search);
    return success;
}

static void check_acknowledged(struct script *script)
{
    struct search_view search;
    if (script->search == 0)
        return;
    assert_int_equal(coordinator_search(script->rig.coordinator, script->search, &search), 0);
    for (uint64_t i = 0; i < SCRIPT_CANDIDATES; i++) {
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

void script_start(struct script *script)
{
    int r = rig_start(&script->rig);
    for (int i = 0; r < 0 && i < STARTS_MAX; i++) /* as a service manager does */
        r = rig_start(&script->rig);
    assert_int_equal(r, 0);
    script->registered = false;
}

/* The disk is well again and has lost what was not synced. */
static void fail_power(struct script *script)
{
    script->kind->arm(script, UINT64_MAX, 0);
    rig_lose_power(&script->rig, script->rig.now.monotonic_ms);
    script_start(script);
    check_acknowledged(script);
}

uint64_t script_run(struct script *script, uint64_t after, uint64_t failures)
{
    *script = (struct script){.rig = script->rig, .kind = script->kind};
    rig_reset(&script->rig);
    uint64_t before = script->kind->operations(script);
    script->kind->arm(script, after, failures);
    script_start(script);
    bool power_fails = script->kind->power_fails;
    for (unsigned i = 0; i < TICKS_MAX && !is_done(script); i++) {
        unsigned failed_ticks = script->failed_ticks;
        script_tick(script);
        if (script->failed_ticks == failed_ticks) {
            check_acknowledged(script);
        } else if (power_fails) {
            power_fails = false;
            fail_power(script);
        }
    }
    if (!is_done(script))
        fail_msg("the search did not end after a fault at operation %llu",
                 (unsigned long long)after);
    return script->kind->operations(script) - before;
}

static uint64_t digest(struct script *script)
{
    uint64_t digest = 0;
    for (uint64_t i = 0; i < SCRIPT_CANDIDATES; i++) {
        struct candidate_view view;
        assert_int_equal(coordinator_candidate(script->rig.coordinator, script->search, i, &view),
                         0);
        digest = (digest ^ view.hash ^ view.seen) * 0x9e3779b97f4a7c15u + view.state;
    }
    return digest;
}

unsigned script_sweep(struct script *script, uint64_t failures)
{
    uint64_t operations = script_run(script, UINT64_MAX, 0);
    uint64_t expected = digest(script);
    unsigned met = 0;
    for (uint64_t after = 0; after < operations; after++) {
        script_run(script, after, failures);
        met += script->kind->failed(script) > 0 || script->kind->power_fails;
        script->kind->arm(script, UINT64_MAX, 0);
        assert_int_equal(digest(script), expected);
        rig_kill(&script->rig);
        script_start(script);
        check_acknowledged(script);
        assert_int_equal(digest(script), expected);
    }
    return met;
}
