/* A rehearsal and the daemon make the same candidates from the same results, which come in the same order and at the same
 * times: every strategy, free and deterministic, with one worker and with several whose trainings take the table's time. */
#include "search/random.h"
#include "search/rehearsal.h"
#include "search/strategy.h"
#include "tests/sim/rig.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CANDIDATES = 40, PARALLEL_MAX = 4, SEEDS = 5, SPEC_SIZE = 2048, TABLE_SIZE = 1 << 16 };

/* What is played. */
struct course {
    const char *strategy;
    unsigned seed;
    uint32_t workers;
    bool deterministic;
};

static void spec_text_of(const struct course *course, char text[SPEC_SIZE])
{
    int length = snprintf(
        text, SPEC_SIZE,
        "{\"dataset\": {\"name\": \"fashion-mnist\", \"train\": 1000, \"validation\": 500},"
        " \"space\": {\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 32}, \"stages\": ["
        "{\"block\": [\"fused_mbconv\", \"mbconv\"], \"layers\": [1, 2, 3], \"channels\": 8},"
        "{\"block\": [\"mbconv\"], \"layers\": [1, 2, 3], \"expansion\": [2, 4], \"kernel\": [3, "
        "5], \"channels\": 16, \"stride\": 2},"
        "{\"block\": [\"mbconv\", \"conv\", \"identity\"], \"channels\": 24, \"stride\": 2}]},"
        " \"strategy\": {\"name\": \"%s\"}, \"budget\": {\"candidates\": %d, \"epochs\": 2},"
        " \"parallel_max\": %d, \"seed\": %u, \"deterministic\": %s}",
        course->strategy, CANDIDATES, PARALLEL_MAX, course->seed,
        course->deterministic ? "true" : "false");
    assert_in_range(length, 1, SPEC_SIZE - 1);
}

/* A row for every encoding, its values a function of the architecture. */
static struct result_table table_of(const struct spec *spec)
{
    static char text[TABLE_SIZE];
    struct result_table table;
    struct error error = {0};
    size_t used = (size_t)snprintf(text, sizeof text, "encoding,accuracy,loss,step_time,seconds\n");
    for (uint32_t i = 0; i < 6 * 12 * 3; i++) {
        struct encoding encoding = {
            {(uint16_t)(i / 36), (uint16_t)(i / 3 % 12), (uint16_t)(i % 3)}};
        struct architecture architecture;
        space_architecture(spec->space, &encoding, &architecture);
        struct random_stream random =
            random_stream_of(architecture_hash(&architecture), 0, RANDOM_WEIGHTS);
        double accuracy = 0.5 + 0.4 * random_unit(&random), loss = 1 + random_unit(&random);
        used += (size_t)snprintf(text + used, sizeof text - used, "%u:%u:%u,%.17g,%.17g,%.17g,%u\n",
                                 encoding.choices[0], encoding.choices[1], encoding.choices[2],
                                 accuracy, loss, 0.1 + random_unit(&random),
                                 5 + (unsigned)random_below(&random, 95));
    }
    assert_true(used < sizeof text);
    if (result_table_read(text, used, &(struct result_columns){0}, spec, &table, &error) < 0)
        fail_msg("%s", error.message);
    return table;
}

/* ---- the daemon ---- */

struct slot {
    struct task task; /* attempt 0 = idle */
    double finish;
};

struct runner {
    struct rig rig;
    const struct course *course;
    const struct result_table *table;
    struct slot slots[PARALLEL_MAX];
    double clock;
    const struct rehearsal *rehearsal;
    uint64_t delivered;
};

static void worker_name(uint32_t worker, char name[16])
{
    snprintf(name, 16, "w%u", worker);
}

static const struct result_entry *entry_of(const struct runner *runner, const struct task *task)
{
    const struct result_entry *entry =
        result_table_find(runner->table, architecture_hash(&task->architecture));
    assert_non_null(entry);
    return entry;
}

/* Every idle worker asks for work. */
static void lease_all(struct runner *runner)
{
    for (uint32_t i = 0; i < runner->course->workers; i++) {
        struct slot *slot = &runner->slots[i];
        char name[16];
        if (slot->task.attempt != 0)
            continue;
        worker_name(i, name);
        int r = coordinator_lease(runner->rig.coordinator, name, 0, &slot->task);
        if (r == LEASE_NOTHING)
            slot->task.attempt = 0;
        else
            assert_int_equal(r, 0);
        if (r == 0)
            slot->finish = runner->clock + entry_of(runner, &slot->task)->seconds;
    }
}

/* The worker whose training ends first delivers. False where nobody trains. */
static bool deliver_next(struct runner *runner)
{
    struct slot *next = NULL;
    for (uint32_t i = 0; i < runner->course->workers; i++) {
        struct slot *slot = &runner->slots[i];
        if (slot->task.attempt != 0 &&
            (!next || slot->finish < next->finish ||
             (slot->finish == next->finish && slot->task.candidate < next->task.candidate)))
            next = slot;
    }
    if (!next)
        return false;
    const struct result_entry *entry = entry_of(runner, &next->task);
    struct result result = {
        .outcome = OUTCOME_DONE,
        .accuracy = entry->accuracy,
        .loss = entry->loss,
        .step_time = {.median_s = entry->step_time, .spread_s = 0, .blocks = 5, .baseline_s = 1},
        .seconds = entry->seconds,
        .first_step_s = 0.1,
        .images = 2000};
    char name[16];
    worker_name((uint32_t)(next - runner->slots), name);
    assert_int_equal(coordinator_result(runner->rig.coordinator, name, next->task.attempt,
                                        next->task.epoch, &result),
                     0);
    next->task.attempt = 0;
    runner->clock = next->finish;
    uint64_t expected = runner->rehearsal->accepted[runner->delivered++];
    assert_int_equal(next->task.candidate, expected);
    assert_true(runner->clock == runner->rehearsal->candidates[expected].finish);
    return true;
}

