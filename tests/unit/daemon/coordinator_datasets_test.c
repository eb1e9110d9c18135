/* What becomes of data sets that workers announce, above all under a name that is known with other facts. */
#include "daemon/search.h"
#include "tests/unit/daemon/core_bench.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct dataset birds_of(uint32_t image_size)
{
    return (struct dataset){.name = "birds",
                            .image_size = image_size,
                            .image_channels = 3,
                            .classes = 7,
                            .train_images = 5000,
                            .test_images = 100};
}

static struct error last_error;

/* Registers a worker that has fashion-mnist and the data set. */
static int announce(struct rig *rig, const char *worker, const struct dataset *dataset,
                    struct terms *ret_terms)
{
    const char *device = "cpu";
    const struct dataset datasets[] = {*dataset, *dataset_known("fashion-mnist")};
    struct registration registration = {.worker = worker,
                                        .host = "",
                                        .version = "",
                                        .devices = &device,
                                        .slot_count = 1,
                                        .datasets = datasets,
                                        .dataset_count = 2};
    return coordinator_register(rig->coordinator, &registration, ret_terms, &last_error);
}

static void is_taken(struct rig *rig, const char *worker, uint32_t image_size)
{
    struct dataset birds = birds_of(image_size);
    struct terms terms;
    assert_int_equal(announce(rig, worker, &birds, &terms), 0);
    if (terms.dataset_problem_count)
        fail_msg("%s", terms.dataset_problems[0]);
}

static void is_left_out(struct rig *rig, const char *worker, uint32_t image_size, const char *why)
{
    struct dataset birds = birds_of(image_size);
    struct terms terms;
    assert_int_equal(announce(rig, worker, &birds, &terms), 0);
    assert_int_equal(terms.dataset_problem_count, 1);
    char announced[64];
    snprintf(announced, sizeof(announced), "this worker has %u x %u x 3", image_size, image_size);
    const char *problem = terms.dataset_problems[0];
    if (strncmp(problem, "data set birds is left out", 26) != 0 || !strstr(problem, announced) ||
        !strstr(problem, why))
        fail_msg("%s", problem);
}

static int find_birds(void *context, const struct dataset_view *view)
{
    struct dataset_view *found = context;
    if (strcmp(view->dataset->name, "birds") != 0)
        return 0;
    *found = *view;
    return 1;
}

static struct dataset_view birds_view(struct rig *rig)
{
    struct dataset_view view;
    assert_int_equal(coordinator_datasets(rig->coordinator, find_birds, &view), 1);
    return view;
}

static uint64_t submit_birds(struct rig *rig)
{
    return rig_submit(rig, "{\"dataset\": {\"name\": \"birds\"}, \"space\": {\"preset\": "
                           "\"efficientnetv2-small-images\"}}");
}

static void test_announced_dataset_can_be_named_after_a_restart(void **state)
{
    struct rig *rig = *state;
    is_taken(rig, "w", 32);
    restart(rig);
    uint64_t search = submit_birds(rig);
    restart(rig);
    assert_int_equal(search_view(rig, search).spec->dataset.classes, 7);
    assert_int_equal(rig_register(rig, "other", 1), 0);
    struct task task;
    assert_int_equal(coordinator_lease(rig->coordinator, "other", 0, &task), LEASE_NOTHING);
    is_taken(rig, "w", 32);
    assert_int_equal(lease(rig, "w", 0).search, search);
}

static void test_facts_that_nothing_depends_on_are_replaced_for_good(void **state)
{
    struct rig *rig = *state;
    submit(rig, 3, 2, ""); /* on another one */
    is_taken(rig, "w", 32);
    next_tick(rig, 1);
    is_taken(rig, "w", 48);
    assert_int_equal(birds_view(rig).dataset->image_size, 48);
    assert_int_equal(birds_view(rig).workers, 1);
    restart(rig);
    assert_int_equal(birds_view(rig).dataset->image_size, 48);
    is_taken(rig, "another", 64);
    assert_int_equal(birds_view(rig).workers, 1);
    uint64_t search = submit_birds(rig);
    restart(rig);
    assert_int_equal(search_view(rig, search).spec->dataset.image_size, 64);
}

static void test_replaced_facts_are_back_when_the_tick_is_lost(void **state)
{
    struct rig *rig = *state;
    is_taken(rig, "w", 32);
    next_tick(rig, 1);
    is_taken(rig, "w", 48);
    rig_kill(rig);
    assert_int_equal(rig_start(rig), 0);
    rig_begin(rig, 1);
    assert_int_equal(birds_view(rig).dataset->image_size, 32);
}

