/* Promise I5: the same observations lead to the same candidates, whatever happens to the daemon and however many work. */
#include "search/random.h"
#include "tests/sim/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    CANDIDATES = 30,
    PARALLEL_MAX = 4,
    SPEC_SIZE = 2048,
    SEEDS = 25,
    SEEDS_EACH = 4,
    SLOTS_MAX = 4
};

/* All but the list, which learns nothing and has no seed; small enough to learn within a run. */
static const char *const strategies[] = {
    "\"name\": \"evolution\", \"population\": 4, \"sample\": 2",
    "\"name\": \"local\"",
    "\"name\": \"model\"",
    "\"name\": \"nsga2\", \"population\": 4",
    "\"name\": \"policy\", \"minibatch\": 3",
    "\"name\": \"grid\"",
    "\"name\": \"random\""};
enum { STRATEGIES_LEARNING = 5 };

struct trajectory {
    uint64_t hash[CANDIDATES], seen[CANDIDATES], parent[CANDIDATES];
    enum candidate_state state[CANDIDATES];
    uint64_t count;
};

/* How a search is run. */
struct course {
    uint64_t seed;
    uint32_t workers;
    bool restarts;
    bool deterministic;
    const char *strategy; /* NULL: evolution */
};

struct runner {
    struct rig rig;
    struct random_stream random;
    struct course course;
    struct task tasks[SLOTS_MAX]; /* attempt 0 = idle */
    uint64_t search;
};

static int collect(void *context, const struct candidate_view *view)
{
    struct trajectory *trajectory = context;
    uint64_t i = trajectory->count++;
    assert_true(i < CANDIDATES && view->number == i);
    trajectory->hash[i] = view->hash;
    trajectory->seen[i] = view->seen;
    trajectory->parent[i] = view->parent;
    trajectory->state[i] = view->state;
    return 0;
}

static struct trajectory trajectory_of(struct runner *runner)
{
    struct trajectory trajectory;
    struct candidate_query query = {.limit = PAGE_ITEMS_MAX};
    struct candidate_cursor next;
    memset(&trajectory, 0, sizeof(trajectory));
    assert_int_equal(coordinator_candidates(runner->rig.coordinator, runner->search, &query,
                                            collect, &trajectory, &next),
                     0);
    return trajectory;
}

static bool is_running(struct runner *runner)
{
    struct search_view view;
    assert_int_equal(coordinator_search(runner->rig.coordinator, runner->search, &view), 0);
    return view.state == SEARCH_RUNNING;
}

static void register_all(struct runner *runner)
{
    for (uint32_t i = 0; i < runner->course.workers; i++) {
        char name[16];
        snprintf(name, sizeof(name), "w%u", i);
        assert_int_equal(rig_register(&runner->rig, name, 1), 0);
    }
}

/* A worker asks for work or delivers; workers take their turns in random order, so results come in any order. */
static void worker_turn(struct runner *runner)
{
    uint32_t i = (uint32_t)random_below(&runner->random, runner->course.workers);
    struct task *task = &runner->tasks[i];
    char name[16];
    snprintf(name, sizeof(name), "w%u", i);
    if (task->attempt == 0) {
        int r = coordinator_lease(runner->rig.coordinator, name, 0, task);
        assert_true(r == 0 || r == LEASE_NOTHING);
        if (r == LEASE_NOTHING)
            task->attempt = 0;
        return;
    }
    struct result result = rig_result(task);
    assert_int_equal(
        coordinator_result(runner->rig.coordinator, name, task->attempt, task->epoch, &result), 0);
    task->attempt = 0;
}

static void maybe_restart(struct runner *runner)
{
    if (!runner->course.restarts || random_below(&runner->random, 5) != 0)
        return;
    rig_lose_power(&runner->rig, random_u64(&runner->random));
    assert_int_equal(rig_start(&runner->rig), 0);
    rig_begin(&runner->rig, 1);
    register_all(runner);
    assert_int_equal(rig_commit(&runner->rig), 0);
}

