/* Costs against the reference counts, to the last digit. */
#include "search/cost.h"
#include "search/preset.h"
#include "search/scale.h"
#include "tests/unit/search/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CLASSES_IMAGENET = 1000 };

/* The reference counts hold two models that are no presets: backbones scaled under the other
 * rounding rule. */
static struct architecture golden_architecture(const char *name)
{
    struct architecture base, architecture;
    if (strcmp(name, "efficientnet-b3@google-automl-v2-code") == 0) {
        assert_int_equal(preset_find("efficientnet-b0", &base, NULL), 0);
        assert_int_equal(scale_architecture(&base, 1.2, 1.4, SCALE_ROUND_V2, &architecture), 0);
    } else if (strcmp(name, "efficientnetv2-b3@10pct-rule") == 0) {
        assert_int_equal(preset_find("efficientnetv2-b0", &base, NULL), 0);
        assert_int_equal(scale_architecture(&base, 1.2, 1.4, SCALE_ROUND_V1, &architecture), 0);
    } else if (preset_find(name, &architecture, NULL) < 0) {
        fail_msg("no preset %s", name);
    }
    return architecture;
}

static void test_costs_equal_the_reference_counts(void **state)
{
    (void)state;
    struct csv csv;
    size_t rows = 0;
    for (csv_open(&csv, "golden_models.csv"); csv_next(&csv); rows++) {
        struct architecture architecture = golden_architecture(csv.fields[0]);
        struct problem problem = {(uint32_t)csv_u64(&csv, 1), 3, CLASSES_IMAGENET};
        struct cost cost = cost_of(&architecture, &problem);
        assert_int_equal(cost.params, csv_u64(&csv, 2));
        assert_int_equal(cost.params_with_bn_statistics, csv_u64(&csv, 3));
        assert_int_equal(cost.macs, csv_u64(&csv, 4));
        if (*csv.fields[5])
            assert_int_equal(cost.activation_bytes, csv_u64(&csv, 5) * COST_ELEMENT_BYTES);
    }
    csv_close(&csv);
    assert_int_equal(rows, 31);
}

static void assert_layers_equal(const char *preset, uint32_t image_size, const char *file)
{
    struct architecture architecture;
    assert_int_equal(preset_find(preset, &architecture, NULL), 0);
    struct problem problem = {image_size, 3, CLASSES_IMAGENET};
    size_t count = layer_count(&architecture), row = 0;
    struct layer *layers = calloc(count, sizeof *layers);
    assert_non_null(layers);
    layer_list(&architecture, &problem, layers);
    struct csv csv;
    for (csv_open(&csv, file); csv_next(&csv); row++) {
        assert_true(row < count);
        const struct layer *layer = &layers[row];
        assert_string_equal(layer->name, csv.fields[0]);
        assert_int_equal(layer->in_channels, csv_u64(&csv, 1));
        assert_int_equal(layer->out_channels, csv_u64(&csv, 2));
        assert_int_equal(layer->kernel, csv_u64(&csv, 3));
        assert_int_equal(layer->out_size, csv_u64(&csv, 4));
        uint32_t groups = layer->kind == LAYER_DEPTHWISE ? layer->out_channels : 1;
        assert_int_equal(groups, csv_u64(&csv, 5));
        assert_int_equal(layer_weights(layer), csv_u64(&csv, 6));
        assert_int_equal(layer_macs(layer), csv_u64(&csv, 7));
    }
    csv_close(&csv);
    assert_int_equal(row, count);
    free(layers);
}

static void test_layers_equal_the_reference_listings(void **state)
{
    (void)state;
    assert_layers_equal("efficientnet-b0", 224, "layers_efficientnet-b0_224.csv");
    assert_layers_equal("efficientnetv2-b0", 192, "layers_efficientnetv2-b0_192.csv");
    assert_layers_equal("efficientnetv2-s", 300, "layers_efficientnetv2-s_300.csv");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_costs_equal_the_reference_counts),
        cmocka_unit_test(test_layers_equal_the_reference_listings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
