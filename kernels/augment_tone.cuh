/* RandAugment's operations that change values: worker/data/image_tone.c by a block. */
#ifndef KERNELS_AUGMENT_TONE_CUH
#define KERNELS_AUGMENT_TONE_CUH

#include "kernels/augment_canvas.cuh"

enum { TONE_LEVELS = 256, TONE_DARK = 128, TONE_LANE_LEVELS = TONE_LEVELS / CANVAS_LANES };

#define TONE_ALL_LANES 0xffffffffu

/* Shared memory of a block. */
struct tone_memory {
    uint32_t warp_count[CANVAS_WARPS][TONE_LEVELS];      /* of one channel */
    uint32_t count[TRANSFORM_CHANNELS_MAX][TONE_LEVELS]; /* pixels of each value */
    uint8_t level[TRANSFORM_CHANNELS_MAX][TONE_LEVELS];  /* new value of each value */
    uint32_t sums[CANVAS_WARPS];
};

/* ---- histograms ---- */

/* The lanes that brought the same value as this one; those outside bring none. */
__device__ static inline unsigned lanes_alike(uint32_t value, bool inside)
{
    unsigned lanes = __ballot_sync(TONE_ALL_LANES, inside);
    for (uint32_t bit = 1; bit < TONE_LEVELS; bit <<= 1) {
        const unsigned set = __ballot_sync(TONE_ALL_LANES, (value & bit) != 0);
        lanes &= value & bit ? set : ~set;
    }
    return lanes;
}

/* A channel's pixels of each value into memory->count. Every warp has counters of its own, and of lanes with the same value one
 * adds for all: no two threads write to a counter at a time. */
__device__ static void tone_count(const struct canvas *canvas, uint32_t channel,
                                  struct tone_memory *memory)
{
    const uint32_t warp = threadIdx.x / CANVAS_LANES, lane = threadIdx.x % CANVAS_LANES;
    const uint32_t pixels = canvas_pixels(canvas);
    uint32_t *counters = memory->warp_count[warp];
    for (uint32_t i = lane; i < TONE_LEVELS; i += CANVAS_LANES)
        counters[i] = 0;
    __syncwarp();
    for (uint32_t first = warp * CANVAS_LANES; first < pixels; first += CANVAS_THREADS) {
        const uint32_t p = first + lane;
        const bool inside = p < pixels;
        const uint32_t value = inside ? canvas->shown[(size_t)p * canvas->channels + channel] : 0;
        const unsigned alike = lanes_alike(value, inside);
        if (inside && (alike & ((1u << lane) - 1)) == 0)
            counters[value] += (uint32_t)__popc(alike);
        __syncwarp();
    }
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < TONE_LEVELS; i += CANVAS_THREADS) {
        uint32_t count = 0;
        for (uint32_t w = 0; w < CANVAS_WARPS; w++)
            count += memory->warp_count[w][i];
        memory->count[channel][i] = count;
    }
    __syncthreads();
}

/* The least and the greatest value that there are; of a warp's lanes, each has looked at some. */
__device__ static inline void tone_range(const uint32_t *count, uint32_t lane, int *ret_low,
                                         int *ret_high)
{
    int low = CANVAS_TOP, high = 0;
    for (int i = 0; i < TONE_LANE_LEVELS; i++) {
        const int value = (int)lane * TONE_LANE_LEVELS + i;
        if (count[value] > 0) {
            low = value < low ? value : low;
            high = value > high ? value : high;
        }
    }
    for (int step = CANVAS_LANES / 2; step > 0; step /= 2) {
        const int other_low = __shfl_xor_sync(TONE_ALL_LANES, low, step);
        const int other_high = __shfl_xor_sync(TONE_ALL_LANES, high, step);
        low = other_low < low ? other_low : low;
        high = other_high > high ? other_high : high;
    }
    *ret_low = low;
    *ret_high = high;
}

/* AutoContrast's levels of a channel, by one warp. */
__device__ static void tone_stretch(const uint32_t *count, uint32_t lane, uint8_t *ret_level)
{
    int low, high;
    tone_range(count, lane, &low, &high);
    const float scale = high > low ? (float)CANVAS_TOP / (float)(high - low) : 1;
    const float offset = high > low ? (float)-low * scale : 0;
    for (int i = 0; i < TONE_LANE_LEVELS; i++) {
        const int value = (int)lane * TONE_LANE_LEVELS + i;
        ret_level[value] = byte_of((float)value * scale + offset);
    }
}

/* Equalize's, likewise. */
__device__ static void tone_flatten(const uint32_t *count, uint32_t pixels, uint32_t lane,
                                    uint8_t *ret_level)
{
    int low, high;
    tone_range(count, lane, &low, &high);
    const uint32_t top = CANVAS_TOP, step = (pixels - count[high]) / top;
    uint32_t own = 0;
    for (uint32_t i = 0; i < TONE_LANE_LEVELS; i++)
        own += count[lane * TONE_LANE_LEVELS + i];
    uint32_t below = own; /* pixels of the lanes up to this one */
    for (uint32_t distance = 1; distance < CANVAS_LANES; distance *= 2) {
        const uint32_t other = __shfl_up_sync(TONE_ALL_LANES, below, distance);
        below += lane >= distance ? other : 0;
    }
    below = below - own + step / 2; /* pixels of lesser values, and half a step */
    for (uint32_t i = 0; i < TONE_LANE_LEVELS; i++) {
        const uint32_t value = lane * TONE_LANE_LEVELS + i;
        const uint32_t level = step > 0 ? below / step : value;
        ret_level[value] = (uint8_t)(level < top ? level : top);
        below += count[value];
    }
}

