/* Operations that change values: those of one value alone go through a table of 256. */
#include "worker/data/image.h"

#include <assert.h>
#include <string.h>

enum { LEVELS = 256, LEVEL_MAX = 255, DARK = 128, BLUR_WEIGHT = 13 };

struct tone_table {
    uint8_t level[IMAGE_CHANNELS_MAX][LEVELS]; /* new value of each channel's values */
};

struct histogram {
    uint32_t count[IMAGE_CHANNELS_MAX][LEVELS];
};

static size_t image_pixels(const struct image *image)
{
    return (size_t)image->size * image->size;
}

static void count_levels(const struct image *image, struct histogram *histogram)
{
    const size_t bytes = image_bytes(image);
    const uint8_t *pixels = image->pixels;
    memset(histogram, 0, sizeof *histogram);
    if (image->channels == 1) {
        for (size_t i = 0; i < bytes; i++)
            histogram->count[0][pixels[i]]++;
        return;
    }
    for (size_t i = 0; i < bytes; i += IMAGE_CHANNELS_MAX)
        for (int c = 0; c < IMAGE_CHANNELS_MAX; c++)
            histogram->count[c][pixels[i + (size_t)c]]++;
}

static void apply_table(struct image *image, const struct tone_table *table)
{
    const size_t bytes = image_bytes(image);
    uint8_t *pixels = image->pixels;
    if (image->channels == 1) {
        for (size_t i = 0; i < bytes; i++)
            pixels[i] = table->level[0][pixels[i]];
        return;
    }
    for (size_t i = 0; i < bytes; i += IMAGE_CHANNELS_MAX)
        for (int c = 0; c < IMAGE_CHANNELS_MAX; c++)
            pixels[i + (size_t)c] = table->level[c][pixels[i + (size_t)c]];
}

/* One table for all channels. */
static void apply_levels(struct image *image, const uint8_t *level)
{
    const size_t bytes = image_bytes(image);
    uint8_t *pixels = image->pixels;
    for (size_t i = 0; i < bytes; i++)
        pixels[i] = level[pixels[i]];
}

/* Clipped to a byte and cut off, not rounded, as TensorFlow casts. */
static uint8_t byte_of(float value)
{
    value = value < 0 ? 0 : value;
    value = value > LEVEL_MAX ? LEVEL_MAX : value;
    return (uint8_t)(int)value;
}

static uint8_t blend(float plain, float value, float factor)
{
    return byte_of(plain + factor * (value - plain));
}

static void stretch(const uint32_t *count, uint8_t *ret_level)
{
    int low = 0, high = LEVEL_MAX;
    while (low < LEVEL_MAX && count[low] == 0)
        low++;
    while (high > 0 && count[high] == 0)
        high--;
    const float scale = high > low ? (float)LEVEL_MAX / (float)(high - low) : 1;
    const float offset = high > low ? (float)-low * scale : 0;
    for (int i = 0; i < LEVELS; i++)
        ret_level[i] = byte_of((float)i * scale + offset);
}

void image_auto_contrast(struct image *image)
{
    struct histogram histogram;
    struct tone_table table;
    count_levels(image, &histogram);
    for (uint32_t c = 0; c < image->channels; c++)
        stretch(histogram.count[c], table.level[c]);
    apply_table(image, &table);
}

static void flatten(const uint32_t *count, uint32_t pixels, uint8_t *ret_level)
{
    int last = LEVEL_MAX;
    while (count[last] == 0)
        last--;
    const uint32_t step = (pixels - count[last]) / LEVEL_MAX;
    uint32_t below = step / 2; /* pixels of lesser values, and half a step */
    for (int i = 0; i < LEVELS; i++) {
        uint32_t level = step > 0 ? below / step : (uint32_t)i;
        ret_level[i] = (uint8_t)(level < LEVEL_MAX ? level : LEVEL_MAX);
        below += count[i];
    }
}

void image_equalize(struct image *image)
{
    struct histogram histogram;
    struct tone_table table;
    count_levels(image, &histogram);
    for (uint32_t c = 0; c < image->channels; c++)
        flatten(histogram.count[c], (uint32_t)image_pixels(image), table.level[c]);
    apply_table(image, &table);
}

void image_invert(struct image *image)
{
    const size_t bytes = image_bytes(image);
    uint8_t *pixels = image->pixels;
    for (size_t i = 0; i < bytes; i++)
        pixels[i] = (uint8_t)(LEVEL_MAX - pixels[i]);
}

