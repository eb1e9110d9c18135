#include "worker/engine/memory_plan.h"
#include "worker/engine/onednn/program.h"

#include <errno.h>
#include <stdlib.h>

/* A chunk's input and output should stay in the second-level cache while it passes through a unit. A constant, not the
 * machine's size: the chunk decides in which order sums are made. */
enum { CHUNK_BYTES = 1 << 20 };

enum { SLOTS_A_UNIT_MAX = 24, SLOTS_OTHER_MAX = 32 };

/* ---- chunks ---- */

/* The most images that divide the part and, with this many elements each, fit the cache; at least one. */
static uint32_t chunk_of(const struct onednn_program *program, size_t elements)
{
    const size_t most = CHUNK_BYTES / (elements * program->kernels->map_bytes);
    uint32_t chunk = 1;
    for (uint32_t divisor = 2; divisor <= program->images && divisor <= most; divisor++)
        if (program->images % divisor == 0)
            chunk = divisor;
    return chunk;
}

static size_t unit_in_elements(const struct unit *unit)
{
    return map_elements(unit->in_size, unit->in_channels);
}

static size_t unit_out_elements(const struct unit *unit)
{
    return map_elements(unit->out_size, unit->out_channels);
}

static void chunks_set(struct onednn_program *program)
{
    for (uint32_t i = 0; i < program->unit_count; i++) {
        struct unit *unit = &program->units[i];
        unit->chunk = chunk_of(program, unit_in_elements(unit) + unit_out_elements(unit));
    }
    program->tail.chunk =
        chunk_of(program, unit_out_elements(&program->units[program->unit_count - 1]));
}

/* ---- the library's passes ---- */

