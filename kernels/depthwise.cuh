/* What both directions of the depthwise kernels share on the device: which thread does what, where a step's pixels lie, and the
 * sums of a block. kernels/depthwise_plan.cuh says how the work is split.
 *
 * A thread has two tasks. For copies it has one octet of channels and every pixel_step-th pixel of a step; for arithmetic it is a
 * lane, with one or two channels and a few columns of one image. */
#ifndef KERNELS_DEPTHWISE_CUH
#define KERNELS_DEPTHWISE_CUH

#include "kernels/copy_async.cuh"
#include "kernels/depthwise_plan.cuh"
#include "kernels/launch.cuh"

#include "kernels/batch_norm_body.h"

/* The same for every channel of a lane. */
template <uint32_t CHANNELS> struct alignas(4 * CHANNELS) lane_floats {
    float v[CHANNELS];
};

template <uint32_t CHANNELS> struct alignas(2 * CHANNELS) lane_halves {
    uint16_t v[CHANNELS];
};

template <uint32_t CHANNELS>
__device__ static inline struct lane_floats<CHANNELS> lane_load(const float *values) {
    return *(const struct lane_floats<CHANNELS> *)(const void *)values;
}

template <uint32_t CHANNELS>
__device__ static inline struct lane_floats<CHANNELS> lane_load(const uint16_t *halves) {
    const struct lane_halves<CHANNELS> raw = *(const struct lane_halves<CHANNELS> *)halves;
    struct lane_floats<CHANNELS> values;
    KERNEL_UNROLL_ALL
    for (uint32_t l = 0; l < CHANNELS; l++)
        values.v[l] = float_of_bfloat(raw.v[l]);
    return values;
}

/* values become what is stored. */
__device__ static inline void
lane_store(uint16_t *halves, struct lane_floats<1> *values)
{
    const uint16_t half = bfloat_of(values->v[0]);
    *halves = half;
    values->v[0] = float_of_bfloat(half);
}

__device__ static inline void lane_store(uint16_t *halves, struct lane_floats<2> *values)
{
    const uint32_t pair = bfloats_of(values->v[0], values->v[1]);
    *(uint32_t *)(void *)halves = pair;
    values->v[0] = float_of_bits(pair << 16);
    values->v[1] = float_of_bits(pair & 0xffff0000u);
}

struct depthwise_thread {
    uint32_t tile, tile_channels; /* the tile's first channel, and how many it has */
    /* Of copies: the octet's first channel in the tile; pixels, none for an octet beyond the map's channels; and where its pixels
     * lie in (pixels, tile_channels). */
    uint32_t octet, pixel, pixel_step, first, step;
    uint32_t lane, group, image; /* of arithmetic: the lane's first channel in the tile */
    bool counts;                 /* whether that is one of the map's */
};

template <uint32_t CHANNELS>
__device__ static inline struct depthwise_thread depthwise_thread_of(
    const struct depthwise_plan &plan)
{
    const uint32_t index = threadIdx.x, member = index / plan.lanes;
    struct depthwise_thread thread;
    thread.tile_channels = plan.octets * OCTET_HALVES;
    thread.tile = blockIdx.x * thread.tile_channels;
    thread.octet = index % plan.octets * OCTET_HALVES;
    thread.pixel = index / plan.octets;
    thread.pixel_step = plan.lanes * plan.groups * plan.images / plan.octets;
    thread.first = thread.pixel * thread.tile_channels + thread.octet;
    thread.step = thread.pixel_step * thread.tile_channels;
    if (thread.tile + thread.octet >= plan.shape.channels)
        thread.pixel = UINT32_MAX;
    thread.lane = index % plan.lanes * CHANNELS;
    thread.group = member % plan.groups;
    thread.image = member / plan.groups;
    thread.counts = thread.tile + thread.lane < plan.shape.channels;
    return thread;
}

/* Bit q: row + q is within a side's map. */
__device__ static inline uint32_t rows_inside(const struct depthwise_side &side, int32_t row)
{
    return ((uint32_t)row < side.size ? 1u : 0u) | ((uint32_t)row + 1 < side.size ? 2u : 0u);
}

