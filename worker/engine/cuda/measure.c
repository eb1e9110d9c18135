/* What a benchmark asks of a program: plans timed on its own buffers, and each launch of a step timed in its place. */
#include "kernels/device.h"
#include "worker/engine/cuda/program.h"

#include <errno.h>
#include <stdlib.h>

static void *data_of(const struct cuda_program *program, uint32_t tensor)
{
    return tensor == TENSOR_NONE ? NULL : program->schedule.tensors[tensor].data;
}

/* ---- plans ---- */

static struct convolver_tensors tensors_of(const struct cuda_program *program,
                                           const struct unit *unit, enum convolution_pass pass,
                                           void *workspace)
{
    const size_t offset = program->layout.places[unit->weight].offset;
    const uint32_t input = unit->input == INPUT_IMAGES ? program->inputs.packed : unit[-1].z;
    const bool forward = pass == CONVOLUTION_FORWARD, data = pass == CONVOLUTION_BACKWARD_DATA;
    return (struct convolver_tensors){
        .x = data_of(program, data ? unit[-1].dz : input),
        .y = data_of(program, forward ? unit->y : unit->dy),
        .weights = (uint16_t *)data_of(program, program->slabs.halves) + offset,
        .dweights = (float *)data_of(program, program->slabs.gradients) + offset,
        .workspace = workspace};
}

static int unit_tune(struct cuda_program *program, const struct unit *unit, void *workspace,
                     struct error *error)
{
    int r = 0;
    for (int pass = 0; r == 0 && pass < CONVOLUTION_PASSES; pass++) {
        const enum convolution_pass which = (enum convolution_pass)pass;
        if (unit->shape.first && which == CONVOLUTION_BACKWARD_DATA)
            continue;
        const struct convolver_tensors tensors = tensors_of(program, unit, which, workspace);
        r = convolver_tune(program->device->convolver, &unit->shape, which, &tensors,
                           CUDA_WORKSPACE_BYTES, error);
    }
    return r;
}

int cuda_tune(struct program *base, struct error *error)
{
    struct cuda_program *program = (struct cuda_program *)base;
    void *workspace = NULL;
    int r = device_stream_wait(program->device->stream, error);
    if (r == 0)
        r = device_buffer_new(CUDA_WORKSPACE_BYTES, &workspace, error);
    for (uint32_t i = 0; r == 0 && i < program->unit_count; i++)
        if (!program->units[i].shape.depthwise)
            r = unit_tune(program, &program->units[i], workspace, error);
    device_buffer_free(workspace);
    return r;
}

/* ---- launches ---- */

static int events_new(struct CUevent_st **events, size_t count, struct error *error)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = device_event_new(&events[i], error);
    return r;
}

static void events_free(struct CUevent_st **events, size_t count)
{
    for (size_t i = 0; i < count; i++)
        device_event_free(events[i]);
    free(events);
}

/* Other tensors have lain where the images were; black ones have a finite loss, without which the optimizer would do nothing. */
static int images_clear(struct cuda_program *program, struct error *error)
{
    const uint32_t images = program->inputs.images;
    if (images == TENSOR_NONE)
        return 0;
    return device_fill_async(data_of(program, images), 0, program->schedule.tensors[images].bytes,
                             program->device->stream, error);
}

static int launches_record(struct cuda_program *program, struct CUevent_st **events,
                           struct error *error)
{
    struct CUstream_st *stream = program->device->stream;
    const uint32_t count = program->schedule.launch_count;
    int r = images_clear(program, error);
    if (r == 0)
        r = device_event_record(events[0], stream, error);
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        r = schedule_run(program, i, i + 1);
        if (r < 0)
            return error_set(error, r, "", "launch %u failed", i);
        r = device_event_record(events[i + 1], stream, error);
    }
    return r == 0 ? device_stream_wait(stream, error) : r;
}

int cuda_profile(struct program *base, double *ret_seconds, struct error *error)
{
    struct cuda_program *program = (struct cuda_program *)base;
    const uint32_t count = program->schedule.launch_count;
    if (!program->stepped)
        return error_set(error, -EINVAL, "", "only a program that has done a step is profiled");
    struct CUevent_st **events = calloc((size_t)count + 1, sizeof(struct CUevent_st *));
    if (!events)
        return error_set(error, -ENOMEM, "", "out of memory");
    int r = events_new(events, (size_t)count + 1, error);
    if (r == 0)
        r = launches_record(program, events, error);
    for (uint32_t i = 0; r == 0 && i < count; i++)
        r = device_event_seconds(events[i], events[i + 1], &ret_seconds[i], error);
    events_free(events, (size_t)count + 1);
    return r;
}
