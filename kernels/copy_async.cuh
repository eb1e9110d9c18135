/* Copies from device memory to shared memory that go on beside a thread's work (cp.async), in groups of one thread. */
#ifndef KERNELS_COPY_ASYNC_CUH
#define KERNELS_COPY_ASYNC_CUH

#include "kernels/portable.h"

#include <cuda_runtime.h>

#ifdef __CUDACC__

/* 16 bytes, both ends aligned to them; past the first-level cache. */
__device__ static inline void copy_async16(void *shared, const void *global)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                     (uint32_t)__cvta_generic_to_shared(shared)),
                 "l"(__cvta_generic_to_global(global))
                 : "memory");
}

/* Ends a group, which may be empty. */
__device__ static inline void copy_async_commit(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Until this thread's groups but the latest PENDING are there, for this thread to read; other threads need a barrier too. */
template <int PENDING> __device__ static inline void copy_async_wait(void)
{
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

#else

/* The emulator's, at once or as late as may be. */
static inline void copy_async16(void *shared, const void *global)
{
    emulator_copy_async(shared, global, sizeof(struct octet));
}

static inline void copy_async_commit(void)
{
    emulator_copy_async_commit();
}

template <int PENDING> static inline void copy_async_wait(void)
{
    emulator_copy_async_wait(PENDING);
}

#endif

#endif
