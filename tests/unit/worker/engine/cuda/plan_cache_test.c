/* Plans of cuDNN for a described H200; no GPU is needed. */
#include "worker/engine/cuda/plan_cache.h"
#include "worker/engine/cuda/plan_file.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct plan_request FORWARD = {.convolution = {.batch = 32,
                                                            .in_channels = 64,
                                                            .out_channels = 128,
                                                            .kernel = 3,
                                                            .stride = 2,
                                                            .in_size = 33,
                                                            .out_size = 17},
                                            .pass = CONVOLUTION_FORWARD,
                                            .workspace_bytes_max = PLAN_WORKSPACE_ANY};

struct fixture {
    char description[4096], directory[64], path[PLAN_PATH_SIZE];
    struct planner *planner;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    FILE *file = fopen("deploy/devices/h200.json", "r");
    assert_non_null(file);
    assert_true(fread(fixture->description, 1, sizeof fixture->description - 1, file) > 0);
    fclose(file);
    assert_int_equal(
        planner_new(fixture->description, strlen(fixture->description), &fixture->planner, NULL),
        0);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/archscout-cache-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    *state = fixture;
    return 0;
}

/* Calls visit for every file of the directory. */
static void each_file(const char *directory, void (*visit)(const char *path))
{
    DIR *files = opendir(directory);
    assert_non_null(files);
    for (struct dirent *entry; (entry = readdir(files));) {
        char path[512];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        visit(path);
    }
    closedir(files);
}

static void delete_file(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void cut_file(const char *path)
{
    assert_int_equal(truncate(path, 100), 0);
}

static void damage_files(const char *directory)
{
    each_file(directory, cut_file);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    planner_free(fixture->planner);
    each_file(fixture->directory, delete_file);
    int r = rmdir(fixture->directory);
    free(fixture);
    return r;
}

/* The outcome of asking a new cache, with what is on disk. */
static int ask(struct fixture *fixture, struct planner *planner)
{
    struct plan_cache *cache;
    const struct plan_binary *plan;
    assert_int_equal(plan_cache_new(planner, fixture->directory, &cache, NULL), 0);
    int outcome = plan_cache_get(cache, &FORWARD, &plan, NULL);
    assert_true(outcome > 0);
    assert_true(plan_binary_engine(plan) >= 0);
    assert_int_equal(plan_cache_write_error(cache), 0);
    const struct plan_binary *again;
    assert_int_equal(plan_cache_get(cache, &FORWARD, &again, NULL), PLAN_CACHE_MEMORY);
    assert_ptr_equal(again, plan);
    if (planner == fixture->planner)
        assert_int_equal(plan_cache_path(cache, &FORWARD, fixture->path), 0);
    plan_cache_free(cache);
    return outcome;
}

static void test_a_plan_is_built_once(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(ask(fixture, fixture->planner), PLAN_CACHE_BUILT);
    assert_int_equal(ask(fixture, fixture->planner), PLAN_CACHE_DISK);
}

static void test_a_damaged_file_is_built_again(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(ask(fixture, fixture->planner), PLAN_CACHE_BUILT);
    assert_int_equal(truncate(fixture->path, 100), 0);
    assert_int_equal(ask(fixture, fixture->planner), PLAN_CACHE_REBUILT);
    assert_int_equal(ask(fixture, fixture->planner), PLAN_CACHE_DISK);
}

/* A good checksum around what cuDNN does not take. */
static void test_a_plan_that_cudnn_refuses_is_built_again(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(ask(fixture, fixture->planner), PLAN_CACHE_BUILT);
    FILE *file = fopen(fixture->path, "r");
    char key[PLAN_KEY_SIZE];
    assert_non_null(file);
    assert_non_null(fgets(key, sizeof key, file));
    assert_non_null(fgets(key, sizeof key, file));
    fclose(file);
    key[strcspn(key, "\n")] = '\0';
    assert_int_equal(plan_file_write(fixture->path, key, 1, "{}", 2), 0);
    assert_int_equal(ask(fixture, fixture->planner), PLAN_CACHE_REBUILT);
    assert_int_equal(ask(fixture, fixture->planner), PLAN_CACHE_DISK);
}

static void test_another_device_has_plans_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(ask(fixture, fixture->planner), PLAN_CACHE_BUILT);
    char *name = strstr(fixture->description, "\"multiProcessorCount\":132");
    assert_non_null(name);
    memcpy(name, "\"multiProcessorCount\":114", strlen("\"multiProcessorCount\":114"));
    struct planner *other;
    struct plan_cache *cache;
    char path[PLAN_PATH_SIZE];
    assert_int_equal(planner_new(fixture->description, strlen(fixture->description), &other, NULL),
                     0);
    assert_int_equal(plan_cache_new(other, fixture->directory, &cache, NULL), 0);
    assert_int_equal(plan_cache_path(cache, &FORWARD, path), 0);
    plan_cache_free(cache);
    assert_int_equal(ask(fixture, other), PLAN_CACHE_BUILT);
    assert_string_not_equal(path, fixture->path);
    planner_free(other);
}

