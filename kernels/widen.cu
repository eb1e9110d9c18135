#include "kernels/widen.h"

#include "kernels/launch.cuh"
#include "kernels/portable.h"

#include <assert.h>

enum { THREADS = 256, BLOCKS_MAX = 1024 };

static_assert(THREADS % 32 == 0, "whole warps");

/* halves, values (count): a thread has 8 values at a time. */
__global__ static void __launch_bounds__(THREADS)
    widen_kernel(const uint16_t *halves, float *values, size_t count, bool add)
{
    const size_t stride = (size_t)gridDim.x * THREADS * OCTET_HALVES;
    const size_t first = ((size_t)blockIdx.x * THREADS + threadIdx.x) * OCTET_HALVES;
    for (size_t i = first; i < count; i += stride) {
        float wide[OCTET_HALVES];
        if (i + OCTET_HALVES <= count)
            octet_load(halves + i, wide);
        else
            for (size_t j = 0; j < OCTET_HALVES; j++)
                wide[j] = i + j < count ? float_of_bfloat(halves[i + j]) : 0.0f;
        for (size_t q = 0; q < OCTET_HALVES && i + q < count; q += QUAD_FLOATS) {
            struct quad quad = {{0, 0, 0, 0}};
            if (add)
                quad = quad_load(values, i + q, count);
            for (size_t j = 0; j < QUAD_FLOATS; j++)
                quad.v[j] += wide[q + j];
            quad_store(values, i + q, count, quad);
        }
    }
}

static bool aligned(const void *pointer)
{
    return (uintptr_t)pointer % 16 == 0;
}

int widen_launch(const uint16_t *halves, float *values, size_t count, bool add,
                 struct CUstream_st *stream)
{
    const size_t a_block = (size_t)THREADS * OCTET_HALVES;
    const size_t blocks = (count + a_block - 1) / a_block;
    assert(aligned(halves) && aligned(values));
    if (count == 0)
        return 0;
    return launch(widen_kernel, dim3(blocks < BLOCKS_MAX ? (unsigned)blocks : (unsigned)BLOCKS_MAX),
                  THREADS, 0, stream, halves, values, count, add);
}
