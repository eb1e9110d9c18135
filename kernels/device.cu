#include "kernels/device.h"

#include <cuda_runtime.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* A failure that has been reported is nobody else's: cudaGetLastError forgets it, unless it is one that stays. */
static int result_of(cudaError_t status, struct error *error)
{
    if (status == cudaSuccess)
        return 0;
    (void)cudaGetLastError();
    return error_set(error, code_of(status), "", "CUDA: %s", cudaGetErrorString(status));
}

int device_count(void)
{
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess)
        (void)cudaGetLastError();
    return status == cudaSuccess ? count : 0;
}

int device_check(struct error *error)
{
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess) {
        (void)cudaGetLastError();
        return error_set(error, -ENODEV, "", "CUDA: %s", cudaGetErrorString(status));
    }
    return count > 0 ? 0 : error_set(error, -ENODEV, "", "CUDA: there is no device");
}

/* 8-4-4-4-12 digits */
static void uuid_write(const cudaUUID_t *uuid, char *ret_text)
{
    int length = snprintf(ret_text, DEVICE_UUID_SIZE, "GPU");
    for (int i = 0; i < 16; i++) {
        const bool group = i == 0 || i == 4 || i == 6 || i == 8 || i == 10;
        length += snprintf(ret_text + length, (size_t)(DEVICE_UUID_SIZE - length), "%s%02x",
                           group ? "-" : "", (unsigned char)uuid->bytes[i]);
    }
}

static int attribute_of(int index, enum cudaDeviceAttr attribute)
{
    int value = 0;
    return cudaDeviceGetAttribute(&value, attribute, index) == cudaSuccess ? value : 0;
}

int device_facts_get(int index, struct device_facts *ret_facts, struct error *error)
{
    struct cudaDeviceProp properties;
    struct device_facts facts = {};
    const cudaError_t status = cudaGetDeviceProperties(&properties, index);
    if (status != cudaSuccess)
        return result_of(status, error);
    snprintf(facts.name, sizeof facts.name, "%.*s", DEVICE_FACTS_NAME_SIZE - 1, properties.name);
    uuid_write(&properties.uuid, facts.uuid);
    facts.memory_bytes = properties.totalGlobalMem;
    facts.major = properties.major;
    facts.minor = properties.minor;
    facts.multiprocessors = properties.multiProcessorCount;
    facts.cache_bytes = properties.l2CacheSize;
    facts.clock_khz = attribute_of(index, cudaDevAttrClockRate);
    facts.memory_clock_khz = attribute_of(index, cudaDevAttrMemoryClockRate);
    facts.memory_bus_bits = attribute_of(index, cudaDevAttrGlobalMemoryBusWidth);
    (void)cudaDriverGetVersion(&facts.driver_version);
    (void)cudaRuntimeGetVersion(&facts.runtime_version);
    *ret_facts = facts;
    return 0;
}

/* "cuda:0 (NVIDIA H200, GPU-...), cuda:1 (...)", as far as it fits. */
static void devices_write(char *ret_text, size_t size)
{
    size_t length = 0;
    const int count = device_count();
    snprintf(ret_text, size, "no device");
    for (int i = 0; i < count && length + 1 < size; i++) {
        struct device_facts facts = {};
        if (device_facts_get(i, &facts, NULL) < 0)
            snprintf(facts.name, sizeof facts.name, "unusable");
        const int more = snprintf(ret_text + length, size - length, "%scuda:%d (%s, %s)",
                                  i > 0 ? ", " : "", i, facts.name, facts.uuid);
        length += more > 0 ? (size_t)more : 0;
    }
}

static int not_found(int code, const char *name, struct error *error)
{
    char devices[ERROR_MESSAGE_SIZE];
    devices_write(devices, sizeof devices);
    if (code == -EINVAL)
        return error_set(error, code, "",
                         "a device is \"cuda\", \"cuda:NUMBER\" or \"cuda:GPU-UUID\", not \"%s\"; "
                         "here are: %s",
                         name, devices);
    return error_set(error, code, "", "there is no device %s; here are: %s", name, devices);
}