static void test_three_passes_have_plans(void **state)
{
    struct fixture *fixture = *state;
    for (int pass = 0; pass < CONVOLUTION_PASSES; pass++) {
        struct plan_request request = FORWARD;
        struct plan_binary *plan;
        request.pass = (enum convolution_pass)pass;
        assert_int_equal(planner_build(fixture->planner, &request, &plan, NULL), 0);
        assert_true(plan_binary_workspace(plan) >= 0);
        plan_binary_free(plan);
    }
}

/* Of many images, so that cuDNN would rather split the sum over them. */
static const struct plan_request FILTER = {.convolution = {.batch = 256,
                                                           .in_channels = 48,
                                                           .out_channels = 48,
                                                           .kernel = 5,
                                                           .stride = 1,
                                                           .in_size = 75,
                                                           .out_size = 75},
                                           .pass = CONVOLUTION_BACKWARD_FILTER,
                                           .workspace_bytes_max = PLAN_WORKSPACE_ANY};

static int64_t workspace_within(struct fixture *fixture, size_t limit)
{
    struct plan_request request = FILTER;
    struct plan_binary *plan;
    request.workspace_bytes_max = limit;
    assert_int_equal(planner_build(fixture->planner, &request, &plan, NULL), 0);
    const int64_t workspace = plan_binary_workspace(plan);
    plan_binary_free(plan);
    return workspace;
}

static void test_a_plan_fits_the_limit(void **state)
{
    struct fixture *fixture = *state;
    const int64_t any = workspace_within(fixture, PLAN_WORKSPACE_ANY);
    assert_true(any > 1 << 20); /* or nothing is tested below */
    assert_int_equal(workspace_within(fixture, (size_t)any), any);
    assert_true(workspace_within(fixture, (size_t)any - 1) < any);
    assert_true(workspace_within(fixture, 1000) <= 1000);
}

/* There is one without any workspace for every shape that has been looked at. */
static void test_nothing_is_a_limit_too(void **state)
{
    assert_int_equal(workspace_within(*state, 0), 0);
}

