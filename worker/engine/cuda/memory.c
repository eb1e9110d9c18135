/* Where the tensors lie: one arena a device, kept from program to program. A tensor's memory is its own from the first launch
 * that uses it to the last, those that hold values between steps have theirs for good. */
#include "kernels/device.h"
#include "kernels/gradient_norm.h"
#include "worker/engine/cuda/program.h"

#include <errno.h>
#include <stdlib.h>

static uint32_t kept_add(struct cuda_program *program, const char *role, size_t bytes)
{
    const uint32_t tensor = tensor_add(program, role, UNIT_NONE, bytes);
    if (tensor != TENSOR_NONE)
        program->schedule.tensors[tensor].kept = true;
    return tensor;
}

void cuda_slabs_add(struct cuda_program *program)
{
    static const char *const states[OPTIMIZER_STATES_MAX] = {"state 0", "state 1"};
    const struct slab_layout *layout = &program->layout;
    const struct recipe *recipe = &program->recipe;
    struct slabs *slabs = &program->slabs;
    const bool averages = recipe->ema_decay > 0;
    slabs->values = kept_add(program, "values", layout->total * sizeof(float));
    slabs->averages = kept_add(program, "averages", averages * layout->total * sizeof(float));
    slabs->gradients = kept_add(program, "gradients", layout->trained * sizeof(float));
    for (size_t i = 0; i < OPTIMIZER_STATES_MAX; i++) {
        const bool has = i < optimizer_state_count(recipe->optimizer);
        slabs->states[i] = kept_add(program, states[i], has * layout->trained * sizeof(float));
    }
    slabs->halves = kept_add(program, "halves", layout->decayed * sizeof(uint16_t));
    slabs->average_halves =
        kept_add(program, "average halves", averages * layout->decayed * sizeof(uint16_t));
    const bool clips = recipe->clip_norm > 0;
    slabs->norm_sums = tensor_add(program, "norm sums", UNIT_NONE,
                                  clips * GRADIENT_NORM_BLOCKS_MAX * sizeof(double));

    const struct graph *graph = program->program.graph;
    const size_t images = program->images;
    struct inputs *inputs = &program->inputs;
    inputs->labels = kept_add(program, "labels", images * sizeof(uint32_t));
    inputs->partners = kept_add(program, "partners", images * sizeof(uint32_t));
    inputs->shares = kept_add(program, "shares", images * sizeof(float));
    inputs->branches = kept_add(program, "branches", images * graph->block_count * sizeof(float));
    inputs->features =
        kept_add(program, "features", images * program->tail.channels * sizeof(float));
    inputs->control = kept_add(program, "control", sizeof(struct step_control));
}

static void lives_set(const struct schedule *schedule, uint32_t images,
                      struct memory_buffer *buffers)
{
    for (uint32_t i = 0; i < schedule->tensor_count; i++) {
        const struct tensor *tensor = &schedule->tensors[i];
        const size_t parts = (tensor->bytes + TENSOR_ALIGNMENT - 1) / TENSOR_ALIGNMENT;
        buffers[i].bytes = parts * TENSOR_ALIGNMENT;
        buffers[i].first = tensor->kept ? 0 : UINT32_MAX;
        buffers[i].last = tensor->kept ? schedule->launch_count : 0;
    }
    if (images != TENSOR_NONE)
        buffers[images].first = 0; /* the host writes them before the first launch */
    for (uint32_t i = 0; i < schedule->launch_count; i++) {
        const struct launch *launch = &schedule->launches[i];
        for (uint32_t use = 0; use < launch->use_count; use++) {
            struct memory_buffer *buffer = &buffers[launch->uses[use].tensor];
            buffer->first = i < buffer->first ? i : buffer->first;
            buffer->last = i > buffer->last ? i : buffer->last;
        }
    }
}