static int find_uuid(const char *uuid, int *ret_index)
{
    const int count = device_count();
    for (int i = 0; i < count; i++) {
        struct device_facts facts;
        if (device_facts_get(i, &facts, NULL) < 0 || strcmp(facts.uuid, uuid) != 0)
            continue;
        *ret_index = i;
        return 0;
    }
    return -ENODEV;
}

/* What follows "cuda:". */
static int find_place(const char *place, int *ret_index)
{
    if (strncmp(place, "GPU-", 4) == 0)
        return find_uuid(place, ret_index);
    char *end;
    if (*place < '0' || *place > '9')
        return -EINVAL;
    const long index = strtol(place, &end, 10);
    if (*end != '\0')
        return -EINVAL;
    if (index >= device_count())
        return -ENODEV;
    *ret_index = (int)index;
    return 0;
}

int device_find(const char *name, int *ret_index, struct error *error)
{
    int index = 0, code = -EINVAL;
    if (strcmp(name, "cuda") == 0)
        code = device_count() > 0 ? 0 : -ENODEV;
    else if (strncmp(name, "cuda:", 5) == 0)
        code = find_place(name + 5, &index);
    if (code == -ENODEV && device_check(error) < 0)
        return -ENODEV;
    if (code < 0)
        return not_found(code, name, error);
    *ret_index = index;
    return 0;
}

int device_use(int index, struct error *error)
{
    return result_of(cudaSetDevice(index), error);
}

int device_memory_free(size_t *ret_bytes, struct error *error)
{
    size_t available = 0, total = 0;
    const cudaError_t status = cudaMemGetInfo(&available, &total);
    if (status == cudaSuccess)
        *ret_bytes = available;
    return result_of(status, error);
}

void device_failure(char *ret_text, size_t size)
{
    const cudaError_t status = cudaDeviceSynchronize();
    (void)cudaGetLastError();
    snprintf(ret_text, size, "%s", status == cudaSuccess ? "" : cudaGetErrorString(status));
}

int device_buffer_new(size_t bytes, void **ret_buffer, struct error *error)
{
    void *buffer = NULL;
    const cudaError_t status = bytes > 0 ? cudaMalloc(&buffer, bytes) : cudaSuccess;
    if (status == cudaSuccess)
        *ret_buffer = buffer;
    return result_of(status, error);
}

void device_buffer_free(void *buffer)
{
    (void)result_of(cudaFree(buffer), NULL);
}

int device_pinned_new(size_t bytes, void **ret_memory, struct error *error)
{
    void *memory = NULL;
    const cudaError_t status = bytes > 0 ? cudaMallocHost(&memory, bytes) : cudaSuccess;
    if (status == cudaSuccess)
        *ret_memory = memory;
    return result_of(status, error);
}

void device_pinned_free(void *memory)
{
    if (memory)
        (void)result_of(cudaFreeHost(memory), NULL);
}

/* From memory that is not pinned, cudaMemcpy returns when it has read the last of it, which need not have arrived; and other
 * streams do not wait for the default one. */
int device_write(void *to_device, const void *from, size_t bytes, struct error *error)
{
    cudaError_t status = cudaMemcpy(to_device, from, bytes, cudaMemcpyHostToDevice);
    if (status == cudaSuccess)
        status = cudaStreamSynchronize(NULL);
    return result_of(status, error);
}

int device_read(void *ret_to, const void *from_device, size_t bytes, struct error *error)
{
    return result_of(cudaMemcpy(ret_to, from_device, bytes, cudaMemcpyDeviceToHost), error);
}

int device_write_async(void *to_device, const void *from_pinned, size_t bytes,
                       struct CUstream_st *stream, struct error *error)
{
    return result_of(cudaMemcpyAsync(to_device, from_pinned, bytes, cudaMemcpyHostToDevice, stream),
                     error);
}

int device_read_async(void *ret_to_pinned, const void *from_device, size_t bytes,
                      struct CUstream_st *stream, struct error *error)
{
    return result_of(
        cudaMemcpyAsync(ret_to_pinned, from_device, bytes, cudaMemcpyDeviceToHost, stream), error);
}

