/* RandAugment's operations that move, cover or blur pixels: worker/data/image_move.c and image_sharpness by a block. */
#ifndef KERNELS_AUGMENT_MOVE_CUH
#define KERNELS_AUGMENT_MOVE_CUH

#include "kernels/augment_canvas.cuh"

enum { BLUR_WEIGHT = 13 };

/* Rotate, Shear, Translate. */
__device__ static void move_warp(struct canvas *canvas, const struct transform_op *op)
{
    const struct warp warp = op->warp;
    const uint32_t size = canvas->size, channels = canvas->channels;
    const uint8_t nothing = TRANSFORM_FILL;
    const float first = -0.5f, end = (float)size - 0.5f;
    for (uint32_t p = threadIdx.x; p < size * size; p += CANVAS_THREADS) {
        const float x = (float)(p % size), y = (float)(p / size);
        const float from_x = warp.xx * x + warp.xy * y + warp.x0;
        const float from_y = warp.yx * x + warp.yy * y + warp.y0;
        const bool inside = from_x > first && from_x < end && from_y > first && from_y < end;
        const size_t column = inside ? (size_t)(int)(from_x + 0.5f) : 0;
        const size_t row = inside ? (size_t)(int)(from_y + 0.5f) : 0;
        for (uint32_t c = 0; c < channels; c++)
            canvas->spare[(size_t)p * channels + c] =
                inside ? canvas->shown[(row * size + column) * channels + c] : nothing;
    }
    canvas_swap(canvas);
}

__device__ static void move_cutout(struct canvas *canvas, const struct transform_op *op)
{
    const uint32_t size = canvas->size, x = op->x, y = op->y, pad = op->amount;
    const uint32_t left = x > pad ? x - pad : 0, right = pad < size - x ? x + pad : size;
    const uint32_t top = y > pad ? y - pad : 0, bottom = pad < size - y ? y + pad : size;
    const uint32_t width = (right - left) * canvas->channels, bytes = width * (bottom - top);
    for (uint32_t i = threadIdx.x; i < bytes; i += CANVAS_THREADS)
        canvas->shown[((size_t)(top + i / width) * size + left) * canvas->channels + i % width] =
            TRANSFORM_FILL;
}

/* The border stays as it is. */
__device__ static void move_sharpen(struct canvas *canvas, float factor)
{
    const uint32_t size = canvas->size, channels = canvas->channels, row = size * channels;
    if (factor == 1 || size < 3)
        return;
    for (uint32_t i = threadIdx.x; i < row * size; i += CANVAS_THREADS) {
        const uint32_t x = i % row / channels, y = i / row;
        const uint8_t *middle = canvas->shown + i;
        if (x == 0 || x + 1 == size || y == 0 || y + 1 == size) {
            canvas->spare[i] = *middle;
            continue;
        }
        const uint8_t *above = middle - row, *below = middle + row;
        const uint8_t *left = middle - channels, *right = middle + channels;
        const unsigned sum = (unsigned)*(above - channels) + *above + *(above + channels) + *left +
                             5u * *middle + *right + *(below - channels) + *below +
                             *(below + channels);
        canvas->spare[i] = blend((float)(int)(sum / BLUR_WEIGHT), (float)*middle, factor);
    }
    canvas_swap(canvas);
}

#endif
