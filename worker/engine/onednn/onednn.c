/* The oneDNN backend: single-threaded training in f32 or bf16, dense convolutions by the library, the rest by our own kernels. */
#include "worker/engine/onednn/onednn.h"

#include "worker/engine/loss.h"
#include "worker/engine/memory_plan.h"
#include "worker/engine/onednn/program.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct onednn_program *program_of(struct program *program)
{
    return (struct onednn_program *)program;
}

int onednn_open_with(const struct kernels *kernels, struct device **ret_device, struct error *error)
{
    struct onednn_device *device = calloc(1, sizeof *device);
    if (!device)
        return error_set(error, -ENOMEM, "", "out of memory");
    int r = primitive_context_new(&device->context, error);
    if (r < 0) {
        free(device);
        return r;
    }
    device->kernels = kernels;
    *ret_device = &device->device;
    return 0;
}

static int onednn_open(const char *name, struct device **ret_device, struct error *error)
{
    int r = device_is_cpu(name, error);
    if (r == 0)
        r = onednn_open_with(kernels_at(0), ret_device, error);
    if (r == 0 && primitive_has_bfloat())
        ((struct onednn_device *)*ret_device)->kernels_bfloat = kernels_bfloat();
    return r;
}

static void onednn_close(struct device *base)
{
    struct onednn_device *device = (struct onednn_device *)base;
    primitive_context_free(device->context);
    arena_release(&device->arena);
    free(device);
}

static void onednn_release(struct program *base)
{
    struct onednn_program *program = program_of(base);
    for (uint32_t i = 0; i < program->unit_count; i++)
        for (size_t pass = 0; pass < ARRAY_LENGTH(program->units[i].passes); pass++)
            convolution_free(program->units[i].passes[pass]);
    parameter_places_release(&program->places);
    free(program->units);
    free(program->slots);
    free(program->buffers);
    free(program);
}

static struct optimizer_slabs slabs_of(const struct onednn_program *program)
{
    return (struct optimizer_slabs){.values = program->weights,
                                    .gradients = program->gradients,
                                    .states = {program->states[0], program->states[1]},
                                    .averages = program->averages,
                                    .total = program->places.total,
                                    .count = program->places.trained,
                                    .decayed = program->places.decayed};
}

/* The arena is not cleared between plans. The slabs are, for their padding must be zero. */
static void slabs_clear(struct onednn_program *program)
{
    const struct optimizer_slabs slabs = slabs_of(program);
    memset(program->weights, 0, program->places.total * sizeof(float));
    if (program->averages)
        memset(program->averages, 0, program->places.total * sizeof(float));
    memset(program->gradients, 0, program->places.trained * sizeof(float));
    optimizer_init(program->recipe.optimizer, &slabs);
}

/* From now on the network computes with this slab: the weights, or their averages. */
static void values_use(struct onednn_program *program, float *slab)
{
    if (program->values == slab)
        return;
    program->values = slab;
    program->imported = false;
}

static int onednn_compile(struct device *base, const struct graph *graph,
                          const struct plan_options *options, struct program **ret_program,
                          struct error *error)
{
    struct onednn_device *device = (struct onednn_device *)base;
    struct onednn_program *program = calloc(1, sizeof *program);
    if (!program)
        return error_set(error, -ENOMEM, "", "out of memory");
    program->program.graph = graph;
    program->device = device;
    const bool bfloat = options->recipe.precision == PRECISION_BF16 && device->kernels_bfloat;
    program->kernels = bfloat ? device->kernels_bfloat : device->kernels;
    program->program.precision = bfloat ? PRECISION_BF16 : PRECISION_F32;
    program->recipe = options->recipe;
    program->images = options->recipe.batch / options->micro_batches;
    int r = parameter_places_init(&program->places, graph, program->kernels->lanes);
    if (r == 0)
        r = program_lower(program);
    if (r < 0)
        error_set(error, r, "", "out of memory");
    else
        r = program_lay_out(program, error);
    if (r < 0) {
        onednn_release(&program->program);
        return r;
    }
    slabs_clear(program);
    values_use(program, program->weights);
    *ret_program = &program->program;
    return 0;
}

