/* A block's sum by the tree of kernels/portable.h, in shared memory. */
#ifndef KERNELS_TREE_CUH
#define KERNELS_TREE_CUH

#include "kernels/portable.h"

/* sums (count) -> sums[0], for all threads of the block to read; every thread has written what it has. */
__device__ static inline void tree_sum(double *sums, uint32_t count)
{
    for (uint32_t active = count; active > 1; active = tree_half(active)) {
        __syncthreads();
        tree_level(sums, threadIdx.x, active);
    }
    __syncthreads();
}

#endif
