#include "kernels/batch_norm_body.h"
#include "kernels/launch.cuh"

#include <assert.h>

enum { FINISH_THREADS = NORM_FINISH_LANES * NORM_FINISH_PARTS };

/* A thread's sums -> block, complete in the threads of row 0 */
__device__ static void block_add(float *block, const struct norm_grid *grid,
                                 const struct norm_sums *sums)
{
    norm_sums_put(block, threadIdx.x, sums);
    for (uint32_t active = grid->rows_at_once; active > 1; active = tree_half(active)) {
        __syncthreads();
        norm_level(block, grid->lanes, threadIdx.x, active);
    }
}

/* partials (slices, 2, channels) -> the sums of a channel, complete in the threads of part 0 */
__device__ static struct norm_totals slices_add(const struct batch_norm *norm, uint32_t slices,
                                                uint32_t channel)
{
    __shared__ struct norm_totals parts[FINISH_THREADS];
    struct norm_totals totals = {0, 0};
    if (channel < norm->shape.channels)
        totals = norm_partials_read(norm, slices, channel, threadIdx.x / NORM_FINISH_LANES);
    parts[threadIdx.x] = totals;
    __syncthreads();
    return norm_parts_add(parts, threadIdx.x % NORM_FINISH_LANES);
}

__device__ static uint32_t finish_channel(void)
{
    return blockIdx.x * NORM_FINISH_LANES + threadIdx.x % NORM_FINISH_LANES;
}

__device__ static bool finish_writes(const struct batch_norm *norm)
{
    return threadIdx.x < NORM_FINISH_LANES && finish_channel() < norm->shape.channels;
}

/* x, running mean -> partials */
__global__ static void __launch_bounds__(BATCH_NORM_THREADS)
    statistics_kernel(struct batch_norm norm, struct norm_grid grid, const float *running_mean)
{
    __shared__ float block[NORM_SUMS * BATCH_NORM_THREADS];
    const struct norm_place place = norm_place_of(&grid, blockIdx.x, blockIdx.y, threadIdx.x);
    const struct norm_sums sums = norm_statistics_sums(&norm, running_mean, &grid, &place);
    block_add(block, &grid, &sums);
    norm_partials_write(&norm, block, &place, blockIdx.x, threadIdx.x);
}

/* partials -> mean, inverse, running statistics */
__global__ static void __launch_bounds__(FINISH_THREADS)
    statistics_finish_kernel(struct batch_norm norm, uint32_t slices,
                             struct batch_norm_running running)
{
    const struct norm_totals totals = slices_add(&norm, slices, finish_channel());
    if (finish_writes(&norm))
        norm_statistics_finish(&norm, &running, finish_channel(), totals);
}

/* running statistics -> mean, inverse */
__global__ static void __launch_bounds__(BATCH_NORM_THREADS)
    running_kernel(struct batch_norm norm, struct batch_norm_running running)
{
    const uint32_t c = blockIdx.x * BATCH_NORM_THREADS + threadIdx.x;
    if (c >= norm.shape.channels)
        return;
    norm.mean[c] = running.mean[c];
    norm.inverse[c] = norm_inverse(running.variance[c], running.epsilon);
}

/* x, residual -> y */
__global__ static void __launch_bounds__(BATCH_NORM_THREADS)
    apply_kernel(struct batch_norm norm, struct norm_grid grid, struct batch_norm_output output)
{
    const struct norm_place place = norm_place_of(&grid, blockIdx.x, blockIdx.y, threadIdx.x);
    norm_apply(&norm, &output, &grid, &place);
}

/* A block an image and tile: x -> pooled */
__global__ static void __launch_bounds__(BATCH_NORM_THREADS)
    pool_kernel(struct batch_norm norm, struct norm_grid grid, struct batch_norm_pool pool)
{
    __shared__ float block[NORM_SUMS * BATCH_NORM_THREADS];
    const struct norm_place place = norm_place_of(&grid, 0, blockIdx.y, threadIdx.x);
    const struct norm_sums sums = norm_pool_sums(&norm, blockIdx.x, &grid, &place);
    block_add(block, &grid, &sums);
    norm_pool_write(&norm, &pool, block, blockIdx.x, &place, threadIdx.x);
}

/* x, dy -> partials */
__global__ static void __launch_bounds__(BATCH_NORM_THREADS)
    backward_sums_kernel(struct batch_norm norm, struct norm_grid grid,
                         struct batch_norm_incoming incoming)
{
    __shared__ float block[NORM_SUMS * BATCH_NORM_THREADS];
    const struct norm_place place = norm_place_of(&grid, blockIdx.x, blockIdx.y, threadIdx.x);
    const struct norm_sums sums = norm_backward_sums(&norm, &incoming, &grid, &place);
    block_add(block, &grid, &sums);
    norm_partials_write(&norm, block, &place, blockIdx.x, threadIdx.x);
}

/* partials -> dscale, dshift, means */
__global__ static void __launch_bounds__(FINISH_THREADS)
    backward_finish_kernel(struct batch_norm norm, uint32_t slices,
                           struct batch_norm_gradients gradients)
{
    const struct norm_totals totals = slices_add(&norm, slices, finish_channel());
    if (finish_writes(&norm))
        norm_backward_finish(&norm, &gradients, finish_channel(), totals);
}

/* x, dy, means -> dx */
__global__ static void __launch_bounds__(BATCH_NORM_THREADS)
    backward_apply_kernel(struct batch_norm norm, struct norm_grid grid,
                          struct batch_norm_incoming incoming,
                          struct batch_norm_gradients gradients)
{
    const struct norm_place place = norm_place_of(&grid, blockIdx.x, blockIdx.y, threadIdx.x);
    norm_backward_apply(&norm, &incoming, &gradients, &grid, &place);
}

