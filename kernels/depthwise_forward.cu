#include "kernels/depthwise.cuh"

#include <assert.h>
#include <errno.h>

enum { SUMS = 2 };

/* What a lane keeps. Row j of `rows` is the one that has got j units of its window. */
template <uint32_t K, uint32_t S> struct forward_lane {
    static constexpr uint32_t KERNEL = K, STRIDE = S;
    static constexpr uint32_t CHANNELS = lane_channels(KERNEL);
    static constexpr uint32_t COLUMNS = lane_columns(STRIDE);
    static constexpr uint32_t WINDOW = window_of(DEPTHWISE_FORWARD, KERNEL, STRIDE);
    static constexpr uint32_t READ = halo_columns(DEPTHWISE_FORWARD, KERNEL, STRIDE, COLUMNS);
    using floats = struct lane_floats<CHANNELS>;
    floats weights[KERNEL * KERNEL];
    floats rows[WINDOW][COLUMNS];
    floats pivot, sums[SUMS];
};

template <class LANE>
__device__ static inline void forward_lane_init(const struct depthwise_forward &forward,
                                                const struct depthwise_thread &thread, LANE *lane)
{
    const float *weights = forward.weights + thread.tile + thread.lane;
    lane->pivot = {};
    lane->sums[0] = lane->sums[1] = {};
    KERNEL_UNROLL_ALL
    for (uint32_t tap = 0; tap < LANE::KERNEL * LANE::KERNEL; tap++) {
        lane->weights[tap] = {};
        if (thread.counts)
            lane->weights[tap] = lane_load<LANE::CHANNELS>(weights + tap * forward.shape.channels);
    }
    if (thread.counts && forward.pivot)
        lane->pivot = lane_load<LANE::CHANNELS>(forward.pivot + thread.tile + thread.lane);
    KERNEL_UNROLL_ALL
    for (uint32_t i = 0; i < LANE::WINDOW * LANE::COLUMNS; i++)
        lane->rows[i / LANE::COLUMNS][i % LANE::COLUMNS] = {};
}

/* table (2, tile_channels). All threads of the block. */
__device__ static inline void forward_table_fill(const struct depthwise_forward &forward,
                                                 const struct depthwise_thread &thread,
                                                 float *ret_table)
{
    for (uint32_t c = threadIdx.x; c < thread.tile_channels; c += blockDim.x) {
        const struct depthwise_affine affine =
            depthwise_affine_of(forward.input, thread.tile + c, forward.shape.channels);
        ret_table[c] = affine.times;
        ret_table[thread.tile_channels + c] = affine.plus;
    }
}

/* Asks for a step's octets; a group of copies ends in any case. */
template <class LANE>
__device__ static inline void forward_copy(const struct depthwise_forward &forward,
                                           const struct depthwise_block &block, uint32_t n,
                                           uint16_t *ret_raw)
{
    const struct depthwise_step &step = step_at(block, n);
    if (step.stages)
        pixels_copy<LANE::STRIDE, 1>(block, block.memory.halo, step.halo, {forward.input.x},
                                     ret_raw);
    copy_async_commit();
}

/* What the convolution reads of 8 channels of a pixel. */
__device__ static inline void forward_octet(const struct depthwise_forward &forward,
                                            const struct depthwise_block &block,
                                            const uint16_t *raw, float *ret_x)
{
    float times[OCTET_HALVES], plus[OCTET_HALVES];
    channels_load(block.memory.table, block.thread.octet, times);
    channels_load(block.memory.table + block.thread.tile_channels, block.thread.octet, plus);
    octet_load(raw, ret_x);
    KERNEL_UNROLL_ALL
    for (uint32_t c = 0; c < OCTET_HALVES; c++)
        ret_x[c] = times[c] * ret_x[c] + plus[c];
    if (!forward.input.silu)
        return;
    KERNEL_UNROLL_ALL
    for (uint32_t c = 0; c < OCTET_HALVES; c++)
        ret_x[c] = silu_of_half(ret_x[c], tanh_fast(ret_x[c]));
}

