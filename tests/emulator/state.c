#include "tests/emulator/state.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_GIBIBYTES = 4 };

static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static struct machine machine_of_all;
static _Thread_local int device;

static const char *const ORDERS[] = {"ascending", "descending", "shuffled"};

const char *emulator_order_name(enum emulator_order order)
{
    return ORDERS[order];
}

static enum emulator_order order_at_start(void)
{
    const char *wanted = getenv("EMULATOR_ORDER");
    for (unsigned i = 0; wanted && i < EMULATOR_ORDERS; i++)
        if (strcmp(wanted, ORDERS[i]) == 0)
            return (enum emulator_order)i;
    if (!wanted)
        return EMULATOR_ASCENDING;
    fprintf(stderr, "EMULATOR_ORDER must be ascending, descending or shuffled, not %s\n", wanted);
    abort();
}

static void machine_start(struct machine *machine)
{
    machine->order = order_at_start();
    machine->devices = 1;
    machine->memory_bytes = (size_t)MEMORY_GIBIBYTES << 30;
    for (int i = 0; i < EMULATOR_DEVICES_MAX; i++) {
        machine->defaults[i].device = i;
        machine->defaults[i].id = ++machine->stream_count;
    }
}

struct machine *machine_enter(void)
{
    pthread_mutex_lock(&mutex);
    if (machine_of_all.stream_count == 0)
        machine_start(&machine_of_all);
    return &machine_of_all;
}

cudaError_t machine_leave(struct machine *machine, cudaError_t error)
{
    const cudaError_t result = machine->broken != cudaSuccess ? machine->broken : error;
    if (result != cudaSuccess && result != cudaErrorNotReady)
        machine->last = result;
    pthread_mutex_unlock(&mutex);
    return result;
}

void machine_break(struct machine *machine, cudaError_t error, const char *complaint)
{
    if (machine->broken != cudaSuccess)
        return;
    machine->broken = error;
    snprintf(machine->complaint, sizeof machine->complaint, "%s", complaint);
    fprintf(stderr, "emulator: %s\n", complaint);
}

int current_device(void)
{
    return device;
}

static bool capture_forbids(const struct CUgraph_st *capture)
{
    return capture->mode == cudaStreamCaptureModeGlobal ||
           (capture->mode == cudaStreamCaptureModeThreadLocal &&
            pthread_equal(capture->thread, pthread_self()));
}

cudaError_t machine_not_capturing(struct machine *machine)
{
    cudaError_t error = cudaSuccess;
    for (struct CUstream_st *stream = machine->streams; stream; stream = stream->next)
        if (stream->capture && capture_forbids(stream->capture))
            error = capture_spoil(stream);
    return error;
}

void emulator_set_order(enum emulator_order order)
{
    struct machine *machine = machine_enter();
    machine->order = order;
    (void)machine_leave(machine, cudaSuccess);
}

void emulator_set_devices(int count)
{
    struct machine *machine = machine_enter();
    machine->devices = count;
    (void)machine_leave(machine, cudaSuccess);
}

void emulator_set_memory(size_t bytes)
{
    struct machine *machine = machine_enter();
    machine->memory_bytes = bytes;
    (void)machine_leave(machine, cudaSuccess);
}

void emulator_break_at(uint64_t operation)
{
    struct machine *machine = machine_enter();
    machine->break_at = operation > 0 ? machine->operations + operation : 0;
    (void)machine_leave(machine, cudaSuccess);
}

static void drop(struct CUstream_st *stream)
{
    stream->done = stream->issued;
    operations_free(&stream->operations);
}

void emulator_mend(void)
{
    struct machine *machine = machine_enter();
    machine->broken = machine->last = cudaSuccess;
    machine->break_at = 0;
    machine->complaint[0] = '\0';
    for (struct CUstream_st *stream = machine->streams; stream; stream = stream->next)
        drop(stream);
    for (int i = 0; i < EMULATOR_DEVICES_MAX; i++)
        drop(&machine->defaults[i]);
    (void)machine_leave(machine, cudaSuccess);
}

const char *emulator_complaint(void)
{
    return machine_of_all.complaint;
}

