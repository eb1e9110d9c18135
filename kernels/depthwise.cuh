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
template <uint32_t CHANNELS>
__device__ static inline void lane_store(uint16_t *halves, struct lane_floats<CHANNELS> *values)
{
    struct lane_halves<CHANNELS> raw;
    KERNEL_UNROLL_ALL
    for (uint32_t l = 0; l < CHANNELS; l++) {
        raw.v[l] = bfloat_of(values->v[l]);
        values->v[l] = float_of_bfloat(raw.v[l]);
    }
    *(struct lane_halves<CHANNELS> *)(void *)halves = raw;
}

struct depthwise_thread {
    uint32_t tile_channels;
    uint32_t octet, pixel, pixel_step; /* of copies: the octet's first channel in the tile */
    uint32_t lane, group, image;       /* of arithmetic: the lane's first channel in the tile */
    uint32_t tile;                     /* first channel of the tile */
    bool copies, counts;               /* whether the octet and the lane are the map's */
};

template <uint32_t CHANNELS>
__device__ static inline struct depthwise_thread depthwise_thread_of(
    const struct depthwise_plan &plan)
{
    const uint32_t index = threadIdx.x, member = index / plan.lanes;
    struct depthwise_thread thread;
    thread.tile_channels = plan.octets * OCTET_HALVES;
    thread.octet = index % plan.octets * OCTET_HALVES;
    thread.pixel = index / plan.octets;
    thread.pixel_step = plan.lanes * plan.groups * plan.images / plan.octets;
    thread.lane = index % plan.lanes * CHANNELS;
    thread.group = member % plan.groups;
    thread.image = member / plan.groups;
    thread.tile = blockIdx.x * thread.tile_channels;
    thread.copies = thread.tile + thread.octet < plan.shape.channels;
    thread.counts = thread.tile + thread.lane < plan.shape.channels;
    return thread;
}

__device__ static inline struct depthwise_strip depthwise_strip_of(
    const struct depthwise_plan &plan, uint32_t index)
{
    const uint32_t across = index % plan.unit_tiles, rest = index / plan.unit_tiles;
    struct depthwise_strip strip;
    strip.image = rest / plan.segments * plan.images;
    strip.unit = across * plan.units;
    strip.row = rest % plan.segments * plan.rows;
    strip.steps = depthwise_least(plan.rows, plan.shape.out_size - strip.row) + plan.window - 1;
    return strip;
}

/* unit_row: units below the strip's first one. */
__device__ static inline struct depthwise_origin depthwise_origin_of(
    const struct depthwise_plan &plan, const struct depthwise_side &side,
    const struct depthwise_strip &strip, uint32_t unit_row)
{
    const uint32_t tile = blockIdx.x * plan.octets * OCTET_HALVES;
    struct depthwise_origin origin;
    origin.image = strip.image;
    origin.row = (int32_t)((strip.row + unit_row) * side.scale) - (int32_t)side.padding;
    origin.column = (int32_t)(strip.unit * side.scale) - (int32_t)side.padding;
    const int64_t row = (int64_t)origin.image * side.size + origin.row;
    origin.offset = (row * side.size + origin.column) * plan.shape.channels + tile;
    return origin;
}

/* For one thread. */
__device__ static inline void steps_begin(const struct depthwise_plan &plan,
                                          struct depthwise_steps *steps)
{
    steps->at[DEPTHWISE_STEPS - 1].makes = false; /* before the first one */
    steps->strip = depthwise_strip_of(plan, blockIdx.y);
    steps->strip_index = blockIdx.y;
    steps->step = 0;
}

/* Finds step n, the steps before it having been found. For one thread. */
__device__ static inline void steps_extend(const struct depthwise_plan &plan,
                                           struct depthwise_steps *steps, uint32_t n)
{
    struct depthwise_step *at = &steps->at[n % DEPTHWISE_STEPS];
    at->stages = steps->strip_index < plan.strips;
    at->makes = at->stages && steps->step + 1 >= plan.window;
    if (!at->stages)
        return;
    at->halo = depthwise_origin_of(plan, plan.halo, steps->strip, steps->step);
    if (at->makes)
        at->own = depthwise_origin_of(plan, plan.own, steps->strip, steps->step + 1 - plan.window);
    if (++steps->step < steps->strip.steps)
        return;
    steps->step = 0;
    steps->strip_index += plan.slices;
    if (steps->strip_index < plan.strips)
        steps->strip = depthwise_strip_of(plan, steps->strip_index);
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
        pixels.places[i] = {(int32_t)(pixel * plan.shape.channels), (uint16_t)column, (uint8_t)row,
                            (uint8_t)image};
    }
}

