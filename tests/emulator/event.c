#include "tests/emulator/state.h"

#include <stdlib.h>

void event_release(struct CUevent_st *event)
{
    if (--event->holders == 0)
        free(event);
}

/* Whether the recording of the event that was asked for last has been carried out. */
static bool event_is_done(const struct machine *machine, const struct CUevent_st *event)
{
    if (!event->recorded)
        return true;
    for (int i = 0; i < EMULATOR_DEVICES_MAX; i++)
        if (machine->defaults[i].id == event->stream)
            return machine->defaults[i].done >= event->ticket;
    for (const struct CUstream_st *stream = machine->streams; stream; stream = stream->next)
        if (stream->id == event->stream)
            return stream->done >= event->ticket;
    return true;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *ret_event, unsigned flags)
{
    struct machine *machine = machine_enter();
    if (machine->broken != cudaSuccess)
        return machine_leave(machine, cudaSuccess);
    struct CUevent_st *event = calloc(1, sizeof *event);
    if (!event)
        return machine_leave(machine, cudaErrorMemoryAllocation);
    event->holders = 1;
    event->flags = flags;
    *ret_event = event;
    return machine_leave(machine, cudaSuccess);
}

cudaError_t cudaEventCreate(cudaEvent_t *ret_event)
{
    return cudaEventCreateWithFlags(ret_event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    struct machine *machine = machine_enter();
    event_release(event);
    return machine_leave(machine, cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    struct machine *machine = machine_enter();
    struct CUstream_st *here = stream_of(machine, stream);
    if (here->capture) {
        event->capture = here->capture->capture;
        event->recorded = true;
        event->stream = here->id;
        return machine_leave(machine, cudaSuccess);
    }
    struct operation *operation = operation_new(OPERATION_RECORD, NULL, 0);
    if (operation) {
        operation->record = event;
        event->holders++;
    }
    const cudaError_t error = stream_add(machine, stream, operation);
    if (error == cudaSuccess && machine->broken == cudaSuccess) {
        event->recorded = true;
        event->capture = 0;
        event->stream = here->id;
        event->ticket = here->issued;
    }
    return machine_leave(machine, error);
}

static struct CUgraph_st *capture_numbered(const struct machine *machine, uint64_t capture)
{
    for (const struct CUstream_st *stream = machine->streams; stream; stream = stream->next)
        if (stream->capture && stream->capture->capture == capture)
            return stream->capture;
    return NULL;
}

/* The stream joins the capture, or waits for one that has joined it. */
static cudaError_t wait_captured(struct machine *machine, struct CUstream_st *stream,
                                 const struct CUevent_st *event)
{
    struct CUgraph_st *capture = capture_numbered(machine, event->capture);
    if (!capture)
        return cudaErrorInvalidValue;
    if (stream->capture && stream->capture != capture)
        return cudaErrorStreamCaptureIsolation;
    if (!stream->capture)
        stream->joined = false;
    stream->capture = capture;
    for (struct CUstream_st *other = machine->streams; other; other = other->next)
        if (other->id == event->stream && other != stream)
            other->joined = true;
    return cudaSuccess;
}

static cudaError_t add_wait(struct machine *machine, struct CUstream_st *stream,
                            const struct CUevent_st *event)
{
    struct CUstream_st *here = stream_of(machine, stream);
    if (!event->recorded)
        return cudaSuccess;
    if (event->capture)
        return wait_captured(machine, here, event);
    if (here->capture)
        return cudaErrorStreamCaptureIsolation;
    struct operation *operation = operation_new(OPERATION_WAIT, NULL, 0);
    if (operation) {
        operation->wait.stream = event->stream;
        operation->wait.ticket = event->ticket;
    }
    return stream_add(machine, stream, operation);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    struct machine *machine = machine_enter();
    return machine_leave(machine,
                         flags == 0 ? add_wait(machine, stream, event) : cudaErrorInvalidValue);
}

/* Runs the event's stream as far as it was recorded. */
static cudaError_t event_run(struct machine *machine, const struct CUevent_st *event)
{
    if (event->capture)
        return cudaErrorInvalidValue;
    if (event->recorded)
        stream_run_until(machine, event->stream, event->ticket);
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    struct machine *machine = machine_enter();
    return machine_leave(machine, event_run(machine, event));
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    struct machine *machine = machine_enter();
    const bool done = event_is_done(machine, event);
    const cudaError_t error = event_run(machine, event);
    return machine_leave(machine, error != cudaSuccess || done ? error : cudaErrorNotReady);
}

cudaError_t cudaEventElapsedTime(float *ret_milliseconds, cudaEvent_t start, cudaEvent_t end)
{
    struct machine *machine = machine_enter();
    const struct CUevent_st *const events[] = {start, end};
    for (int i = 0; i < 2; i++) {
        if (!events[i]->recorded || events[i]->capture ||
            (events[i]->flags & cudaEventDisableTiming))
            return machine_leave(machine, cudaErrorInvalidResourceHandle);
        if (!event_is_done(machine, events[i]))
            return machine_leave(machine, cudaErrorNotReady);
    }
    *ret_milliseconds = (float)(1e3 * (end->seconds - start->seconds));
    return machine_leave(machine, cudaSuccess);
}
