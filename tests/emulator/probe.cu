#include "tests/emulator/probe.h"

#include "kernels/copy_async.cuh"
#include "kernels/launch.cuh"

static const unsigned ALL = 0xffffffffu;

__device__ static uint32_t place(void)
{
    return blockIdx.x * PROBE_THREADS + threadIdx.x;
}

__global__ static void count_kernel(uint32_t *values)
{
    values[place()] = place();
}

__global__ static void reverse_kernel(uint32_t *values, int barrier)
{
    __shared__ uint32_t block[PROBE_THREADS];
    block[threadIdx.x] = values[place()];
    if (barrier)
        __syncthreads();
    values[place()] = block[PROBE_THREADS - 1 - threadIdx.x];
}

__global__ static void reverse_dynamic_kernel(uint32_t *values)
{
    KERNEL_SHARED(shared);
    uint32_t *block = (uint32_t *)(void *)shared;
    block[threadIdx.x] = values[place()];
    __syncthreads();
    values[place()] = block[PROBE_THREADS - 1 - threadIdx.x];
}

template <int PENDING> __global__ static void copy_async_kernel(uint32_t *values)
{
    KERNEL_SHARED(shared);
    struct octet(*block)[32] = (struct octet(*)[32])(void *)shared;
    for (int i = 0; i < 2; i++) {
        copy_async16(&block[i][threadIdx.x], values + (i * 32 + threadIdx.x) * 4);
        copy_async_commit();
    }
    copy_async_wait<PENDING>();
    __syncthreads();
    for (int i = 0; i < 2; i++)
        values[(i * 32 + threadIdx.x) * 4 + 1] = block[i][31 - threadIdx.x].v[0];
}

__global__ static void follow_kernel(uint32_t *values)
{
    if (threadIdx.x == 0 && blockIdx.x > 0)
        values[blockIdx.x] = values[blockIdx.x - 1];
}

__global__ static void poke_kernel(uint32_t *values, ptrdiff_t index)
{
    values[index] = 1;
}

__global__ static void shared_kernel(uint32_t *values)
{
    __shared__ uint32_t block[PROBE_THREADS];
    values[place()] = block[threadIdx.x];
    block[threadIdx.x] = 7;
}

__global__ static void shared_beyond_kernel(uint32_t *values)
{
    __shared__ uint32_t block[PROBE_THREADS];
    const uint32_t *volatile next = block + 1; /* so that the compiler does not see whose it is */
    block[threadIdx.x] = values[threadIdx.x];
    __syncthreads();
    values[threadIdx.x] = next[threadIdx.x];
}

__global__ static void ring_kernel(uint32_t *values, unsigned rounds)
{
    __shared__ uint32_t block[PROBE_THREADS];
    uint32_t mine = values[place()];
    for (unsigned round = 0; round < rounds; round++) {
        block[threadIdx.x] = mine;
        __syncthreads();
        mine += block[(threadIdx.x + 1) % PROBE_THREADS];
        __syncthreads();
    }
    values[place()] = mine;
}

__global__ static void stuck_kernel(uint32_t *values)
{
    if (threadIdx.x == 0)
        values[0] = __shfl_sync(ALL, values[0], 1);
    __syncthreads();
}

__global__ static void early_kernel(uint32_t *values)
{
    __shared__ uint32_t block[PROBE_THREADS];
    if (threadIdx.x % 2 == 1)
        return;
    block[threadIdx.x] = threadIdx.x;
    __syncthreads();
    values[threadIdx.x] = block[PROBE_THREADS - 2 - threadIdx.x];
}

__device__ static uint32_t halves_ballot(void)
{
    const unsigned half = threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u;
    unsigned seen = __ballot_sync(half, threadIdx.x % 4 == 0);
    if (threadIdx.x < 16)
        seen = __ballot_sync(half, seen == 0x1111u);
    return seen ^ __ballot_sync(ALL, threadIdx.x == 31);
}