struct comparison {
    const struct rehearsal *rehearsal;
    const struct course *course;
    uint64_t count;
};

static int compare_candidate(void *context, const struct candidate_view *view)
{
    struct comparison *comparison = context;
    assert_true(comparison->count < comparison->rehearsal->count);
    const struct rehearsal_candidate *candidate =
        &comparison->rehearsal->candidates[comparison->count++];
    if (view->hash != candidate->hash || view->seen != candidate->seen ||
        view->parent != candidate->parent ||
        view->measures.value[OBJECTIVE_ACCURACY] != candidate->accuracy ||
        view->reward != candidate->reward)
        fail_msg("%s, seed %u, %u workers%s: candidate %" PRIu64 " differs",
                 comparison->course->strategy, comparison->course->seed,
                 comparison->course->workers,
                 comparison->course->deterministic ? ", deterministic" : "", comparison->count - 1);
    return 0;
}

static void compare(struct runner *runner, uint64_t search, const struct rehearsal *rehearsal)
{
    struct comparison comparison = {rehearsal, runner->course, 0};
    struct candidate_query query = {.limit = PAGE_ITEMS_MAX};
    struct candidate_cursor next;
    assert_int_equal(coordinator_candidates(runner->rig.coordinator, search, &query,
                                            compare_candidate, &comparison, &next),
                     0);
    assert_int_equal(comparison.count, CANDIDATES);
}

static void run_daemon(const struct course *course, const struct result_table *table,
                       const char *text, const struct rehearsal *rehearsal)
{
    struct runner *runner = calloc(1, sizeof *runner);
    assert_non_null(runner);
    runner->course = course;
    runner->table = table;
    runner->rehearsal = rehearsal;
    rig_init(&runner->rig);
    assert_int_equal(rig_start(&runner->rig), 0);
    rig_begin(&runner->rig, 0);
    uint64_t search = rig_submit(&runner->rig, text);
    for (uint32_t i = 0; i < course->workers; i++) {
        char name[16];
        worker_name(i, name);
        assert_int_equal(rig_register(&runner->rig, name, 1), 0);
    }
    do
        lease_all(runner);
    while (deliver_next(runner));
    assert_int_equal(runner->delivered, CANDIDATES);
    compare(runner, search, rehearsal);
    assert_int_equal(rig_commit(&runner->rig), 0);
    rig_release(&runner->rig);
    free(runner);
}

/* ---- both ---- */

/* Returns true where some result came out of the order of candidates. */
static bool compare_course(const struct course *course)
{
    char text[SPEC_SIZE];
    struct spec *spec;
    struct error error = {0};
    struct rehearsal rehearsal;
    spec_text_of(course, text);
    if (spec_parse(text, strlen(text), NULL, &spec, &error) < 0)
        fail_msg("%s: %s", error.pointer, error.message);
    struct result_table table = table_of(spec);
    struct rehearsal_options options = {.table = &table, .workers = course->workers};
    assert_int_equal(rehearsal_check(spec, &options, &error), 0);
    if (rehearsal_run(spec, &options, &rehearsal, &error) < 0)
        fail_msg("%s", error.message);
    assert_int_equal(rehearsal.count, CANDIDATES);
    run_daemon(course, &table, text, &rehearsal);
    bool overtaken = false;
    for (uint64_t i = 1; i < rehearsal.accepted_count; i++)
        overtaken = overtaken || rehearsal.accepted[i] < rehearsal.accepted[i - 1];
    rehearsal_release(&rehearsal);
    result_table_release(&table);
    spec_free(spec);
    return overtaken;
}

static void compare_strategies(uint32_t workers, bool deterministic)
{
    bool overtaken = false;
    for (size_t i = 0; strategy_name(i); i++) {
        if (strcmp(strategy_name(i), "list") ==
            0) /* proposes what the spec lists, whatever it is told */
            continue;
        for (unsigned seed = 1; seed <= SEEDS; seed++) {
            struct course course = {strategy_name(i), seed, workers, deterministic};
            overtaken = compare_course(&course) || overtaken;
        }
    }
    assert_int_equal(overtaken, workers > 1);
}

static void test_one_worker_makes_the_daemons_candidates(void **state)
{
    (void)state;
    compare_strategies(1, false);
    compare_strategies(1, true);
}

static void test_several_workers_make_the_daemons_candidates(void **state)
{
    (void)state;
    compare_strategies(3, false);
    compare_strategies(PARALLEL_MAX, false);
    compare_strategies(3, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_worker_makes_the_daemons_candidates),
        cmocka_unit_test(test_several_workers_make_the_daemons_candidates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