static bool aligned(const void *pointer)
{
    return (uintptr_t)pointer % sizeof(struct octet) == 0;
}

static struct norm_grid checked_grid_of(const struct batch_norm *norm)
{
    const struct batch_norm_shape *shape = &norm->shape;
    assert(shape->channels > 0 && shape->channels % OCTET_HALVES == 0);
    assert(shape->images > 0 && shape->pixels > 0);
    assert((uint64_t)shape->images * shape->pixels <= UINT32_MAX);
    assert(aligned(norm->x) && aligned(norm->scale) && aligned(norm->shift));
    assert(aligned(norm->mean) && aligned(norm->inverse));
    return norm_grid_of(shape);
}

static dim3 blocks_of(const struct norm_grid *grid)
{
    return dim3(grid->slices, grid->tiles);
}

uint32_t batch_norm_slices(const struct batch_norm_shape *shape)
{
    return norm_grid_of(shape).slices;
}

size_t batch_norm_partials(const struct batch_norm_shape *shape)
{
    return (size_t)batch_norm_slices(shape) * 2 * shape->channels;
}

int batch_norm_statistics_launch(const struct batch_norm *norm,
                                 const struct batch_norm_running *running,
                                 struct CUstream_st *stream)
{
    const struct norm_grid grid = checked_grid_of(norm);
    assert(aligned(running->mean) && norm->partials);
    if (launch(statistics_kernel, blocks_of(&grid), BATCH_NORM_THREADS, 0, stream, *norm, grid,
               running->mean) < 0)
        return -EIO;
    return batch_norm_statistics_finish_launch(norm, grid.slices, running, stream);
}

int batch_norm_statistics_finish_launch(const struct batch_norm *norm, uint32_t slices,
                                        const struct batch_norm_running *running,
                                        struct CUstream_st *stream)
{
    assert(slices > 0 && norm->partials);
    return launch(statistics_finish_kernel, norm_parts(norm->shape.channels, NORM_FINISH_LANES),
                  FINISH_THREADS, 0, stream, *norm, slices, *running);
}

int batch_norm_running_launch(const struct batch_norm *norm,
                              const struct batch_norm_running *running, struct CUstream_st *stream)
{
    return launch(running_kernel, norm_parts(norm->shape.channels, BATCH_NORM_THREADS),
                  BATCH_NORM_THREADS, 0, stream, *norm, *running);
}

int batch_norm_apply_launch(const struct batch_norm *norm, const struct batch_norm_output *output,
                            struct CUstream_st *stream)
{
    const struct norm_grid grid = checked_grid_of(norm);
    assert(aligned(output->residual) && aligned(output->ret_y) && aligned(output->gate));
    assert(output->ret_y != norm->x && output->ret_y != output->residual);
    return launch(apply_kernel, blocks_of(&grid), BATCH_NORM_THREADS, 0, stream, *norm, grid,
                  *output);
}

int batch_norm_pool_launch(const struct batch_norm *norm, const struct batch_norm_pool *pool,
                           struct CUstream_st *stream)
{
    checked_grid_of(norm);
    const struct norm_grid grid = norm_image_grid_of(&norm->shape);
    assert(pool->ret_pooled);
    return launch(pool_kernel, dim3(norm->shape.images, grid.tiles), BATCH_NORM_THREADS, 0, stream,
                  *norm, grid, *pool);
}

static struct norm_grid backward_grid_of(const struct batch_norm *norm,
                                         const struct batch_norm_incoming *incoming)
{
    assert(aligned(incoming->map) && aligned(incoming->gate));
    assert(aligned(incoming->added) && aligned(incoming->features));
    assert(incoming->map || incoming->added);
    return checked_grid_of(norm);
}

int batch_norm_backward_sums_launch(const struct batch_norm *norm,
                                    const struct batch_norm_incoming *incoming,
                                    struct CUstream_st *stream)
{
    const struct norm_grid grid = backward_grid_of(norm, incoming);
    assert(norm->partials);
    return launch(backward_sums_kernel, blocks_of(&grid), BATCH_NORM_THREADS, 0, stream, *norm,
                  grid, *incoming);
}

int batch_norm_backward_finish_launch(const struct batch_norm *norm, uint32_t slices,
                                      const struct batch_norm_gradients *gradients,
                                      struct CUstream_st *stream)
{
    assert(slices > 0 && norm->partials && gradients->means);
    return launch(backward_finish_kernel, norm_parts(norm->shape.channels, NORM_FINISH_LANES),
                  FINISH_THREADS, 0, stream, *norm, slices, *gradients);
}

int batch_norm_backward_apply_launch(const struct batch_norm *norm,
                                     const struct batch_norm_incoming *incoming,
                                     const struct batch_norm_gradients *gradients,
                                     struct CUstream_st *stream)
{
    const struct norm_grid grid = backward_grid_of(norm, incoming);
    assert(aligned(gradients->ret_dx) && aligned(gradients->means));
    assert(gradients->ret_dx != norm->x && gradients->ret_dx != incoming->map);
    return launch(backward_apply_kernel, blocks_of(&grid), BATCH_NORM_THREADS, 0, stream, *norm,
                  grid, *incoming, *gradients);
}

int batch_norm_backward_launch(const struct batch_norm *norm,
                               const struct batch_norm_incoming *incoming,
                               const struct batch_norm_gradients *gradients,
                               struct CUstream_st *stream)
{
    if (batch_norm_backward_sums_launch(norm, incoming, stream) < 0 ||
        batch_norm_backward_finish_launch(norm, batch_norm_slices(&norm->shape), gradients,
                                          stream) < 0)
        return -EIO;
    return batch_norm_backward_apply_launch(norm, incoming, gradients, stream);
}
