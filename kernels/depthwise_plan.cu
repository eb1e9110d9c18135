#include "kernels/depthwise_plan.cuh"

#include <assert.h>

void depthwise_shape_check(const struct depthwise_shape *shape)
{
    assert(shape->images > 0 && shape->in_size > 0 && shape->in_size <= DEPTHWISE_SIZE_MAX);
    assert(shape->channels > 0 && shape->channels % OCTET_HALVES == 0);
    assert(shape->kernel % 2 == 1 && shape->kernel <= DEPTHWISE_KERNEL_MAX);
    assert(shape->stride == 1 || shape->stride == 2);
    assert(shape->out_size == (shape->in_size - 1) / shape->stride + 1);
}

bool depthwise_aligned(const void *pointer)
{
    return (uintptr_t)pointer % sizeof(struct octet) == 0;
}

void depthwise_input_check(const struct depthwise_input *input)
{
    const bool normalised = input->scale;
    assert(input->x && depthwise_aligned(input->x));
    assert(!input->shift == !normalised && !input->mean == !normalised);
    assert(!input->inverse == !normalised && (normalised || !input->silu));
    assert(depthwise_aligned(input->scale) && depthwise_aligned(input->shift));
    assert(depthwise_aligned(input->mean) && depthwise_aligned(input->inverse));
}

static uint32_t rounded(size_t bytes)
{
    return depthwise_parts((uint32_t)bytes, sizeof(struct octet)) * (uint32_t)sizeof(struct octet);
}

/* All parts are multiples of 16 bytes. */
static void memory_share(struct depthwise_plan *plan, enum depthwise_direction direction)
{
    const uint32_t stride = plan->shape.stride, channels = plan->octets * OCTET_HALVES;
    const uint32_t halo = side_pixels(plan->images, plan->halo);
    const uint32_t own = side_pixels(plan->images, plan->own);
    const size_t place = sizeof(struct depthwise_place);
    const uint32_t maps = raw_maps(direction);
    const uint32_t kinds = table_kinds(direction);
    plan->halo_places = rounded(sizeof(struct depthwise_steps));
    plan->own_places = plan->halo_places + rounded(halo * place);
    plan->table = plan->own_places + rounded(own * place);
    plan->staged = plan->table + kinds * channels * (uint32_t)sizeof(float);
    plan->raw = plan->staged +
                staged_slots(direction, plan->window) * halo * channels * (uint32_t)sizeof(float);
    plan->written = plan->raw + raw_slots(direction, stride) * maps * halo * channels *
                                    (uint32_t)sizeof(uint16_t);
    const uint32_t used = plan->written + written_slots(direction, stride) * own * channels *
                                              (uint32_t)sizeof(uint16_t);
    /* lanes_add takes a row of taps, or the normalisation's two sums, of all threads at once. */
    const uint32_t kernel = plan->shape.kernel;
    const uint32_t sums = direction == DEPTHWISE_BACKWARD && kernel > 2 ? kernel : 2;
    const uint32_t added =
        plan->staged + sums * plan->images * plan->groups * channels * (uint32_t)sizeof(float);
    plan->bytes = used > added ? used : added;
}

static void sides_make(struct depthwise_plan *plan, enum depthwise_direction direction)
{
    const struct depthwise_shape *shape = &plan->shape;
    const uint32_t stride = shape->stride, padding = shape->kernel / 2;
    const struct depthwise_side input = {shape->in_size, stride, 0, 0};
    const struct depthwise_side output = {shape->out_size, 1, 0, 0};
    const bool forward = direction == DEPTHWISE_FORWARD;
    plan->halo = forward ? input : output;
    plan->own = forward ? output : input;
    plan->halo.padding = forward ? padding : padding / stride;
    plan->own.columns = plan->groups * lane_columns(stride);
    plan->halo.columns = halo_columns(direction, shape->kernel, stride, plan->own.columns);
    plan->units = plan->own.columns / plan->own.scale;
    memory_share(plan, direction);
}

