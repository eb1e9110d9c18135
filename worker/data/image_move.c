/* Operations that move or cover pixels. Places are computed in floats, in the order of TensorFlow's
 * ImageProjectiveTransform, and rounded half away from zero as there. */
#include "worker/data/image.h"

#include <math.h>
#include <string.h>

static void copy_pixel(const uint8_t *from, uint32_t channels, uint8_t *to)
{
    if (channels == 1) {
        to[0] = from[0];
        return;
    }
    const uint8_t red = from[0], green = from[1], blue = from[2];
    to[0] = red;
    to[1] = green;
    to[2] = blue;
}

static void warp_row(const struct image *image, const struct warp *warp, uint32_t y,
                     const uint8_t *original)
{
    static const uint8_t nothing[IMAGE_CHANNELS_MAX] = {IMAGE_FILL, IMAGE_FILL, IMAGE_FILL};
    const uint32_t size = image->size, channels = image->channels;
    const float first = -0.5f, end = (float)size - 0.5f;
    const float row_x = warp->xy * (float)y, row_y = warp->yy * (float)y;
    uint8_t *to = image->pixels + (size_t)y * size * channels;
    for (uint32_t x = 0; x < size; x++, to += channels) {
        const float from_x = warp->xx * (float)x + row_x + warp->x0;
        const float from_y = warp->yx * (float)x + row_y + warp->y0;
        if (from_x > first && from_x < end && from_y > first && from_y < end) {
            size_t column = (size_t)(int)(from_x + 0.5f), row = (size_t)(int)(from_y + 0.5f);
            copy_pixel(original + (row * size + column) * channels, channels, to);
        } else {
            copy_pixel(nothing, channels, to);
        }
    }
}

void image_warp(struct image *image, const struct warp *warp, uint8_t *scratch)
{
    memcpy(scratch, image->pixels, image_bytes(image));
    for (uint32_t y = 0; y < image->size; y++)
        warp_row(image, warp, y, scratch);
}

struct warp warp_rotation(double degrees, uint32_t size)
{
    const double radians = degrees * (M_PI / 180);
    const float cosine = (float)cos(radians), sine = (float)sin(radians);
    const float last = (float)size - 1;
    return (struct warp){.xx = cosine,
                         .xy = -sine,
                         .x0 = (last - (cosine * last - sine * last)) / 2,
                         .yx = sine,
                         .yy = cosine,
                         .y0 = (last - (sine * last + cosine * last)) / 2};
}

struct warp warp_shear_x(double level)
{
    return (struct warp){.xx = 1, .xy = (float)level, .yy = 1};
}

struct warp warp_shear_y(double level)
{
    return (struct warp){.xx = 1, .yx = (float)level, .yy = 1};
}

struct warp warp_translation_x(double pixels)
{
    return (struct warp){.xx = 1, .x0 = (float)pixels, .yy = 1};
}

struct warp warp_translation_y(double pixels)
{
    return (struct warp){.xx = 1, .yy = 1, .y0 = (float)pixels};
}

void image_cutout(struct image *image, uint32_t x, uint32_t y, uint32_t pad)
{
    const uint32_t size = image->size;
    const uint32_t left = x > pad ? x - pad : 0, right = pad < size - x ? x + pad : size;
    const uint32_t top = y > pad ? y - pad : 0, bottom = pad < size - y ? y + pad : size;
    for (uint32_t row = top; row < bottom; row++)
        memset(image->pixels + ((size_t)row * size + left) * image->channels, IMAGE_FILL,
               (size_t)(right - left) * image->channels);
}
