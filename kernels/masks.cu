#include "kernels/masks.h"

#include "kernels/launch.cuh"
#include "kernels/philox.h"

extern "C" {
#include "search/random.h"
#include "search/recipe.h"
}

#include <assert.h>

enum { THREADS = 128, GRID_ROWS_MAX = 65535 };

/* Every image of every step has a stream of its own. */
__device__ static struct philox_block block_of(const struct masks_draw &draw,
                                               const struct step_control *control, uint32_t image,
                                               uint32_t purpose, uint32_t number)
{
    const uint64_t stream = control->step * RECIPE_BATCH_MAX + draw.first + image;
    return philox_block_of(draw.seed, stream, purpose, number);
}

__device__ static float factor_of(uint32_t word, double survival)
{
    return word * 0x1p-32 < survival ? (float)(1.0 / survival) : 0.0f;
}

/* A thread has four blocks of the network for one image; gridDim.y and a loop go through the images. */
__global__ static void __launch_bounds__(THREADS)
    branches_kernel(const struct masks_draw draw, const struct step_control *control)
{
    const uint32_t first = (blockIdx.x * THREADS + threadIdx.x) * PHILOX_WORDS;
    if (first >= draw.blocks)
        return;
    for (uint32_t n = blockIdx.y; n < draw.images; n += gridDim.y) {
        const struct philox_block random =
            block_of(draw, control, n, RANDOM_STOCHASTIC_DEPTH, first / PHILOX_WORDS);
        for (uint32_t i = 0; i < PHILOX_WORDS && first + i < draw.blocks; i++) {
            const uint32_t b = first + i;
            const double survival = 1.0 - draw.branch_rate * (b + 1.0) / draw.blocks;
            draw.ret_branches[(size_t)b * draw.images + n] = factor_of(random.words[i], survival);
        }
    }
}

/* A thread has four features of one image. */
__global__ static void __launch_bounds__(THREADS)
    features_kernel(const struct masks_draw draw, const struct step_control *control)
{
    const uint32_t first = (blockIdx.x * THREADS + threadIdx.x) * PHILOX_WORDS;
    if (first >= draw.stride)
        return;
    for (uint32_t n = blockIdx.y; n < draw.images; n += gridDim.y) {
        const struct philox_block random =
            block_of(draw, control, n, RANDOM_DROPOUT, first / PHILOX_WORDS);
        for (uint32_t i = 0; i < PHILOX_WORDS && first + i < draw.stride; i++)
            draw.ret_features[(size_t)n * draw.stride + first + i] =
                first + i < draw.features ? factor_of(random.words[i], 1.0 - draw.feature_rate)
                                          : 0.0f;
    }
}

static dim3 grid_of(uint32_t values, uint32_t images)
{
    const uint32_t a_block = THREADS * PHILOX_WORDS;
    return dim3((values + a_block - 1) / a_block,
                images < GRID_ROWS_MAX ? images : (uint32_t)GRID_ROWS_MAX);
}

int masks_launch(const struct masks_draw *draw, const struct step_control *control,
                 struct CUstream_st *stream)
{
    assert(draw->branch_rate >= 0 && draw->branch_rate < 1);
    assert(draw->feature_rate >= 0 && draw->feature_rate < 1);
    assert(draw->images > 0 && draw->images <= RECIPE_BATCH_MAX);
    assert(draw->first <= RECIPE_BATCH_MAX - draw->images);
    assert(!draw->ret_features || draw->stride >= draw->features);
    int r = 0;
    if (draw->ret_branches && draw->blocks > 0)
        r = launch(branches_kernel, grid_of(draw->blocks, draw->images), THREADS, 0, stream, *draw,
                   control);
    if (r == 0 && draw->ret_features && draw->stride > 0)
        r = launch(features_kernel, grid_of(draw->stride, draw->images), THREADS, 0, stream, *draw,
                   control);
    return r;
}
