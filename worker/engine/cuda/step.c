/* Running a program: what the host brings is staged in pinned memory and copied on the stream, the launches follow, what the
 * host wants comes back the same way. A whole step is recorded once as a graph and replayed. */
#include "kernels/cross_entropy.h"
#include "kernels/device.h"
#include "kernels/optimizer.h"
#include "worker/engine/cuda/program.h"

#include <errno.h>
#include <string.h>

static struct cuda_program *program_of(struct program *program)
{
    return (struct cuda_program *)program;
}

/* ---- what the host brings ---- */

static void *data_of(const struct cuda_program *program, uint32_t tensor)
{
    return tensor == TENSOR_NONE ? NULL : program->schedule.tensors[tensor].data;
}

static int send(struct cuda_program *program, uint32_t tensor, const void *from, size_t bytes)
{
    return device_write_async(data_of(program, tensor), from, bytes, program->device->stream, NULL);
}

static int control_send(struct cuda_program *program, double learning_rate, uint64_t step)
{
    const struct recipe *recipe = &program->recipe;
    const struct step_rates rates = {.learning_rate = learning_rate,
                                     .momentum = recipe->momentum,
                                     .decay = recipe->decay,
                                     .ema_decay = recipe->ema_decay,
                                     .step = step};
    *program->staging.control = step_control_of(&rates);
    return send(program, program->inputs.control, program->staging.control,
                sizeof *program->staging.control);
}

/* Transforms come with a batch's first part, for all of its parts. */
static int images_send(struct cuda_program *program, const struct part *part)
{
    const struct problem *problem = &program->program.graph->problem;
    const size_t image =
        (size_t)problem->image_size * problem->image_size * problem->image_channels;
    if (!program->transforms)
        return cuda_write_bytes(program, data_of(program, program->inputs.images), part->images,
                                part->count * image * sizeof *part->images);
    if (part->batch_first > 0)
        return 0;
    return image_store_upload(program->device->images, part->transforms, part->batch);
}

static int part_send(struct cuda_program *program, const struct part *part)
{
    const struct staging *staging = &program->staging;
    const struct inputs *inputs = &program->inputs;
    const size_t bytes = part->count * sizeof(uint32_t);
    memcpy(staging->labels, part->labels, bytes);
    int r = images_send(program, part);
    if (r == 0)
        r = send(program, inputs->labels, staging->labels, bytes);
    if (r < 0 || !part->partners)
        return r;
    memcpy(staging->partners, part->partners, bytes);
    memcpy(staging->shares, part->shares, bytes);
    r = send(program, inputs->partners, staging->partners, bytes);
    return r < 0 ? r : send(program, inputs->shares, staging->shares, bytes);
}

/* The copies in bfloat16 of weights that were written, and of averages that have moved. */
static int halves_make(struct cuda_program *program, uint32_t values, uint32_t halves, bool *stale)
{
    if (!*stale || values == TENSOR_NONE)
        return 0;
    const int r = halves_launch(data_of(program, values), data_of(program, halves),
                                program->layout.decayed, program->device->stream);
    *stale = r < 0;
    return r;
}

static int halves_ready(struct cuda_program *program)
{
    const struct slabs *slabs = &program->slabs;
    const bool averages = !program->run.training && slabs->averages != TENSOR_NONE;
    if (averages)
        return halves_make(program, slabs->averages, slabs->average_halves,
                           &program->average_halves_stale);
    return halves_make(program, slabs->values, slabs->halves, &program->halves_stale);
}

/* ---- running ---- */

static struct run run_of(const struct part *part, bool training)
{
    return (struct run){.training = training,
                        .first = part->first,
                        .keep_statistics = part->keep_statistics,
                        .count = part->count,
                        .batch_first = part->batch_first,
                        .masks = part->masks};
}

/* Waits for all that was launched. */
static int outcome_wait(struct cuda_program *program, const struct part *part,
                        struct batch_result *ret_result)
{
    const struct staging *staging = &program->staging;
    const int r = device_stream_wait(program->device->stream, NULL);
    if (r < 0)
        return r;
    memcpy(part->logits, staging->logits,
           (size_t)part->count * program->tail.classes * sizeof *part->logits);
    *ret_result = (struct batch_result){staging->loss->loss, (uint32_t)staging->loss->correct};
    return 0;
}

