#include "search/preset.h"

#include "search/scale.h"
#include "search/suggest.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SE_QUARTER = SE_RATIO_SCALE / 4 };

#define MB(layers, kernel, stride, expansion, channels)                                            \
    {                                                                                              \
        BLOCK_MBCONV, layers, kernel, expansion, SE_QUARTER, stride, channels                      \
    }
#define FUSED(layers, kernel, stride, expansion, channels)                                         \
    {                                                                                              \
        BLOCK_FUSED_MBCONV, layers, kernel, expansion, 0, stride, channels                         \
    }

/* EfficientNet, table 1. */
static const struct architecture base_v1 = {
    3,
    2,
    32,
    1280,
    7,
    {MB(1, 3, 1, 1, 16), MB(2, 3, 2, 6, 24), MB(2, 5, 2, 6, 40), MB(3, 3, 2, 6, 80),
     MB(3, 5, 1, 6, 112), MB(4, 5, 2, 6, 192), MB(1, 3, 1, 6, 320)}};

/* EfficientNetV2-base, which is also V2-B0. */
static const struct architecture base_v2 = {3,
                                            2,
                                            32,
                                            1280,
                                            6,
                                            {FUSED(1, 3, 1, 1, 16), FUSED(2, 3, 2, 4, 32),
                                             FUSED(2, 3, 2, 4, 48), MB(3, 3, 2, 4, 96),
                                             MB(5, 3, 1, 6, 112), MB(8, 3, 2, 6, 192)}};

/* EfficientNetV2, table 4; the released head has 1280 channels, not 1792. */
static const struct architecture v2_s = {3,
                                         2,
                                         24,
                                         1280,
                                         6,
                                         {FUSED(2, 3, 1, 1, 24), FUSED(4, 3, 2, 4, 48),
                                          FUSED(4, 3, 2, 4, 64), MB(6, 3, 2, 4, 128),
                                          MB(9, 3, 1, 6, 160), MB(15, 3, 2, 6, 256)}};

/* As printed in the paper's first version. */
static const struct architecture v2_s_arxiv1 = {3,
                                                2,
                                                24,
                                                1792,
                                                6,
                                                {FUSED(2, 3, 1, 1, 24), FUSED(4, 3, 2, 4, 48),
                                                 FUSED(4, 3, 2, 4, 64), MB(6, 3, 2, 4, 128),
                                                 MB(9, 3, 1, 6, 160), MB(15, 3, 2, 6, 272)}};

static const struct architecture v2_m = {
    3,
    2,
    24,
    1280,
    7,
    {FUSED(3, 3, 1, 1, 24), FUSED(5, 3, 2, 4, 48), FUSED(5, 3, 2, 4, 80), MB(7, 3, 2, 4, 160),
     MB(14, 3, 1, 6, 176), MB(18, 3, 2, 6, 304), MB(5, 3, 1, 6, 512)}};

static const struct architecture v2_l = {
    3,
    2,
    32,
    1280,
    7,
    {FUSED(4, 3, 1, 1, 32), FUSED(7, 3, 2, 4, 64), FUSED(7, 3, 2, 4, 96), MB(10, 3, 2, 4, 192),
     MB(19, 3, 1, 6, 224), MB(25, 3, 2, 6, 384), MB(7, 3, 1, 6, 640)}};

static const struct architecture v2_xl = {
    3,
    2,
    32,
    1280,
    7,
    {FUSED(4, 3, 1, 1, 32), FUSED(8, 3, 2, 4, 64), FUSED(8, 3, 2, 4, 96), MB(16, 3, 2, 4, 192),
     MB(24, 3, 1, 6, 256), MB(32, 3, 2, 6, 512), MB(8, 3, 1, 6, 640)}};

static const struct architecture reference = {
    3,   1, 16,
    256, 4, {FUSED(1, 3, 1, 1, 16), FUSED(2, 3, 2, 4, 32), MB(2, 3, 2, 4, 48), MB(2, 5, 2, 6, 96)}};

struct preset {
    const char *name;
    const struct architecture *base;
    double width, depth;
    enum scale_rounding rounding;
    uint32_t stem_stride;
    struct problem usual;
};