/* Lanes for all channels of a tile, groups for all columns where they suffice, and what is left for several images: as long
 * as there are blocks for all multiprocessors. */
static void threads_share(struct depthwise_plan *plan, enum depthwise_direction direction)
{
    const struct depthwise_shape *shape = &plan->shape;
    const uint32_t width = direction == DEPTHWISE_FORWARD ? shape->out_size : shape->in_size;
    const uint32_t channels = lane_channels(shape->kernel);
    const uint32_t octets = shape->channels / OCTET_HALVES;
    const uint32_t octets_max = DEPTHWISE_LANES * channels / OCTET_HALVES;
    plan->octets = depthwise_parts(octets, depthwise_parts(octets, octets_max));
    if (plan->octets < octets && plan->octets % 2 == 1)
        plan->octets++; /* whole sectors of 32 bytes */
    plan->tiles = depthwise_parts(octets, plan->octets);
    plan->lanes = plan->octets * OCTET_HALVES / channels;
    const uint32_t groups_max = DEPTHWISE_THREADS / plan->lanes;
    const uint32_t groups = depthwise_parts(width, lane_columns(shape->stride));
    plan->unit_tiles = depthwise_parts(groups, groups_max);
    plan->groups = depthwise_parts(groups, plan->unit_tiles);
    const uint64_t blocks = (uint64_t)shape->images * plan->unit_tiles * plan->tiles;
    const uint64_t spare = blocks * 2 / DEPTHWISE_BLOCKS;
    plan->images = depthwise_least(shape->images, groups_max / plan->groups);
    if (spare < plan->images)
        plan->images = spare > 0 ? (uint32_t)spare : 1;
    sides_make(plan, direction);
    while (plan->images > 1 && plan->bytes > DEPTHWISE_SHARED) {
        plan->images--;
        sides_make(plan, direction);
    }
}

/* Down H a map is cut only where there would be too few blocks. Blocks of many strips have as many as each other, one more or
 * less. */
static void strips_share(struct depthwise_plan *plan, enum depthwise_direction direction)
{
    const struct depthwise_shape *shape = &plan->shape;
    const uint32_t blocks_max = DEPTHWISE_BLOCKS * (direction == DEPTHWISE_FORWARD ? 2 : 1);
    const uint32_t sets = depthwise_parts(shape->images, plan->images);
    const uint64_t across = (uint64_t)sets * plan->unit_tiles;
    const uint64_t blocks = across * plan->tiles;
    const uint32_t wanted =
        blocks < DEPTHWISE_BLOCKS ? depthwise_parts(DEPTHWISE_BLOCKS, (uint32_t)blocks) : 1;
    const uint32_t segments =
        depthwise_least(wanted, depthwise_parts(shape->out_size, DEPTHWISE_ROWS_LEAST));
    plan->rows = depthwise_parts(shape->out_size, segments);
    plan->segments = depthwise_parts(shape->out_size, plan->rows);
    assert(across * plan->segments <= UINT32_MAX);
    plan->strips = (uint32_t)across * plan->segments;
    const uint64_t work = (uint64_t)plan->strips * plan->tiles;
    const uint32_t each = (uint32_t)((work - 1) / blocks_max + 1);
    plan->slices = depthwise_parts(plan->strips, each);
}

struct depthwise_plan depthwise_plan_of(enum depthwise_direction direction,
                                        const struct depthwise_shape *shape)
{
    struct depthwise_plan plan = {};
    depthwise_shape_check(shape);
    plan.shape = *shape;
    plan.window = window_of(direction, shape->kernel, shape->stride);
    threads_share(&plan, direction);
    strips_share(&plan, direction);
    return plan;
}

uint32_t depthwise_forward_slices(const struct depthwise_shape *shape)
{
    return depthwise_plan_of(DEPTHWISE_FORWARD, shape).slices;
}

uint32_t depthwise_backward_slices(const struct depthwise_shape *shape)
{
    return depthwise_plan_of(DEPTHWISE_BACKWARD, shape).slices;
}