/* Of a strip's first step: unit is the strip's first one across, row the step's first one in the map. */
__device__ static inline struct depthwise_origin depthwise_origin_of(
    const struct depthwise_plan &plan, const struct depthwise_side &side, uint32_t image,
    uint32_t unit, int32_t row)
{
    const int32_t size = (int32_t)side.size;
    const int32_t column = (int32_t)(unit * side.scale) - (int32_t)side.padding;
    const int64_t rows = (int64_t)image * size + row;
    struct depthwise_origin origin;
    origin.offset =
        (rows * size + column) * plan.shape.channels + blockIdx.x * plan.octets * OCTET_HALVES;
    origin.first = column < 0 ? (uint32_t)-column : 0;
    origin.columns = depthwise_least(side.columns, (uint32_t)(size - column)) - origin.first;
    origin.rows = rows_inside(side, row);
    origin.end = depthwise_least(plan.images, plan.shape.images - image) << 16;
    return origin;
}

/* The next step is the first of this strip, if there is such a strip. For one thread, as are the two below. */
__device__ static inline void steps_strip(const struct depthwise_plan &plan,
                                          struct depthwise_steps *steps, uint32_t strip)
{
    const uint32_t unit = strip % plan.unit_tiles * plan.units, rest = strip / plan.unit_tiles;
    const uint32_t row = rest % plan.segments * plan.rows;
    const uint32_t image = rest / plan.segments * plan.images;
    struct depthwise_step *next = &steps->next;
    steps->strip = strip;
    steps->step = 0;
    next->stages = strip < plan.strips;
    next->makes = next->stages && plan.window == 1;
    if (!next->stages)
        return;
    steps->steps = depthwise_least(plan.rows, plan.shape.out_size - row) + plan.window - 1;
    steps->halo_row = (int32_t)(row * plan.halo.scale) - (int32_t)plan.halo.padding;
    steps->own_row = (int32_t)(row * plan.own.scale);
    next->image = image;
    next->halo = depthwise_origin_of(plan, plan.halo, image, unit, steps->halo_row);
    next->own = depthwise_origin_of(plan, plan.own, image, unit, steps->own_row);
}

/* A unit down. */
__device__ static inline void side_advance(const struct depthwise_plan &plan,
                                           const struct depthwise_side &side, int32_t *row,
                                           struct depthwise_origin *origin)
{
    *row += (int32_t)side.scale;
    origin->rows = rows_inside(side, *row);
    origin->offset += side.scale * side.size * plan.shape.channels;
}

/* The next step becomes step n. */
__device__ static inline void steps_extend(const struct depthwise_plan &plan,
                                           struct depthwise_steps *steps, uint32_t n)
{
    struct depthwise_step *next = &steps->next;
    steps->at[n % DEPTHWISE_STEPS] = *next;
    if (!next->stages)
        return;
    if (++steps->step >= steps->steps) {
        steps_strip(plan, steps, steps->strip + plan.slices);
        return;
    }
    side_advance(plan, plan.halo, &steps->halo_row, &next->halo);
    if (next->makes)
        side_advance(plan, plan.own, &steps->own_row, &next->own);
    next->makes = steps->step + 1 >= plan.window;
}

/* The last thread, since the first ones have the pixels that are left over. */
__device__ static inline bool finds_steps(void)
{
    return threadIdx.x == blockDim.x - 1;
}

/* One side in shared memory. */
struct depthwise_pixels {
    const struct depthwise_side &side;
    struct depthwise_place *places; /* (images, rows, columns) */
    uint32_t count;                 /* pixels of a step */
    uint32_t slot;                  /* elements of them: a slot of a ring */
};

/* Shared memory under a plan. */
struct depthwise_memory {
    struct depthwise_steps *steps;
    struct depthwise_pixels halo, own;
    float *table;      /* (kinds, tile_channels) */
    float *staged;     /* (slots, halo pixels, tile_channels) */
    uint16_t *raw;     /* (slots, maps, halo pixels, tile_channels) */
    uint16_t *written; /* (slots, own pixels, tile_channels) */
};

