/* The forward pass of the units, of training and of evaluation: which of the two, program->run says when it runs. */
#include "kernels/image.h"
#include "kernels/masks.h"
#include "worker/engine/cuda/passes.h"

static const struct unit *unit_of(const struct cuda_program *program, const struct launch *launch)
{
    return &program->units[launch->unit];
}

/* ---- what is launched ---- */

/* In training; evaluation drops nothing. */
static int run_masks(struct cuda_program *program, const struct launch *launch)
{
    const struct part_masks *masks = &program->run.masks;
    const struct inputs *inputs = &program->inputs;
    const struct masks_draw draw = {
        .seed = masks->key.seed,
        .first = masks->key.first,
        .images = program->images,
        .blocks = program->program.graph->block_count,
        .features = program->program.graph->features,
        .stride = program->tail.channels,
        .branch_rate = masks->stochastic_depth,
        .feature_rate = masks->dropout,
        .ret_branches =
            masks->stochastic_depth > 0 ? launch_data(program, launch, inputs->branches) : NULL,
        .ret_features = masks->dropout > 0 ? launch_data(program, launch, inputs->features) : NULL};
    if (!program->run.training || (!draw.ret_branches && !draw.ret_features))
        return 0;
    return masks_launch(&draw, launch_data(program, launch, inputs->control),
                        program->device->stream);
}

static int run_augment(struct cuda_program *program, const struct launch *launch)
{
    struct image_store *store = program->device->images;
    const uint32_t first = program->run.batch_first;
    /* The bytes of all parts are made before the first one's images. */
    const int r = first == 0 ? image_store_launch_bytes(store) : 0;
    if (r < 0)
        return r;
    return image_store_launch_images(store, first, program->images,
                                     launch_data(program, launch, program->inputs.packed));
}

static int run_pack(struct cuda_program *program, const struct launch *launch)
{
    const struct problem *problem = &program->program.graph->problem;
    const struct images_shape shape = {program->images, problem->image_size,
                                       problem->image_channels};
    return images_pack_launch(launch_data(program, launch, program->inputs.images), &shape,
                              launch_data(program, launch, program->inputs.packed),
                              program->device->stream);
}

static int run_convolution(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const struct convolver_tensors tensors = {
        .x = launch_data(program, launch, unit_input_map(program, unit)),
        .y = launch_data(program, launch, unit->y),
        .weights = launch_half(program, launch, unit->weight),
        .workspace = launch_data(program, launch, unit->workspaces[CONVOLUTION_FORWARD])};
    return convolver_run(program->device->convolver, unit->plans[CONVOLUTION_FORWARD], &tensors);
}

static int run_depthwise(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const bool training = program->run.training;
    const struct depthwise_forward forward = {
        .shape = unit_depthwise_shape(program, unit),
        .input = unit_depthwise_input(program, launch, unit),
        .weights = launch_value(program, launch, unit->weight),
        .pivot = training ? launch_value(program, launch, unit->norm + 2) : NULL,
        .ret_y = launch_data(program, launch, unit->y),
        .ret_partials = launch_data(program, launch, unit->sums)};
    return depthwise_forward_launch(&forward, program->device->stream);
}

static int run_statistics(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const struct batch_norm norm = unit_norm(program, launch, unit);
    const struct batch_norm_running running = unit_running(program, launch, unit);
    struct CUstream_st *stream = program->device->stream;
    if (!program->run.training)
        return batch_norm_running_launch(&norm, &running, stream);
    if (!unit->shape.depthwise)
        return batch_norm_statistics_launch(&norm, &running, stream);
    const struct depthwise_shape shape = unit_depthwise_shape(program, unit);
    return batch_norm_statistics_finish_launch(&norm, depthwise_forward_slices(&shape), &running,
                                               stream);
}

static int run_pool(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const struct batch_norm norm = unit_norm(program, launch, unit);
    const struct batch_norm_pool pool = {.ret_pooled =
                                             launch_data(program, launch, unit->gate.pooled)};
    return batch_norm_pool_launch(&norm, &pool, program->device->stream);
}

static int run_squeeze(struct cuda_program *program, const struct launch *launch)
{
    const struct squeeze squeeze = unit_squeeze(program, launch, unit_of(program, launch));
    return squeeze_forward_launch(&squeeze, program->device->stream);
}

static int run_apply(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const struct batch_norm norm = unit_norm(program, launch, unit);
    const struct batch_norm_output output = {
        .branch = unit_branch(program, launch, unit),
        .gate = unit->gated ? launch_data(program, launch, unit->gate.gate) : NULL,
        .residual = launch_data(program, launch, unit_residual(program, unit)),
        .ret_y = launch_data(program, launch, unit->z)};
    return batch_norm_apply_launch(&norm, &output, program->device->stream);
}

static const struct launch_kind masks = {"masks_launch", run_masks};
static const struct launch_kind augment = {"image_store_launch", run_augment};
static const struct launch_kind pack = {"images_pack_launch", run_pack};
static const struct launch_kind convolution = {"convolver_run forward", run_convolution};
static const struct launch_kind depthwise = {"depthwise_forward_launch", run_depthwise};
static const struct launch_kind statistics = {"batch_norm_statistics_launch", run_statistics};
static const struct launch_kind statistics_finish = {"batch_norm_statistics_finish_launch",
                                                     run_statistics};
static const struct launch_kind pool = {"batch_norm_pool_launch", run_pool};
static const struct launch_kind squeeze = {"squeeze_forward_launch", run_squeeze};
static const struct launch_kind apply = {"batch_norm_apply_launch", run_apply};

/* ---- the schedule ---- */

