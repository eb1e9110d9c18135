#include "kernels/depthwise.cuh"

#include <assert.h>
#include <errno.h>

enum {
    SUMS = 2,
    AHEAD = steps_ahead(DEPTHWISE_BACKWARD, 1),
    RAW_SLOTS = raw_slots(DEPTHWISE_BACKWARD, 1),
    WRITTEN_SLOTS = written_slots(DEPTHWISE_BACKWARD, 1),
    FINISH_LANES = 32, /* quads of channels and taps that a block of the second launch adds up */
    FINISH_PARTS = 8,
    FINISH_THREADS = FINISH_LANES * FINISH_PARTS
};

/* As the kernel gets it: without host memory. */
struct backward_pass {
    struct depthwise_backward call;
    struct batch_norm after;
};

/* What a lane keeps. */
template <uint32_t K, uint32_t S> struct backward_lane {
    static constexpr uint32_t KERNEL = K, STRIDE = S, PADDING = K / 2;
    static constexpr uint32_t CHANNELS = lane_channels(KERNEL);
    static constexpr uint32_t COLUMNS = lane_columns(STRIDE);
    static constexpr uint32_t WINDOW = window_of(DEPTHWISE_BACKWARD, KERNEL, STRIDE);
    static constexpr uint32_t READ = halo_columns(DEPTHWISE_BACKWARD, KERNEL, STRIDE, COLUMNS);
    /* Row i of the weights takes pixels of row q to row (q + FIRST - i) / STRIDE of the window; columns alike. */
    static constexpr uint32_t FIRST = PADDING + PADDING / STRIDE * STRIDE;
    using floats = struct lane_floats<CHANNELS>;
    floats weights[KERNEL * KERNEL], dweights[KERNEL * KERNEL];
    floats times, plus, mean, sums[SUMS];
};

template <class LANE>
__device__ static inline void backward_lane_init(const struct depthwise_backward &call,
                                                 const struct depthwise_thread &thread, LANE *lane)
{
    const uint32_t channel = thread.tile + thread.lane;
    lane->mean = lane->sums[0] = lane->sums[1] = {};
    KERNEL_UNROLL_ALL
    for (uint32_t tap = 0; tap < LANE::KERNEL * LANE::KERNEL; tap++) {
        lane->weights[tap] = lane->dweights[tap] = {};
        if (thread.counts)
            lane->weights[tap] =
                lane_load<LANE::CHANNELS>(call.weights + tap * call.shape.channels + channel);
    }
    if (thread.counts && call.input.mean)
        lane->mean = lane_load<LANE::CHANNELS>(call.input.mean + channel);
    KERNEL_UNROLL_ALL
    for (uint32_t l = 0; l < LANE::CHANNELS; l++) {
        const struct depthwise_affine affine =
            depthwise_affine_of(call.input, channel + l, call.shape.channels);
        lane->times.v[l] = affine.times;
        lane->plus.v[l] = affine.plus;
    }
}

/* table (4, tile_channels): with z = times y + plus, of which SiLU is taken, and d the gradient of that, the gradient of y is
 * times (d - mean of d - normalised y mean of d normalised y) = times d + slope y + rest. Where there is SiLU, times and plus are
 * halved. */
__device__ static inline void backward_table_fill(const struct backward_pass &pass,
                                                  const struct depthwise_thread &thread,
                                                  float *ret_table)
{
    const struct batch_norm &after = pass.after;
    const uint32_t channels = thread.tile_channels;
    const float share = after.silu ? 0.5f : 1.0f;
    for (uint32_t i = threadIdx.x; i < channels; i += blockDim.x) {
        const uint32_t c = thread.tile + i;
        float times = 0, plus = 0, slope = 0, rest = 0;
        if (c < pass.call.shape.channels) {
            times = after.scale[c] * after.inverse[c];
            plus = after.shift[c] - after.mean[c] * times;
            slope = -times * after.inverse[c] * pass.call.means[pass.call.shape.channels + c];
            rest = -times * pass.call.means[c] - slope * after.mean[c];
        }
        ret_table[i] = share * times;
        ret_table[channels + i] = share * plus;
        ret_table[2 * channels + i] = slope;
        ret_table[3 * channels + i] = rest;
    }
}

/* Asks for a step's octets of the incoming gradient and of y, and of x where the step makes pixels; a group of copies ends in any
 * case. */
