#include "kernels/device.h"

#include <cuda_runtime.h>
#include <errno.h>

static int code_of(cudaError_t status)
{
    switch (status) {
    case cudaSuccess:
        return 0;
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
        return -ENODEV;
    case cudaErrorMemoryAllocation:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

static int result_of(cudaError_t status, struct error *error)
{
    if (status == cudaSuccess)
        return 0;
    return error_set(error, code_of(status), "", "CUDA: %s", cudaGetErrorString(status));
}

int device_check(struct error *error)
{
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess)
        return error_set(error, -ENODEV, "", "CUDA: %s", cudaGetErrorString(status));
    return count > 0 ? 0 : error_set(error, -ENODEV, "", "CUDA: there is no device");
}

int device_buffer_new(size_t bytes, void **ret_buffer, struct error *error)
{
    void *buffer = NULL;
    const cudaError_t status = cudaMalloc(&buffer, bytes);
    if (status == cudaSuccess)
        *ret_buffer = buffer;
    return result_of(status, error);
}

void device_buffer_free(void *buffer)
{
    cudaFree(buffer);
}

int device_write(void *to_device, const void *from, size_t bytes, struct error *error)
{
    return result_of(cudaMemcpy(to_device, from, bytes, cudaMemcpyHostToDevice), error);
}

int device_read(void *ret_to, const void *from_device, size_t bytes, struct error *error)
{
    return result_of(cudaMemcpy(ret_to, from_device, bytes, cudaMemcpyDeviceToHost), error);
}