static int onednn_train(struct program *base, const struct part *part,
                        struct batch_result *ret_result)
{
    struct onednn_program *program = program_of(base);
    assert(part->count == program->images);
    values_use(program, program->weights);
    if (part->first)
        memset(program->gradients, 0, program->places.trained * sizeof(float));
    int r = program_forward(program, part, true);
    if (r < 0)
        return r;
    const struct loss_options options = {part->count, program->tail.classes,
                                         program->recipe.label_smoothing,
                                         1.0 / program->recipe.batch};
    const struct loss_targets targets = {part->labels, part->partners, part->shares};
    const struct batch_result result =
        loss_softmax(&options, &targets, part->logits, program->tail.dlogits);
    r = program_backward(program, part);
    if (r < 0)
        return r;
    *ret_result = result;
    return 0;
}

static int onednn_update(struct program *base, const struct optimizer_update *update)
{
    struct onednn_program *program = program_of(base);
    const struct optimizer_slabs slabs = slabs_of(program);
    profile_start(program);
    int r = optimizer_step(&program->recipe, update, &slabs);
    program->imported = false;
    profile_stop(program, PROFILE_UPDATE);
    return r;
}

static int onednn_infer(struct program *base, const struct part *part,
                        struct batch_result *ret_result)
{
    struct onednn_program *program = program_of(base);
    assert(part->count <= program->images);
    values_use(program, program->averages ? program->averages : program->weights);
    int r = program_forward(program, part, false);
    if (r < 0)
        return r;
    const struct loss_options options = {part->count, program->tail.classes, 0, 0};
    const struct loss_targets targets = {.labels = part->labels};
    *ret_result = loss_softmax(&options, &targets, part->logits, NULL);
    return 0;
}

static float *slab_of(const struct onednn_program *program, enum value_class class)
{
    switch (class) {
    case VALUE_PARAMETER:
        return program->weights;
    case VALUE_AVERAGE:
        return program->averages;
    case VALUE_STATE_0:
        return program->states[0];
    case VALUE_STATE_1:
        return program->states[1];
    case VALUE_GRADIENT:
        break;
    }
    return program->gradients;
}

static int onednn_read(struct program *base, enum value_class class, size_t index,
                       float *ret_values)
{
    const struct onednn_program *program = program_of(base);
    parameter_unpack(&program->places, index, slab_of(program, class), ret_values);
    return 0;
}

static int onednn_write(struct program *base, enum value_class class, size_t index,
                        const float *values)
{
    struct onednn_program *program = program_of(base);
    parameter_pack(&program->places, index, values, slab_of(program, class));
    program->imported = false;
    return 0;
}

static void onednn_poison(struct program *base)
{
    struct onednn_program *program = program_of(base);
    for (size_t i = 0; i < program->slot_count; i++) {
        if (program->slots[i].kept || program->buffers[i].bytes == 0)
            continue;
        const struct slot *slot = &program->slots[i];
        void *values = slot->map ? *slot->map : *slot->floats;
        memset(values, 0xff, program->buffers[i].bytes); /* NaN as a float, a double, a bfloat16 */
    }
}

void onednn_profile(struct program *base, struct profile *profile)
{
    program_of(base)->profile = profile;
}

const struct backend *backend_onednn(void)
{
    static const struct backend backend = {
        .name = "onednn",
        .device_open = onednn_open,
        .device_close = onednn_close,
        .compile = onednn_compile,
        .release = onednn_release,
        .train = onednn_train,
        .update = onednn_update,
        .infer = onednn_infer,
        .read = onednn_read,
        .write = onednn_write,
        .poison = onednn_poison,
    };
    return &backend;
}