template <class LANE>
__device__ static inline void backward_copy(const struct backward_pass &pass,
                                            const struct depthwise_block &block, uint32_t n)
{
    const struct depthwise_memory &memory = block.memory;
    const struct depthwise_step &step = step_at(block, n);
    uint16_t *raw = memory.raw + n % RAW_SLOTS * 2 * memory.halo.slot;
    if (step.stages)
        pixels_copy<1, 2>(block, memory.halo, step.halo, {pass.call.incoming.map, pass.after.x},
                          raw);
    if (step.makes)
        pixels_copy<LANE::STRIDE, 1>(block, memory.own, step.own, {pass.call.input.x},
                                     memory.written + n % WRITTEN_SLOTS * memory.own.slot);
    copy_async_commit();
}

/* The gradient of the 8 channels of a pixel of y; raw: of the incoming map, and of y a slot later. */
__device__ static inline void backward_octet(const struct backward_pass &pass,
                                             const struct depthwise_block &block, uint32_t image,
                                             const uint16_t *raw, float *ret_dy)
{
    const uint32_t octet = block.thread.octet, channels = block.thread.tile_channels;
    const struct norm_factors factors =
        norm_factors_of(&pass.call.incoming, &pass.after.shape, image, block.thread.tile + octet);
    float y[OCTET_HALVES], d[OCTET_HALVES] = {0};
    float times[OCTET_HALVES], plus[OCTET_HALVES];
    if (pass.call.incoming.map)
        octet_load(raw, d);
    octet_load(raw + block.memory.halo.slot, y);
    channels_load(block.memory.table, octet, times);
    channels_load(block.memory.table + channels, octet, plus);
    KERNEL_UNROLL_ALL
    for (uint32_t c = 0; c < OCTET_HALVES; c++)
        ret_dy[c] = times[c] * (factors.times[c] * d[c] + factors.plus[c]);
    KERNEL_UNROLL_ALL
    for (uint32_t c = 0; pass.after.silu && c < OCTET_HALVES; c++) {
        const float h = times[c] * y[c] + plus[c];
        ret_dy[c] *= silu_slope_twice(h, tanh_fast(h));
    }
    channels_load(block.memory.table + 2 * channels, octet, times);
    channels_load(block.memory.table + 3 * channels, octet, plus);
    KERNEL_UNROLL_ALL
    for (uint32_t c = 0; c < OCTET_HALVES; c++)
        ret_dy[c] += times[c] * y[c] + plus[c];
}

/* raw -> staged: the gradient of y, and 0 outside the map */
__device__ static inline void backward_stage(const struct backward_pass &pass,
                                             const struct depthwise_block &block, uint32_t n,
                                             float *ret_staged)
{
    const struct depthwise_thread &thread = block.thread;
    const struct depthwise_pixels &pixels = block.memory.halo;
    const struct depthwise_step &step = step_at(block, n);
    const uint16_t *raw = block.memory.raw + n % RAW_SLOTS * 2 * pixels.slot;
    if (!step.stages)
        return;
    const struct depthwise_origin origin = step.halo;
    const uint16_t *from = raw + thread.first;
    float *to = ret_staged + thread.first;
    for (uint32_t i = thread.pixel; i < pixels.count; i += thread.pixel_step) {
        const uint32_t at = pixels.places[i].at;
        float dy[OCTET_HALVES] = {0};
        if ((origin.rows & 1) && place_inside<1>(origin, at))
            backward_octet(pass, block, step.image + (at >> 16), from, dy);
        octet_stage(to, dy);
        from += thread.step;
        to += thread.step;
    }
}

/* Of the pixels that a lane makes in one step: the convolution's input, its slope in what the normalisation makes, and their
 * gradient. Outside the map the first two are 0. */
template <class LANE> struct backward_pixels {
    typename LANE::floats input[LANE::STRIDE][LANE::COLUMNS];
    typename LANE::floats slope[LANE::STRIDE][LANE::COLUMNS];
    typename LANE::floats dinput[LANE::STRIDE][LANE::COLUMNS];
    uint32_t inside; /* the map: bit q * columns + e */
};

