#include "worker/engine/cuda/passes.h"

size_t unit_pixels(const struct unit *unit)
{
    return (size_t)unit->shape.out_size * unit->shape.out_size;
}

struct batch_norm_shape unit_norm_shape(const struct cuda_program *program, const struct unit *unit)
{
    return (struct batch_norm_shape){.images = program->images,
                                     .pixels = (uint32_t)unit_pixels(unit),
                                     .channels = unit->shape.out_channels};
}

struct batch_norm unit_norm(const struct cuda_program *program, const struct launch *launch,
                            const struct unit *unit)
{
    float *moments = launch_data(program, launch, unit->moments);
    float *sums = launch_data_if_named(program, launch, unit->sums);
    return (struct batch_norm){
        .shape = unit_norm_shape(program, unit),
        .x = launch_data_if_named(program, launch, unit->y),
        .scale = launch_value(program, launch, unit->norm),
        .shift = launch_value(program, launch, unit->norm + 1),
        .mean = moments,
        .inverse = moments + unit->shape.out_channels,
        .partials = sums ? sums : launch_data_if_named(program, launch, unit->backward_sums),
        .silu = unit->silu};
}

struct batch_norm_running unit_running(const struct cuda_program *program,
                                       const struct launch *launch, const struct unit *unit)
{
    return (struct batch_norm_running){.mean = launch_value(program, launch, unit->norm + 2),
                                       .variance = launch_value(program, launch, unit->norm + 3),
                                       .momentum = program->recipe.bn_momentum,
                                       .epsilon = GRAPH_NORM_EPSILON,
                                       .keep = program->run.keep_statistics};
}

const float *unit_branch(const struct cuda_program *program, const struct launch *launch,
                         const struct unit *unit)
{
    if (unit->residual == UNIT_NONE || !program->run.training ||
        program->run.masks.stochastic_depth <= 0)
        return NULL;
    const float *branches = launch_data(program, launch, program->inputs.branches);
    return branches + (size_t)unit->block * program->images;
}

struct depthwise_shape unit_depthwise_shape(const struct cuda_program *program,
                                            const struct unit *unit)
{
    return (struct depthwise_shape){.images = program->images,
                                    .channels = unit->shape.out_channels,
                                    .in_size = unit->shape.in_size,
                                    .out_size = unit->shape.out_size,
                                    .kernel = unit->shape.kernel,
                                    .stride = unit->shape.stride};
}

struct depthwise_input unit_depthwise_input(const struct cuda_program *program,
                                            const struct launch *launch, const struct unit *unit)
{
    const struct unit *before = unit - 1;
    if (unit->input == INPUT_MAP)
        return (struct depthwise_input){.x = launch_data(program, launch, before->z)};
    const struct batch_norm norm = unit_norm(program, launch, before);
    return (struct depthwise_input){.x = launch_data(program, launch, before->y),
                                    .scale = norm.scale,
                                    .shift = norm.shift,
                                    .mean = norm.mean,
                                    .inverse = norm.inverse,
                                    .silu = norm.silu};
}

struct squeeze unit_squeeze(const struct cuda_program *program, const struct launch *launch,
                            const struct unit *unit)
{
    const struct unit_gate *gate = &unit->gate;
    return (struct squeeze){.images = program->images,
                            .channels = unit->shape.out_channels,
                            .squeezed = gate->squeezed,
                            .pooled = launch_data(program, launch, gate->pooled),
                            .reduce = launch_value(program, launch, gate->parameter),
                            .reduce_bias = launch_value(program, launch, gate->parameter + 1),
                            .expand = launch_value(program, launch, gate->parameter + 2),
                            .expand_bias = launch_value(program, launch, gate->parameter + 3),
                            .reduced = launch_data(program, launch, gate->reduced),
                            .active = launch_data(program, launch, gate->active),
                            .gate = launch_data(program, launch, gate->gate)};
}

void launch_reads_norm(struct cuda_program *program, const struct unit *unit)
{
    launch_reads(program, unit->moments);
    launch_reads_parameter(program, program->slabs.values, unit->norm);
    launch_reads_parameter(program, program->slabs.values, unit->norm + 1);
}

uint32_t backward_slices(const struct cuda_program *program, const struct unit *unit)
{
    if (!unit_is_last(program, unit) && unit[1].input == INPUT_NORMALISED) {
        const struct depthwise_shape shape = unit_depthwise_shape(program, unit + 1);
        return depthwise_backward_slices(&shape);
    }
    const struct batch_norm_shape shape = unit_norm_shape(program, unit);
    return batch_norm_slices(&shape);
}

const float *features_in_use(const struct cuda_program *program, const struct launch *launch)
{
    if (!program->run.training || program->run.masks.dropout <= 0)
        return NULL;
    return launch_data(program, launch, program->inputs.features);
}

uint32_t unit_input_map(const struct cuda_program *program, const struct unit *unit)
{
    assert(unit->input != INPUT_NORMALISED);
    return unit->input == INPUT_IMAGES ? program->inputs.packed : unit[-1].z;
}

uint32_t unit_residual(const struct cuda_program *program, const struct unit *unit)
{
    return unit->residual == UNIT_NONE ? TENSOR_NONE : program->units[unit->residual].z;
}

void launch_reads_depthwise_input(struct cuda_program *program, const struct unit *unit)
{
    const struct unit *before = unit - 1;
    if (unit->input == INPUT_MAP) {
        launch_reads(program, before->z);
        return;
    }
    launch_reads(program, before->y);
    launch_reads_norm(program, before);
}

uint32_t workspace_add(struct cuda_program *program, uint32_t unit, enum convolution_pass pass)
{
    return tensor_add(program, "workspace", unit,
                      convolver_workspace(program->units[unit].plans[pass]));
}
