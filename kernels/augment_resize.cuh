/* The first step of a transform: the part that is shown, at the batch's size, flipped and shifted. worker/data/resize.c and
 * augment.c, pixel by pixel: what they compute once a row is computed again for each pixel here, in the same order. */
#ifndef KERNELS_AUGMENT_RESIZE_CUH
#define KERNELS_AUGMENT_RESIZE_CUH

#include "kernels/augment_canvas.cuh"

#include <math.h>

/* One direction, in shared memory. */
struct axis {
    uint32_t taps;   /* an output pixel */
    uint32_t *start; /* (out_size) first input pixel, of the whole image */
    float *weights;  /* (out_size, taps) */
};

/* Input pixels that an output pixel of a part of this length may reach. */
__host__ __device__ static inline uint32_t axis_taps(uint32_t length, uint32_t out_size)
{
    const double scale = (double)length / out_size;
    const uint32_t taps = (uint32_t)ceil(2 * (scale > 1 ? scale : 1));
    return taps < length ? taps : length;
}

/* Of any part of an image of in_size. */
__host__ __device__ static inline size_t axis_bytes(uint32_t in_size, uint32_t out_size)
{
    return (size_t)out_size * (1 + axis_taps(in_size, out_size)) * sizeof(float);
}

__device__ static inline void axis_set_tap(const struct axis *axis, uint32_t length,
                                           uint32_t out_size, uint32_t out)
{
    const double scale = (double)length / out_size;
    const double reach = scale > 1 ? scale : 1;
    const double centre = (out + 0.5) * scale - 0.5;
    const double first = ceil(centre - reach);
    const double last_start = (double)length - axis->taps;
    const uint32_t start = (uint32_t)fmax(0.0, fmin(first, last_start));
    float *weights = axis->weights + (size_t)out * axis->taps;
    double sum = 0;
    for (uint32_t t = 0; t < axis->taps; t++)
        sum += fmax(0.0, 1 - fabs(start + t - centre) / reach);
    for (uint32_t t = 0; t < axis->taps; t++)
        weights[t] = (float)(fmax(0.0, 1 - fabs(start + t - centre) / reach) / sum);
    axis->start[out] = start;
}

/* memory: axis_bytes() of it. For all threads to read after a barrier. */
__device__ static inline struct axis axis_make(unsigned char *memory, uint32_t from,
                                               uint32_t length, uint32_t out_size)
{
    struct axis axis;
    axis.taps = axis_taps(length, out_size);
    axis.start = (uint32_t *)memory;
    axis.weights = (float *)(axis.start + out_size);
    for (uint32_t out = threadIdx.x; out < out_size; out += CANVAS_THREADS) {
        axis_set_tap(&axis, length, out_size, out);
        axis.start[out] += from;
    }
    return axis;
}

/* A value of the output row y before it is resized across: `from` is that column of the image's first row, rows are `row`
 * apart. */
__device__ static inline float axis_down(const struct axis *down, const uint8_t *from, size_t row,
                                         uint32_t y)
{
    const float *weights = down->weights + (size_t)y * down->taps;
    from += down->start[y] * row;
    float value = weights[0] * (float)from[0];
    for (uint32_t t = 1; t < down->taps; t++)
        value += weights[t] * (float)from[t * row];
    return value;
}

/* Pixel (x, y) of the resized image. */
__device__ static inline void resize_pixel(const struct axis axes[2], const uint8_t *image,
                                           const struct image_set *set, uint32_t x, uint32_t y,
                                           uint8_t *ret_pixel)
{
    const struct axis *across = &axes[0];
    const float *weights = across->weights + (size_t)x * across->taps;
    const size_t row = (size_t)set->size * set->channels;
    const uint8_t *from = image + (size_t)across->start[x] * set->channels;
    for (uint32_t c = 0; c < set->channels; c++) {
        float sum = 0;
        for (uint32_t t = 0; t < across->taps; t++)
            sum += weights[t] * axis_down(&axes[1], from + t * set->channels + c, row, y);
        ret_pixel[c] = (uint8_t)(int)(sum + 0.5f);
    }
}

/* Where the pixel (x, y) of the moved image was; false where there is none. */
__device__ static inline bool moved_from(const struct augmentation *moved, uint32_t size,
                                         uint32_t *x, uint32_t *y)
{
    const int64_t column = (int64_t)*x - moved->shift_x, row = (int64_t)*y - moved->shift_y;
    if (column < 0 || column >= size || row < 0 || row >= size)
        return false;
    *x = moved->flip ? size - 1 - (uint32_t)column : (uint32_t)column;
    *y = (uint32_t)row;
    return true;
}

/* transform's `shown` and `moved`, of `image` (set.size, set.size, channels), into ret_pixels (size, size, channels). `tables`:
 * twice axis_bytes(). */
__device__ static void canvas_show(const struct image_set *set, const uint8_t *image,
                                   const struct transform *transform, uint32_t size,
                                   unsigned char *tables, uint8_t *ret_pixels)
{
    const struct crop shown = transform->shown;
    const struct augmentation moved = transform->moved;
    const uint32_t channels = set->channels;
    const bool resized = shown.width != size || shown.height != size;
    const struct axis axes[2] = {
        axis_make(tables, shown.x, shown.width, size),
        axis_make(tables + axis_bytes(set->size, size), shown.y, shown.height, size)};
    __syncthreads();
    for (uint32_t p = threadIdx.x; p < size * size; p += CANVAS_THREADS) {
        uint32_t x = p % size, y = p / size;
        uint8_t *to = ret_pixels + (size_t)p * channels;
        const bool inside = moved_from(&moved, size, &x, &y);
        const uint8_t *from = image + ((size_t)(shown.y + y) * set->size + shown.x + x) * channels;
        if (inside && resized)
            resize_pixel(axes, image, set, x, y, to);
        else
            for (uint32_t c = 0; c < channels; c++)
                to[c] = inside ? from[c] : 0;
    }
    __syncthreads();
}

#endif