__global__ static void shuffle_kernel(uint32_t *values)
{
    const uint32_t lane = threadIdx.x, mine = 100 + lane;
    double sum = 0.5 * lane;
    for (int offset = 16; offset > 0; offset /= 2)
        sum += __shfl_xor_sync(ALL, sum, offset);
    values[PROBE_SHUFFLE_INDEX * 32 + lane] = __shfl_sync(ALL, mine, 5);
    values[PROBE_SHUFFLE_UP * 32 + lane] = __shfl_up_sync(ALL, mine, 3);
    values[PROBE_SHUFFLE_DOWN * 32 + lane] = __shfl_down_sync(ALL, mine, 3, 8);
    values[PROBE_SHUFFLE_XOR * 32 + lane] = __shfl_xor_sync(ALL, mine, 1);
    values[PROBE_SHUFFLE_DOUBLE * 32 + lane] = (uint32_t)sum;
    values[PROBE_BALLOT * 32 + lane] = __ballot_sync(ALL, lane % 2);
    __syncwarp();
    values[PROBE_ANY * 32 + lane] = (uint32_t)__any_sync(ALL, lane == 40);
    values[PROBE_HALVES * 32 + lane] = halves_ballot();
}

__global__ static void places_kernel(uint32_t *values)
{
    const uint32_t thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    const uint32_t block = blockIdx.x + gridDim.x * blockIdx.y;
    const uint32_t threads = blockDim.x * blockDim.y * blockDim.z;
    values[block * threads + thread] = blockIdx.y * 100000 + blockIdx.x * 10000 +
                                       threadIdx.z * 1000 + threadIdx.y * 100 + threadIdx.x;
}

int probe_count_launch(uint32_t *values, unsigned blocks, struct CUstream_st *stream)
{
    return launch(count_kernel, blocks, PROBE_THREADS, 0, stream, values);
}

int probe_reverse_launch(uint32_t *values, unsigned blocks, int barrier, struct CUstream_st *stream)
{
    return launch(reverse_kernel, blocks, PROBE_THREADS, 0, stream, values, barrier);
}

int probe_reverse_dynamic_launch(uint32_t *values, unsigned blocks, size_t bytes,
                                 struct CUstream_st *stream)
{
    return launch(reverse_dynamic_kernel, blocks, PROBE_THREADS, bytes, stream, values);
}

int probe_copy_async_launch(uint32_t *values, unsigned pending, struct CUstream_st *stream)
{
    const size_t bytes = 2 * 32 * sizeof(struct octet);
    switch (pending) {
    case 0:
        return launch(copy_async_kernel<0>, 1, 32, bytes, stream, values);
    case 1:
        return launch(copy_async_kernel<1>, 1, 32, bytes, stream, values);
    default:
        return launch(copy_async_kernel<2>, 1, 32, bytes, stream, values);
    }
}

int probe_follow_launch(uint32_t *values, unsigned blocks, struct CUstream_st *stream)
{
    return launch(follow_kernel, blocks, PROBE_THREADS, 0, stream, values);
}

int probe_poke_launch(uint32_t *values, ptrdiff_t index, struct CUstream_st *stream)
{
    return launch(poke_kernel, 1, 1, 0, stream, values, index);
}

int probe_shared_launch(uint32_t *values, struct CUstream_st *stream)
{
    return launch(shared_kernel, 2, PROBE_THREADS, 0, stream, values);
}

int probe_shared_beyond_launch(uint32_t *values, struct CUstream_st *stream)
{
    return launch(shared_beyond_kernel, 1, PROBE_THREADS, 0, stream, values);
}

int probe_ring_launch(uint32_t *values, unsigned blocks, unsigned rounds,
                      struct CUstream_st *stream)
{
    return launch(ring_kernel, blocks, PROBE_THREADS, 0, stream, values, rounds);
}

int probe_stuck_launch(uint32_t *values, struct CUstream_st *stream)
{
    return launch(stuck_kernel, 1, PROBE_THREADS, 0, stream, values);
}

int probe_early_launch(uint32_t *values, struct CUstream_st *stream)
{
    return launch(early_kernel, 1, PROBE_THREADS, 0, stream, values);
}

int probe_shuffle_launch(uint32_t *values, struct CUstream_st *stream)
{
    return launch(shuffle_kernel, 1, 32, 0, stream, values);
}

int probe_places_launch(uint32_t *values, struct CUstream_st *stream)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(3, 2);
    config.blockDim = dim3(4, 3, 2);
    config.stream = stream;
    return cudaLaunchKernelEx(&config, places_kernel, values) == cudaSuccess ? 0 : -EIO;
}
