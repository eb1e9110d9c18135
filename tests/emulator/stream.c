#include "tests/emulator/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

struct operation *operation_new(enum operation_kind kind, const void *closure, size_t bytes)
{
    const size_t all = sizeof(struct operation) + bytes, alignment = _Alignof(struct operation);
    struct operation *operation =
        aligned_alloc(alignment, (all + alignment - 1) / alignment * alignment);
    if (!operation)
        return NULL;
    memset(operation, 0, sizeof *operation);
    operation->kind = kind;
    if (bytes > 0)
        memcpy(operation->closure, closure, bytes);
    return operation;
}

static void operation_free(struct operation *operation)
{
    if (operation->kind == OPERATION_RECORD)
        event_release(operation->record);
    if (operation->kind == OPERATION_GRAPH)
        exec_release(operation->graph);
    free(operation);
}

static void operations_add(struct operations *operations, struct operation *operation)
{
    if (!operations->first)
        operations->end = &operations->first;
    operation->next = NULL;
    *operations->end = operation;
    operations->end = &operation->next;
    operations->count++;
}

static struct operation *operations_take(struct operations *operations)
{
    struct operation *operation = operations->first;
    operations->first = operation->next;
    operations->count--;
    return operation;
}

void operations_free(struct operations *operations)
{
    while (operations->first)
        operation_free(operations_take(operations));
}

struct CUstream_st *stream_of(struct machine *machine, struct CUstream_st *stream)
{
    return stream ? stream : &machine->defaults[current_device()];
}

cudaError_t stream_add(struct machine *machine, struct CUstream_st *stream,
                       struct operation *operation)
{
    struct CUstream_st *to = stream_of(machine, stream);
    cudaError_t error = operation ? cudaSuccess : cudaErrorMemoryAllocation;
    if (error == cudaSuccess && !stream)
        error = machine_not_capturing(machine);
    if (error == cudaSuccess && to->device != current_device())
        error = cudaErrorInvalidResourceHandle;
    if (error == cudaSuccess && to->capture && operation->kind == OPERATION_GRAPH)
        error = capture_spoil(to);
    if (error != cudaSuccess || machine->broken != cudaSuccess) {
        if (operation)
            operation_free(operation);
        return error;
    }
    if (to->capture) {
        to->joined = to == to->capture->origin;
        operations_add(&to->capture->operations, operation);
        return cudaSuccess;
    }
    to->issued++;
    operations_add(&to->operations, operation);
    return cudaSuccess;
}

/* NULL where it has gone, or none has the number. */
static struct CUstream_st *stream_numbered(struct machine *machine, uint64_t id)
{
    for (int i = 0; i < EMULATOR_DEVICES_MAX; i++)
        if (machine->defaults[i].id == id)
            return &machine->defaults[i];
    struct CUstream_st *stream = machine->streams;
    while (stream && stream->id != id)
        stream = stream->next;
    return stream;
}

static void operation_run(struct machine *machine, const struct operation *operation)
{
    if (machine->broken != cudaSuccess)
        return;
    if (++machine->operations == machine->break_at) {
        machine_break(machine, cudaErrorIllegalAddress, "the device breaks, as it was told to");
        return;
    }
    const char *complaint = NULL;
    switch (operation->kind) {
    case OPERATION_KERNEL:
        complaint = grid_run(&operation->grid, machine->order);
        break;
    case OPERATION_COPY:
        memcpy(operation->copy.to, operation->copy.from, operation->copy.bytes);
        break;
    case OPERATION_FILL:
        memset(operation->fill.to, operation->fill.value, operation->fill.bytes);
        break;
    case OPERATION_RECORD:
        operation->record->seconds = now_seconds();
        break;
    case OPERATION_WAIT:
        stream_run_until(machine, operation->wait.stream, operation->wait.ticket);
        break;
    case OPERATION_GRAPH:
        operations_run(machine, &operation->graph->graph->operations);
        break;
    case OPERATION_HOST:
        operation->host.run(operation->host.argument);
        break;
    }
    if (complaint)
        machine_break(machine, cudaErrorLaunchFailure, complaint);
    if (operation->kind == OPERATION_KERNEL || operation->kind == OPERATION_HOST)
        memory_check(machine);
}

