/* The CUDA backend: training in bfloat16 on one GPU, dense convolutions by cuDNN, the rest by our own kernels. */
#include "worker/engine/cuda/cuda.h"

#include "kernels/device.h"
#include "worker/engine/cuda/plan_directory.h"
#include "worker/engine/cuda/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cuda_program *program_of(struct program *program)
{
    return (struct cuda_program *)program;
}

/* ---- the device ---- */

static void cuda_close(struct device *base)
{
    struct cuda_device *device = (struct cuda_device *)base;
    convolver_free(device->convolver);
    image_store_free(device->images);
    device_event_free(device->before);
    device_event_free(device->after);
    device_stream_free(device->stream);
    device_buffer_free(device->arena);
    free(device);
}

static int device_init(struct cuda_device *device, const char *name, struct error *error)
{
    int r = device_find(name ? name : "cuda", &device->index, error);
    if (r == 0)
        r = device_use(device->index, error);
    if (r == 0)
        r = device_stream_new(&device->stream, error);
    if (r == 0)
        r = device_event_new(&device->before, error);
    if (r == 0)
        r = device_event_new(&device->after, error);
    if (r == 0)
        r = image_store_new(device->stream, &device->images, error);
    if (r < 0)
        return r;
    char directory[PLAN_DIRECTORY_SIZE];
    const bool kept = plan_directory(directory, NULL) == 0;
    const struct convolver_options options = {.cache_directory = kept ? directory : NULL,
                                              .stream = device->stream,
                                              .workspace_bytes_max = CUDA_WORKSPACE_BYTES};
    return convolver_new(&options, &device->convolver, error);
}

static int cuda_open(const char *name, struct device **ret_device, struct error *error)
{
    struct cuda_device *device = calloc(1, sizeof *device);
    if (!device)
        return error_set(error, -ENOMEM, "", "out of memory");
    const int r = device_init(device, name, error);
    if (r < 0) {
        cuda_close(&device->device);
        return r;
    }
    *ret_device = &device->device;
    return 0;
}

static void info_of(int index, const struct device_facts *facts, struct device_info *ret_info)
{
    struct device_info info = {.memory_bytes = facts->memory_bytes};
    snprintf(info.id, sizeof info.id, "cuda:%d", index);
    snprintf(info.name, sizeof info.name, "%s", facts->name);
    snprintf(info.uuid, sizeof info.uuid, "%s", facts->uuid);
    *ret_info = info;
}

static int device_info_get(int index, struct device_info *ret_info, struct error *error)
{
    struct device_facts facts;
    const int r = device_facts_get(index, &facts, error);
    if (r == 0)
        info_of(index, &facts, ret_info);
    return r;
}

static int cuda_devices(const char *name, struct device_info *ret_devices, uint32_t max,
                        struct error *error)
{
    const bool all = !name || strcmp(name, "cuda") == 0;
    int index = 0;
    int r = device_find(all ? "cuda" : name, &index, error);
    if (r < 0)
        return r;
    if (!all) {
        r = device_info_get(index, ret_devices, error);
        return r < 0 ? r : 1;
    }
    const int count = device_count();
    int written = 0;
    for (; written < count && (uint32_t)written < max; written++) {
        r = device_info_get(written, &ret_devices[written], error);
        if (r < 0)
            return r;
    }
    return written;
}

static size_t cuda_memory_free(const struct device *device)
{
    size_t bytes;
    return cuda_room((const struct cuda_device *)device, &bytes, NULL) < 0 ? 0 : bytes;
}

static void cuda_failure(const struct device *device, char *ret_text, size_t size)
{
    (void)device; /* as above */
    device_failure(ret_text, size);
}

/* ---- programs ---- */

static void cuda_release(struct program *base)
{
    struct cuda_program *program = program_of(base);
    device_graph_free(program->graph);
    cuda_staging_release(program);
    schedule_release(&program->schedule);
    slab_layout_release(&program->layout);
    free(program->units);
    free(program);
}

static unsigned char *data_of(const struct cuda_program *program, uint32_t tensor)
{
    return program->schedule.tensors[tensor].data;
}

static int tensor_clear(struct cuda_program *program, uint32_t tensor, struct error *error)
{
    if (tensor == TENSOR_NONE)
        return 0;
    return device_fill_async(data_of(program, tensor), 0, program->schedule.tensors[tensor].bytes,
                             program->device->stream, error);
}

/* TensorFlow's RMSProp begins with a mean square of 1. */
static int mean_square_begin(struct cuda_program *program, struct error *error)
{
    const size_t count = program->layout.trained;
    float *ones = malloc(count * sizeof *ones);
    if (!ones)
        return error_set(error, -ENOMEM, "", "out of memory");
    for (size_t i = 0; i < count; i++)
        ones[i] = 1.0f;
    const int r = cuda_write_bytes(program, data_of(program, program->slabs.states[0]), ones,
                                   count * sizeof *ones);
    free(ones);
    return r < 0 ? error_set(error, r, "", "the optimizer's state could not be written") : 0;
}

/* The arena is not cleared between programs, and padding must be zero. */
static int slabs_begin(struct cuda_program *program, struct error *error)
{
    const struct slabs *slabs = &program->slabs;
    const uint32_t cleared[] = {slabs->values,    slabs->averages,  slabs->gradients,
                                slabs->states[0], slabs->states[1], program->inputs.features};
    program->halves_stale = program->average_halves_stale = true;
    for (size_t i = 0; i < ARRAY_LENGTH(cleared); i++) {
        const int r = tensor_clear(program, cleared[i], error);
        if (r < 0)
            return r;
    }
    return program->recipe.optimizer == OPTIMIZER_RMSPROP ? mean_square_begin(program, error) : 0;
}

