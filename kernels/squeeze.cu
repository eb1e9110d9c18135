#include "kernels/batch_norm_body.h"
#include "kernels/launch.cuh"
#include "kernels/matrix.h"
#include "kernels/squeeze.h"

#include <assert.h>
#include <errno.h>

enum {
    THREADS = 512, /* of a block that has IMAGES images: it reads all weights */
    IMAGES = 2,
    LANES = 32, /* of a warp */
    CHUNK = 16, /* of squeezed, at a time in shared memory */
    CHUNK_STRIDE = CHUNK + 1,
    SUMS = SQUEEZE_SUMS * OCTET_HALVES,
    FINISH_LANES = 8, /* channels of a block */
    FINISH_PARTS = 32,
    FINISH_THREADS = FINISH_LANES * FINISH_PARTS
};

/* With all of float's digits: there are few of these. */
__device__ static float sigmoid_exact(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

__device__ static float warp_sum(float value)
{
    for (int distance = LANES / 2; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    return value;
}

/* The block's i-th image; one that is there in the place of one beyond the last, which nobody writes. */
__device__ static size_t image_of(const struct squeeze *squeeze, uint32_t i)
{
    const uint32_t image = blockIdx.x * IMAGES + i;
    return image < squeeze->images ? image : squeeze->images - 1;
}

__device__ static bool image_is_there(const struct squeeze *squeeze, uint32_t i)
{
    return blockIdx.x * IMAGES + i < squeeze->images;
}

__device__ static float dot(const float *a, const float *b, float sum)
{
    const struct quad of_a = *(const struct quad *)(const void *)a;
    const struct quad of_b = *(const struct quad *)(const void *)b;
    for (uint32_t i = 0; i < QUAD_FLOATS; i++)
        sum += of_a.v[i] * of_b.v[i];
    return sum;
}

/* A warp: pooled -> reduced, active of one of squeezed */
__device__ static void reduce_row(const struct squeeze *squeeze, uint32_t row)
{
    const uint32_t lane = threadIdx.x % LANES, channels = squeeze->channels;
    float sums[IMAGES] = {0};
    for (uint32_t c = lane * QUAD_FLOATS; c < channels; c += LANES * QUAD_FLOATS)
        for (uint32_t i = 0; i < IMAGES; i++)
            sums[i] = dot(squeeze->reduce + (size_t)row * channels + c,
                          squeeze->pooled + image_of(squeeze, i) * channels + c, sums[i]);
    for (uint32_t i = 0; i < IMAGES; i++) {
        const float value = warp_sum(sums[i]) + squeeze->reduce_bias[row];
        const size_t at = image_of(squeeze, i) * squeeze->squeezed + row;
        if (lane > 0 || !image_is_there(squeeze, i))
            continue;
        squeeze->reduced[at] = value;
        squeeze->active[at] = value * sigmoid_exact(value);
    }
}

/* expand -> (THREADS, CHUNK_STRIDE): channels from first_channel on, CHUNK of squeezed from first on */
__device__ static void expand_stage(const struct squeeze *squeeze, uint32_t first_channel,
                                    uint32_t first, float *ret_chunk)
{
    for (uint32_t at = threadIdx.x; at < THREADS * CHUNK; at += THREADS) {
        const uint32_t c = first_channel + at / CHUNK, s = first + at % CHUNK;
        if (c < squeeze->channels && s < squeeze->squeezed)
            ret_chunk[at / CHUNK * CHUNK_STRIDE + at % CHUNK] =
                squeeze->expand[(size_t)c * squeeze->squeezed + s];
    }
}

/* active -> gate of THREADS channels; chunk (THREADS, CHUNK_STRIDE) */
__device__ static void gate_make(const struct squeeze *squeeze, uint32_t first_channel,
                                 float *chunk)
{
    const uint32_t c = first_channel + threadIdx.x, squeezed = squeeze->squeezed;
    const float *row = chunk + threadIdx.x * CHUNK_STRIDE;
    float sums[IMAGES] = {0};
    for (uint32_t first = 0; first < squeezed; first += CHUNK) {
        const uint32_t left = squeezed - first,
                       end = left < (uint32_t)CHUNK ? left : (uint32_t)CHUNK;
        __syncthreads();
        expand_stage(squeeze, first_channel, first, chunk);
        __syncthreads();
        for (uint32_t s = 0; c < squeeze->channels && s < end; s++)
            for (uint32_t i = 0; i < IMAGES; i++)
                sums[i] += row[s] * squeeze->active[image_of(squeeze, i) * squeezed + first + s];
    }
    for (uint32_t i = 0; c < squeeze->channels && i < IMAGES; i++)
        if (image_is_there(squeeze, i))
            squeeze->gate[image_of(squeeze, i) * squeeze->channels + c] =
                sigmoid_exact(sums[i] + squeeze->expand_bias[c]);
}

/* pooled -> reduced, active, gate */
__global__ static void __launch_bounds__(THREADS) forward_kernel(struct squeeze squeeze)
{
    __shared__ float chunk[THREADS * CHUNK_STRIDE];
    for (uint32_t row = threadIdx.x / LANES; row < squeeze.squeezed; row += THREADS / LANES)
        reduce_row(&squeeze, row);
    for (uint32_t first = 0; first < squeeze.channels; first += THREADS)
        gate_make(&squeeze, first, chunk);
}

/* 8 channels of some pixels of an image. */
struct squeeze_totals {
    float v[SUMS];
};

/* A row; with twice the slope, and x - mean for the normalised x. */
__device__ static void totals_row_add(struct squeeze_totals *totals, const struct batch_norm *norm,
                                      const struct norm_line *half, const float *mean,
                                      const float *x, const float *g)
{
    for (uint32_t i = 0; i < OCTET_HALVES; i++) {
        const float h = half->times[i] * x[i] + half->plus[i], off = x[i] - mean[i];
        const float slope = norm_slope_twice(h, norm->silu);
        totals->v[SQUEEZE_GRADIENT_VALUE * OCTET_HALVES + i] += g[i] * norm_value(h, norm->silu);
        totals->v[SQUEEZE_GRADIENT_SLOPE * OCTET_HALVES + i] += g[i] * slope;
        totals->v[SQUEEZE_GRADIENT_SLOPE_NORMAL * OCTET_HALVES + i] += g[i] * slope * off;
        totals->v[SQUEEZE_SLOPE * OCTET_HALVES + i] += slope;
        totals->v[SQUEEZE_SLOPE_NORMAL * OCTET_HALVES + i] += slope * off;
    }
}

__device__ static void totals_finish(struct squeeze_totals *totals, const float *inverse)
{
    for (uint32_t i = 0; i < OCTET_HALVES; i++) {
        totals->v[SQUEEZE_GRADIENT_SLOPE * OCTET_HALVES + i] *= 0.5f;
        totals->v[SQUEEZE_GRADIENT_SLOPE_NORMAL * OCTET_HALVES + i] *= 0.5f * inverse[i];
        totals->v[SQUEEZE_SLOPE * OCTET_HALVES + i] *= 0.5f;
        totals->v[SQUEEZE_SLOPE_NORMAL * OCTET_HALVES + i] *= 0.5f * inverse[i];
    }
}

/* What a thread has of an image's sums. */
__device__ static struct squeeze_totals totals_of(const struct batch_norm *norm, const uint16_t *g,
                                                  const struct norm_grid *grid,
                                                  const struct norm_place *place)
{
    struct squeeze_totals totals = {{0}};
    float x[OCTET_HALVES], dy[OCTET_HALVES], mean[OCTET_HALVES], inverse[OCTET_HALVES];
    if (!place->active)
        return totals;
    const struct norm_line half = norm_half_of(norm, place->channel);
    channels_load(norm->mean, place->channel, mean);
    const size_t image = (size_t)blockIdx.x * norm->shape.pixels * norm->shape.channels;
    for (size_t row = place->first; row < grid->rows; row += NORM_BATCH * (size_t)place->stride) {
        const struct norm_batch maps =
            norm_batch_load(norm, norm->x + image, place, row, grid->rows);
        const struct norm_batch gs = norm_batch_load(norm, g + image, place, row, grid->rows);
        KERNEL_UNROLL
        for (uint32_t k = 0; k < NORM_BATCH; k++) {
            if (row + (size_t)k * place->stride >= grid->rows)
                continue;
            octet_unpack(&maps.rows[k], x);
            octet_unpack(&gs.rows[k], dy);
            totals_row_add(&totals, norm, &half, mean, x, dy);
        }
    }
    channels_load(norm->inverse, place->channel, inverse);
    totals_finish(&totals, inverse);
    return totals;
}

/* Grid (images, tiles): x, g -> sums (SQUEEZE_SUMS, images, channels) */
__global__ static void __launch_bounds__(BATCH_NORM_THREADS)
    sums_kernel(struct batch_norm norm, struct norm_grid grid, const uint16_t *g, float *ret_sums)
{
    __shared__ float block[SUMS * BATCH_NORM_THREADS];
    const uint32_t thread = threadIdx.x;
    const struct norm_place place = norm_place_of(&grid, 0, blockIdx.y, thread);
    const struct squeeze_totals totals = totals_of(&norm, g, &grid, &place);
    for (uint32_t k = 0; k < SUMS; k++)
        block[k * BATCH_NORM_THREADS + thread] = totals.v[k];
    for (uint32_t active = grid.rows_at_once; active > 1; active = tree_half(active)) {
        const uint32_t half = tree_half(active);
        __syncthreads();
        for (uint32_t k = 0; place.row + half < active && k < SUMS; k++)
            block[k * BATCH_NORM_THREADS + thread] +=
                block[k * BATCH_NORM_THREADS + thread + half * grid.lanes];
    }
    for (uint32_t k = 0; place.active && place.row == 0 && k < SUMS; k++)
        ret_sums[((size_t)k / OCTET_HALVES * norm.shape.images + blockIdx.x) * norm.shape.channels +
                 place.channel + k % OCTET_HALVES] = block[k * BATCH_NORM_THREADS + thread];
}

/* The gradients of what the sigmoid and SiLU are made of. */
struct squeeze_scratch {
    float *dgate;    /* (images, channels) */
    float *dreduced; /* (images, squeezed) */
};

/* The smallest power of 2 that squeezed does not exceed, up to a warp. */
__device__ static uint32_t width_of(uint32_t squeezed)
{
    uint32_t width = 1;
    while (width < squeezed && width < LANES)
        width *= 2;
    return width;
}

/* dgate -> dreduced of `width` of squeezed; sums (IMAGES, THREADS) */
__device__ static void expand_backward(const struct squeeze *squeeze,
                                       const struct squeeze_scratch *scratch, uint32_t first,
                                       uint32_t width, float *sums)
{
    const uint32_t s = first + threadIdx.x % width, squeezed = squeeze->squeezed;
    float of[IMAGES] = {0};
    for (uint32_t c = threadIdx.x / width; s < squeezed && c < squeeze->channels;
         c += THREADS / width)
        for (uint32_t i = 0; i < IMAGES; i++)
            of[i] += scratch->dgate[image_of(squeeze, i) * squeeze->channels + c] *
                     squeeze->expand[(size_t)c * squeezed + s];
    for (uint32_t i = 0; i < IMAGES; i++)
        sums[i * THREADS + threadIdx.x] = of[i];
    for (uint32_t half = THREADS / 2; half >= width; half /= 2) {
        __syncthreads();
        for (uint32_t i = 0; threadIdx.x < half && i < IMAGES; i++)
            sums[i * THREADS + threadIdx.x] += sums[i * THREADS + threadIdx.x + half];
    }
    for (uint32_t i = 0; threadIdx.x < width && s < squeezed && i < IMAGES; i++) {
        const size_t at = image_of(squeeze, i) * squeezed + s;
        const float x = squeeze->reduced[at], sigmoid = sigmoid_exact(x);
        if (image_is_there(squeeze, i))
            scratch->dreduced[at] =
                sums[i * THREADS + threadIdx.x] * sigmoid * (1.0f + x * (1.0f - sigmoid));
    }
    __syncthreads();
}

/* Gradient of the gates -> dgate, that of what the sigmoid is made of */
__device__ static void gate_backward(const struct squeeze *squeeze, const float *gradient,
                                     const struct squeeze_scratch *scratch, uint32_t image)
{
    const size_t first = (size_t)image * squeeze->channels;
    for (uint32_t c = threadIdx.x; c < squeeze->channels; c += THREADS) {
        const float gate = squeeze->gate[first + c];
        scratch->dgate[first + c] = gradient[first + c] * gate * (1.0f - gate);
    }
}

/* dreduced -> added */
__device__ static void reduce_backward(const struct squeeze *squeeze,
                                       const struct squeeze_scratch *scratch, uint32_t channel,
                                       float *ret_added)
{
    float sums[IMAGES] = {0};
    KERNEL_UNROLL
    for (uint32_t s = 0; s < squeeze->squeezed; s++) {
        const float weight = squeeze->reduce[(size_t)s * squeeze->channels + channel];
        for (uint32_t i = 0; i < IMAGES; i++)
            sums[i] += weight * scratch->dreduced[image_of(squeeze, i) * squeeze->squeezed + s];
    }
    for (uint32_t i = 0; i < IMAGES; i++)
        if (image_is_there(squeeze, i))
            ret_added[image_of(squeeze, i) * squeeze->channels + channel] = sums[i];
}

/* gradient (images, channels): that of the gates -> scratch, added */
__global__ static void __launch_bounds__(THREADS)
    backward_kernel(struct squeeze squeeze, const float *gradient, struct squeeze_scratch scratch,
                    float *ret_added)
{
    __shared__ float sums[IMAGES * THREADS];
    const uint32_t width = width_of(squeeze.squeezed);
    for (uint32_t i = 0; i < IMAGES && image_is_there(&squeeze, i); i++)
        gate_backward(&squeeze, gradient, &scratch, blockIdx.x * IMAGES + i);
    __syncthreads();
    for (uint32_t first = 0; first < squeeze.squeezed; first += width)
        expand_backward(&squeeze, &scratch, first, width, sums);
    for (uint32_t c = threadIdx.x; c < squeeze.channels; c += THREADS)
        reduce_backward(&squeeze, &scratch, c, ret_added);
}

/* A thread's images of a channel. */
__device__ static struct norm_totals images_add(const struct batch_norm *norm,
                                                const struct squeeze_finish *finish,
                                                uint32_t channel, uint32_t part)
{
    const size_t kind = (size_t)norm->shape.images * norm->shape.channels;
    const float share = 1.0f / (float)norm->shape.pixels;
    struct norm_totals totals = {0, 0};
    KERNEL_UNROLL
    for (uint32_t image = part; image < norm->shape.images; image += FINISH_PARTS) {
        const size_t at = (size_t)image * norm->shape.channels + channel;
        const float *sums = finish->sums + at;
        const float gate = finish->gate[at], added = share * finish->added[at];
        totals.first += (double)(gate * sums[SQUEEZE_GRADIENT_SLOPE * kind] +
                                 added * sums[SQUEEZE_SLOPE * kind]);
        totals.second += (double)(gate * sums[SQUEEZE_GRADIENT_SLOPE_NORMAL * kind] +
                                  added * sums[SQUEEZE_SLOPE_NORMAL * kind]);
    }
    return totals;
}

/* A block FINISH_LANES channels: sums, gate, added -> dscale, dshift, means */
__global__ static void __launch_bounds__(FINISH_THREADS)
    finish_kernel(struct batch_norm norm, struct squeeze_finish finish,
                  struct batch_norm_gradients gradients)
{
    __shared__ struct norm_totals parts[FINISH_THREADS];
    const uint32_t lane = threadIdx.x % FINISH_LANES, part = threadIdx.x / FINISH_LANES;
    const uint32_t channel = blockIdx.x * FINISH_LANES + lane;
    parts[threadIdx.x] = images_add(&norm, &finish, channel, part);
    for (uint32_t half = FINISH_PARTS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (part >= half)
            continue;
        parts[threadIdx.x].first += parts[threadIdx.x + half * FINISH_LANES].first;
        parts[threadIdx.x].second += parts[threadIdx.x + half * FINISH_LANES].second;
    }
    if (part == 0)
        norm_backward_finish(&norm, &gradients, channel, parts[lane]);
}

static bool aligned(const void *pointer)
{
    return (uintptr_t)pointer % sizeof(struct quad) == 0;
}

static dim3 checked_grid_of(const struct squeeze *squeeze)
{
    assert(squeeze->images > 0 && squeeze->squeezed > 0);
    assert(squeeze->channels > 0 && squeeze->channels % OCTET_HALVES == 0);
    assert(aligned(squeeze->pooled) && aligned(squeeze->reduce));
    return dim3(norm_parts(squeeze->images, IMAGES));
}

int squeeze_forward_launch(const struct squeeze *squeeze, struct CUstream_st *stream)
{
    return launch(forward_kernel, checked_grid_of(squeeze), THREADS, 0, stream, *squeeze);
}

int squeeze_sums_launch(const struct batch_norm *norm, const uint16_t *g, float *ret_sums,
                        struct CUstream_st *stream)
{
    const struct norm_grid grid = norm_image_grid_of(&norm->shape);
    assert(norm->shape.channels % OCTET_HALVES == 0 && norm->shape.pixels > 0);
    assert(aligned(norm->x) && aligned(g) && ret_sums);
    return launch(sums_kernel, dim3(norm->shape.images, grid.tiles), BATCH_NORM_THREADS, 0, stream,
                  *norm, grid, g, ret_sums);
}

size_t squeeze_scratch(const struct squeeze *squeeze)
{
    return (size_t)squeeze->images * (squeeze->channels + squeeze->squeezed);
}

/* The products' depth is the images: dE = dgate^T active, dR = dreduced^T pooled */
static int weights_launch(const struct squeeze *squeeze, const struct squeeze_scratch *scratch,
                          const struct squeeze_gradients *gradients, struct CUstream_st *stream)
{
    const uint32_t channels = squeeze->channels, squeezed = squeeze->squeezed;
    const struct matrix_product expand = {.rows = channels,
                                          .columns = squeezed,
                                          .depth = squeeze->images,
                                          .a = {scratch->dgate, 1, channels},
                                          .b = {squeeze->active, squeezed, 1},
                                          .bias = NULL,
                                          .ret = gradients->dexpand,
                                          .ret_stride = squeezed,
                                          .ret_row_sums = gradients->dexpand_bias,
                                          .add = !gradients->first};
    const struct matrix_product reduce = {.rows = squeezed,
                                          .columns = channels,
                                          .depth = squeeze->images,
                                          .a = {scratch->dreduced, 1, squeezed},
                                          .b = {squeeze->pooled, channels, 1},
                                          .bias = NULL,
                                          .ret = gradients->dreduce,
                                          .ret_stride = channels,
                                          .ret_row_sums = gradients->dreduce_bias,
                                          .add = !gradients->first};
    const struct matrix_product both[] = {expand, reduce};
    return matrix_products_launch(both, 2, stream);
}

int squeeze_backward_launch(const struct squeeze *squeeze, const float *sums,
                            const struct squeeze_gradients *gradients, float *ret_added,
                            struct CUstream_st *stream)
{
    const size_t gates = (size_t)squeeze->images * squeeze->channels;
    const struct squeeze_scratch scratch = {gradients->scratch, gradients->scratch + gates};
    const int status = launch(backward_kernel, checked_grid_of(squeeze), THREADS, 0, stream,
                              *squeeze, sums + SQUEEZE_GRADIENT_VALUE * gates, scratch, ret_added);
    return status < 0 ? status : weights_launch(squeeze, &scratch, gradients, stream);
}

int squeeze_finish_launch(const struct batch_norm *norm, const struct squeeze_finish *finish,
                          const struct batch_norm_gradients *gradients, struct CUstream_st *stream)
{
    assert(norm->shape.channels % FINISH_LANES == 0 && norm->shape.pixels > 0);
    assert(gradients->means && gradients->dscale && gradients->dshift);
    return launch(finish_kernel, dim3(norm->shape.channels / FINISH_LANES), FINISH_THREADS, 0,
                  stream, *norm, *finish, *gradients);
}
