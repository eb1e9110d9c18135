#include "kernels/launch.cuh"
#include "kernels/map.h"

#include <assert.h>
#include <errno.h>

enum { THREADS = 256, OCTETS = 4 /* of a thread */ };

/* Loads first, so that they are on their way together. */
__global__ static void __launch_bounds__(THREADS)
    add_kernel(uint16_t *__restrict__ to, const uint16_t *__restrict__ from, size_t octets)
{
    const size_t first = (size_t)blockIdx.x * THREADS * OCTETS + threadIdx.x;
    float sums[OCTETS][OCTET_HALVES] = {{0}}, more[OCTETS][OCTET_HALVES] = {{0}};
    for (uint32_t k = 0; k < OCTETS; k++) {
        const size_t at = (first + k * THREADS) * OCTET_HALVES;
        if (first + k * THREADS < octets) {
            octet_load(to + at, sums[k]);
            octet_load(from + at, more[k]);
        }
    }
    for (uint32_t k = 0; k < OCTETS; k++) {
        for (uint32_t i = 0; i < OCTET_HALVES; i++)
            sums[k][i] += more[k][i];
        if (first + k * THREADS < octets)
            octet_store(to + (first + k * THREADS) * OCTET_HALVES, sums[k]);
    }
}

int map_add_launch(uint16_t *to, const uint16_t *from, size_t count, struct CUstream_st *stream)
{
    const size_t octets = count / OCTET_HALVES, a_block = (size_t)THREADS * OCTETS;
    const size_t blocks = (octets + a_block - 1) / a_block;
    assert(count > 0 && count % OCTET_HALVES == 0 && blocks <= INT32_MAX && to != from);
    assert((uintptr_t)to % sizeof(struct octet) == 0 &&
           (uintptr_t)from % sizeof(struct octet) == 0);
    return launch(add_kernel, dim3((uint32_t)blocks), THREADS, 0, stream, to, from, octets);
}