/* x: the lane's first pixel, rows of a strip apart. */
template <class LANE>
__device__ static inline void backward_pixels_init(const struct depthwise_block &block,
                                                   const struct depthwise_origin &origin,
                                                   const uint16_t *x, bool silu, const LANE &lane,
                                                   struct backward_pixels<LANE> *ret_pixels)
{
    const uint32_t channels = block.thread.tile_channels;
    const uint32_t row = block.plan.own.columns * channels;
    const uint32_t first = block.thread.group * LANE::COLUMNS;
    const uint32_t columns = block.thread.image << 16 < origin.end ? origin.columns : 0;
    ret_pixels->inside = 0;
    KERNEL_UNROLL_ALL
    for (uint32_t i = 0; i < LANE::STRIDE * LANE::COLUMNS; i++) {
        const uint32_t q = i / LANE::COLUMNS, e = i % LANE::COLUMNS;
        const bool in = first + e < columns && (origin.rows >> q & 1);
        ret_pixels->inside |= (uint32_t)in << i;
        const typename LANE::floats values = lane_load<LANE::CHANNELS>(x + q * row + e * channels);
        KERNEL_UNROLL_ALL
        for (uint32_t l = 0; l < LANE::CHANNELS; l++) {
            const float h = lane.times.v[l] * values.v[l] + lane.plus.v[l];
            const float t = silu ? tanh_fast(h) : 0.0f;
            const float slope = silu ? 0.5f * silu_slope_twice(h, t) : 1.0f;
            ret_pixels->input[q][e].v[l] = in ? silu_of_half(h, t) : 0.0f;
            ret_pixels->slope[q][e].v[l] = in ? slope : 0.0f;
            ret_pixels->dinput[q][e].v[l] = 0;
        }
    }
}

/* A row of the gradient of y, through row i of the weights, with row q of the pixels: both gradients. */
template <class LANE>
__device__ static inline void backward_row(const typename LANE::floats *dy, uint32_t i, uint32_t q,
                                           LANE *lane, struct backward_pixels<LANE> *pixels)
{
    KERNEL_UNROLL_ALL
    for (uint32_t at = 0; at < LANE::KERNEL * LANE::COLUMNS; at++) {
        const uint32_t j = at / LANE::COLUMNS, e = at % LANE::COLUMNS;
        if ((e + LANE::PADDING + j) % LANE::STRIDE != 0)
            continue;
        KERNEL_UNROLL_ALL
        for (uint32_t l = 0; l < LANE::CHANNELS; l++) {
            const float d = dy[(e + LANE::FIRST - j) / LANE::STRIDE].v[l];
            pixels->dinput[q][e].v[l] += lane->weights[i * LANE::KERNEL + j].v[l] * d;
            lane->dweights[i * LANE::KERNEL + j].v[l] += pixels->input[q][e].v[l] * d;
        }
    }
}

/* All rows of the window that ends with step n. */
template <class LANE>
__device__ static inline void backward_window(const struct depthwise_block &block, uint32_t n,
                                              LANE *lane, struct backward_pixels<LANE> *pixels)
{
    const struct depthwise_thread &thread = block.thread;
    const uint32_t column =
        thread.image * block.plan.halo.columns + thread.group * (LANE::COLUMNS / LANE::STRIDE);
    const float *first = block.memory.staged + column * thread.tile_channels + thread.lane;
    KERNEL_UNROLL_ALL
    for (uint32_t d = 0; d < LANE::WINDOW; d++) {
        const uint32_t slot = (n + 1 - LANE::WINDOW + d) % (LANE::WINDOW + 1);
        const float *row = first + slot * block.memory.halo.slot;
        typename LANE::floats dy[LANE::READ];
        KERNEL_UNROLL_ALL
        for (uint32_t c = 0; c < LANE::READ; c++)
            dy[c] = lane_load<LANE::CHANNELS>(row + c * thread.tile_channels);
        KERNEL_UNROLL_ALL
        for (uint32_t q = 0; q < LANE::STRIDE; q++)
            if (q + LANE::FIRST >= d * LANE::STRIDE &&
                q + LANE::FIRST - d * LANE::STRIDE < LANE::KERNEL)
                backward_row<LANE>(dy, q + LANE::FIRST - d * LANE::STRIDE, q, lane, pixels);
    }
}

/* x in `written` becomes its gradient; sums. */
template <class LANE>
__device__ static inline void backward_make(const struct backward_pass &pass,
                                            const struct depthwise_block &block, uint32_t n,
                                            LANE *lane)
{
    const struct depthwise_thread &thread = block.thread;
    const uint32_t channels = thread.tile_channels, row = block.plan.own.columns * channels;
    uint16_t *x = block.memory.written + n % WRITTEN_SLOTS * block.memory.own.slot +
                  thread.image * LANE::STRIDE * row + thread.group * LANE::COLUMNS * channels +
                  thread.lane;
    struct backward_pixels<LANE> pixels;
    backward_pixels_init<LANE>(block, step_at(block, n).own, x, pass.call.input.silu, *lane,
                               &pixels);
    backward_window<LANE>(block, n, lane, &pixels);
    KERNEL_UNROLL_ALL
    for (uint32_t i = 0; i < LANE::STRIDE * LANE::COLUMNS; i++) {
        const uint32_t q = i / LANE::COLUMNS, e = i % LANE::COLUMNS;
        uint16_t *at = x + q * row + e * channels;
        const typename LANE::floats values = lane_load<LANE::CHANNELS>(at);
        typename LANE::floats dx;
        KERNEL_UNROLL_ALL
        for (uint32_t l = 0; l < LANE::CHANNELS; l++)
            dx.v[l] = pixels.dinput[q][e].v[l] * pixels.slope[q][e].v[l];
        lane_store(at, &dx);
        KERNEL_UNROLL_ALL
        for (uint32_t l = 0; l < LANE::CHANNELS; l++) {
            lane->sums[0].v[l] += dx.v[l];
            const float off = values.v[l] - lane->mean.v[l];
            lane->sums[1].v[l] += dx.v[l] * (pixels.inside >> i & 1 ? off : 0.0f);
        }
    }
}