static struct trajectory run(struct course course)
{
    struct runner *runner = calloc(1, sizeof(*runner));
    assert_non_null(runner);
    runner->course = course;
    runner->random = random_stream_of(course.seed, course.workers, RANDOM_SHUFFLE);
    rig_init(&runner->rig);
    assert_int_equal(rig_start(&runner->rig), 0);
    rig_begin(&runner->rig, 0);
    char text[SPEC_SIZE], extra[256];
    snprintf(extra, sizeof(extra), ", \"seed\": %u, \"deterministic\": %s, \"strategy\": {%s}",
             (unsigned)course.seed, course.deterministic ? "true" : "false",
             course.strategy ? course.strategy : strategies[0]);
    rig_spec(text, sizeof(text), CANDIDATES, PARALLEL_MAX, extra);
    runner->search = rig_submit(&runner->rig, text);
    register_all(runner);
    assert_int_equal(rig_commit(&runner->rig), 0);
    while (is_running(runner)) {
        rig_begin(&runner->rig, 10);
        worker_turn(runner);
        assert_int_equal(rig_commit(&runner->rig), 0);
        maybe_restart(runner);
    }
    struct trajectory trajectory = trajectory_of(runner);
    rig_release(&runner->rig);
    free(runner);
    assert_int_equal(trajectory.count, CANDIDATES);
    return trajectory;
}

static void assert_same(const struct trajectory *a, const struct trajectory *b,
                        const struct course *course)
{
    for (uint64_t i = 0; i < CANDIDATES; i++)
        if (a->hash[i] != b->hash[i] || a->seen[i] != b->seen[i] || a->parent[i] != b->parent[i] ||
            a->state[i] != b->state[i])
            fail_msg("%s, seed %u: candidate %u differs with %u workers%s",
                     course->strategy ? course->strategy : strategies[0], (unsigned)course->seed,
                     (unsigned)i, course->workers, course->restarts ? " and restarts" : "");
}

static void test_deterministic_search_is_the_same_with_any_number_of_workers_and_restarts(
    void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct course course = {.seed = seed, .workers = 1, .deterministic = true};
        struct trajectory alone = run(course);
        for (course.workers = 1; course.workers <= SLOTS_MAX; course.workers *= 2) {
            course.restarts = course.workers != 2 || seed % 2;
            struct trajectory other = run(course);
            assert_same(&alone, &other, &course);
        }
    }
}

static void test_deterministic_proposal_has_seen_exactly_its_window(void **state)
{
    (void)state;
    struct trajectory trajectory =
        run((struct course){.seed = 3, .workers = 4, .deterministic = true});
    for (uint64_t k = 0; k < CANDIDATES; k++)
        assert_int_equal(trajectory.seen[k], k < PARALLEL_MAX ? 0 : k - PARALLEL_MAX + 1);
}

/* One worker accepts results in candidate order, so the trajectory is the same whenever the daemon dies. */
static void test_restarts_do_not_change_a_free_search(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct course course = {.seed = seed, .workers = 1};
        struct trajectory calm = run(course);
        course.restarts = true;
        struct trajectory restarted = run(course);
        assert_same(&calm, &restarted, &course);
        assert_int_equal(calm.seen[CANDIDATES - 1], CANDIDATES - 1);
    }
}

static void test_no_strategy_is_changed_by_workers_or_restarts(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < SEEDS_EACH * ARRAY_LENGTH(strategies); i++) {
        struct course course = {.seed = 1 + i / ARRAY_LENGTH(strategies),
                                .workers = 1,
                                .deterministic = true,
                                .strategy = strategies[i % ARRAY_LENGTH(strategies)]};
        struct trajectory alone = run(course);
        course.workers = SLOTS_MAX;
        course.restarts = true;
        struct trajectory other = run(course);
        assert_same(&alone, &other, &course);
    }
}

/* The comparisons above would hold for any strategy that ignores what it is told. */
static void test_strategies_that_learn_depend_on_what_they_have_seen(void **state)
{
    (void)state;
    for (size_t i = 0; i < STRATEGIES_LEARNING; i++) {
        struct course course = {.seed = 5, .workers = 1, .strategy = strategies[i]};
        struct trajectory free_course = run(course);
        course.deterministic = true;
        struct trajectory windowed = run(course);
        assert_memory_not_equal(free_course.hash, windowed.hash, sizeof(windowed.hash));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_deterministic_search_is_the_same_with_any_number_of_workers_and_restarts),
        cmocka_unit_test(test_deterministic_proposal_has_seen_exactly_its_window),
        cmocka_unit_test(test_restarts_do_not_change_a_free_search),
        cmocka_unit_test(test_no_strategy_is_changed_by_workers_or_restarts),
        cmocka_unit_test(test_strategies_that_learn_depend_on_what_they_have_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