/* Sorted by name. */
static const struct preset presets[] = {
    {"archscout-reference", &reference, 1.0, 1.0, SCALE_ROUND_V2, 1, {32, 3, 10}},
    {"efficientnet-b0", &base_v1, 1.0, 1.0, SCALE_ROUND_V1, 2, {224, 3, 1000}},
    {"efficientnet-b1", &base_v1, 1.0, 1.1, SCALE_ROUND_V1, 2, {240, 3, 1000}},
    {"efficientnet-b2", &base_v1, 1.1, 1.2, SCALE_ROUND_V1, 2, {260, 3, 1000}},
    {"efficientnet-b3", &base_v1, 1.2, 1.4, SCALE_ROUND_V1, 2, {300, 3, 1000}},
    {"efficientnet-b4", &base_v1, 1.4, 1.8, SCALE_ROUND_V1, 2, {380, 3, 1000}},
    {"efficientnet-b5", &base_v1, 1.6, 2.2, SCALE_ROUND_V1, 2, {456, 3, 1000}},
    {"efficientnet-b6", &base_v1, 1.8, 2.6, SCALE_ROUND_V1, 2, {528, 3, 1000}},
    {"efficientnet-b7", &base_v1, 2.0, 3.1, SCALE_ROUND_V1, 2, {600, 3, 1000}},
    {"efficientnet-b8", &base_v1, 2.2, 3.6, SCALE_ROUND_V1, 2, {672, 3, 1000}},
    {"efficientnet-l2", &base_v1, 4.3, 5.3, SCALE_ROUND_V1, 2, {800, 3, 1000}},
    {"efficientnetv2-b0", &base_v2, 1.0, 1.0, SCALE_ROUND_V2, 2, {192, 3, 1000}},
    {"efficientnetv2-b0-small-images", &base_v2, 1.0, 1.0, SCALE_ROUND_V2, 1, {32, 3, 10}},
    {"efficientnetv2-b1", &base_v2, 1.0, 1.1, SCALE_ROUND_V2, 2, {192, 3, 1000}},
    {"efficientnetv2-b1-small-images", &base_v2, 1.0, 1.1, SCALE_ROUND_V2, 1, {32, 3, 10}},
    {"efficientnetv2-b2", &base_v2, 1.1, 1.2, SCALE_ROUND_V2, 2, {208, 3, 1000}},
    {"efficientnetv2-b2-small-images", &base_v2, 1.1, 1.2, SCALE_ROUND_V2, 1, {32, 3, 10}},
    {"efficientnetv2-b3", &base_v2, 1.2, 1.4, SCALE_ROUND_V2, 2, {240, 3, 1000}},
    {"efficientnetv2-b3-small-images", &base_v2, 1.2, 1.4, SCALE_ROUND_V2, 1, {32, 3, 10}},
    {"efficientnetv2-l", &v2_l, 1.0, 1.0, SCALE_ROUND_V2, 2, {384, 3, 1000}},
    {"efficientnetv2-m", &v2_m, 1.0, 1.0, SCALE_ROUND_V2, 2, {384, 3, 1000}},
    {"efficientnetv2-s", &v2_s, 1.0, 1.0, SCALE_ROUND_V2, 2, {300, 3, 1000}},
    {"efficientnetv2-s-arxiv1", &v2_s_arxiv1, 1.0, 1.0, SCALE_ROUND_V2, 2, {288, 3, 1000}},
    {"efficientnetv2-s-small-images", &v2_s, 1.0, 1.0, SCALE_ROUND_V2, 1, {32, 3, 10}},
    {"efficientnetv2-xl", &v2_xl, 1.0, 1.0, SCALE_ROUND_V2, 2, {384, 3, 1000}},
};

size_t preset_count(void)
{
    return ARRAY_LENGTH(presets);
}

const char *preset_name(size_t index)
{
    return index < ARRAY_LENGTH(presets) ? presets[index].name : NULL;
}

struct problem preset_problem(size_t index)
{
    assert(index < ARRAY_LENGTH(presets));
    return presets[index].usual;
}

static int preset_unknown(const char *name, struct error *error)
{
    const char *names[ARRAY_LENGTH(presets)];
    for (size_t i = 0; i < ARRAY_LENGTH(presets); i++)
        names[i] = presets[i].name;
    const char *near = suggest(name, names, ARRAY_LENGTH(names));
    if (near)
        return error_set(error, -ENOENT, "",
                         "There is no model preset \"%.64s\"; did you mean \"%s\"?", name, near);
    return error_set(error, -ENOENT, "",
                     "There is no model preset \"%.64s\"; there are efficientnet-b0 to b8 and l2, "
                     "efficientnetv2-b0 to b3, s, m, l and xl, the small-image variants "
                     "efficientnetv2-b0-small-images to b3 and s, and archscout-reference.",
                     name);
}

int preset_find(const char *name, struct architecture *ret_architecture, struct error *error)
{
    for (size_t i = 0; i < ARRAY_LENGTH(presets); i++) {
        const struct preset *preset = &presets[i];
        if (strcmp(name, preset->name) != 0)
            continue;
        int r = scale_architecture(preset->base, preset->width, preset->depth, preset->rounding,
                                   ret_architecture);
        assert(r == 0);
        ret_architecture->stem_stride = preset->stem_stride;
        return 0;
    }
    return preset_unknown(name, error);
}