void cuda_schedule_inputs(struct cuda_program *program)
{
    struct inputs *inputs = &program->inputs;
    const struct problem *problem = &program->program.graph->problem;
    const size_t pixels = (size_t)program->images * problem->image_size * problem->image_size;
    inputs->images =
        tensor_add(program, "images", UNIT_NONE, pixels * problem->image_channels * sizeof(float));
    inputs->packed = tensor_add(program, "packed", UNIT_NONE,
                                pixels * program->units[0].shape.in_channels * sizeof(uint16_t));
    launch_add(program, &masks, UNIT_NONE);
    launch_reads(program, inputs->control);
    launch_writes(program, inputs->branches);
    launch_writes(program, inputs->features);
    launch_add(program, program->transforms ? &augment : &pack, UNIT_NONE);
    launch_reads(program, inputs->images);
    launch_writes(program, inputs->packed);
}

static void dense_add(struct cuda_program *program, uint32_t index)
{
    struct unit *unit = &program->units[index];
    const struct batch_norm_shape shape = unit_norm_shape(program, unit);
    unit->sums = tensor_add(program, "sums", index, batch_norm_partials(&shape) * sizeof(float));
    unit->workspaces[CONVOLUTION_FORWARD] = workspace_add(program, index, CONVOLUTION_FORWARD);
    launch_add(program, &convolution, index);
    launch_reads(program, unit_input_map(program, unit));
    launch_reads_parameter(program, program->slabs.halves, unit->weight);
    launch_writes(program, unit->workspaces[CONVOLUTION_FORWARD]);
    launch_writes(program, unit->y);
}

static void depthwise_add(struct cuda_program *program, uint32_t index)
{
    struct unit *unit = &program->units[index];
    const struct depthwise_shape shape = unit_depthwise_shape(program, unit);
    unit->sums =
        tensor_add(program, "sums", index,
                   (size_t)depthwise_forward_slices(&shape) * 2 * shape.channels * sizeof(float));
    launch_add(program, &depthwise, index);
    launch_reads_depthwise_input(program, unit);
    launch_reads_parameter(program, program->slabs.values, unit->weight);
    launch_reads_parameter(program, program->slabs.values, unit->norm + 2);
    launch_writes(program, unit->y);
    launch_writes(program, unit->sums);
}

static void statistics_add(struct cuda_program *program, uint32_t index)
{
    const struct unit *unit = &program->units[index];
    const bool depthwise_before = unit->shape.depthwise;
    launch_add(program, depthwise_before ? &statistics_finish : &statistics, index);
    if (depthwise_before)
        launch_reads(program, unit->sums);
    else {
        launch_reads(program, unit->y);
        launch_writes(program, unit->sums);
    }
    launch_writes_parameter(program, program->slabs.values, unit->norm + 2);
    launch_writes_parameter(program, program->slabs.values, unit->norm + 3);
    launch_writes(program, unit->moments);
}

static void gate_add(struct cuda_program *program, uint32_t index)
{
    struct unit *unit = &program->units[index];
    struct unit_gate *gate = &unit->gate;
    const size_t wide = (size_t)program->images * unit->shape.out_channels * sizeof(float);
    const size_t narrow = (size_t)program->images * gate->squeezed * sizeof(float);
    gate->pooled = tensor_add(program, "pooled", index, wide);
    gate->reduced = tensor_add(program, "reduced", index, narrow);
    gate->active = tensor_add(program, "active", index, narrow);
    gate->gate = tensor_add(program, "gate", index, wide);
    launch_add(program, &pool, index);
    launch_reads(program, unit->y);
    launch_reads_norm(program, unit);
    launch_writes(program, gate->pooled);
    launch_add(program, &squeeze, index);
    launch_reads(program, gate->pooled);
    for (size_t i = 0; i < 4; i++)
        launch_reads_parameter(program, program->slabs.values, gate->parameter + i);
    launch_writes(program, gate->reduced);
    launch_writes(program, gate->active);
    launch_writes(program, gate->gate);
}

/* Whether somebody reads z: a dense convolution, a residual, or a depthwise convolution that cannot make it itself. */
static bool unit_stores_z(const struct cuda_program *program, const struct unit *unit)
{
    return !unit_is_last(program, unit) &&
           (unit[1].input == INPUT_MAP || unit->residual_to != UNIT_NONE);
}

static void apply_add(struct cuda_program *program, uint32_t index)
{
    struct unit *unit = &program->units[index];
    unit->z = tensor_add(program, "z", index,
                         map_bytes(program, unit->shape.out_size, unit->shape.out_channels));
    launch_add(program, &apply, index);
    launch_reads(program, unit->y);
    launch_reads_norm(program, unit);
    if (unit->gated)
        launch_reads(program, unit->gate.gate);
    if (unit->residual != UNIT_NONE) {
        launch_reads(program, unit_residual(program, unit));
        launch_reads(program, program->inputs.branches);
    }
    launch_writes(program, unit->z);
}

void cuda_schedule_forward(struct cuda_program *program)
{
    for (uint32_t i = 0; i < program->unit_count; i++) {
        struct unit *unit = &program->units[i];
        const uint32_t channels = unit->shape.out_channels;
        unit->y = tensor_add(program, "y", i, map_bytes(program, unit->shape.out_size, channels));
        unit->moments = tensor_add(program, "moments", i, 2 * (size_t)channels * sizeof(float));
        unit->z = TENSOR_NONE;
        if (unit->shape.depthwise)
            depthwise_add(program, i);
        else
            dense_add(program, i);
        statistics_add(program, i);
        if (unit->gated)
            gate_add(program, i);
        if (unit_stores_z(program, unit))
            apply_add(program, i);
    }
}