/* Steps 0 .. count - 1 are found, and places are filled; then the block waits. All threads of the block. */
__device__ static inline void depthwise_begin(const struct depthwise_block &block, uint32_t count)
{
    places_fill(block.plan, block.memory.halo);
    places_fill(block.plan, block.memory.own);
    if (threadIdx.x == 0)
        steps_begin(block.plan, block.memory.steps);
    for (uint32_t n = 0; threadIdx.x == 0 && n < count; n++)
        steps_extend(block.plan, block.memory.steps, n);
    __syncthreads();
}

__device__ static inline const struct depthwise_step &step_at(const struct depthwise_block &block,
                                                              uint32_t n)
{
    return block.memory.steps->at[n % DEPTHWISE_STEPS];
}

__device__ static inline bool place_inside(const struct depthwise_plan &plan,
                                           const struct depthwise_side &side,
                                           const struct depthwise_origin &origin,
                                           const struct depthwise_place &place)
{
    return origin.image + place.image < plan.shape.images &&
           (uint32_t)origin.row + place.row < side.size &&
           (uint32_t)origin.column + place.column < side.size;
}

/* Pixels within the map -> raw (pixels, tile_channels); what is outside stays as it is. */
__device__ static inline void pixels_copy(const struct depthwise_block &block,
                                          const struct depthwise_pixels &pixels,
                                          const struct depthwise_origin &origin,
                                          const uint16_t *map, uint16_t *ret_raw)
{
    const struct depthwise_thread &thread = block.thread;
    const uint16_t *from = map + origin.offset + thread.octet;
    for (uint32_t i = thread.pixel; thread.copies && i < pixels.count; i += thread.pixel_step) {
        const struct depthwise_place place = pixels.places[i];
        if (place_inside(block.plan, pixels.side, origin, place))
            copy_async16(ret_raw + i * thread.tile_channels + thread.octet, from + place.offset);
    }
}

/* (pixels, tile_channels) -> those within the map */
__device__ static inline void pixels_store(const struct depthwise_block &block,
                                           const struct depthwise_pixels &pixels,
                                           const struct depthwise_origin &origin,
                                           const uint16_t *written, uint16_t *ret_map)
{
    const struct depthwise_thread &thread = block.thread;
    uint16_t *to = ret_map + origin.offset + thread.octet;
    for (uint32_t i = thread.pixel; thread.copies && i < pixels.count; i += thread.pixel_step) {
        const struct depthwise_place place = pixels.places[i];
        const uint16_t *octet = written + i * thread.tile_channels + thread.octet;
        if (place_inside(block.plan, pixels.side, origin, place))
            *(struct octet *)(void *)(to + place.offset) =
                *(const struct octet *)(const void *)octet;
    }
}

__device__ static inline void octet_stage(float *staged, const float *values)
{
    KERNEL_UNROLL_ALL
    for (uint32_t i = 0; i < OCTET_HALVES; i += QUAD_FLOATS)
        *(struct quad *)(void *)(staged +
                                 i) = {{values[i], values[i + 1], values[i + 2], values[i + 3]}};
}

/* The input's normalisation as one product and one sum, silu(times x + plus); that of channels that there are not is 0. */
struct depthwise_affine {
    float times, plus;
};

__device__ static inline struct depthwise_affine depthwise_affine_of(
    const struct depthwise_input &input, uint32_t channel, uint32_t channels)
{
    if (channel >= channels)
        return {0, 0};
    if (!input.scale)
        return {1, 0};
    const float times = input.scale[channel] * input.inverse[channel];
    return {times, input.shift[channel] - input.mean[channel] * times};
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