size_t emulator_pending(void)
{
    const struct machine *machine = machine_enter();
    size_t pending = 0;
    for (const struct CUstream_st *stream = machine->streams; stream; stream = stream->next)
        pending += stream->operations.count;
    for (int i = 0; i < EMULATOR_DEVICES_MAX; i++)
        pending += machine->defaults[i].operations.count;
    (void)machine_leave(&machine_of_all, cudaSuccess);
    return pending;
}

cudaError_t cudaGetLastError(void)
{
    struct machine *machine = machine_enter();
    const cudaError_t last = machine->last;
    machine->last = cudaSuccess;
    const cudaError_t broken = machine_leave(machine, cudaSuccess);
    return broken != cudaSuccess ? broken : last;
}

cudaError_t cudaPeekAtLastError(void)
{
    struct machine *machine = machine_enter();
    const cudaError_t last = machine->last;
    const cudaError_t broken = machine_leave(machine, cudaSuccess);
    return broken != cudaSuccess ? broken : last;
}

static const struct {
    cudaError_t error;
    const char *name, *text;
} ERRORS[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
};

enum { ERROR_COUNT = sizeof ERRORS / sizeof ERRORS[0] };

const char *cudaGetErrorName(cudaError_t error)
{
    for (unsigned i = 0; i < ERROR_COUNT; i++)
        if (ERRORS[i].error == error)
            return ERRORS[i].name;
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    for (unsigned i = 0; i < ERROR_COUNT; i++)
        if (ERRORS[i].error == error)
            return ERRORS[i].text;
    return "unrecognized error code";
}

cudaError_t cudaGetDeviceCount(int *ret_count)
{
    struct machine *machine = machine_enter();
    const int count = machine->devices;
    if (count > 0)
        *ret_count = count;
    return machine_leave(machine, count > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaGetDevice(int *ret_device)
{
    struct machine *machine = machine_enter();
    *ret_device = device;
    return machine_leave(machine, cudaSuccess);
}

static cudaError_t device_error(const struct machine *machine, int index)
{
    return index >= 0 && index < machine->devices ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaSetDevice(int index)
{
    struct machine *machine = machine_enter();
    const cudaError_t error = device_error(machine, index);
    if (error == cudaSuccess)
        device = index;
    return machine_leave(machine, error);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *ret_properties, int index)
{
    struct machine *machine = machine_enter();
    const cudaError_t error = device_error(machine, index);
    if (error == cudaSuccess) {
        *ret_properties = (struct cudaDeviceProp){.totalGlobalMem = machine->memory_bytes,
                                                  .sharedMemPerBlock = 48 << 10,
                                                  .sharedMemPerBlockOptin = 227 << 10,
                                                  .warpSize = WARP_LANES,
                                                  .maxThreadsPerBlock = GRID_THREADS_MAX,
                                                  .major = 9,
                                                  .multiProcessorCount = 4,
                                                  .l2CacheSize = 50 << 20};
        snprintf(ret_properties->name, sizeof ret_properties->name, "Emulated device");
        for (unsigned i = 0; i < sizeof ret_properties->uuid.bytes; i++)
            ret_properties->uuid.bytes[i] = (unsigned char)(0xe0 + 16 * (unsigned)index + i);
    }
    return machine_leave(machine, error);
}

cudaError_t cudaDeviceGetAttribute(int *ret_value, enum cudaDeviceAttr attribute, int index)
{
    struct machine *machine = machine_enter();
    const cudaError_t error = device_error(machine, index);
    if (error != cudaSuccess)
        return machine_leave(machine, error);
    switch (attribute) {
    case cudaDevAttrClockRate:
    case cudaDevAttrMemoryClockRate:
        *ret_value = 1000000;
        break;
    case cudaDevAttrMultiProcessorCount:
        *ret_value = 4;
        break;
    case cudaDevAttrGlobalMemoryBusWidth:
        *ret_value = 64;
        break;
    }
    return machine_leave(machine, cudaSuccess);
}

static cudaError_t version(int *ret_version)
{
    struct machine *machine = machine_enter();
    *ret_version = 13000;
    return machine_leave(machine, cudaSuccess);
}

cudaError_t cudaDriverGetVersion(int *ret_version)
{
    return version(ret_version);
}

cudaError_t cudaRuntimeGetVersion(int *ret_version)
{
    return version(ret_version);
}
