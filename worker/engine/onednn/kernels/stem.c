/* Weight gradient of the first convolution, whose input has one or three channels: the library has no fast code for one.
 * In a row of the (framed) image the kernel's columns and channels lie next to each other, so that a kernel row is one run
 * of kernel * channels weights, each a block of lanes. */
#include "worker/engine/onednn/kernels/set.h"

#include <string.h>

static size_t frame_width(const struct stem_shape *shape)
{
    const size_t held = shape->kernel / 2 + shape->in_size;
    const size_t read = (size_t)(shape->out_size - 1) * shape->stride + shape->kernel;
    return read > held ? read : held;
}

size_t KERNEL(stem_scratch)(const struct stem_shape *shape)
{
    return frame_width(shape) * frame_width(shape) * shape->channels;
}

void KERNEL(stem_plain)(const struct stem_shape *shape, const float *x, void *ret_plain)
{
    const size_t pixels = (size_t)shape->in_size * shape->in_size, channels = shape->channels;
    mapped *plain = ret_plain;
    for (size_t n = 0; n < shape->images; n++)
        for (size_t c = 0; c < channels; c++)
            for (size_t p = 0; p < pixels; p++)
                plain[(n * channels + c) * pixels + p] =
                    mapped_of(x[(n * pixels + p) * channels + c]);
}

static void frame_fill(const struct stem_shape *shape, const float *image, float *frame)
{
    const size_t before = shape->kernel / 2, row = (size_t)shape->in_size * shape->channels;
    for (size_t y = 0; y < shape->in_size; y++)
        memcpy(frame + ((y + before) * frame_width(shape) + before) * shape->channels,
               image + y * row, row * sizeof *image);
}

enum { RUN_MAX = 9 };

/* dw += of `run` weights; frame points at the first of them for the first output pixel. */
KERNEL_INLINE void sum_run(const struct stem_shape *shape, const float *frame, const mapped *dz,
                           float *dw, const unsigned run)
{
    const size_t row = frame_width(shape) * shape->channels * shape->stride;
    const size_t step = (size_t)shape->stride * shape->channels;
    lanes sum[RUN_MAX] = {{0}};
    for (size_t y = 0; y < shape->out_size; y++)
        for (size_t j = 0; j < shape->out_size; j++) {
            const lanes d = load_map(dz, y * shape->out_size + j);
            for (unsigned t = 0; t < run; t++)
                sum[t] += d * frame[y * row + j * step + t];
        }
    for (unsigned t = 0; t < run; t++)
        store(dw, t, load(dw, t) + sum[t]);
}

static void sum_kernel_row(const struct stem_shape *shape, const float *frame, const mapped *dz,
                           float *dw)
{
    uint32_t left = shape->kernel * shape->channels;
    while (left > 0) {
        const uint32_t run = left >= 9 ? 9 : left >= 5 ? 5 : left >= 3 ? 3 : 1;
        if (run == 9)
            sum_run(shape, frame, dz, dw, 9);
        else if (run == 5)
            sum_run(shape, frame, dz, dw, 5);
        else if (run == 3)
            sum_run(shape, frame, dz, dw, 3);
        else
            sum_run(shape, frame, dz, dw, 1);
        left -= run;
        frame += run;
        dw += run * KERNEL_LANES;
    }
}

void KERNEL(stem_backward_weights)(const struct stem_shape *shape, const float *x, const void *dz,
                                   float *dw, float *scratch)
{
    const size_t image = (size_t)shape->in_size * shape->in_size * shape->channels;
    const size_t plane = (size_t)shape->out_size * shape->out_size * KERNEL_LANES;
    const size_t run = (size_t)shape->kernel * shape->channels;
    const mapped *dzs = dz;
    memset(scratch, 0, KERNEL(stem_scratch)(shape) * sizeof *scratch);
    for (size_t n = 0; n < shape->images; n++) {
        frame_fill(shape, x + n * image, scratch);
        for (size_t b = 0; b < shape->blocks; b++)
            for (size_t i = 0; i < shape->kernel; i++)
                sum_kernel_row(shape, scratch + i * frame_width(shape) * shape->channels,
                               dzs + (n * shape->blocks + b) * plane,
                               dw + (b * shape->kernel + i) * run * KERNEL_LANES);
    }
}
