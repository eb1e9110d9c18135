#include "worker/data/crop.h"

#include <assert.h>
#include <math.h>

struct crop crop_whole(uint32_t size)
{
    return (struct crop){.width = size, .height = size};
}

struct crop crop_draw(struct random_stream *stream, double area_min, uint32_t size)
{
    assert(area_min > 0 && area_min <= 1);
    const double widest = log(4.0 / 3);
    for (int i = 0; i < CROP_TRIES; i++) {
        const double share = area_min + (1 - area_min) * random_unit(stream);
        const double aspect = exp((2 * random_unit(stream) - 1) * widest);
        const double width = round(size * sqrt(share * aspect));
        const double height = round(size * sqrt(share / aspect));
        if (width < 1 || height < 1 || width > size || height > size)
            continue;
        struct crop crop = {.width = (uint32_t)width, .height = (uint32_t)height};
        crop.x = (uint32_t)random_below(stream, (uint64_t)size - crop.width + 1);
        crop.y = (uint32_t)random_below(stream, (uint64_t)size - crop.height + 1);
        return crop;
    }
    return crop_whole(size);
}
