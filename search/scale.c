#include "search/scale.h"

#include <errno.h>
#include <math.h>

enum { CHANNELS_DIVISOR = 8 };

/* Saturates above the limit, so that the caller's validation sees it. */
static uint32_t scale_channels(uint32_t channels, double width, enum scale_rounding rounding)
{
    if (width == 1.0)
        return channels;
    double wide = channels * width;
    if (wide > ARCHITECTURE_CHANNELS_MAX)
        return ARCHITECTURE_CHANNELS_MAX + 1;
    uint32_t rounded =
        (uint32_t)(wide + CHANNELS_DIVISOR / 2) / CHANNELS_DIVISOR * CHANNELS_DIVISOR;
    if (rounded < CHANNELS_DIVISOR)
        rounded = CHANNELS_DIVISOR;
    if (rounding == SCALE_ROUND_V1 && rounded < 0.9 * wide)
        rounded += CHANNELS_DIVISOR;
    return rounded;
}

static uint32_t scale_layers(uint32_t layers, double depth)
{
    double deep = ceil(layers * depth);
    return deep > ARCHITECTURE_LAYERS_MAX ? ARCHITECTURE_LAYERS_MAX + 1 : (uint32_t)deep;
}

int scale_architecture(const struct architecture *base, double width, double depth,
                       enum scale_rounding rounding, struct architecture *ret_scaled)
{
    if (!isfinite(width) || !isfinite(depth) || width <= 0 || depth <= 0)
        return -EINVAL;
    struct architecture scaled = *base;
    scaled.stem_channels = scale_channels(base->stem_channels, width, rounding);
    scaled.head_channels = scale_channels(base->head_channels, width, rounding);
    for (uint32_t i = 0; i < base->stage_count; i++) {
        scaled.stages[i].channels = scale_channels(base->stages[i].channels, width, rounding);
        scaled.stages[i].layers = scale_layers(base->stages[i].layers, depth);
    }
    if (architecture_validate(&scaled, NULL) < 0)
        return -ERANGE;
    *ret_scaled = scaled;
    return 0;
}