static size_t less(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

/* Of device memory for the batches of a data set, where transforms come. */
static size_t batch_bytes(const struct cuda_program *program, bool resident)
{
    if (!program->transforms)
        return 0;
    return image_store_bytes_needed(&program->device->set, program->recipe.batch,
                                    program->program.graph->problem.image_size, resident);
}

int cuda_room(const struct cuda_device *device, size_t *ret_bytes, struct error *error)
{
    struct device_facts facts;
    size_t bytes = 0;
    int r = device_facts_get(device->index, &facts, error);
    if (r == 0)
        r = device_memory_free(&bytes, error);
    if (r == 0)
        *ret_bytes = less(bytes, facts.memory_bytes / CUDA_MEMORY_PARTS);
    return r;
}

/* What the limit and the device leave room for. The arena of now is given back before it grows, and images that are resident make
 * room for plans. */
static int bytes_check(struct cuda_device *device, size_t arena, size_t bytes, struct error *error)
{
    const size_t limit = device->device.bytes_max;
    size_t free_bytes = 0;
    if (limit && bytes > limit)
        return error_set(error, -ENOMEM, "", "the plan needs %zu bytes, the limit is %zu", bytes,
                         limit);
    if (arena <= device->arena_bytes)
        return 0;
    int r = cuda_room(device, &free_bytes, error);
    if (r < 0)
        return r;
    free_bytes += device->arena_bytes;
    if (bytes > free_bytes && image_store_resident_bytes(device->images) > 0) {
        r = image_store_hold(device->images, &device->set, 0, error);
        if (r == 0)
            r = cuda_room(device, &free_bytes, error);
        if (r < 0)
            return r;
        free_bytes += device->arena_bytes;
    }
    if (bytes > free_bytes)
        return error_set(error, -ENOMEM, "", "the plan needs %zu bytes, the device has %zu free",
                         bytes, free_bytes);
    return 0;
}

static int arena_grow(struct cuda_device *device, size_t bytes, struct error *error)
{
    if (bytes <= device->arena_bytes)
        return 0;
    device_buffer_free(device->arena);
    device->arena = NULL;
    device->arena_bytes = 0;
    const int r = device_buffer_new(bytes, &device->arena, NULL);
    if (r == -ENOMEM)
        return error_set(error, r, "", "the plan needs %zu bytes, the device has no such block",
                         bytes);
    if (r < 0)
        return error_set(error, r, "", "the device gives no memory");
    device->arena_bytes = bytes;
    return 0;
}

/* The set's images may stay on the device where they fit beside everything else. */
static int images_reserve(struct cuda_program *program, struct error *error)
{
    struct cuda_device *device = program->device;
    const size_t limit = device->device.bytes_max;
    size_t room = 0;
    if (!program->transforms)
        return 0;
    int r = cuda_room(device, &room, error);
    if (r < 0)
        return r;
    room = less(room + image_store_resident_bytes(device->images), batch_bytes(program, true));
    if (limit && less(limit, program->program.bytes) < room)
        room = less(limit, program->program.bytes);
    r = image_store_hold(device->images, &device->set, room, error);
    if (r == 0)
        r = image_store_reserve(device->images, program->recipe.batch,
                                program->program.graph->problem.image_size, error);
    return r;
}

static int tensors_place(struct cuda_program *program, struct memory_buffer *buffers,
                         struct error *error)
{
    struct schedule *schedule = &program->schedule;
    struct cuda_device *device = program->device;
    size_t arena = 0;
    lives_set(schedule, program->inputs.images, buffers);
    int r = memory_plan(buffers, schedule->tensor_count, &arena);
    if (r < 0)
        return error_set(error, r, "", "out of memory");
    const size_t bytes = arena + batch_bytes(program, false);
    program->program.bytes = bytes;
    device->device.bytes_needed = bytes;
    r = bytes_check(device, arena, bytes, error);
    if (r == 0)
        r = arena_grow(device, arena, error);
    for (uint32_t i = 0; r == 0 && i < schedule->tensor_count; i++)
        schedule->tensors[i].data = (unsigned char *)device->arena + buffers[i].offset;
    return r;
}

int cuda_lay_out(struct cuda_program *program, struct error *error)
{
    struct memory_buffer *buffers = calloc(program->schedule.tensor_count, sizeof *buffers);
    if (!buffers)
        return error_set(error, -ENOMEM, "", "out of memory");
    const int r = tensors_place(program, buffers, error);
    free(buffers);
    return r < 0 ? r : images_reserve(program, error);
}

int cuda_hold_images(struct device *base, const struct image_set *set, struct error *error)
{
    struct cuda_device *device = (struct cuda_device *)base;
    const size_t limit = device->device.bytes_max;
    size_t room = 0;
    device->set = (struct image_set){0};
    int r = cuda_room(device, &room, error);
    if (r < 0)
        return r;
    room += image_store_resident_bytes(device->images);
    r = image_store_hold(device->images, set, limit && limit < room ? limit : room, error);
    if (r == 0 && set)
        device->set = *set;
    return r;
}