__device__ static inline struct depthwise_memory depthwise_memory_of(
    const struct depthwise_plan &plan, unsigned char *bytes)
{
    const uint32_t halo = side_pixels(plan.images, plan.halo);
    const uint32_t own = side_pixels(plan.images, plan.own);
    const uint32_t channels = plan.octets * OCTET_HALVES;
    return {
        (struct depthwise_steps *)bytes,
        {plan.halo, (struct depthwise_place *)(bytes + plan.halo_places), halo, halo * channels},
        {plan.own, (struct depthwise_place *)(bytes + plan.own_places), own, own * channels},
        (float *)(bytes + plan.table),
        (float *)(bytes + plan.staged),
        (uint16_t *)(bytes + plan.raw),
        (uint16_t *)(bytes + plan.written)};
}

/* What a thread works with. */
struct depthwise_block {
    const struct depthwise_plan &plan;
    const struct depthwise_thread thread;
    const struct depthwise_memory memory;
};

template <uint32_t CHANNELS>
__device__ static inline struct depthwise_block depthwise_block_of(
    const struct depthwise_plan &plan, unsigned char *bytes)
{
    return {plan, depthwise_thread_of<CHANNELS>(plan), depthwise_memory_of(plan, bytes)};
}

/* All threads of the block. */
__device__ static inline void places_fill(const struct depthwise_plan &plan,
                                          const struct depthwise_pixels &pixels)
{
    const struct depthwise_side &side = pixels.side;
    for (uint32_t i = threadIdx.x; i < pixels.count; i += blockDim.x) {
        const uint32_t column = i % side.columns, rest = i / side.columns;
        const uint32_t row = rest % side.scale, image = rest / side.scale;
        const uint32_t pixel = (image * side.size + row) * side.size + column;
        pixels.places[i] = {pixel * plan.shape.channels, column | row << 15 | image << 16};
    }
}

/* Steps 0 .. count - 1 are found, and places are filled; then the block waits. All threads of the block. */
__device__ static inline void depthwise_begin(const struct depthwise_block &block, uint32_t count)
{
    places_fill(block.plan, block.memory.halo);
    places_fill(block.plan, block.memory.own);
    if (finds_steps()) {
        block.memory.steps->at[DEPTHWISE_STEPS - 1].makes = false; /* before the first one */
        steps_strip(block.plan, block.memory.steps, blockIdx.y);
    }
    for (uint32_t n = 0; finds_steps() && n < count; n++)
        steps_extend(block.plan, block.memory.steps, n);
    __syncthreads();
}

__device__ static inline const struct depthwise_step &step_at(const struct depthwise_block &block,
                                                              uint32_t n)
{
    return block.memory.steps->at[n % DEPTHWISE_STEPS];
}

/* ROWS: of a step; where it is 1 the caller looks whether the row is within the map. */
template <uint32_t ROWS>
__device__ static inline bool place_inside(const struct depthwise_origin &origin, uint32_t at)
{
    const bool row = ROWS == 1 || (origin.rows >> (at >> 15 & 1) & 1);
    return row & (at < origin.end) & ((at & 0x7fff) - origin.first < origin.columns);
}

/* Pixels within the maps, of which any may be NULL -> raw (MAPS, pixels, tile_channels); what is outside stays as it is. */
template <uint32_t ROWS, uint32_t MAPS>
__device__ static inline void pixels_copy(const struct depthwise_block &block,
                                          const struct depthwise_pixels &pixels,
                                          const struct depthwise_origin &origin,
                                          const uint16_t *const (&maps)[MAPS], uint16_t *ret_raw)
{
    const struct depthwise_thread &thread = block.thread;
    const int64_t offset = origin.offset + thread.octet;
    uint16_t *to = ret_raw + thread.first;
    if (ROWS == 1 && !(origin.rows & 1))
        return;
    for (uint32_t i = thread.pixel; i < pixels.count; i += thread.pixel_step, to += thread.step) {
        const struct depthwise_place place = pixels.places[i];
        if (!place_inside<ROWS>(origin, place.at))
            continue;
        KERNEL_UNROLL_ALL
        for (uint32_t m = 0; m < MAPS; m++)
            if (maps[m])
                copy_async16(to + m * pixels.slot, maps[m] + (offset + place.offset));
    }
}