static int schedule_make(struct cuda_program *program, struct error *error)
{
    if (schedule_init(&program->schedule, program->unit_count) < 0)
        return error_set(error, -ENOMEM, "", "out of memory");
    struct schedule *schedule = &program->schedule;
    cuda_slabs_add(program);
    cuda_schedule_inputs(program);
    cuda_schedule_forward(program);
    cuda_schedule_tail(program);
    schedule->forward_end = schedule->launch_count;
    cuda_schedule_tail_backward(program);
    cuda_schedule_backward(program);
    schedule->backward_end = schedule->launch_count;
    cuda_schedule_update(program);
    return 0;
}

static int program_build(struct cuda_program *program, struct error *error)
{
    int r = slab_layout_init(&program->layout, program->program.graph);
    if (r < 0)
        return error_set(error, r, "", "out of memory");
    r = cuda_lower(program, error);
    if (r == 0)
        r = cuda_prepare(program, error);
    if (r == 0)
        r = schedule_make(program, error);
    if (r == 0)
        r = cuda_lay_out(program, error);
    if (r == 0)
        r = cuda_staging_init(program, error);
    return r < 0 ? r : slabs_begin(program, error);
}

static int cuda_compile(struct device *base, const struct graph *graph,
                        const struct plan_options *options, struct program **ret_program,
                        struct error *error)
{
    struct cuda_program *program = calloc(1, sizeof *program);
    if (!program)
        return error_set(error, -ENOMEM, "", "out of memory");
    program->program.graph = graph;
    program->program.precision = PRECISION_BF16;
    program->device = (struct cuda_device *)base;
    program->recipe = options->recipe;
    program->images = options->recipe.batch / options->micro_batches;
    program->transforms = program->device->set.bytes != NULL;
    const int r = program_build(program, error);
    if (r < 0) {
        cuda_release(&program->program);
        return r;
    }
    *ret_program = &program->program;
    return 0;
}

/* ---- values ---- */

static uint32_t slab_of(const struct cuda_program *program, enum value_class class)
{
    switch (class) {
    case VALUE_PARAMETER:
        return program->slabs.values;
    case VALUE_AVERAGE:
        return program->slabs.averages;
    case VALUE_STATE_0:
        return program->slabs.states[0];
    case VALUE_STATE_1:
        return program->slabs.states[1];
    case VALUE_GRADIENT:
        break;
    }
    return program->slabs.gradients;
}

static float *place_in(const struct cuda_program *program, enum value_class class, size_t index)
{
    unsigned char *slab = data_of(program, slab_of(program, class));
    return (float *)(void *)slab + program->layout.places[index].offset;
}

static int cuda_read(struct program *base, enum value_class class, size_t index, float *ret_values)
{
    struct cuda_program *program = program_of(base);
    const size_t bytes = program->layout.places[index].floats * sizeof(float);
    float *stored = malloc(bytes);
    int r = stored ? 0 : -ENOMEM;
    if (r == 0)
        r = cuda_read_bytes(program, stored, place_in(program, class, index), bytes);
    if (r == 0)
        slab_unpack(&program->layout, index, stored, ret_values);
    free(stored);
    return r;
}

static int cuda_write(struct program *base, enum value_class class, size_t index,
                      const float *values)
{
    struct cuda_program *program = program_of(base);
    const size_t bytes = program->layout.places[index].floats * sizeof(float);
    float *stored = malloc(bytes);
    int r = stored ? 0 : -ENOMEM;
    if (r == 0) {
        slab_pack(&program->layout, index, values, stored);
        r = cuda_write_bytes(program, place_in(program, class, index), stored, bytes);
    }
    free(stored);
    program->halves_stale = program->average_halves_stale = true;
    return r;
}

/* Of the gradients only the parameters' own floats: what aligns them is zero and stays so. */
static int gradients_poison(struct cuda_program *program)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < program->program.graph->parameter_count; i++) {
        if (!parameter_trained(program->program.graph->parameters[i].kind))
            continue;
        r = device_fill_async(place_in(program, VALUE_GRADIENT, i), 0xff,
                              program->layout.places[i].floats * sizeof(float),
                              program->device->stream, NULL);
    }
    return r;
}

/* NaN as a float, a double, a bfloat16. */
static void cuda_poison(struct program *base)
{
    struct cuda_program *program = program_of(base);
    int r = gradients_poison(program);
    for (uint32_t i = 0; r == 0 && i < program->schedule.tensor_count; i++) {
        const struct tensor *tensor = &program->schedule.tensors[i];
        if (!tensor->kept)
            r = device_fill_async(tensor->data, 0xff, tensor->bytes, program->device->stream, NULL);
    }
    if (r == 0)
        r = device_stream_wait(program->device->stream, NULL);
    assert(r == 0);
}

const struct backend *backend_cuda(void)
{
    static const struct backend backend = {
        .name = "cuda",
        .draws_masks = true,
        .device_open = cuda_open,
        .device_close = cuda_close,
        .devices = cuda_devices,
        .memory_free = cuda_memory_free,
        .failure = cuda_failure,
        .compile = cuda_compile,
        .release = cuda_release,
        .train = cuda_train,
        .update = cuda_update,
        .step = cuda_step,
        .infer = cuda_infer,
        .read = cuda_read,
        .write = cuda_write,
        .poison = cuda_poison,
        .hold_images = cuda_hold_images,
        .seconds = cuda_seconds,
    };
    return &backend;
}
