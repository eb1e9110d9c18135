#include "kernels/gradient_norm_body.h"
#include "kernels/launch.cuh"
#include "kernels/tree.cuh"

#include <assert.h>

/* gradients (count) -> partials (blocks) */
__global__ static void __launch_bounds__(GRADIENT_NORM_THREADS)
    squares_kernel(const float *gradients, size_t count, double *partials)
{
    __shared__ double sums[GRADIENT_NORM_THREADS];
    sums[threadIdx.x] =
        gradient_squares(gradients, count, (size_t)blockIdx.x * GRADIENT_NORM_THREADS + threadIdx.x,
                         (size_t)gridDim.x * GRADIENT_NORM_THREADS);
    tree_sum(sums, GRADIENT_NORM_THREADS);
    if (threadIdx.x == 0)
        partials[blockIdx.x] = sums[0];
}

/* One block: partials (blocks) -> *control */
__global__ static void __launch_bounds__(GRADIENT_NORM_THREADS)
    decide_kernel(const double *partials, uint32_t blocks, double clip_norm,
                  struct step_control *control)
{
    __shared__ double sums[GRADIENT_NORM_THREADS];
    sums[threadIdx.x] = gradient_partials(partials, blocks, threadIdx.x);
    tree_sum(sums, GRADIENT_NORM_THREADS);
    if (threadIdx.x == 0)
        gradient_norm_decide(sums[0], clip_norm, control);
}

int gradient_norm_launch(const struct gradient_norm *norm, struct step_control *control,
                         struct CUstream_st *stream)
{
    assert(norm->clip_norm > 0 && (uintptr_t)norm->gradients % sizeof(struct quad) == 0);
    const uint32_t blocks = gradient_norm_blocks(norm->count);
    if (launch(squares_kernel, blocks, GRADIENT_NORM_THREADS, 0, stream, norm->gradients,
               norm->count, norm->partials) < 0)
        return -EIO;
    return launch(decide_kernel, 1, GRADIENT_NORM_THREADS, 0, stream, norm->partials, blocks,
                  norm->clip_norm, control);
}