/* What a step has made -> dx; nothing where it made nothing. */
template <class LANE>
__device__ static inline void backward_store(const struct backward_pass &pass,
                                             const struct depthwise_block &block, uint32_t n)
{
    const struct depthwise_memory &memory = block.memory;
    const struct depthwise_step &step = step_at(block, n);
    if (step.makes)
        pixels_store<LANE::STRIDE>(block, memory.own, step.own,
                                   memory.written + n % WRITTEN_SLOTS * memory.own.slot,
                                   pass.call.ret_dx);
}

/* In step n the copies of step n + 1 + AHEAD begin, n + 1 is staged, pixels are made of the window that ends with n, and what
 * n - 1 made is stored: what one thread writes another reads a step later, behind the barrier. */
template <class LANE>
__device__ static inline void backward_slide(const struct backward_pass &pass,
                                             const struct depthwise_block &block, LANE *lane)
{
    constexpr uint32_t RING = staged_slots(DEPTHWISE_BACKWARD, LANE::WINDOW);
    const struct depthwise_memory &memory = block.memory;
    uint32_t n = 0;
    for (uint32_t i = 0; i <= AHEAD; i++)
        backward_copy<LANE>(pass, block, i);
    copy_async_wait<AHEAD>();
    backward_stage(pass, block, 0, memory.staged);
    __syncthreads();
    for (; step_at(block, n).stages; n++) {
        if (finds_steps())
            steps_extend(block.plan, memory.steps, n + 2 + AHEAD);
        backward_copy<LANE>(pass, block, n + 1 + AHEAD);
        copy_async_wait<AHEAD>();
        backward_stage(pass, block, n + 1, memory.staged + (n + 1) % RING * memory.halo.slot);
        backward_store<LANE>(pass, block, n - 1);
        if (step_at(block, n).makes)
            backward_make<LANE>(pass, block, n, lane);
        __syncthreads();
    }
    backward_store<LANE>(pass, block, n - 1);
}

template <class LANE>
__device__ static inline void backward_sums(const struct backward_pass &pass,
                                            const struct depthwise_block &block, LANE *lane)
{
    const size_t channels = pass.call.shape.channels, slice = blockIdx.y;
    const uint32_t channel = block.thread.tile + block.thread.lane;
    float *weights = pass.call.weight_partials + slice * LANE::KERNEL * LANE::KERNEL * channels;
    KERNEL_UNROLL_ALL
    for (uint32_t i = 0; i < LANE::KERNEL; i++)
        lanes_add<LANE::KERNEL, LANE::CHANNELS>(block, lane->dweights + i * LANE::KERNEL,
                                                weights + i * LANE::KERNEL * channels);
    if (!pass.call.ret_partials)
        return;
    KERNEL_UNROLL_ALL
    for (uint32_t l = 0; l < LANE::CHANNELS; l++)
        lane->sums[1].v[l] *= block.thread.counts ? pass.call.input.inverse[channel + l] : 0.0f;
    lanes_add<SUMS, LANE::CHANNELS>(block, lane->sums,
                                    pass.call.ret_partials + slice * SUMS * channels);
}

template <class LANE>
__global__ static void __launch_bounds__(DEPTHWISE_THREADS,
                                         LANE::KERNEL < DEPTHWISE_KERNEL_MAX ? 2 : 1)
    backward_kernel(const struct backward_pass pass, const struct depthwise_plan plan)
{
    KERNEL_SHARED(bytes);
    const struct depthwise_block block = depthwise_block_of<LANE::CHANNELS>(plan, bytes);
    LANE lane;
    backward_table_fill(pass, block.thread, block.memory.table);
    backward_lane_init<LANE>(pass.call, block.thread, &lane);
    depthwise_begin(block, AHEAD + 2);
    backward_slide<LANE>(pass, block, &lane);
    backward_sums<LANE>(pass, block, &lane);
}

