#include "worker/data/augment.h"

#include "search/random.h"

#include <string.h>

struct augmentation augmentation_draw(const struct recipe *recipe, uint64_t seed, uint32_t epoch,
                                      uint32_t image)
{
    struct random_stream stream =
        random_stream_of(seed, (uint64_t)epoch << 32 | image, RANDOM_AUGMENT);
    struct augmentation drawn = {0};
    if (recipe->flip)
        drawn.flip = random_below(&stream, 2) != 0;
    if (recipe->shift > 0) {
        uint64_t choices = 2 * (uint64_t)recipe->shift + 1;
        drawn.shift_x = (int32_t)random_below(&stream, choices) - (int32_t)recipe->shift;
        drawn.shift_y = (int32_t)random_below(&stream, choices) - (int32_t)recipe->shift;
    }
    return drawn;
}

static void fill_pixels(float *pixels, int64_t count, uint32_t channels, const float *fill)
{
    for (int64_t i = 0; i < count; i++)
        for (uint32_t c = 0; c < channels; c++)
            pixels[i * channels + c] = fill[c];
}

static void mirror_pixels(const float *in, int64_t in_last, int64_t count, uint32_t channels,
                          float *ret_out)
{
    for (int64_t i = 0; i < count; i++)
        for (uint32_t c = 0; c < channels; c++)
            ret_out[i * channels + c] = in[(in_last - i) * channels + c];
}

void augmentation_apply(const struct augmentation *augmentation, uint32_t size, uint32_t channels,
                        const float *fill, const float *image, float *ret_image)
{
    const int64_t side = size, shift_x = augmentation->shift_x;
    /* Columns first .. last - 1 of the result come from the image. */
    int64_t first = shift_x > 0 ? shift_x : 0, last = shift_x < 0 ? side + shift_x : side;
    if (first > side)
        first = side;
    if (last < first)
        last = first;
    for (int64_t y = 0; y < side; y++) {
        float *to = ret_image + y * side * channels;
        int64_t from_y = y - augmentation->shift_y;
        if (from_y < 0 || from_y >= side) {
            fill_pixels(to, side, channels, fill);
            continue;
        }
        const float *from = image + from_y * side * channels;
        fill_pixels(to, first, channels, fill);
        if (augmentation->flip)
            mirror_pixels(from, side - 1 - (first - shift_x), last - first, channels,
                          to + first * channels);
        else
            memcpy(to + first * channels, from + (first - shift_x) * channels,
                   (size_t)(last - first) * channels * sizeof *to);
        fill_pixels(to + last * channels, side - last, channels, fill);
    }
}
