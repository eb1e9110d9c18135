/* Presets against the released stage tables. */
#include "search/cost.h"
#include "search/preset.h"
#include "search/scale.h"
#include "tests/unit/search/csv.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Columns of stage_tables.csv. */
enum { MODEL, STAGE, OP, EXPAND, KERNEL, STRIDE, SE_RATIO, IN_CHANNELS, OUT_CHANNELS, LAYERS };

static void assert_stage_equals_row(const struct architecture *architecture, const struct csv *csv)
{
    uint32_t index = (uint32_t)csv_u64(csv, STAGE) - 1;
    assert_true(index < architecture->stage_count);
    const struct stage *stage = &architecture->stages[index];
    bool fused = strncmp(csv->fields[OP], "Fused-MBConv", 12) == 0;
    assert_int_equal(stage->block, fused ? BLOCK_FUSED_MBCONV : BLOCK_MBCONV);
    assert_int_equal(stage->expansion, csv_u64(csv, EXPAND));
    assert_int_equal(stage->kernel, csv_u64(csv, KERNEL));
    assert_int_equal(stage->stride, csv_u64(csv, STRIDE));
    assert_int_equal(stage->se_ratio, lround(strtod(csv->fields[SE_RATIO], NULL) * SE_RATIO_SCALE));
    assert_int_equal(stage->channels, csv_u64(csv, OUT_CHANNELS));
    assert_int_equal(stage->layers, csv_u64(csv, LAYERS));
    uint32_t before =
        index == 0 ? architecture->stem_channels : architecture->stages[index - 1].channels;
    assert_int_equal(before, csv_u64(csv, IN_CHANNELS));
}

static void test_presets_equal_the_released_stage_tables(void **state)
{
    (void)state;
    struct csv csv;
    size_t rows = 0, heads = 0;
    for (csv_open(&csv, "stage_tables.csv"); csv_next(&csv); rows++) {
        struct architecture architecture;
        if (preset_find(csv.fields[MODEL], &architecture, NULL) < 0)
            fail_msg("no preset %s", csv.fields[MODEL]);
        if (strcmp(csv.fields[OP], "Conv3x3+BN+SiLU") == 0) {
            assert_int_equal(architecture.stem_kernel, csv_u64(&csv, KERNEL));
            assert_int_equal(architecture.stem_stride, csv_u64(&csv, STRIDE));
            assert_int_equal(architecture.stem_channels, csv_u64(&csv, OUT_CHANNELS));
        } else if (strncmp(csv.fields[OP], "Conv1x1", 7) == 0) {
            assert_int_equal(architecture.stage_count, csv_u64(&csv, STAGE) - 1);
            assert_int_equal(architecture.head_channels, csv_u64(&csv, OUT_CHANNELS));
            heads++;
        } else {
            assert_stage_equals_row(&architecture, &csv);
        }
    }
    csv_close(&csv);
    assert_true(rows > 100);
    assert_int_equal(heads, 19);
}

static void test_names_are_sorted_and_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < preset_count(); i++) {
        struct architecture architecture;
        struct problem problem = preset_problem(i);
        assert_true(i == 0 || strcmp(preset_name(i - 1), preset_name(i)) < 0);
        assert_int_equal(preset_find(preset_name(i), &architecture, NULL), 0);
        assert_int_equal(architecture_validate(&architecture, NULL), 0);
        assert_int_equal(problem_validate(&problem, NULL), 0);
    }
    assert_null(preset_name(preset_count()));
}

static void test_small_image_variants_differ_in_the_stem_stride_only(void **state)
{
    (void)state;
    static const char *const names[] = {"efficientnetv2-b0", "efficientnetv2-b1",
                                        "efficientnetv2-b2", "efficientnetv2-b3",
                                        "efficientnetv2-s"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char small_name[64];
        struct architecture model, small;
        snprintf(small_name, sizeof small_name, "%s-small-images", names[i]);
        assert_int_equal(preset_find(names[i], &model, NULL), 0);
        assert_int_equal(preset_find(small_name, &small, NULL), 0);
        assert_int_equal(small.stem_stride, 1);
        small.stem_stride = 2;
        assert_true(architecture_equal(&model, &small));
    }
}

static void test_reference_network_costs_what_was_measured(void **state)
{
    (void)state;
    struct architecture architecture;
    assert_int_equal(preset_find("archscout-reference", &architecture, NULL), 0);
    struct cost cost = cost_of(&architecture, &(struct problem){32, 3, 10});
    /* 45.7 MFLOP an image forward, about 0.35 M parameters */
    assert_int_equal((cost.macs * 2 + 50000) / 100000, 457);
    assert_in_range(cost.params, 330000, 360000);
}

static void test_unknown_name_suggests_the_nearest(void **state)
{
    (void)state;
    struct architecture architecture;
    struct error error = {0};
    assert_int_equal(preset_find("eficientnetv2-s", &architecture, &error), -ENOENT);
    assert_non_null(strstr(error.message, "did you mean \"efficientnetv2-s\""));
    assert_int_equal(preset_find("resnet", &architecture, &error), -ENOENT);
    assert_non_null(strstr(error.message, "efficientnetv2-b0"));
}

static void test_scaling_beyond_the_limits_is_refused(void **state)
{
    (void)state;
    struct architecture base, scaled;
    assert_int_equal(preset_find("efficientnet-b0", &base, NULL), 0);
    assert_int_equal(scale_architecture(&base, 100, 1, SCALE_ROUND_V1, &scaled), -ERANGE);
    assert_int_equal(scale_architecture(&base, 1, 1000, SCALE_ROUND_V1, &scaled), -ERANGE);
    assert_int_equal(scale_architecture(&base, 0, 1, SCALE_ROUND_V1, &scaled), -EINVAL);
    assert_int_equal(scale_architecture(&base, 1, NAN, SCALE_ROUND_V1, &scaled), -EINVAL);
}

static void test_scaled_channels_are_multiples_of_8_and_at_least_8(void **state)
{
    (void)state;
    struct architecture base, scaled;
    assert_int_equal(preset_find("efficientnet-b0", &base, NULL), 0);
    assert_int_equal(scale_architecture(&base, 0.1, 0.1, SCALE_ROUND_V1, &scaled), 0);
    for (uint32_t i = 0; i < scaled.stage_count; i++) {
        assert_int_equal(scaled.stages[i].channels % 8, 0);
        assert_true(scaled.stages[i].channels >= 8);
        assert_true(scaled.stages[i].channels >= 0.09 * base.stages[i].channels);
        assert_int_equal(scaled.stages[i].layers, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets_equal_the_released_stage_tables),
        cmocka_unit_test(test_names_are_sorted_and_valid),
        cmocka_unit_test(test_small_image_variants_differ_in_the_stem_stride_only),
        cmocka_unit_test(test_reference_network_costs_what_was_measured),
        cmocka_unit_test(test_unknown_name_suggests_the_nearest),
        cmocka_unit_test(test_scaling_beyond_the_limits_is_refused),
        cmocka_unit_test(test_scaled_channels_are_multiples_of_8_and_at_least_8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
