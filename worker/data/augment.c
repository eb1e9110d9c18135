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

bool augmentation_is_none(const struct augmentation *augmentation)
{
    return !augmentation->flip && augmentation->shift_x == 0 && augmentation->shift_y == 0;
}

/* `count` pixels ending at `last`, from the last to the first. */
static void mirror_pixels(const uint8_t *last, int64_t count, uint32_t channels, uint8_t *ret_out)
{
    if (channels == 1) {
        for (int64_t i = 0; i < count; i++)
            ret_out[i] = last[-i];
        return;
    }
    for (int64_t i = 0; i < count; i++, ret_out += 3, last -= 3) {
        const uint8_t red = last[0], green = last[1], blue = last[2];
        ret_out[0] = red;
        ret_out[1] = green;
        ret_out[2] = blue;
    }
}

void augmentation_apply(const struct augmentation *augmentation, uint32_t size, uint32_t channels,
                        const uint8_t *pixels, uint8_t *ret_pixels)
{
    const int64_t side = size, shift_x = augmentation->shift_x;
    /* Columns first .. last - 1 of the result come from the image. */
    int64_t first = shift_x > 0 ? shift_x : 0, last = shift_x < 0 ? side + shift_x : side;
    if (first > side)
        first = side;
    if (last < first)
        last = first;
    for (int64_t y = 0; y < side; y++) {
        uint8_t *to = ret_pixels + y * side * channels;
        const int64_t from_y = y - augmentation->shift_y;
        if (from_y < 0 || from_y >= side) {
            memset(to, 0, (size_t)(side * channels));
            continue;
        }
        const uint8_t *from = pixels + from_y * side * channels;
        memset(to, 0, (size_t)(first * channels));
        if (augmentation->flip)
            mirror_pixels(from + (side - 1 - (first - shift_x)) * channels, last - first, channels,
                          to + first * channels);
        else
            memcpy(to + first * channels, from + (first - shift_x) * channels,
                   (size_t)((last - first) * channels));
        memset(to + last * channels, 0, (size_t)((side - last) * channels));
    }
}