void image_posterize(struct image *image, uint32_t cleared_bits)
{
    assert(cleared_bits < 8);
    const size_t bytes = image_bytes(image);
    const uint8_t kept = (uint8_t)(LEVEL_MAX << cleared_bits);
    uint8_t *pixels = image->pixels;
    for (size_t i = 0; i < bytes; i++)
        pixels[i] &= kept;
}

void image_solarize(struct image *image, uint32_t threshold)
{
    if (threshold > LEVEL_MAX)
        return;
    const size_t bytes = image_bytes(image);
    const uint8_t first = (uint8_t)threshold;
    uint8_t *pixels = image->pixels;
    for (size_t i = 0; i < bytes; i++)
        pixels[i] = (uint8_t)(pixels[i] >= first ? LEVEL_MAX - pixels[i] : pixels[i]);
}

void image_solarize_add(struct image *image, uint32_t addition)
{
    const size_t bytes = image_bytes(image);
    const uint8_t most = (uint8_t)(addition < LEVEL_MAX ? addition : LEVEL_MAX);
    uint8_t *pixels = image->pixels;
    for (size_t i = 0; i < bytes; i++) {
        const uint8_t room = (uint8_t)(LEVEL_MAX - pixels[i]);
        const uint8_t added = most < room ? most : room;
        pixels[i] = (uint8_t)(pixels[i] + (pixels[i] < DARK ? added : 0));
    }
}

/* (0.2989 red + 0.5870 green + 0.1140 blue) * 255.5 / 255, cut off: TensorFlow's rgb_to_grayscale
 * of bytes, in exact numbers. Red = green = blue gives the same value. */
static uint32_t grey_of(const uint8_t *pixel)
{
    uint32_t weighted = 2989u * pixel[0] + 5870u * pixel[1] + 1140u * pixel[2];
    return weighted * 511u / 5100000u;
}

void image_color(struct image *image, float factor, uint8_t *scratch)
{
    const size_t bytes = image_bytes(image);
    uint8_t *restrict pixels = image->pixels, *restrict greys = scratch;
    if (image->channels == 1 || factor == 1)
        return;
    for (size_t i = 0; i < bytes; i += IMAGE_CHANNELS_MAX)
        greys[i] = greys[i + 1] = greys[i + 2] = (uint8_t)grey_of(pixels + i);
    for (size_t i = 0; i < bytes; i++)
        pixels[i] = blend(greys[i], pixels[i], factor);
}

static void blend_with_level(struct image *image, uint8_t plain, float factor)
{
    uint8_t level[LEVELS];
    for (int i = 0; i < LEVELS; i++)
        level[i] = blend(plain, (float)i, factor);
    apply_levels(image, level);
}

static uint8_t mean_grey(const struct image *image)
{
    const size_t bytes = image_bytes(image), pixels = image_pixels(image);
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes; i += image->channels)
        sum += image->channels == 1 ? image->pixels[i] : grey_of(image->pixels + i);
    return (uint8_t)((2 * sum + pixels) / (2 * pixels));
}

void image_contrast(struct image *image, float factor)
{
    if (factor != 1)
        blend_with_level(image, mean_grey(image), factor);
}

void image_brightness(struct image *image, float factor)
{
    if (factor != 1)
        blend_with_level(image, 0, factor);
}

/* The inner values of one row. `above` is the row above of the original, rows are `row` apart. */
static void sharpen_row(const uint8_t *above, size_t row, uint32_t channels, float factor,
                        uint8_t *ret_row)
{
    const uint8_t *middle = above + row, *below = middle + row;
    for (size_t i = channels; i < row - channels; i++) {
        const size_t left = i - channels, right = i + channels;
        const unsigned sum = (unsigned)above[left] + above[i] + above[right] + middle[left] +
                             5u * middle[i] + middle[right] + below[left] + below[i] + below[right];
        ret_row[i] = blend((float)(int)(sum / BLUR_WEIGHT), middle[i], factor);
    }
}

void image_sharpness(struct image *image, float factor, uint8_t *scratch)
{
    if (factor == 1 || image->size < 3)
        return;
    const size_t row = (size_t)image->size * image->channels;
    memcpy(scratch, image->pixels, image_bytes(image));
    for (uint32_t y = 1; y + 1 < image->size; y++)
        sharpen_row(scratch + (y - 1) * row, row, image->channels, factor, image->pixels + y * row);
}