static int unit_compile(struct onednn_program *program, struct unit *unit)
{
    const struct convolution_shape shape = {.images = unit->chunk,
                                            .in_channels = unit->in_channels,
                                            .out_channels = unit->out_channels,
                                            .in_size = unit->in_size,
                                            .out_size = unit->out_size,
                                            .kernel = unit->kernel,
                                            .stride = unit->stride,
                                            .lanes = program->kernels->lanes,
                                            .bfloat = program->kernels->map_bytes == 2,
                                            .plain_input = unit->kind == UNIT_STEM};
    const int passes = unit->kind == UNIT_DENSE ? 3 : unit->kind == UNIT_STEM ? 1 : 0;
    for (int pass = 0; pass < passes; pass++) {
        int r = convolution_new(program->device->context, (enum convolution_pass)pass, &shape,
                                &unit->passes[pass]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- slots ---- */

/* Moments: forward of unit k at k, the tail at unit_count, backward of unit k at 2 unit_count - k. */
struct life {
    uint32_t first, last;
};

static struct life always(const struct onednn_program *program)
{
    return (struct life){0, 2 * program->unit_count};
}

static struct life forward_to_backward(const struct onednn_program *program, uint32_t unit)
{
    return (struct life){unit, 2 * program->unit_count - unit};
}

static void slot_add(struct onednn_program *program, float **pointer, size_t floats,
                     struct life life)
{
    program->slots[program->slot_count] = (struct slot){.floats = pointer};
    program->buffers[program->slot_count++] = (struct memory_buffer){
        .bytes = floats * sizeof(float), .first = life.first, .last = life.last};
}

static void slot_add_map(struct onednn_program *program, void **pointer, size_t elements,
                         struct life life)
{
    program->slots[program->slot_count] = (struct slot){.map = pointer};
    program->buffers[program->slot_count++] = (struct memory_buffer){
        .bytes = elements * program->kernels->map_bytes, .first = life.first, .last = life.last};
}

static void slot_add_kept(struct onednn_program *program, float **pointer, size_t floats)
{
    slot_add(program, pointer, floats, always(program));
    program->slots[program->slot_count - 1].kept = true;
}

static void norm_slots(struct onednn_program *program, struct unit *unit)
{
    struct unit_norm *norm = &unit->norm;
    float **const values[] = {&norm->pivot,  &norm->batch_mean, &norm->inverse, &norm->slope,
                              &norm->offset, &norm->by_g,       &norm->by_z,    &norm->constant};
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
        slot_add(program, values[i], unit->out_channels, always(program));
    const size_t floats_a_double = sizeof(double) / sizeof(float);
    slot_add(program, &norm->sums, 2 * floats_a_double * unit->out_channels, always(program));
}

static void gate_slots(struct onednn_program *program, uint32_t index)
{
    struct unit *unit = &program->units[index];
    struct unit_gate *gate = &unit->gate;
    const size_t wide = (size_t)program->images * unit->in_channels;
    const size_t narrow = (size_t)program->images * gate->squeezed;
    const struct life life = forward_to_backward(program, index);
    slot_add(program, &gate->mean, wide, life);
    slot_add(program, &gate->reduced, narrow, life);
    slot_add(program, &gate->active, narrow, life);
    slot_add(program, &gate->gate, wide, life);
}

static void map_slots(struct onednn_program *program, uint32_t index)
{
    struct unit *unit = &program->units[index];
    const struct life life = forward_to_backward(program, index);
    slot_add_map(program, &unit->z, program->images * unit_out_elements(unit), life);
    if (unit->stored)
        slot_add_map(program, &unit->x, program->images * unit_in_elements(unit), life);
    /* written by the backward pass of the unit after, or the tail; read by this one's, and, where it is the gradient of a
     * residual, by that of the unit whose input was added */
    const uint32_t reader = unit->norm.residual == UNIT_NONE ? index : unit->norm.residual;
    const struct life gradient = {2 * program->unit_count - (index + 1),
                                  2 * program->unit_count - reader};
    slot_add_map(program, &unit->g, program->images * unit_out_elements(unit), gradient);
}

static void import_slots(struct onednn_program *program, struct unit *unit)
{
    for (int pass = 0; pass < CONVOLUTION_BACKWARD_WEIGHTS; pass++) {
        const size_t bytes = unit->passes[pass] ? convolution_weight_bytes(unit->passes[pass]) : 0;
        if (bytes > 0)
            slot_add_kept(program, &unit->imported[pass],
                          (bytes + sizeof(float) - 1) / sizeof(float));
    }
}

static void slab_slots(struct onednn_program *program)
{
    slot_add_kept(program, &program->weights, program->places.total);
    if (program->recipe.ema_decay > 0)
        slot_add_kept(program, &program->averages, program->places.total);
    slot_add(program, &program->gradients, program->places.trained, always(program));
    for (size_t i = 0; i < optimizer_state_count(program->recipe.optimizer); i++)
        slot_add_kept(program, &program->states[i], program->places.trained);
}

static void tail_slots(struct onednn_program *program)
{
    struct tail *tail = &program->tail;
    const size_t wide = (size_t)program->images * tail->channels;
    slot_add(program, &tail->mean, wide, always(program));
    slot_add(program, &tail->dmean, wide, always(program));
    slot_add(program, &tail->dlogits, (size_t)program->images * tail->classes, always(program));
}

static void raise_to(size_t *most, size_t value)
{
    if (value > *most)
        *most = value;
}

/* The largest that any unit needs of each chunk buffer, in elements of maps and in floats. */
struct chunk_needs {
    size_t plain, in, out, weights, wide, narrow, kernel, library;
};

static void kernel_needs(const struct onednn_program *program, const struct unit *unit,
                         struct chunk_needs *needs)
{
    const struct kernels *kernels = program->kernels;
    const uint32_t blocks = unit->out_channels / kernels->lanes;
    if (unit->kind == UNIT_STEM) {
        const struct stem_shape shape = {unit->chunk,   unit->in_channels, blocks,
                                         unit->in_size, unit->out_size,    unit->kernel,
                                         unit->stride};
        raise_to(&needs->kernel, kernels->stem_scratch(&shape));
    } else if (unit->kind == UNIT_DEPTHWISE) {
        const struct depthwise_shape shape = {unit->chunk,    blocks,       unit->in_size,
                                              unit->out_size, unit->kernel, unit->stride};
        raise_to(&needs->kernel, kernels->depthwise_scratch(&shape));
    }
}

static void unit_needs(const struct onednn_program *program, const struct unit *unit,
                       struct chunk_needs *needs)
{
    const size_t in = unit->chunk * unit_in_elements(unit);
    if (unit->kind == UNIT_STEM)
        raise_to(&needs->plain, in);
    else
        raise_to(&needs->in, in);
    raise_to(&needs->out, unit->chunk * unit_out_elements(unit));
    raise_to(&needs->wide, (size_t)unit->chunk * unit->in_channels);
    raise_to(&needs->narrow, (size_t)unit->chunk * unit->gate.squeezed);
    kernel_needs(program, unit, needs);
    for (int pass = 0; pass < 3; pass++) {
        if (!unit->passes[pass])
            continue;
        raise_to(&needs->library,
                 convolution_scratch_bytes(unit->passes[pass]) / sizeof(float) + 1);
        raise_to(&needs->weights, convolution_weight_bytes(unit->passes[pass]) / sizeof(float));
    }
    if (unit->kind == UNIT_DENSE)
        raise_to(&needs->weights, program->places.places[unit->weight].floats);
}

static void chunk_slots(struct onednn_program *program)
{
    struct chunk_needs needs = {0};
    for (uint32_t i = 0; i < program->unit_count; i++)
        unit_needs(program, &program->units[i], &needs);
    const struct unit *last = &program->units[program->unit_count - 1];
    raise_to(&needs.in, program->tail.chunk * unit_out_elements(last));

    struct chunk_buffers *chunk = &program->chunk;
    const struct {
        void **pointer;
        size_t elements;
    } maps[] = {{&chunk->plain, needs.plain},  {&chunk->y, needs.in},   {&chunk->x, needs.in},
                {&chunk->act_slope, needs.in}, {&chunk->dz, needs.out}, {&chunk->dx, needs.in}};
    for (size_t i = 0; i < ARRAY_LENGTH(maps); i++)
        slot_add_map(program, maps[i].pointer, maps[i].elements, always(program));
    const struct {
        float **pointer;
        size_t floats;
    } slots[] = {{&chunk->dw, needs.weights},      {&chunk->dw_sum, needs.weights},
                 {&chunk->dgate, needs.wide},      {&chunk->dexpanded, needs.wide},
                 {&chunk->dreduced, needs.narrow}, {&chunk->dmean, needs.wide},
                 {&chunk->kernel, needs.kernel},   {&chunk->library, needs.library}};
    for (size_t i = 0; i < ARRAY_LENGTH(slots); i++)
        slot_add(program, slots[i].pointer, slots[i].floats, always(program));
}

static void slots_list(struct onednn_program *program)
{
    slab_slots(program);
    for (uint32_t i = 0; i < program->unit_count; i++) {
        norm_slots(program, &program->units[i]);
        map_slots(program, i);
        import_slots(program, &program->units[i]);
        if (program->units[i].gated)
            gate_slots(program, i);
    }
    tail_slots(program);
    chunk_slots(program);
}

static int slots_place(struct onednn_program *program, struct error *error)
{
    struct onednn_device *device = program->device;
    size_t bytes = 0;
    int r = memory_plan(program->buffers, program->slot_count, &bytes);
    if (r < 0)
        return error_set(error, r, "", "out of memory");
    const size_t bytes_max = device->device.bytes_max;
    program->program.bytes = bytes;
    device->device.bytes_needed = bytes;
    if (bytes_max && bytes > bytes_max)
        return error_set(error, -ENOMEM, "", "the plan needs %zu bytes, the limit is %zu", bytes,
                         bytes_max);
    r = arena_reserve(&device->arena, bytes);
    if (r < 0)
        return error_set(error, r, "", "the plan needs %zu bytes", bytes);
    for (size_t i = 0; i < program->slot_count; i++) {
        const struct slot *slot = &program->slots[i];
        void *place = device->arena.base + program->buffers[i].offset;
        if (program->buffers[i].bytes == 0)
            continue;
        if (slot->map)
            *slot->map = place;
        else
            *slot->floats = place;
    }
    return 0;
}

int program_lay_out(struct onednn_program *program, struct error *error)
{
    const size_t slots = (size_t)program->unit_count * SLOTS_A_UNIT_MAX + SLOTS_OTHER_MAX;
    program->slots = calloc(slots, sizeof *program->slots);
    program->buffers = calloc(slots, sizeof *program->buffers);
    if (!program->slots || !program->buffers)
        return error_set(error, -ENOMEM, "", "out of memory");
    chunks_set(program);
    for (uint32_t i = 0; i < program->unit_count; i++) {
        int r = unit_compile(program, &program->units[i]);
        if (r < 0)
            return error_set(error, r, "",
                             "oneDNN cannot run a convolution of this network (error %d)", -r);
    }
    slots_list(program);
    return slots_place(program, error);
}
