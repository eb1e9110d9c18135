/* Progressive learning: the published schedules to the digit, and which stage a step belongs to. */
#include "search/recipe.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/search/csv.h"

enum { MODEL, SOURCE, STAGE, IMAGE_SIZE, MAGNITUDE, MIXUP, CUTMIX, DROPOUT };

static struct recipe plain(void)
{
    struct recipe recipe;
    assert_int_equal(recipe_preset("efficientnetv2", &recipe, NULL), 0);
    return recipe;
}

/* A field of four digits; what is empty counts as 0, what is not offered is the recipe's own. */
static void same(const char *field, double own, double value)
{
    double expected = strncmp(field, "n/a", 3) == 0 ? own : strtod(field, NULL);
    assert_true(fabs(expected - value) <= 5e-4 * fmax(1, expected));
}

static void test_presets_are_the_published_schedules(void **state)
{
    (void)state;
    struct csv csv;
    size_t rows = 0;
    csv_open(&csv, "progressive_schedule.csv");
    for (; csv_next(&csv); rows++) {
        char name[64];
        const bool paper = strncmp(csv.fields[SOURCE], "paper", 5) == 0;
        snprintf(name, sizeof name, "efficientnetv2-%s-%s", csv.fields[MODEL],
                 paper ? "paper" : "automl");
        for (char *letter = name; *letter; letter++)
            if (*letter >= 'A' && *letter <= 'Z')
                *letter = (char)(*letter - 'A' + 'a');
        struct recipe recipe = plain();
        assert_int_equal(recipe_progressive_preset(&recipe, name, NULL), 0);
        assert_int_equal(recipe.stage_count, 4);
        const struct recipe_stage *stage = &recipe.stages[csv_u64(&csv, STAGE)];
        assert_int_equal(stage->image_size, lround(strtod(csv.fields[IMAGE_SIZE], NULL)));
        same(csv.fields[MAGNITUDE], plain().randaugment_magnitude, stage->randaugment_magnitude);
        same(csv.fields[MIXUP], 0, stage->mixup);
        same(csv.fields[CUTMIX], 0, stage->cutmix);
        same(csv.fields[DROPOUT], 0, stage->dropout);
        assert_int_equal(recipe_validate(&recipe, NULL), 0);
    }
    csv_close(&csv);
    assert_int_equal(rows, 44);
}

static void test_a_preset_is_scaled_to_the_recipes_image_size(void **state)
{
    (void)state;
    struct recipe recipe = plain();
    recipe.image_size = 64;
    assert_int_equal(recipe_progressive_preset(&recipe, "efficientnetv2-s-paper", NULL), 0);
    assert_int_equal(recipe.stages[0].image_size, 27);
    assert_int_equal(recipe.stages[3].image_size, 64);
    assert_int_equal(recipe_image_size_min(&recipe), 27);
    assert_int_equal(recipe_validate(&recipe, NULL), 0);
}

static void test_an_unknown_preset_suggests_the_nearest(void **state)
{
    (void)state;
    struct recipe recipe = plain();
    struct error error = {0};
    assert_int_equal(recipe_progressive_preset(&recipe, "efficientnetv2-s", &error), -ENOENT);
    assert_int_equal(recipe_progressive_preset(&recipe, "efficientnetv2-m-papr", &error), -ENOENT);
    assert_non_null(strstr(error.message, "did you mean \"efficientnetv2-m-paper\""));
    assert_int_equal(recipe.stage_count, 0);
}

static void test_names_are_sorted(void **state)
{
    (void)state;
    size_t count = 1;
    for (; recipe_progressive_preset_name(count); count++)
        assert_true(strcmp(recipe_progressive_preset_name(count - 1),
                           recipe_progressive_preset_name(count)) < 0);
    assert_int_equal(count, 11);
}

static void test_stages_share_the_steps_equally(void **state)
{
    (void)state;
    struct recipe recipe = plain();
    const struct recipe_stage first = {16, 5, 0, 0, 0.1}, last = {64, 15, 0.2, 0, 0.3};
    recipe_stages_linear(&recipe, 3, &first, &last);
    assert_int_equal(recipe.stages[1].image_size, 40);
    assert_true(fabs(recipe.stages[1].randaugment_magnitude - 10) < 1e-12);
    uint64_t steps[3] = {0};
    uint32_t before = 0;
    for (uint64_t step = 0; step < 100; step++) {
        const uint32_t index = recipe_stage_index(&recipe, step, 100);
        assert_true(index == before || index == before + 1);
        before = index;
        steps[index]++;
    }
    assert_int_equal(steps[0], 33);
    assert_int_equal(steps[1], 33);
    assert_int_equal(steps[2], 34);
    assert_int_equal(recipe_stage_at(&recipe, 99, 100).image_size, 64);
}

static void test_without_stages_the_recipes_own_values_hold(void **state)
{
    (void)state;
    struct recipe recipe = plain();
    recipe.image_size = 48;
    const struct recipe_stage stage = recipe_stage_at(&recipe, 0, 1);
    assert_int_equal(stage.image_size, 48);
    assert_true(stage.randaugment_magnitude == 15 && stage.dropout == 0.2);
    assert_int_equal(recipe_image_size_min(&recipe), 48);
}

static void test_the_last_stage_has_the_recipes_image_size(void **state)
{
    (void)state;
    struct recipe recipe = plain();
    struct error error = {0};
    recipe.image_size = 64;
    assert_int_equal(recipe_progressive_preset(&recipe, "efficientnetv2-s-paper", NULL), 0);
    recipe.image_size = 65;
    assert_int_equal(recipe_validate(&recipe, &error), -EINVAL);
    assert_string_equal(error.pointer, "/progressive");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets_are_the_published_schedules),
        cmocka_unit_test(test_a_preset_is_scaled_to_the_recipes_image_size),
        cmocka_unit_test(test_an_unknown_preset_suggests_the_nearest),
        cmocka_unit_test(test_names_are_sorted),
        cmocka_unit_test(test_stages_share_the_steps_equally),
        cmocka_unit_test(test_without_stages_the_recipes_own_values_hold),
        cmocka_unit_test(test_the_last_stage_has_the_recipes_image_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