struct finish_quad {
    double v[QUAD_FLOATS];
};

/* weight_partials (slices, count) -> dweights (count), count = kernel * kernel * channels. Part p of FINISH_PARTS has the slices
 * p, p + FINISH_PARTS, ... */
__global__ static void __launch_bounds__(FINISH_THREADS)
    finish_kernel(const float *partials, uint32_t slices, uint32_t count, bool first,
                  float *dweights)
{
    __shared__ struct finish_quad parts[FINISH_THREADS];
    const uint32_t lane = threadIdx.x % FINISH_LANES, part = threadIdx.x / FINISH_LANES;
    const uint32_t at = (blockIdx.x * FINISH_LANES + lane) * QUAD_FLOATS;
    struct finish_quad sums = {};
    for (uint32_t s = part; at < count && s < slices; s += FINISH_PARTS) {
        const struct quad quad = quad_load(partials + (size_t)s * count, at, count);
        for (uint32_t i = 0; i < QUAD_FLOATS; i++)
            sums.v[i] += (double)quad.v[i];
    }
    parts[threadIdx.x] = sums;
    __syncthreads();
    if (part > 0 || at >= count)
        return;
    for (uint32_t p = 1; p < FINISH_PARTS; p++)
        for (uint32_t i = 0; i < QUAD_FLOATS; i++)
            sums.v[i] += parts[p * FINISH_LANES + lane].v[i];
    struct quad total = {};
    if (!first)
        total = quad_load(dweights, at, count);
    for (uint32_t i = 0; i < QUAD_FLOATS; i++)
        total.v[i] += (float)sums.v[i];
    quad_store(dweights, at, count, total);
}

template <uint32_t KERNEL, uint32_t STRIDE>
static int backward_run(const struct depthwise_backward &call, const struct depthwise_plan &plan,
                        struct CUstream_st *stream)
{
    const struct backward_pass pass = {call, *call.after};
    const uint32_t count = KERNEL * KERNEL * call.shape.channels;
    const int rc =
        launch(backward_kernel<backward_lane<KERNEL, STRIDE>>, dim3(plan.tiles, plan.slices),
               plan.lanes * plan.groups * plan.images, plan.bytes, stream, pass, plan);
    if (rc < 0)
        return rc;
    return launch(finish_kernel, dim3(depthwise_parts(count, FINISH_LANES * QUAD_FLOATS)),
                  FINISH_THREADS, 0, stream, (const float *)call.weight_partials, plan.slices,
                  count, call.first, call.dweights);
}

static void backward_check(const struct depthwise_backward *call)
{
    const struct batch_norm *after = call->after;
    const struct batch_norm_incoming *incoming = &call->incoming;
    depthwise_input_check(&call->input);
    assert(after->shape.images == call->shape.images);
    assert(after->shape.pixels == call->shape.out_size * call->shape.out_size);
    assert(after->shape.channels == call->shape.channels);
    assert(after->x && depthwise_aligned(after->x) && depthwise_aligned(incoming->map));
    assert(depthwise_aligned(incoming->gate) && depthwise_aligned(incoming->added));
    assert(depthwise_aligned(incoming->features) && (incoming->map || incoming->added));
    assert(call->weights && depthwise_aligned(call->weights) && call->means);
    assert(call->weight_partials && depthwise_aligned(call->weight_partials));
    assert(call->dweights && depthwise_aligned(call->dweights));
    assert(call->ret_dx && depthwise_aligned(call->ret_dx) && call->ret_dx != call->input.x);
    assert(call->ret_dx != after->x && call->ret_dx != incoming->map);
    assert(!call->ret_partials || call->input.scale);
}

int depthwise_backward_launch(const struct depthwise_backward *backward, struct CUstream_st *stream)
{
    const struct depthwise_plan plan = depthwise_plan_of(DEPTHWISE_BACKWARD, &backward->shape);
    const bool halves = backward->shape.stride == 2;
    backward_check(backward);
    switch (backward->shape.kernel) {
    case 1:
        return (halves ? backward_run<1, 2> : backward_run<1, 1>)(*backward, plan, stream);
    case 3:
        return (halves ? backward_run<3, 2> : backward_run<3, 1>)(*backward, plan, stream);
    case 5:
        return (halves ? backward_run<5, 2> : backward_run<5, 1>)(*backward, plan, stream);
    default:
        return (halves ? backward_run<7, 2> : backward_run<7, 1>)(*backward, plan, stream);
    }
}
