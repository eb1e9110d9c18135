#include "tests/unit/daemon/core_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

int bench_set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    rig_init(rig);
    assert_int_equal(rig_start(rig), 0);
    rig_begin(rig, 0);
    *state = rig;
    return 0;
}

int bench_tear_down(void **state)
{
    struct rig *rig = *state;
    rig_release(rig);
    free(rig);
    return 0;
}

void next_tick(struct rig *rig, uint64_t passed_ms)
{
    assert_int_equal(rig_commit(rig), 0);
    rig_begin(rig, passed_ms);
}

void restart(struct rig *rig)
{
    assert_int_equal(rig_commit(rig), 0);
    rig_kill(rig);
    assert_int_equal(rig_start(rig), 0);
    rig_begin(rig, 1);
}

uint64_t submit(struct rig *rig, uint32_t candidates, uint32_t parallel_max, const char *extra)
{
    char text[TEXT_SIZE];
    rig_spec(text, sizeof(text), candidates, parallel_max, extra);
    return rig_submit(rig, text);
}

struct task lease(struct rig *rig, const char *worker, uint32_t slot)
{
    struct task task;
    assert_int_equal(coordinator_lease(rig->coordinator, worker, slot, &task), 0);
    return task;
}

int deliver(struct rig *rig, const char *worker, const struct task *task,
            const struct result *result)
{
    return coordinator_result(rig->coordinator, worker, task->attempt, task->epoch, result);
}

struct result done(double accuracy)
{
    return (struct result){
        .outcome = OUTCOME_DONE,
        .accuracy = accuracy,
        .loss = 1,
        .step_time = {.median_s = 0.1, .spread_s = 0.01, .blocks = 5, .baseline_s = 0.2},
        .seconds = 3,
        .images = 1000};
}

int report(struct rig *rig, const char *worker, const struct task *task, uint32_t epochs)
{
    struct epoch_metrics metrics[4];
    for (uint32_t i = 0; i < epochs; i++)
        metrics[i] = (struct epoch_metrics){
            .number = i + 1, .validation_accuracy = 0.1 * (i + 1), .validation_loss = 2};
    struct report report = {.worker = worker,
                            .attempt = task->attempt,
                            .epoch = task->epoch,
                            .steps_done = 10,
                            .steps_total = 20,
                            .epochs = metrics,
                            .epoch_count = epochs};
    return coordinator_report(rig->coordinator, &report);
}

struct search_view search_view(struct rig *rig, uint64_t search)
{
    struct search_view view;
    assert_int_equal(coordinator_search(rig->coordinator, search, &view), 0);
    return view;
}

struct candidate_view candidate_view(struct rig *rig, uint64_t search, uint64_t number)
{
    struct candidate_view view;
    assert_int_equal(coordinator_candidate(rig->coordinator, search, number, &view), 0);
    return view;
}

void run_all(struct rig *rig, uint64_t search)
{
    assert_int_equal(rig_register(rig, "w", 1), 0);
    while (search_view(rig, search).state == SEARCH_RUNNING) {
        struct task task = lease(rig, "w", 0);
        struct result result = done((double)(task.candidate + 1) / 100);
        assert_int_equal(deliver(rig, "w", &task, &result), 0);
        next_tick(rig, 1000);
    }
}