/* AutoContrast or Equalize. */
__device__ static void tone_by_histogram(struct canvas *canvas, enum randaugment_op op,
                                         struct tone_memory *memory)
{
    const uint32_t warp = threadIdx.x / CANVAS_LANES, lane = threadIdx.x % CANVAS_LANES;
    const uint32_t channels = canvas->channels, pixels = canvas_pixels(canvas);
    for (uint32_t c = 0; c < channels; c++)
        tone_count(canvas, c, memory);
    if (warp < channels && op == RANDAUGMENT_EQUALIZE)
        tone_flatten(memory->count[warp], pixels, lane, memory->level[warp]);
    else if (warp < channels)
        tone_stretch(memory->count[warp], lane, memory->level[warp]);
    __syncthreads();
    for (uint32_t p = threadIdx.x; p < pixels; p += CANVAS_THREADS)
        for (uint32_t c = 0; c < channels; c++) {
            uint8_t *value = canvas->shown + (size_t)p * channels + c;
            *value = memory->level[c][*value];
        }
}

/* ---- value by value ---- */

/* (0.2989 red + 0.5870 green + 0.1140 blue) * 255.5 / 255, cut off, in exact numbers. */
__device__ static inline uint32_t grey_of(const uint8_t *pixel)
{
    const uint32_t weighted = 2989u * pixel[0] + 5870u * pixel[1] + 1140u * pixel[2];
    return weighted * 511u / 5100000u;
}

/* Rounded; for all threads. Sums stay below 2^32: 255 times 1024 by 1024 pixels. */
__device__ static uint8_t mean_grey(const struct canvas *canvas, struct tone_memory *memory)
{
    const uint32_t pixels = canvas_pixels(canvas);
    uint32_t sum = 0;
    for (uint32_t p = threadIdx.x; p < pixels; p += CANVAS_THREADS) {
        const uint8_t *pixel = canvas->shown + (size_t)p * canvas->channels;
        sum += canvas->channels == 1 ? pixel[0] : grey_of(pixel);
    }
    for (int step = CANVAS_LANES / 2; step > 0; step /= 2)
        sum += __shfl_xor_sync(TONE_ALL_LANES, sum, step);
    if (threadIdx.x % CANVAS_LANES == 0)
        memory->sums[threadIdx.x / CANVAS_LANES] = sum;
    __syncthreads();
    uint64_t total = 0;
    for (uint32_t w = 0; w < CANVAS_WARPS; w++)
        total += memory->sums[w];
    return (uint8_t)((2 * total + pixels) / (2 * (uint64_t)pixels));
}

/* `plain`: what Contrast and Brightness blend with. */
__device__ static inline uint8_t tone_of(const struct transform_op *op, uint8_t plain,
                                         uint8_t value)
{
    const uint8_t inverted = (uint8_t)(CANVAS_TOP - value);
    switch (op->op) {
    case RANDAUGMENT_INVERT:
        return inverted;
    case RANDAUGMENT_POSTERIZE:
        return (uint8_t)(value & (CANVAS_TOP << op->amount));
    case RANDAUGMENT_SOLARIZE:
        return value >= op->amount ? inverted : value;
    case RANDAUGMENT_SOLARIZE_ADD:
        if (value >= TONE_DARK)
            return value;
        return (uint8_t)(value + (op->amount < inverted ? op->amount : inverted));
    default:
        return blend(plain, (float)value, op->factor);
    }
}

__device__ static void tone_by_value(struct canvas *canvas, const struct transform_op *given,
                                     struct tone_memory *memory)
{
    const struct transform_op op = *given;
    const size_t bytes = (size_t)canvas_pixels(canvas) * canvas->channels;
    uint8_t plain = 0;
    if (op.op == RANDAUGMENT_CONTRAST)
        plain = mean_grey(canvas,
                          memory); /* every thread has read its pixels before the barrier in it */
    for (size_t i = threadIdx.x; i < bytes; i += CANVAS_THREADS)
        canvas->shown[i] = tone_of(&op, plain, canvas->shown[i]);
}

/* Only on colour. */
__device__ static void tone_colour(struct canvas *canvas, float factor)
{
    if (canvas->channels == 1 || factor == 1)
        return;
    for (uint32_t p = threadIdx.x; p < canvas_pixels(canvas); p += CANVAS_THREADS) {
        uint8_t *pixel = canvas->shown + (size_t)p * TRANSFORM_CHANNELS_MAX;
        const float grey = (float)grey_of(pixel);
        for (uint32_t c = 0; c < TRANSFORM_CHANNELS_MAX; c++)
            pixel[c] = blend(grey, (float)pixel[c], factor);
    }
}

#endif
