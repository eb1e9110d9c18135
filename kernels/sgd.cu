#include "kernels/sgd.h"

#include <assert.h>
#include <cuda_runtime.h>
#include <errno.h>

static const size_t THREADS_A_BLOCK = 256, BLOCKS_MAX = 4096;

__device__ static float step_of(float gradient, float decay, const struct sgd_constants constants,
                                float *value, float *velocity)
{
    const float g = gradient + decay * *value;
    *velocity = constants.momentum * *velocity + g;
    return *value - constants.learning_rate * (g + constants.momentum * *velocity);
}

/* values, velocity, gradients (count4); the first `decayed4` have weight decay */
__global__ static void sgd_kernel(float4 *values, float4 *velocity, const float4 *gradients,
                                  size_t count4, size_t decayed4, struct sgd_constants constants)
{
    const size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count4; i += stride) {
        const float decay = i < decayed4 ? constants.weight_decay : 0.0f;
        const float4 g = gradients[i];
        float4 w = values[i], v = velocity[i];
        w.x = step_of(g.x, decay, constants, &w.x, &v.x);
        w.y = step_of(g.y, decay, constants, &w.y, &v.y);
        w.z = step_of(g.z, decay, constants, &w.z, &v.z);
        w.w = step_of(g.w, decay, constants, &w.w, &v.w);
        velocity[i] = v;
        values[i] = w;
    }
}

int sgd_launch(const struct sgd_slabs *slabs, const struct sgd_constants *constants,
               struct CUstream_st *stream)
{
    assert(slabs->count % SGD_FLOATS_A_THREAD == 0 && slabs->decayed % SGD_FLOATS_A_THREAD == 0);
    assert(slabs->decayed <= slabs->count);
    const size_t count4 = slabs->count / SGD_FLOATS_A_THREAD;
    if (count4 == 0)
        return 0;
    const size_t needed = (count4 + THREADS_A_BLOCK - 1) / THREADS_A_BLOCK;
    const unsigned blocks = (unsigned)(needed < BLOCKS_MAX ? needed : BLOCKS_MAX);
    sgd_kernel<<<blocks, (unsigned)THREADS_A_BLOCK, 0, stream>>>(
        (float4 *)slabs->values, (float4 *)slabs->velocity, (const float4 *)slabs->gradients,
        count4, slabs->decayed / SGD_FLOATS_A_THREAD, *constants);
    return cudaGetLastError() == cudaSuccess ? 0 : -EIO;
}
