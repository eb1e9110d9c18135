/* CUDA's runtime, as far as this project uses it, played by the CPU: found before CUDA's own header where kernels are compiled
 * by the C++ compiler (tests/emulator/CMakeLists.txt). Names, values and meanings are CUDA's, described in its documentation;
 * what is stricter here is said at emulator.h. */
#ifndef TESTS_EMULATOR_CUDA_RUNTIME_H
#define TESTS_EMULATOR_CUDA_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define EMULATOR_DEFAULT(value) = value
extern "C" {
#else
#define EMULATOR_DEFAULT(value)
#endif

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorInvalidResourceHandle = 400,
    cudaErrorNotReady = 600,
    cudaErrorIllegalAddress = 700,
    cudaErrorLaunchFailure = 719,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureInvalidated = 901,
    cudaErrorStreamCaptureUnjoined = 904,
    cudaErrorStreamCaptureIsolation = 905,
} cudaError_t;

const char *cudaGetErrorName(cudaError_t error);
const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError(void);
cudaError_t cudaPeekAtLastError(void);

/* Devices */

typedef struct {
    unsigned char bytes[16];
} cudaUUID_t;

struct cudaDeviceProp {
    char name[256];
    cudaUUID_t uuid;
    size_t totalGlobalMem, sharedMemPerBlock, sharedMemPerBlockOptin;
    int warpSize, maxThreadsPerBlock, major, minor, multiProcessorCount, l2CacheSize;
};

enum cudaDeviceAttr {
    cudaDevAttrClockRate = 13,
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrMemoryClockRate = 36,
    cudaDevAttrGlobalMemoryBusWidth = 37,
};

cudaError_t cudaGetDeviceCount(int *ret_count);
cudaError_t cudaGetDevice(int *ret_device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *ret_properties, int device);
cudaError_t cudaDeviceGetAttribute(int *ret_value, enum cudaDeviceAttr attribute, int device);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaDriverGetVersion(int *ret_version);
cudaError_t cudaRuntimeGetVersion(int *ret_version);

/* Streams, events, graphs */

struct CUstream_st;
struct CUevent_st;
struct CUgraph_st;
struct CUgraphExec_st;
struct CUgraphNode_st;
typedef struct CUstream_st *cudaStream_t;
typedef struct CUevent_st *cudaEvent_t;
typedef struct CUgraph_st *cudaGraph_t;
typedef struct CUgraphExec_st *cudaGraphExec_t;

enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
enum { cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2 };
enum cudaStreamCaptureMode {
    cudaStreamCaptureModeGlobal = 0,
    cudaStreamCaptureModeThreadLocal = 1,
    cudaStreamCaptureModeRelaxed = 2,
};
enum cudaStreamCaptureStatus {
    cudaStreamCaptureStatusNone = 0,
    cudaStreamCaptureStatusActive = 1,
    cudaStreamCaptureStatusInvalidated = 2,
};

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *ret_stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamQuery(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event,
                                unsigned flags EMULATOR_DEFAULT(0));
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*run)(void *data), void *data);

cudaError_t cudaEventCreate(cudaEvent_t *ret_event);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *ret_event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream EMULATOR_DEFAULT(NULL));
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *ret_milliseconds, cudaEvent_t start, cudaEvent_t end);

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *ret_graph);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *ret_status);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *ret_exec, cudaGraph_t graph,
                                 unsigned long long flags EMULATOR_DEFAULT(0));
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, struct CUgraphNode_st **ret_nodes,
                              size_t *ret_count);
cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);

/* Memory */

enum cudaMemcpyKind {
    cudaMemcpyHostToHost = 0,
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3,
    cudaMemcpyDefault = 4,
};

cudaError_t cudaMalloc(void **ret_memory, size_t bytes);
cudaError_t cudaFree(void *memory);
cudaError_t cudaMallocHost(void **ret_memory, size_t bytes);
cudaError_t cudaFreeHost(void *memory);
cudaError_t cudaMemGetInfo(size_t *ret_free, size_t *ret_total);
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream EMULATOR_DEFAULT(NULL));
cudaError_t cudaMemset(void *memory, int value, size_t bytes);
cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes,
                            cudaStream_t stream EMULATOR_DEFAULT(NULL));

/* Launches */

enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

typedef struct uint3 {
    unsigned x, y, z;
} uint3;

struct emulator_dim3 {
    unsigned x, y, z;
};

#ifdef __cplusplus
struct dim3 : emulator_dim3 {
    dim3(unsigned width = 1, unsigned height = 1, unsigned depth = 1)
        : emulator_dim3{width, height, depth}
    {
    }
    dim3(const emulator_dim3 &from) : emulator_dim3(from)
    {
    }
};
#else
typedef struct emulator_dim3 dim3;
#endif

typedef struct cudaLaunchConfig_st {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    void *attrs;
    unsigned numAttrs;
} cudaLaunchConfig_t;

/* What cudaLaunchKernelEx hands to the emulator: run(closure) is one thread of the kernel. The closure is copied; the bytes from
 * shared to shared_end are the file's static shared memory. */
struct emulator_launch {
    const cudaLaunchConfig_t *config;
    const void *kernel;
    void (*run)(const void *closure);
    const void *closure;
    size_t closure_bytes;
    unsigned char *shared, *shared_end;
};

/* Breaks the device where a pointer that a kernel is given leads to neither device memory nor pinned memory. */
void emulator_check_pointer(const void *pointer);
cudaError_t emulator_launch(const struct emulator_launch *launch);
cudaError_t emulator_function_attribute(const void *kernel, enum cudaFuncAttribute attribute,
                                        int value);

/* In kernels */

/* Of the thread that runs. */
extern struct uint3 threadIdx, blockIdx;
extern struct emulator_dim3 blockDim, gridDim;

void __syncthreads(void);
/* The dynamic shared memory of the block that runs, aligned to 128 bytes. */
unsigned char *emulator_shared_memory(void);

/* A warp's lanes of `mask` meet. Each brings a value and gets the one of lane `from`; a lane that is not in the mask gives all
 * ones. */
uint64_t emulator_shuffle(unsigned mask, uint64_t value, unsigned from);
/* Bit i of the result: lane i is in the mask and its predicate was not 0. */
unsigned __ballot_sync(unsigned mask, int predicate);

/* Copies of a thread that go on beside its work, in groups (cp.async). In ascending order they are done at once; in the others
 * when they are waited for and not before: all groups but the latest `pending` that have been committed. */
void emulator_copy_async(void *shared, const void *global, size_t bytes);
void emulator_copy_async_commit(void);
void emulator_copy_async_wait(unsigned pending);

#ifdef __cplusplus
}
#include "tests/emulator/device_code.h"
#endif

#endif
