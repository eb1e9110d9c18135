#include "kernels/image.h"
#include "kernels/launch.cuh"

#include <assert.h>
#include <errno.h>

enum { THREADS = 256 };

/* A thread 8 channels of a pixel. */
__global__ static void __launch_bounds__(THREADS)
    pack_kernel(const float *__restrict__ images, size_t count, uint32_t channels, uint32_t octets,
                uint16_t *__restrict__ ret_map)
{
    const size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    const size_t pixel = at / octets;
    const uint32_t first = (uint32_t)(at % octets) * OCTET_HALVES;
    float values[OCTET_HALVES];
    if (at >= count)
        return;
    for (uint32_t i = 0; i < OCTET_HALVES; i++)
        values[i] = first + i < channels ? images[pixel * channels + first + i] : 0.0f;
    octet_store(ret_map + at * OCTET_HALVES, values);
}

int images_pack_launch(const float *images, const struct images_shape *shape, uint16_t *ret_map,
                       struct CUstream_st *stream)
{
    const uint32_t octets = (shape->channels + OCTET_HALVES - 1) / OCTET_HALVES;
    const size_t count = (size_t)shape->images * shape->size * shape->size * octets;
    const size_t blocks = (count + THREADS - 1) / THREADS;
    assert(count > 0 && blocks <= INT32_MAX);
    assert((uintptr_t)ret_map % sizeof(struct octet) == 0);
    return launch(pack_kernel, dim3((uint32_t)blocks), THREADS, 0, stream, images, count,
                  shape->channels, octets, ret_map);
}