int device_copy_async(void *to_device, const void *from_device, size_t bytes,
                      struct CUstream_st *stream, struct error *error)
{
    return result_of(
        cudaMemcpyAsync(to_device, from_device, bytes, cudaMemcpyDeviceToDevice, stream), error);
}

int device_fill_async(void *device_memory, uint8_t byte, size_t bytes, struct CUstream_st *stream,
                      struct error *error)
{
    return result_of(cudaMemsetAsync(device_memory, byte, bytes, stream), error);
}

int device_stream_new(struct CUstream_st **ret_stream, struct error *error)
{
    return result_of(cudaStreamCreateWithFlags(ret_stream, cudaStreamNonBlocking), error);
}

void device_stream_free(struct CUstream_st *stream)
{
    if (stream)
        (void)result_of(cudaStreamDestroy(stream), NULL);
}

int device_stream_wait(struct CUstream_st *stream, struct error *error)
{
    return result_of(cudaStreamSynchronize(stream), error);
}

int device_event_new(struct CUevent_st **ret_event, struct error *error)
{
    return result_of(cudaEventCreate(ret_event), error);
}

void device_event_free(struct CUevent_st *event)
{
    if (event)
        (void)result_of(cudaEventDestroy(event), NULL);
}

int device_event_record(struct CUevent_st *event, struct CUstream_st *stream, struct error *error)
{
    return result_of(cudaEventRecord(event, stream), error);
}

int device_event_wait(struct CUevent_st *event, struct error *error)
{
    return result_of(cudaEventSynchronize(event), error);
}

int device_stream_wait_event(struct CUstream_st *stream, struct CUevent_st *event,
                             struct error *error)
{
    return result_of(cudaStreamWaitEvent(stream, event, 0), error);
}

int device_event_seconds(struct CUevent_st *start, struct CUevent_st *end, double *ret_seconds,
                         struct error *error)
{
    float milliseconds = 0;
    const cudaError_t status = cudaEventElapsedTime(&milliseconds, start, end);
    if (status == cudaSuccess)
        *ret_seconds = 1e-3 * milliseconds;
    return result_of(status, error);
}

struct device_graph {
    cudaGraphExec_t exec;
    size_t nodes;
};

/* Other threads may allocate meanwhile. */
int device_recording_begin(struct CUstream_st *stream, struct error *error)
{
    return result_of(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), error);
}

static cudaError_t instantiate(cudaGraph_t graph, struct device_graph *ret_graph)
{
    const cudaError_t status = cudaGraphGetNodes(graph, NULL, &ret_graph->nodes);
    return status == cudaSuccess ? cudaGraphInstantiate(&ret_graph->exec, graph, 0) : status;
}

int device_recording_end(struct CUstream_st *stream, struct device_graph **ret_graph,
                         struct error *error)
{
    cudaGraph_t recorded = NULL;
    cudaError_t status = cudaStreamEndCapture(stream, &recorded);
    if (status != cudaSuccess)
        return result_of(status, error);
    auto *graph = static_cast<struct device_graph *>(calloc(1, sizeof(struct device_graph)));
    status = graph ? instantiate(recorded, graph) : cudaErrorMemoryAllocation;
    (void)cudaGraphDestroy(recorded);
    if (status == cudaSuccess)
        *ret_graph = graph;
    else
        free(graph);
    return result_of(status, error);
}

void device_recording_abandon(struct CUstream_st *stream)
{
    cudaGraph_t recorded = NULL;
    if (result_of(cudaStreamEndCapture(stream, &recorded), NULL) == 0 && recorded)
        (void)cudaGraphDestroy(recorded);
}

size_t device_graph_nodes(const struct device_graph *graph)
{
    return graph->nodes;
}

int device_graph_launch(struct device_graph *graph, struct CUstream_st *stream, struct error *error)
{
    return result_of(cudaGraphLaunch(graph->exec, stream), error);
}

void device_graph_free(struct device_graph *graph)
{
    if (!graph)
        return;
    (void)result_of(cudaGraphExecDestroy(graph->exec), NULL);
    free(graph);
}
