#include "search/recipe.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct recipe search_short(void)
{
    struct recipe recipe;
    assert_int_equal(recipe_preset("search-short", &recipe, NULL), 0);
    return recipe;
}

static void test_presets_are_valid_and_sorted(void **state)
{
    (void)state;
    size_t count = 0;
    for (; recipe_preset_name(count); count++) {
        struct recipe recipe;
        assert_int_equal(recipe_preset(recipe_preset_name(count), &recipe, NULL), 0);
        assert_int_equal(recipe_validate(&recipe, NULL), 0);
        assert_true(count == 0 ||
                    strcmp(recipe_preset_name(count - 1), recipe_preset_name(count)) < 0);
    }
    assert_int_equal(count, 3);
}

static void test_unknown_preset_suggests_the_nearest(void **state)
{
    (void)state;
    struct recipe recipe;
    struct error error = {0};
    assert_int_equal(recipe_preset("serch-short", &recipe, &error), -ENOENT);
    assert_non_null(strstr(error.message, "did you mean \"search-short\""));
}

static void test_wrong_fields_are_named(void **state)
{
    (void)state;
    struct recipe base = search_short(), wrong[15] = {{0}};
    static const char *const pointers[] = {
        "/learning_rate", "/learning_rate", "/learning_rate", "/momentum",        "/decay",
        "/epsilon",       "/weight_decay",  "/warmup_epochs", "/label_smoothing", "/batch",
        "/batch",         "/image_size",    "/shift",         "/bn_momentum",     "/optimizer"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        wrong[i] = base;
    wrong[0].learning_rate = 0;
    wrong[1].learning_rate = NAN;
    wrong[2].learning_rate = INFINITY;
    wrong[3].momentum = 1;
    wrong[4].decay = -0.1;
    wrong[5].epsilon = 0;
    wrong[6].weight_decay = 2;
    wrong[7].warmup_epochs = -1;
    wrong[8].label_smoothing = 1;
    wrong[9].batch = 0;
    wrong[10].batch = 4097;
    wrong[11].image_size = 1025;
    wrong[12].shift = 65;
    wrong[13].bn_momentum = 1;
    wrong[14].optimizer = (enum optimizer_kind)3;
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct error error = {0};
        assert_int_equal(recipe_validate(&wrong[i], &error), -EINVAL);
        assert_string_equal(error.pointer, pointers[i]);
    }
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-12;
}

static void test_learning_rate_warms_up_and_falls_along_half_a_cosine(void **state)
{
    (void)state;
    struct recipe recipe = search_short();
    recipe.learning_rate = 0.8;
    recipe.warmup_epochs = 0.5;
    /* 10 steps an epoch: 5 of warm-up, then 20 of the cosine */
    assert_true(near(recipe_learning_rate(&recipe, 0, 25, 10), 0.16));
    assert_true(near(recipe_learning_rate(&recipe, 4, 25, 10), 0.8));
    assert_true(near(recipe_learning_rate(&recipe, 5, 25, 10), 0.8));
    assert_true(near(recipe_learning_rate(&recipe, 15, 25, 10), 0.4));
    assert_true(near(recipe_learning_rate(&recipe, 24, 25, 10),
                     0.4 * (1 + cos(3.14159265358979323846 * 19 / 20))));
}

static void test_the_staircase_counts_from_step_0(void **state)
{
    (void)state;
    struct recipe recipe;
    assert_int_equal(recipe_preset("efficientnetv2", &recipe, NULL), 0);
    recipe.warmup_epochs = 0.5;
    /* 100 steps an epoch: 50 of warm-up, a stair every 240 */
    assert_true(near(recipe_learning_rate(&recipe, 49, 1000, 100), 0.016));
    assert_true(near(recipe_learning_rate(&recipe, 239, 1000, 100), 0.016));
    assert_true(near(recipe_learning_rate(&recipe, 240, 1000, 100), 0.016 * 0.97));
    assert_true(near(recipe_learning_rate(&recipe, 480, 1000, 100), 0.016 * 0.97 * 0.97));
}

static void test_a_constant_schedule_stays_at_the_peak(void **state)
{
    (void)state;
    struct recipe recipe = search_short();
    recipe.schedule = SCHEDULE_CONSTANT;
    assert_true(near(recipe_learning_rate(&recipe, 999, 1000, 100), recipe.learning_rate));
}

static void test_learning_rate_without_warm_up_starts_at_the_peak(void **state)
{
    (void)state;
    struct recipe recipe = search_short();
    recipe.warmup_epochs = 0;
    assert_true(near(recipe_learning_rate(&recipe, 0, 100, 10), recipe.learning_rate));
    assert_true(recipe_learning_rate(&recipe, 99, 100, 10) > 0);
}

static void test_learning_rate_of_a_run_shorter_than_its_warm_up_rises_only(void **state)
{
    (void)state;
    struct recipe recipe = search_short();
    recipe.warmup_epochs = 5;
    double last = 0;
    for (uint64_t step = 0; step < 20; step++) {
        double rate = recipe_learning_rate(&recipe, step, 20, 10);
        assert_true(rate > last && rate <= recipe.learning_rate);
        last = rate;
    }
}

static void test_optimizer_names_read_back(void **state)
{
    (void)state;
    enum optimizer_kind optimizer = OPTIMIZER_SGD;
    assert_int_equal(optimizer_from_name("rmsprop", &optimizer), 0);
    assert_int_equal(optimizer, OPTIMIZER_RMSPROP);
    assert_string_equal(optimizer_name(OPTIMIZER_SGD), "sgd");
    assert_int_equal(optimizer_from_name("adam", &optimizer), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets_are_valid_and_sorted),
        cmocka_unit_test(test_unknown_preset_suggests_the_nearest),
        cmocka_unit_test(test_wrong_fields_are_named),
        cmocka_unit_test(test_learning_rate_warms_up_and_falls_along_half_a_cosine),
        cmocka_unit_test(test_the_staircase_counts_from_step_0),
        cmocka_unit_test(test_a_constant_schedule_stays_at_the_peak),
        cmocka_unit_test(test_learning_rate_without_warm_up_starts_at_the_peak),
        cmocka_unit_test(test_learning_rate_of_a_run_shorter_than_its_warm_up_rises_only),
        cmocka_unit_test(test_optimizer_names_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