/* raw (halo pixels, tile_channels) -> staged: normalised, and 0 outside the map */
template <class LANE>
__device__ static inline void forward_stage(const struct depthwise_forward &forward,
                                            const struct depthwise_block &block, uint32_t n,
                                            const uint16_t *raw, float *ret_staged)
{
    const struct depthwise_thread &thread = block.thread;
    const struct depthwise_pixels &pixels = block.memory.halo;
    const struct depthwise_step &step = step_at(block, n);
    if (!step.stages)
        return;
    const struct depthwise_origin origin = step.halo;
    const bool rows = LANE::STRIDE > 1 || (origin.rows & 1);
    const uint16_t *from = raw + thread.first;
    float *to = ret_staged + thread.first;
    for (uint32_t i = thread.pixel; i < pixels.count; i += thread.pixel_step) {
        float x[OCTET_HALVES] = {0};
        if (rows && place_inside<LANE::STRIDE>(origin, pixels.places[i].at))
            forward_octet(forward, block, from, x);
        octet_stage(to, x);
        from += thread.step;
        to += thread.step;
    }
}

/* A row of weights over a row of x -> a row of the output */
template <class LANE>
__device__ static inline void row_add(const typename LANE::floats *weights,
                                      const typename LANE::floats *x, typename LANE::floats *y)
{
    KERNEL_UNROLL_ALL
    for (uint32_t j = 0; j < LANE::KERNEL; j++) {
        KERNEL_UNROLL_ALL
        for (uint32_t i = 0; i < LANE::COLUMNS * LANE::CHANNELS; i++) {
            const uint32_t c = i / LANE::CHANNELS, l = i % LANE::CHANNELS;
            y[c].v[l] += weights[j].v[l] * x[c * LANE::STRIDE + j].v[l];
        }
    }
}

/* One unit down: the staged rows go into all rows that are being made, which have then got one unit more. */
template <class LANE>
__device__ static inline void forward_add(const struct depthwise_block &block, const float *staged,
                                          LANE *lane)
{
    const uint32_t tile_channels = block.thread.tile_channels;
    const uint32_t row_floats = block.plan.halo.columns * tile_channels;
    const float *row = staged + block.thread.image * LANE::STRIDE * row_floats +
                       block.thread.group * LANE::COLUMNS * LANE::STRIDE * tile_channels +
                       block.thread.lane;
    KERNEL_UNROLL_ALL
    for (uint32_t i = LANE::WINDOW * LANE::COLUMNS; i-- > 0;) {
        const uint32_t j = i / LANE::COLUMNS, c = i % LANE::COLUMNS;
        lane->rows[j][c] = j > 0 ? lane->rows[j - 1][c] : typename LANE::floats{};
    }
    KERNEL_UNROLL_ALL
    for (uint32_t q = 0; q < LANE::STRIDE; q++, row += row_floats) {
        typename LANE::floats x[LANE::READ];
        KERNEL_UNROLL_ALL
        for (uint32_t column = 0; column < LANE::READ; column++)
            x[column] = lane_load<LANE::CHANNELS>(row + column * tile_channels);
        KERNEL_UNROLL_ALL
        for (uint32_t i = q; i < LANE::KERNEL; i += LANE::STRIDE)
            row_add<LANE>(lane->weights + i * LANE::KERNEL, x, lane->rows[i / LANE::STRIDE]);
    }
}

/* The row whose window is full -> written (own pixels, tile_channels), and its sums. */
template <class LANE>
__device__ static inline void forward_make(const struct depthwise_block &block,
                                           const struct depthwise_origin &origin,
                                           uint16_t *ret_written, LANE *lane)
{
    const struct depthwise_thread &thread = block.thread;
    const uint32_t first = thread.group * LANE::COLUMNS;
    const uint32_t columns = thread.image << 16 < origin.end ? origin.columns : 0;
    const uint32_t pixel = thread.image * block.plan.own.columns + first;
    uint16_t *to = ret_written + pixel * thread.tile_channels + thread.lane;
    KERNEL_UNROLL_ALL
    for (uint32_t c = 0; c < LANE::COLUMNS; c++, to += thread.tile_channels) {
        typename LANE::floats y = lane->rows[LANE::WINDOW - 1][c];
        lane_store(to, &y);
        KERNEL_UNROLL_ALL
        for (uint32_t l = 0; l < LANE::CHANNELS; l++) {
            const float off = first + c < columns ? y.v[l] - lane->pivot.v[l] : 0.0f;
            lane->sums[0].v[l] += off;
            lane->sums[1].v[l] += off * off;
        }
    }
}

/* What a step has made -> y; nothing where it made nothing. */
__device__ static inline void forward_store(const struct depthwise_forward &forward,
                                            const struct depthwise_block &block, uint32_t n,
                                            const uint16_t *written)
{
    const struct depthwise_step &step = step_at(block, n);
    if (step.makes)
        pixels_store<1>(block, block.memory.own, step.own, written, forward.ret_y);
}