static void test_facts_that_a_search_names_stay_in_every_state_of_it(void **state)
{
    struct rig *rig = *state;
    struct error error;
    is_taken(rig, "w", 32);
    uint64_t search = submit_birds(rig);
    is_left_out(rig, "w", 48, "search 1 names it");
    assert_int_equal(coordinator_pause(rig->coordinator, search, &error), 0);
    is_left_out(rig, "w", 48, "search 1 names it");
    assert_int_equal(coordinator_cancel(rig->coordinator, search, &error), 0);
    is_left_out(rig, "w", 48, "under another name");
    restart(rig);
    is_left_out(rig, "w", 48, "known as 32 x 32 x 3, 7 classes, 5000 training and 100 test images");
    assert_int_equal(birds_view(rig).dataset->image_size, 32);
    assert_int_equal(birds_view(rig).workers, 0);
    is_taken(rig, "w", 32);
    assert_int_equal(birds_view(rig).workers, 1);
}

static void test_search_that_cannot_be_read_may_name_what_its_text_has(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool may;
    } cases[] = {
        {"{\"dataset\": {\"name\": \"birds\"}}", true},
        {"{\"dataset\": {\"name\": \"bird\\u0073\"}}", true},
        {"{\"dataset\": {\"name\": \"birds-2\"}}", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct search_row row = {.id = 1, .text = cases[i].text, .length = strlen(cases[i].text)};
        struct search *search;
        assert_int_equal(search_new_unreadable(&row, "damaged", &search), 0);
        assert_int_equal(search_names_dataset(search, "birds"), cases[i].may);
        search_free(search);
    }
}

static void test_worker_that_lacks_a_dataset_works_on_others(void **state)
{
    struct rig *rig = *state;
    is_taken(rig, "w", 32);
    submit_birds(rig);
    is_left_out(rig, "w", 48, "search 1 names it");
    struct task task;
    assert_int_equal(coordinator_lease(rig->coordinator, "w", 0, &task), LEASE_NOTHING);
    uint64_t search = submit(rig, 3, 2, "");
    assert_int_equal(lease(rig, "w", 0).search, search);
}

static void test_facts_stay_while_another_worker_has_them(void **state)
{
    struct rig *rig = *state;
    is_taken(rig, "a", 32);
    is_taken(rig, "b", 32);
    is_left_out(rig, "a", 48, "worker b still has the known one");
    is_taken(rig, "b", 48);
    assert_int_equal(birds_view(rig).workers, 1);
    is_taken(rig, "a", 48);
    assert_int_equal(birds_view(rig).workers, 2);
    is_left_out(rig, "a", 64, "worker b");
    next_tick(rig, 10 * RIG_LEASE_MS); /* both are forgotten */
    is_taken(rig, "a", 64);
}

static void test_well_known_facts_stay(void **state)
{
    struct rig *rig = *state;
    struct dataset wrong = *dataset_known("cifar10");
    struct terms terms;
    wrong.classes = 11;
    assert_int_equal(announce(rig, "w", &wrong, &terms), 0);
    assert_int_equal(terms.dataset_problem_count, 1);
    assert_non_null(strstr(terms.dataset_problems[0], "well-known"));
    assert_non_null(strstr(terms.dataset_problems[0], "has 32 x 32 x 3, 11 classes"));
}

/* Also where the name is known, and a difference alone would be no fault. */
static void test_impossible_facts_are_refused(void **state)
{
    struct rig *rig = *state;
    is_taken(rig, "w", 32);
    struct dataset birds = birds_of(32);
    struct terms terms;
    birds.train_images = 0;
    assert_int_equal(announce(rig, "v", &birds, &terms), -EINVAL);
    assert_string_equal(last_error.pointer, "/datasets/0");
    assert_int_equal(birds_view(rig).dataset->train_images, 5000);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, bench_set_up, bench_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_announced_dataset_can_be_named_after_a_restart),
        TEST(test_facts_that_nothing_depends_on_are_replaced_for_good),
        TEST(test_replaced_facts_are_back_when_the_tick_is_lost),
        TEST(test_facts_that_a_search_names_stay_in_every_state_of_it),
        TEST(test_search_that_cannot_be_read_may_name_what_its_text_has),
        TEST(test_worker_that_lacks_a_dataset_works_on_others),
        TEST(test_facts_stay_while_another_worker_has_them),
        TEST(test_well_known_facts_stay),
        TEST(test_impossible_facts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