static void test_several_plans_are_different_ones_that_fit(void **state)
{
    enum { MAX = 12, LIMIT = 8 << 20 };
    struct fixture *fixture = *state;
    struct plan_request request = FILTER;
    struct plan_binary *plans[MAX];
    char *texts[MAX];
    size_t count, length;
    request.workspace_bytes_max = LIMIT;
    assert_int_equal(planner_build_several(fixture->planner, &request, plans, MAX, &count, NULL),
                     0);
    assert_in_range(count, 2, MAX);
    for (size_t i = 0; i < count; i++) {
        assert_true(plan_binary_workspace(plans[i]) <= LIMIT);
        assert_int_equal(plan_binary_json(plans[i], &texts[i], &length, NULL), 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(texts[i], texts[j]);
    }
    for (size_t i = 0; i < count; i++) {
        plan_binary_free(plans[i]);
        free(texts[i]);
    }
}

/* Limits have plans of their own. */
static void test_a_limit_is_part_of_the_key(void **state)
{
    struct fixture *fixture = *state;
    struct plan_request request = FORWARD;
    struct plan_cache *cache;
    const struct plan_binary *plan;
    assert_int_equal(plan_cache_new(fixture->planner, NULL, &cache, NULL), 0);
    assert_int_equal(plan_cache_get(cache, &request, &plan, NULL), PLAN_CACHE_BUILT);
    request.workspace_bytes_max = 1 << 20;
    assert_int_equal(plan_cache_get(cache, &request, &plan, NULL), PLAN_CACHE_BUILT);
    assert_int_equal(plan_cache_get(cache, &request, &plan, NULL), PLAN_CACHE_MEMORY);
    plan_cache_free(cache);
}

/* A cache with the fixture's directory and a timed plan in it, whose engine is given out. */
static struct plan_cache *keep_timed(struct fixture *fixture, int64_t *ret_engine)
{
    struct plan_cache *cache;
    struct plan_binary *plan;
    const struct plan_binary *found;
    assert_int_equal(plan_cache_new(fixture->planner, fixture->directory, &cache, NULL), 0);
    assert_int_equal(plan_cache_timed(cache, &FORWARD, &found), -ENOENT);
    assert_int_equal(planner_build(fixture->planner, &FORWARD, &plan, NULL), 0);
    assert_int_equal(plan_cache_keep_timed(cache, &FORWARD, plan, NULL), 0);
    assert_int_equal(plan_cache_timed(cache, &FORWARD, &found), PLAN_CACHE_MEMORY);
    assert_ptr_equal(found, plan);
    *ret_engine = plan_binary_engine(plan);
    return cache;
}

static void test_a_timed_plan_is_kept_beside_the_heuristics(void **state)
{
    struct fixture *fixture = *state;
    int64_t engine;
    struct plan_cache *cache = keep_timed(fixture, &engine);
    const struct plan_binary *plan;
    plan_cache_free(cache);
    assert_int_equal(plan_cache_new(fixture->planner, fixture->directory, &cache, NULL), 0);
    assert_int_equal(plan_cache_timed(cache, &FORWARD, &plan), PLAN_CACHE_DISK);
    assert_int_equal(plan_binary_engine(plan), engine);
    plan_cache_free(cache);
    assert_int_equal(ask(fixture, fixture->planner), PLAN_CACHE_BUILT);
}

static void test_a_damaged_timed_plan_is_none(void **state)
{
    struct fixture *fixture = *state;
    int64_t engine;
    plan_cache_free(keep_timed(fixture, &engine));
    damage_files(fixture->directory);
    plan_cache_free(keep_timed(fixture, &engine));
}

static void test_equal_devices_of_a_machine_share_their_plans(void **state)
{
    struct fixture *fixture = *state;
    char *place = strstr(fixture->description, "\"cudaDeviceId\":0");
    assert_non_null(place);
    place[strlen("\"cudaDeviceId\":")] = '1';
    struct planner *other;
    assert_int_equal(planner_new(fixture->description, strlen(fixture->description), &other, NULL),
                     0);
    assert_int_equal(planner_device(other), planner_device(fixture->planner));
    planner_free(other);
}

static void test_errors_name_pass_and_shape(void **state)
{
    struct fixture *fixture = *state;
    struct plan_request wrong = FORWARD;
    wrong.convolution.out_size = 16; /* not what the stride makes of 33 */
    struct plan_binary *plan;
    struct error error = {0};
    assert_true(planner_build(fixture->planner, &wrong, &plan, &error) < 0);
    assert_non_null(strstr(error.message, "forward of conv3x3/2 batch 32, 64 x 33 px"));
    struct planner *planner;
    assert_int_equal(planner_new("{", 1, &planner, &error), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_plan_is_built_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_damaged_file_is_built_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_plan_that_cudnn_refuses_is_built_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_another_device_has_plans_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_three_passes_have_plans, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_plan_fits_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_a_limit_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several_plans_are_different_ones_that_fit, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_limit_is_part_of_the_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_timed_plan_is_kept_beside_the_heuristics, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_damaged_timed_plan_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_equal_devices_of_a_machine_share_their_plans, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_errors_name_pass_and_shape, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