/* (pixels, tile_channels) -> those within the map */
template <uint32_t ROWS>
__device__ static inline void pixels_store(const struct depthwise_block &block,
                                           const struct depthwise_pixels &pixels,
                                           const struct depthwise_origin &origin,
                                           const uint16_t *written, uint16_t *ret_map)
{
    const struct depthwise_thread &thread = block.thread;
    const uint16_t *from = written + thread.first;
    uint16_t *to = ret_map + origin.offset + thread.octet;
    if (ROWS == 1 && !(origin.rows & 1))
        return;
    for (uint32_t i = thread.pixel; i < pixels.count; i += thread.pixel_step, from += thread.step) {
        const struct depthwise_place place = pixels.places[i];
        if (place_inside<ROWS>(origin, place.at))
            *(struct octet *)(void *)(to + place.offset) =
                *(const struct octet *)(const void *)from;
    }
}

__device__ static inline void octet_stage(float *staged, const float *values)
{
    KERNEL_UNROLL_ALL
    for (uint32_t i = 0; i < OCTET_HALVES; i += QUAD_FLOATS)
        *(struct quad *)(void *)(staged +
                                 i) = {{values[i], values[i + 1], values[i + 2], values[i + 3]}};
}

/* A normalisation as one product and one sum: h = times x + plus, which is the normalised value, or half of it where SiLU
 * follows. Channels that there are not have 0. */
struct depthwise_affine {
    float times, plus;
};

__device__ static inline struct depthwise_affine depthwise_affine_of(
    const struct depthwise_input &input, uint32_t channel, uint32_t channels)
{
    const float share = input.silu ? 0.5f : 1.0f;
    if (channel >= channels)
        return {0, 0};
    if (!input.scale)
        return {1, 0};
    const float times = input.scale[channel] * input.inverse[channel];
    const float plus = input.shift[channel] - input.mean[channel] * times;
    return {share * times, share * plus};
}

/* silu(2 h) = h + h tanh h, t being tanh h; and twice its slope at 2 h. */
__device__ static inline float silu_of_half(float h, float t)
{
    return h + h * t;
}

__device__ static inline float silu_slope_twice(float h, float t)
{
    return (1 + t) * (1 + h * (1 - t));
}

/* COUNT sums of each thread, added up over the threads of a lane in one order -> ret_sums (COUNT, channels), this tile's. Works
 * in `staged`, which other threads may still be reading. All threads of the block. */
template <uint32_t COUNT, uint32_t CHANNELS>
__device__ static inline void lanes_add(const struct depthwise_block &block,
                                        const struct lane_floats<CHANNELS> *sums, float *ret_sums)
{
    const struct depthwise_thread &thread = block.thread;
    const uint32_t members = block.plan.groups * block.plan.images;
    const uint32_t member = threadIdx.x / block.plan.lanes;
    const uint32_t channels = block.plan.shape.channels;
    __syncthreads();
    KERNEL_UNROLL_ALL
    for (uint32_t k = 0; k < COUNT; k++) {
        const uint32_t at = (k * members + member) * thread.tile_channels + thread.lane;
        *(struct lane_floats<CHANNELS> *)(void *)(block.memory.staged + at) = sums[k];
    }
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < COUNT * thread.tile_channels; i += blockDim.x) {
        const uint32_t k = i / thread.tile_channels, channel = i % thread.tile_channels;
        const float *values = block.memory.staged + k * members * thread.tile_channels + channel;
        float sum = 0;
        for (uint32_t m = 0; m < members; m++)
            sum += values[m * thread.tile_channels];
        if (thread.tile + channel < channels)
            ret_sums[k * channels + thread.tile + channel] = sum;
    }
}

#endif
