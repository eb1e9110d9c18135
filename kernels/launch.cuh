/* How every kernel is launched, and how it names its dynamic shared memory: in words that nvcc and tests/emulator's CUDA both
 * understand, so that kernels run with a device and without. A file with kernels uses neither <<<>>> nor extern __shared__. */
#ifndef KERNELS_LAUNCH_CUH
#define KERNELS_LAUNCH_CUH

#include <cuda_runtime.h>
#include <errno.h>

/* Dynamic shared memory that a kernel may have without asking for more, and what one that asks gets, however little more it needs:
 * what a block may have on any device from sm_80 on. What a kernel may have is the kernel's, not the launch's, so an amount that
 * followed the launch would be lowered by the next smaller one, under the feet of a recorded graph that holds the larger one. */
enum { LAUNCH_SHARED_BYTES = 48 << 10, LAUNCH_SHARED_BYTES_MAX = 99 << 10 };

/* name: unsigned char *, the bytes of the launch's shared_bytes, aligned to 16 at least. */
#ifdef __CUDACC__
#define KERNEL_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#else
#define KERNEL_SHARED(name) unsigned char *const name = emulator_shared_memory()
#endif

/* kernel(arguments...) over a grid of blocks of `threads` threads, asynchronous on the stream; captured where that is being
 * recorded. 0, or -EIO where it could not be launched, as with more shared memory than LAUNCH_SHARED_BYTES_MAX; what goes wrong in the kernel shows when it is waited for. */
template <class... Parameters, class... Arguments>
static inline int launch(void (*kernel)(Parameters...), dim3 grid, unsigned threads,
                         size_t shared_bytes, struct CUstream_st *stream, Arguments... arguments)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    if (shared_bytes > LAUNCH_SHARED_BYTES &&
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             LAUNCH_SHARED_BYTES_MAX) != cudaSuccess)
        return -EIO;
    return cudaLaunchKernelEx(&config, kernel, arguments...) == cudaSuccess ? 0 : -EIO;
}

#endif