void operations_run(struct machine *machine, const struct operations *operations)
{
    for (const struct operation *here = operations->first; here; here = here->next)
        operation_run(machine, here);
}

static void run_first(struct machine *machine, struct CUstream_st *stream)
{
    struct operation *operation = operations_take(&stream->operations);
    operation_run(machine, operation);
    stream->done++;
    operation_free(operation);
}

static void work_begin(struct machine *machine)
{
    if (machine->working++ == 0)
        memory_open(machine, true);
}

static void work_end(struct machine *machine)
{
    if (--machine->working == 0)
        memory_open(machine, false);
}

void stream_run_until(struct machine *machine, uint64_t id, uint64_t ticket)
{
    struct CUstream_st *stream = stream_numbered(machine, id);
    if (!stream || stream->done >= ticket)
        return;
    work_begin(machine);
    while (stream->done < ticket && stream->operations.first)
        run_first(machine, stream);
    work_end(machine);
}

void stream_run(struct machine *machine, struct CUstream_st *stream)
{
    stream_run_until(machine, stream->id, stream->issued);
}

void machine_run(struct machine *machine, int device)
{
    stream_run(machine, &machine->defaults[device]);
    for (struct CUstream_st *stream = machine->streams; stream; stream = stream->next)
        if (stream->device == device)
            stream_run(machine, stream);
}

cudaError_t cudaDeviceSynchronize(void)
{
    struct machine *machine = machine_enter();
    const cudaError_t error = machine_not_capturing(machine);
    if (error == cudaSuccess)
        machine_run(machine, current_device());
    return machine_leave(machine, error);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *ret_stream, unsigned flags)
{
    struct machine *machine = machine_enter();
    if (flags != cudaStreamNonBlocking)
        return machine_leave(machine, cudaErrorInvalidValue);
    if (machine->broken != cudaSuccess)
        return machine_leave(machine, cudaSuccess);
    struct CUstream_st *stream = calloc(1, sizeof *stream);
    if (!stream)
        return machine_leave(machine, cudaErrorMemoryAllocation);
    stream->id = ++machine->stream_count;
    stream->device = current_device();
    stream->next = machine->streams;
    machine->streams = stream;
    *ret_stream = stream;
    return machine_leave(machine, cudaSuccess);
}

/* What it has still to do is done now; on a device, some time. */
cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    struct machine *machine = machine_enter();
    struct CUstream_st **link = &machine->streams;
    while (*link && *link != stream)
        link = &(*link)->next;
    if (!*link || stream->capture)
        return machine_leave(machine, cudaErrorInvalidResourceHandle);
    stream_run(machine, stream);
    *link = stream->next;
    free(stream);
    return machine_leave(machine, cudaSuccess);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    struct machine *machine = machine_enter();
    struct CUstream_st *here = stream_of(machine, stream);
    const cudaError_t error = capture_spoil(here);
    if (error == cudaSuccess)
        stream_run(machine, here);
    return machine_leave(machine, error);
}

/* Asking again and again gets there: each time one operation is done. */
cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    struct machine *machine = machine_enter();
    struct CUstream_st *here = stream_of(machine, stream);
    const cudaError_t error = capture_spoil(here);
    if (error != cudaSuccess || !here->operations.first)
        return machine_leave(machine, error);
    stream_run_until(machine, here->id, here->done + 1);
    return machine_leave(machine, cudaErrorNotReady);
}

struct host_call {
    void (*run)(void *data);
    void *data;
};

static void host_call_run(const void *argument)
{
    const struct host_call *call = argument;
    call->run(call->data);
}

static cudaError_t add_host(struct CUstream_st *stream, void (*run)(const void *argument),
                            const void *argument, size_t bytes)
{
    struct machine *machine = machine_enter();
    struct operation *operation = operation_new(OPERATION_HOST, argument, bytes);
    if (operation) {
        operation->host.run = run;
        operation->host.argument = operation->closure;
    }
    return machine_leave(machine, stream_add(machine, stream, operation));
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*run)(void *data), void *data)
{
    const struct host_call call = {run, data};
    return add_host(stream, host_call_run, &call, sizeof call);
}

int emulator_enqueue(struct CUstream_st *stream, void (*run)(const void *argument),
                     const void *argument, size_t bytes)
{
    return add_host(stream, run, argument, bytes) == cudaSuccess ? 0 : -EIO;
}
