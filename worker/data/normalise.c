#include "worker/data/normalise.h"

#include <assert.h>

struct normaliser normaliser_of(const double *mean, const double *deviation, uint32_t channels)
{
    assert(channels > 0 && NORMALISE_LANES % channels == 0);
    struct normaliser normaliser;
    for (uint32_t i = 0; i < NORMALISE_LANES; i++) {
        normaliser.scale[i] = (float)(1 / (255 * deviation[i % channels]));
        normaliser.offset[i] = (float)(-mean[i % channels] / deviation[i % channels]);
    }
    return normaliser;
}

void normaliser_run(const struct normaliser *normaliser, const uint8_t *bytes, size_t count,
                    float *ret_values)
{
    const float *restrict scale = normaliser->scale, *restrict offset = normaliser->offset;
    float *restrict values = ret_values;
    size_t done = 0;
    for (; done + NORMALISE_LANES <= count; done += NORMALISE_LANES)
        for (size_t i = 0; i < NORMALISE_LANES; i++)
            values[done + i] = (float)bytes[done + i] * scale[i] + offset[i];
    for (size_t i = 0; done + i < count; i++)
        values[done + i] = (float)bytes[done + i] * scale[i] + offset[i];
}
