/* What a layer list says beyond the reference listings: sizes, activations, residuals. */
#include "search/layer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LAYERS_MAX = 32 };

static size_t list(const struct stage *stages, uint32_t count, struct problem problem,
                   struct layer *ret_layers)
{
    struct architecture architecture = {
        .stem_kernel = 3, .stem_stride = 2, .stem_channels = 8, .head_channels = 64};
    memcpy(architecture.stages, stages, count * sizeof *stages);
    architecture.stage_count = count;
    size_t layers = layer_count(&architecture);
    assert_in_range(layers, 3, LAYERS_MAX);
    layer_list(&architecture, &problem, ret_layers);
    return layers;
}

static void test_mbconv_layers_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum layer_kind kind;
        uint32_t block;
        bool silu, residual, block_start;
    } expected[] = {
        {"stem", LAYER_CONV, LAYER_NO_BLOCK, true, false, false},
        {"blocks_0.exp", LAYER_CONV, 0, true, false, true},
        {"blocks_0.dw", LAYER_DEPTHWISE, 0, true, false, false},
        {"blocks_0.se_r", LAYER_SE_REDUCE, 0, false, false, false},
        {"blocks_0.se_e", LAYER_SE_EXPAND, 0, false, false, false},
        {"blocks_0.proj", LAYER_CONV, 0, false, false, false},
        {"blocks_1.exp", LAYER_CONV, 1, true, false, true},
        {"blocks_1.dw", LAYER_DEPTHWISE, 1, true, false, false},
        {"blocks_1.se_r", LAYER_SE_REDUCE, 1, false, false, false},
        {"blocks_1.se_e", LAYER_SE_EXPAND, 1, false, false, false},
        {"blocks_1.proj", LAYER_CONV, 1, false, true, false},
        {"head", LAYER_CONV, LAYER_NO_BLOCK, true, false, false},
        {"fc", LAYER_FC, LAYER_NO_BLOCK, false, false, false},
    };
    const struct stage stages[] = {{BLOCK_MBCONV, 2, 5, 4, 2500, 2, 8}};
    struct layer layers[LAYERS_MAX];
    assert_int_equal(list(stages, 1, (struct problem){20, 3, 10}, layers), ARRAY_LENGTH(expected));
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        assert_string_equal(layers[i].name, expected[i].name);
        assert_int_equal(layers[i].kind, expected[i].kind);
        assert_int_equal(layers[i].block, expected[i].block);
        assert_int_equal(layers[i].silu, expected[i].silu);
        assert_int_equal(layers[i].residual, expected[i].residual);
        assert_int_equal(layers[i].block_start, expected[i].block_start);
    }
}

static void test_fused_layers_and_plain_convs(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "stem",          "blocks_0.conv", "blocks_1.fexp", "blocks_1.proj",
        "blocks_2.conv", "blocks_3.conv", "head",          "fc"};
    const struct stage stages[] = {{BLOCK_FUSED_MBCONV, 1, 3, 1, 2500, 1, 8},
                                   {BLOCK_IDENTITY, 1, 3, 1, 0, 2, 99},
                                   {BLOCK_FUSED_MBCONV, 1, 3, 4, 0, 1, 8},
                                   {BLOCK_CONV, 1, 3, 7, 2500, 1, 8},
                                   {BLOCK_CONV, 1, 3, 1, 0, 1, 16}};
    struct layer layers[LAYERS_MAX];
    assert_int_equal(list(stages, 5, (struct problem){20, 3, 10}, layers), ARRAY_LENGTH(expected));
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
        assert_string_equal(layers[i].name, expected[i]);
    /* one convolution with its activation before the sum, or a linear projection */
    assert_true(layers[1].silu && layers[1].residual && layers[1].block_start);
    assert_true(!layers[3].silu && layers[3].residual && !layers[3].block_start);
    assert_true(layers[4].silu && layers[4].residual);
    /* other channels come out than went in */
    assert_false(layers[5].residual);
}

static void test_odd_sizes_are_halved_upwards(void **state)
{
    (void)state;
    const struct stage stages[] = {{BLOCK_MBCONV, 1, 3, 4, 0, 2, 16},
                                   {BLOCK_FUSED_MBCONV, 1, 3, 4, 0, 2, 16}};
    struct layer layers[LAYERS_MAX];
    size_t count = list(stages, 2, (struct problem){27, 1, 10}, layers);
    static const uint32_t in_sizes[] = {27, 14, 14, 7, 7, 4, 4, 1};
    static const uint32_t out_sizes[] = {14, 14, 7, 7, 4, 4, 4, 1};
    assert_int_equal(count, ARRAY_LENGTH(in_sizes));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(layers[i].in_size, in_sizes[i]);
        assert_int_equal(layers[i].out_size, out_sizes[i]);
    }
    assert_int_equal(layers[0].in_channels, 1);
}

static void test_squeeze_keeps_at_least_one_channel(void **state)
{
    (void)state;
    const struct stage stages[] = {{BLOCK_MBCONV, 1, 3, 2, 1000, 1, 8}};
    struct layer layers[LAYERS_MAX];
    list(stages, 1, (struct problem){8, 1, 10}, layers);
    assert_string_equal(layers[3].name, "blocks_0.se_r");
    assert_int_equal(layers[3].in_channels, 16);
    assert_int_equal(layers[3].out_channels, 1);
    assert_int_equal(layers[4].in_channels, 1);
    assert_int_equal(layers[4].out_channels, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mbconv_layers_in_order),
        cmocka_unit_test(test_fused_layers_and_plain_convs),
        cmocka_unit_test(test_odd_sizes_are_halved_upwards),
        cmocka_unit_test(test_squeeze_keeps_at_least_one_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
