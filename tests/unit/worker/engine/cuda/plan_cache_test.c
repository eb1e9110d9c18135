/* Plans of cuDNN for a described H200; no GPU is needed. */
#include "worker/engine/cuda/plan_cache.h"
#include "worker/engine/cuda/plan_file.h"

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

static const struct convolution CONV = {.batch = 32,
                                        .in_channels = 64,
                                        .out_channels = 128,
                                        .kernel = 3,
                                        .stride = 2,
                                        .in_size = 33,
                                        .out_size = 17};

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

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    planner_free(fixture->planner);
    unlink(fixture->path);
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
    int outcome = plan_cache_get(cache, &CONV, CONVOLUTION_FORWARD, &plan, NULL);
    assert_true(outcome > 0);
    assert_true(plan_binary_engine(plan) >= 0);
    assert_int_equal(plan_cache_write_error(cache), 0);
    const struct plan_binary *again;
    assert_int_equal(plan_cache_get(cache, &CONV, CONVOLUTION_FORWARD, &again, NULL),
                     PLAN_CACHE_MEMORY);
    assert_ptr_equal(again, plan);
    if (planner == fixture->planner)
        assert_int_equal(plan_cache_path(cache, &CONV, CONVOLUTION_FORWARD, fixture->path), 0);
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
    assert_int_equal(plan_cache_path(cache, &CONV, CONVOLUTION_FORWARD, path), 0);
    plan_cache_free(cache);
    assert_int_equal(ask(fixture, other), PLAN_CACHE_BUILT);
    assert_string_not_equal(path, fixture->path);
    assert_int_equal(unlink(path), 0);
    planner_free(other);
}

static void test_dense_and_depthwise_have_plans_for_three_passes(void **state)
{
    struct fixture *fixture = *state;
    struct convolution depthwise = CONV;
    depthwise.depthwise = true;
    depthwise.out_channels = depthwise.in_channels;
    for (int pass = 0; pass < CONVOLUTION_PASSES; pass++) {
        struct plan_binary *plan;
        assert_int_equal(
            planner_build(fixture->planner, &CONV, (enum convolution_pass)pass, &plan, NULL), 0);
        assert_true(plan_binary_workspace(plan) >= 0);
        plan_binary_free(plan);
        assert_int_equal(
            planner_build(fixture->planner, &depthwise, (enum convolution_pass)pass, &plan, NULL),
            0);
        plan_binary_free(plan);
    }
}

static void test_errors_name_pass_and_shape(void **state)
{
    struct fixture *fixture = *state;
    struct convolution wrong = CONV;
    wrong.out_size = 16; /* not what the stride makes of 33 */
    struct plan_binary *plan;
    struct error error = {0};
    assert_true(planner_build(fixture->planner, &wrong, CONVOLUTION_FORWARD, &plan, &error) < 0);
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
        cmocka_unit_test_setup_teardown(test_dense_and_depthwise_have_plans_for_three_passes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_errors_name_pass_and_shape, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