int cuda_train(struct program *base, const struct part *part, struct batch_result *ret_result)
{
    struct cuda_program *program = program_of(base);
    assert(part->count == program->images);
    program->run = run_of(part, true);
    program->stepped = false;
    int r = control_send(program, 0, part->masks.key.step);
    if (r == 0)
        r = part_send(program, part);
    if (r == 0)
        r = halves_ready(program);
    if (r == 0 && part->first)
        r = device_event_record(program->device->before, program->device->stream, NULL);
    if (r == 0)
        r = schedule_run(program, 0, program->schedule.backward_end);
    return r < 0 ? r : outcome_wait(program, part, ret_result);
}

int cuda_infer(struct program *base, const struct part *part, struct batch_result *ret_result)
{
    struct cuda_program *program = program_of(base);
    assert(part->count <= program->images);
    program->run = run_of(part, false);
    int r = part_send(program, part);
    if (r == 0)
        r = halves_ready(program);
    if (r == 0)
        r = schedule_run(program, 0, program->schedule.forward_end);
    return r < 0 ? r : outcome_wait(program, part, ret_result);
}

int cuda_update(struct program *base, const struct optimizer_update *update)
{
    struct cuda_program *program = program_of(base);
    program->run.training = true;
    int r = control_send(program, update->learning_rate, update->step);
    if (r == 0)
        r = schedule_run(program, program->schedule.backward_end, program->schedule.launch_count);
    if (r == 0)
        r = device_event_record(program->device->after, program->device->stream, NULL);
    if (r == 0)
        r = device_stream_wait(program->device->stream, NULL);
    if (r < 0)
        return r;
    program->stepped = true;
    program->average_halves_stale = true;
    return program->staging.outcome->refused ? -EDOM : 0;
}

/* ---- a whole step ---- */

static int step_record(struct cuda_program *program)
{
    struct CUstream_st *stream = program->device->stream;
    int r = device_recording_begin(stream, NULL);
    if (r < 0)
        return r;
    r = schedule_run(program, 0, program->schedule.launch_count);
    if (r < 0) {
        device_recording_abandon(stream);
        return r;
    }
    return device_recording_end(stream, &program->graph, NULL);
}

/* Everything once, as launches of their own: what the libraries load and set up at a kernel's first launch may not happen while
 * a graph is recorded. A step that is refused from the start changes no weight. */
static int step_rehearse(struct cuda_program *program, const struct part *part)
{
    const struct run run = program->run;
    *program->staging.control = (struct step_control){.refused = STEP_REHEARSED};
    program->run.keep_statistics = true;
    int r = send(program, program->inputs.control, program->staging.control,
                 sizeof *program->staging.control);
    if (r == 0)
        r = part_send(program, part);
    if (r == 0)
        r = schedule_run(program, 0, program->schedule.launch_count);
    program->run = run;
    return r < 0 ? r : device_stream_wait(program->device->stream, NULL);
}

/* The graph holds what drops how much, and no more of the masks: the step's number is in the control. */
static int step_ready(struct cuda_program *program, const struct part *part)
{
    const struct part_masks *now = &program->run.masks, *then = &program->graph_masks;
    const bool same = now->stochastic_depth == then->stochastic_depth &&
                      now->dropout == then->dropout && now->key.seed == then->key.seed;
    if (program->graph && same)
        return 0;
    device_graph_free(program->graph);
    program->graph = NULL;
    program->graph_masks = *now;
    const int r = step_rehearse(program, part);
    return r < 0 ? r : step_record(program);
}

static int step_launch(struct cuda_program *program)
{
    struct cuda_device *device = program->device;
    int r = device_event_record(device->before, device->stream, NULL);
    if (r == 0)
        r = device_graph_launch(program->graph, device->stream, NULL);
    if (r == 0)
        r = device_event_record(device->after, device->stream, NULL);
    return r;
}

int cuda_step(struct program *base, const struct part *part, const struct optimizer_update *update,
              struct batch_result *ret_result)
{
    struct cuda_program *program = program_of(base);
    struct batch_result result;
    assert(part->count == program->images && part->batch_first == 0);
    program->run = run_of(part, true);
    int r = halves_ready(program);
    if (r == 0)
        r = step_ready(program, part);
    if (r == 0)
        r = control_send(program, update->learning_rate, update->step);
    if (r == 0)
        r = part_send(program, part);
    if (r == 0)
        r = step_launch(program);
    if (r == 0)
        r = outcome_wait(program, part, &result);
    if (r < 0)
        return r;
    program->stepped = true;
    program->average_halves_stale = true;
    if (program->staging.outcome->refused)
        return -EDOM;
    *ret_result = result;
    return 0;
}

double cuda_seconds(struct program *base)
{
    const struct cuda_program *program = program_of(base);
    double seconds;
    if (!program->stepped ||
        device_event_seconds(program->device->before, program->device->after, &seconds, NULL) < 0)
        return -1;
    return seconds;
}