/* In step n the copies of step n + 1 + AHEAD begin, n + 1 is staged, n is added, and what n - 1 made is stored: what one thread
 * writes another reads a step later, behind the barrier. */
template <class LANE>
__device__ static inline void forward_slide(const struct depthwise_forward &forward,
                                            const struct depthwise_block &block, LANE *lane)
{
    constexpr uint32_t AHEAD = steps_ahead(DEPTHWISE_FORWARD, LANE::STRIDE);
    constexpr uint32_t SLOTS = raw_slots(DEPTHWISE_FORWARD, LANE::STRIDE);
    const struct depthwise_memory &memory = block.memory;
    const uint32_t slot = memory.halo.slot;
    uint32_t n = 0;
    for (uint32_t i = 0; i <= AHEAD; i++)
        forward_copy<LANE>(forward, block, i, memory.raw + i * slot);
    copy_async_wait<AHEAD>();
    forward_stage<LANE>(forward, block, 0, memory.raw, memory.staged);
    __syncthreads();
    for (; step_at(block, n).stages; n++) {
        const uint32_t now = n % 2, next = 1 - now;
        if (finds_steps())
            steps_extend(block.plan, memory.steps, n + 2 + AHEAD);
        forward_copy<LANE>(forward, block, n + 1 + AHEAD,
                           memory.raw + (n + 1 + AHEAD) % SLOTS * slot);
        copy_async_wait<AHEAD>();
        forward_stage<LANE>(forward, block, n + 1, memory.raw + (n + 1) % SLOTS * slot,
                            memory.staged + next * slot);
        forward_store(forward, block, n - 1, memory.written + next * memory.own.slot);
        forward_add<LANE>(block, memory.staged + now * slot, lane);
        if (step_at(block, n).makes)
            forward_make<LANE>(block, step_at(block, n).own, memory.written + now * memory.own.slot,
                               lane);
        __syncthreads();
    }
    forward_store(forward, block, n - 1, memory.written + (n + 1) % 2 * memory.own.slot);
}

template <class LANE>
__global__ static void __launch_bounds__(DEPTHWISE_THREADS, 2)
    forward_kernel(const struct depthwise_forward forward, const struct depthwise_plan plan)
{
    KERNEL_SHARED(bytes);
    const struct depthwise_block block = depthwise_block_of<LANE::CHANNELS>(plan, bytes);
    LANE lane;
    forward_table_fill(forward, block.thread, block.memory.table);
    forward_lane_init<LANE>(forward, block.thread, &lane);
    depthwise_begin(block, steps_ahead(DEPTHWISE_FORWARD, LANE::STRIDE) + 2);
    forward_slide<LANE>(forward, block, &lane);
    if (forward.pivot)
        lanes_add<SUMS, LANE::CHANNELS>(block, lane.sums,
                                        forward.ret_partials +
                                            (size_t)blockIdx.y * SUMS * plan.shape.channels);
}

template <uint32_t KERNEL, uint32_t STRIDE>
static int forward_run(const struct depthwise_forward &forward, const struct depthwise_plan &plan,
                       struct CUstream_st *stream)
{
    return launch(forward_kernel<forward_lane<KERNEL, STRIDE>>, dim3(plan.tiles, plan.slices),
                  plan.lanes * plan.groups * plan.images, plan.bytes, stream, forward, plan);
}

int depthwise_forward_launch(const struct depthwise_forward *forward, struct CUstream_st *stream)
{
    const struct depthwise_plan plan = depthwise_plan_of(DEPTHWISE_FORWARD, &forward->shape);
    const bool halves = forward->shape.stride == 2;
    depthwise_input_check(&forward->input);
    assert(forward->weights && depthwise_aligned(forward->weights));
    assert(depthwise_aligned(forward->pivot) && (!forward->pivot || forward->ret_partials));
    assert(depthwise_aligned(forward->ret_y) && forward->ret_y != forward->input.x);
    switch (forward->shape.kernel) {
    case 1:
        return (halves ? forward_run<1, 2> : forward_run<1, 1>)(*forward, plan, stream);
    case 3:
        return (halves ? forward_run<3, 2> : forward_run<3, 1>)(*forward, plan, stream);
    case 5:
        return (halves ? forward_run<5, 2> : forward_run<5, 1>)(*forward, plan, stream);
    default:
        return (halves ? forward_run<7, 2> : forward_run<7, 1>)(*forward, plan, stream);
    }
}
