#include "worker/data/resize.h"

#include "worker/data/image.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* One direction. Kept from one image to the next while the part stays the same. */
struct axis {
    uint32_t from, length; /* of the part; length 0: not set */
    uint32_t taps;         /* an output pixel */
    uint32_t *start;       /* (out_size) first input pixel */
    float *weights; /* (out_size, taps) sum to 1; taps past the edge weigh 0 and start + tap stays
                       inside the part */
};

struct resizer {
    uint32_t in_size, out_size, channels;
    struct axis across, down;
    float *row; /* (in_size, channels) one output row before it is resized across */
};

/* Input pixels that an output pixel of a part of this length may reach. */
static uint32_t taps_of(uint32_t length, uint32_t out_size)
{
    const double scale = (double)length / out_size;
    const uint32_t taps = (uint32_t)ceil(2 * (scale > 1 ? scale : 1));
    return taps < length ? taps : length;
}

static void axis_set_tap(struct axis *axis, uint32_t out_size, uint32_t out)
{
    const double scale = (double)axis->length / out_size;
    const double reach = scale > 1 ? scale : 1;
    const double centre = (out + 0.5) * scale - 0.5;
    const double first = ceil(centre - reach);
    const double last_start = (double)axis->length - axis->taps;
    const uint32_t start = (uint32_t)fmax(0, fmin(first, last_start));
    float *weights = axis->weights + (size_t)out * axis->taps;
    double sum = 0;
    for (uint32_t t = 0; t < axis->taps; t++)
        sum += fmax(0, 1 - fabs(start + t - centre) / reach);
    for (uint32_t t = 0; t < axis->taps; t++)
        weights[t] = (float)(fmax(0, 1 - fabs(start + t - centre) / reach) / sum);
    axis->start[out] = axis->from + start;
}

static void axis_set(struct axis *axis, uint32_t out_size, uint32_t from, uint32_t length)
{
    if (axis->from == from && axis->length == length)
        return;
    axis->from = from;
    axis->length = length;
    axis->taps = taps_of(length, out_size);
    for (uint32_t out = 0; out < out_size; out++)
        axis_set_tap(axis, out_size, out);
}

static int axis_init(struct axis *axis, uint32_t in_size, uint32_t out_size)
{
    axis->start = calloc(out_size, sizeof *axis->start);
    axis->weights = calloc((size_t)out_size * taps_of(in_size, out_size), sizeof *axis->weights);
    return axis->start && axis->weights ? 0 : -ENOMEM;
}

static void axis_release(struct axis *axis)
{
    free(axis->start);
    free(axis->weights);
}

int resizer_new(uint32_t in_size, uint32_t out_size, uint32_t channels,
                struct resizer **ret_resizer)
{
    assert(in_size > 0 && out_size > 0 && (channels == 1 || channels == IMAGE_CHANNELS_MAX));
    struct resizer *resizer = calloc(1, sizeof *resizer);
    if (!resizer)
        return -ENOMEM;
    resizer->in_size = in_size;
    resizer->out_size = out_size;
    resizer->channels = channels;
    resizer->row = calloc((size_t)in_size * channels, sizeof *resizer->row);
    int r = resizer->row ? axis_init(&resizer->across, in_size, out_size) : -ENOMEM;
    if (r == 0)
        r = axis_init(&resizer->down, in_size, out_size);
    if (r < 0) {
        resizer_free(resizer);
        return r;
    }
    *ret_resizer = resizer;
    return 0;
}

void resizer_free(struct resizer *resizer)
{
    if (!resizer)
        return;
    axis_release(&resizer->across);
    axis_release(&resizer->down);
    free(resizer->row);
    free(resizer);
}

/* Output row y of the part's columns: (length across, channels), into their place in `row`. */
static void resize_down(const struct resizer *resizer, const uint8_t *image, uint32_t y)
{
    const struct axis *down = &resizer->down;
    const float *weights = down->weights + (size_t)y * down->taps;
    const size_t in_row = (size_t)resizer->in_size * resizer->channels;
    const size_t first = (size_t)resizer->across.from * resizer->channels;
    const size_t count = (size_t)resizer->across.length * resizer->channels;
    const uint8_t *from = image + down->start[y] * in_row + first;
    float *restrict row = resizer->row + first;
    if (down->taps == 1) {
        for (size_t i = 0; i < count; i++)
            row[i] = weights[0] * (float)from[i];
        return;
    }
    const uint8_t *next = from + in_row;
    const float weight = weights[0], next_weight = weights[1];
    for (size_t i = 0; i < count; i++)
        row[i] = weight * (float)from[i] + next_weight * (float)next[i];
    for (uint32_t t = 2; t < down->taps; t++)
        for (size_t i = 0; i < count; i++)
            row[i] += weights[t] * (float)from[t * in_row + i];
}

/* Called with constants, so that the inner loops are unrolled. */
static inline void resize_across(const struct resizer *resizer, uint32_t channels, uint32_t taps,
                                 uint8_t *ret_row)
{
    const float *weights = resizer->across.weights;
    for (uint32_t x = 0; x < resizer->out_size; x++, weights += taps) {
        const float *from = resizer->row + (size_t)resizer->across.start[x] * channels;
        float sums[IMAGE_CHANNELS_MAX] = {0};
        for (uint32_t t = 0; t < taps; t++)
            for (uint32_t c = 0; c < channels; c++)
                sums[c] += weights[t] * from[t * channels + c];
        for (uint32_t c = 0; c < channels; c++)
            *ret_row++ = (uint8_t)(int)(sums[c] + 0.5f);
    }
}

static void resize_row(const struct resizer *resizer, uint8_t *ret_row)
{
    const uint32_t taps = resizer->across.taps;
    if (resizer->channels == 1 && taps == 2)
        resize_across(resizer, 1, 2, ret_row);
    else if (resizer->channels == 1)
        resize_across(resizer, 1, taps, ret_row);
    else if (taps == 2)
        resize_across(resizer, IMAGE_CHANNELS_MAX, 2, ret_row);
    else
        resize_across(resizer, IMAGE_CHANNELS_MAX, taps, ret_row);
}

void resizer_run(struct resizer *resizer, const uint8_t *image, const struct crop *part,
                 uint8_t *ret_image)
{
    const uint32_t in_size = resizer->in_size;
    assert(part->width > 0 && part->width <= in_size && part->x <= in_size - part->width);
    assert(part->height > 0 && part->height <= in_size && part->y <= in_size - part->height);
    axis_set(&resizer->across, resizer->out_size, part->x, part->width);
    axis_set(&resizer->down, resizer->out_size, part->y, part->height);
    const size_t out_row = (size_t)resizer->out_size * resizer->channels;
    for (uint32_t y = 0; y < resizer->out_size; y++) {
        resize_down(resizer, image, y);
        resize_row(resizer, ret_image + y * out_row);
    }
}
