/* The backward pass of the units, from the gradient of pooling down to the first one's weights. */
#include "kernels/map.h"
#include "worker/engine/cuda/passes.h"

static const struct unit *unit_of(const struct cuda_program *program, const struct launch *launch)
{
    return &program->units[launch->unit];
}

/* Whether dz is the gradient of BN(y) already, its sums having been made with it. */
static bool dz_is_normal(const struct cuda_program *program, const struct unit *unit)
{
    return !unit_is_last(program, unit) && unit[1].input == INPUT_NORMALISED;
}

/* The normalisation that dz is the gradient of. */
static struct batch_norm norm_of(const struct cuda_program *program, const struct launch *launch,
                                 const struct unit *unit)
{
    struct batch_norm norm = unit_norm(program, launch, unit);
    norm.silu = norm.silu && !dz_is_normal(program, unit);
    return norm;
}

static struct batch_norm_incoming incoming_of(const struct cuda_program *program,
                                              const struct launch *launch, const struct unit *unit)
{
    if (unit_is_last(program, unit))
        return (struct batch_norm_incoming){.added =
                                                launch_data(program, launch, program->tail.dpooled),
                                            .features = features_in_use(program, launch)};
    struct batch_norm_incoming incoming = {.map = launch_data(program, launch, unit->dz),
                                           .branch = unit_branch(program, launch, unit)};
    if (unit->gated) {
        incoming.gate = launch_data(program, launch, unit->gate.gate);
        incoming.added = launch_data(program, launch, unit->gate.added);
    }
    return incoming;
}

static struct batch_norm_gradients gradients_of(const struct cuda_program *program,
                                                const struct launch *launch,
                                                const struct unit *unit)
{
    return (struct batch_norm_gradients){.dscale = launch_gradient(program, launch, unit->norm),
                                         .dshift = launch_gradient(program, launch, unit->norm + 1),
                                         .means = launch_data(program, launch, unit->means),
                                         .ret_dx = launch_data_if_named(program, launch, unit->dy),
                                         .first = program->run.first};
}

/* ---- what is launched ---- */

static int run_sums(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const struct batch_norm norm = norm_of(program, launch, unit);
    const struct batch_norm_incoming incoming = incoming_of(program, launch, unit);
    return batch_norm_backward_sums_launch(&norm, &incoming, program->device->stream);
}

static int run_finish(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const struct batch_norm norm = norm_of(program, launch, unit);
    const struct batch_norm_gradients gradients = gradients_of(program, launch, unit);
    return batch_norm_backward_finish_launch(&norm, backward_slices(program, unit), &gradients,
                                             program->device->stream);
}

static int run_apply(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const struct batch_norm norm = norm_of(program, launch, unit);
    const struct batch_norm_incoming incoming = incoming_of(program, launch, unit);
    const struct batch_norm_gradients gradients = gradients_of(program, launch, unit);
    return batch_norm_backward_apply_launch(&norm, &incoming, &gradients, program->device->stream);
}

static int run_squeeze_sums(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const struct batch_norm norm = norm_of(program, launch, unit);
    return squeeze_sums_launch(&norm, launch_data(program, launch, unit->dz),
                               launch_data(program, launch, unit->gate.sums),
                               program->device->stream);
}

static int run_squeeze(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const size_t first = unit->gate.parameter;
    const struct squeeze squeeze = unit_squeeze(program, launch, unit);
    const struct squeeze_gradients gradients = {
        .dreduce = launch_gradient(program, launch, first),
        .dreduce_bias = launch_gradient(program, launch, first + 1),
        .dexpand = launch_gradient(program, launch, first + 2),
        .dexpand_bias = launch_gradient(program, launch, first + 3),
        .scratch = launch_data(program, launch, unit->gate.scratch),
        .first = program->run.first};
    return squeeze_backward_launch(&squeeze, launch_data(program, launch, unit->gate.sums),
                                   &gradients, launch_data(program, launch, unit->gate.added),
                                   program->device->stream);
}

static int run_squeeze_finish(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const struct batch_norm norm = norm_of(program, launch, unit);
    const struct batch_norm_gradients gradients = gradients_of(program, launch, unit);
    const struct squeeze_finish finish = {.sums = launch_data(program, launch, unit->gate.sums),
                                          .gate = launch_data(program, launch, unit->gate.gate),
                                          .added = launch_data(program, launch, unit->gate.added)};
    return squeeze_finish_launch(&norm, &finish, &gradients, program->device->stream);
}

static int run_filter(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const struct convolver_tensors tensors = {
        .x = launch_data(program, launch, unit_input_map(program, unit)),
        .y = launch_data(program, launch, unit->dy),
        .dweights = launch_gradient(program, launch, unit->weight),
        .add = !program->run.first,
        .workspace = launch_data(program, launch, unit->workspaces[CONVOLUTION_BACKWARD_FILTER])};
    return convolver_run(program->device->convolver, unit->plans[CONVOLUTION_BACKWARD_FILTER],
                         &tensors);
}

static int run_data(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const struct convolver_tensors tensors = {
        .x = launch_data(program, launch, unit[-1].dz),
        .y = launch_data(program, launch, unit->dy),
        .weights = launch_half(program, launch, unit->weight),
        .workspace = launch_data(program, launch, unit->workspaces[CONVOLUTION_BACKWARD_DATA])};
    return convolver_run(program->device->convolver, unit->plans[CONVOLUTION_BACKWARD_DATA],
                         &tensors);
}

static int run_depthwise(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const struct batch_norm after = norm_of(program, launch, unit);
    const struct depthwise_backward backward = {
        .shape = unit_depthwise_shape(program, unit),
        .input = unit_depthwise_input(program, launch, unit),
        .weights = launch_value(program, launch, unit->weight),
        .after = &after,
        .incoming = incoming_of(program, launch, unit),
        .means = launch_data(program, launch, unit->means),
        .ret_dx = launch_data(program, launch, unit[-1].dz),
        .ret_partials = launch_data_if_named(program, launch, unit[-1].backward_sums),
        .weight_partials = launch_data(program, launch, unit->weight_sums),
        .dweights = launch_gradient(program, launch, unit->weight),
        .first = program->run.first};
    return depthwise_backward_launch(&backward, program->device->stream);
}

static int run_add(struct cuda_program *program, const struct launch *launch)
{
    const struct unit *unit = unit_of(program, launch);
    const struct unit *after = &program->units[unit->residual_to];
    const size_t elements = (size_t)program->images * unit_pixels(unit) * unit->shape.out_channels;
    return map_add_launch(launch_data(program, launch, unit->dz),
                          launch_data(program, launch, after->dz), elements,
                          program->device->stream);
}

static const struct launch_kind sums = {"batch_norm_backward_sums_launch", run_sums};
static const struct launch_kind norm_finish = {"batch_norm_backward_finish_launch", run_finish};
static const struct launch_kind apply = {"batch_norm_backward_apply_launch", run_apply};
static const struct launch_kind squeeze_sums = {"squeeze_sums_launch", run_squeeze_sums};
static const struct launch_kind squeeze = {"squeeze_backward_launch", run_squeeze};
static const struct launch_kind squeeze_finish = {"squeeze_finish_launch", run_squeeze_finish};
static const struct launch_kind filter = {"convolver_run backward-filter", run_filter};
static const struct launch_kind data = {"convolver_run backward-data", run_data};
static const struct launch_kind depthwise = {"depthwise_backward_launch", run_depthwise};
static const struct launch_kind add = {"map_add_launch", run_add};

/* ---- the schedule ---- */

static void launch_reads_incoming(struct cuda_program *program, const struct unit *unit)
{
    if (unit_is_last(program, unit)) {
        launch_reads(program, program->tail.dpooled);
        launch_reads(program, program->inputs.features);
        return;
    }
    launch_reads(program, unit->dz);
    if (unit->residual != UNIT_NONE)
        launch_reads(program, program->inputs.branches);
    launch_reads(program, unit->gate.gate);
    launch_reads(program, unit->gate.added);
}

static void launch_writes_norm_gradients(struct cuda_program *program, const struct unit *unit)
{
    launch_writes_parameter(program, program->slabs.gradients, unit->norm);
    launch_writes_parameter(program, program->slabs.gradients, unit->norm + 1);
    launch_writes(program, unit->means);
}

static void squeeze_add(struct cuda_program *program, uint32_t index)
{
    struct unit *unit = &program->units[index];
    struct unit_gate *gate = &unit->gate;
    const size_t wide = (size_t)program->images * unit->shape.out_channels * sizeof(float);
    const struct squeeze shape = {.images = program->images,
                                  .channels = unit->shape.out_channels,
                                  .squeezed = gate->squeezed};
    gate->sums = tensor_add(program, "squeeze sums", index, SQUEEZE_SUMS * wide);
    launch_add(program, &squeeze_sums, index);
    launch_reads(program, unit->y);
    launch_reads_norm(program, unit);
    launch_reads(program, unit->dz);
    launch_writes(program, gate->sums);

    gate->added = tensor_add(program, "added", index, wide);
    gate->scratch =
        tensor_add(program, "squeeze scratch", index, squeeze_scratch(&shape) * sizeof(float));
    launch_add(program, &squeeze, index);
    launch_reads(program, gate->sums);
    launch_reads(program, gate->pooled);
    launch_reads(program, gate->reduced);
    launch_reads(program, gate->active);
    launch_reads(program, gate->gate);
    for (size_t i = 0; i < 4; i++) {
        launch_reads_parameter(program, program->slabs.values, gate->parameter + i);
        launch_writes_parameter(program, program->slabs.gradients, gate->parameter + i);
    }
    launch_writes(program, gate->scratch);
    launch_writes(program, gate->added);

    launch_add(program, &squeeze_finish, index);
    launch_reads(program, gate->sums);
    launch_reads(program, gate->gate);
    launch_reads(program, gate->added);
    launch_reads_norm(program, unit);
    launch_writes_norm_gradients(program, unit);
}

static void norm_add(struct cuda_program *program, uint32_t index)
{
    struct unit *unit = &program->units[index];
    if (!dz_is_normal(program, unit)) {
        unit->backward_sums = tensor_add(program, "backward sums", index,
                                         (size_t)backward_slices(program, unit) * 2 *
                                             unit->shape.out_channels * sizeof(float));
        launch_add(program, &sums, index);
        launch_reads(program, unit->y);
        launch_reads_norm(program, unit);
        launch_reads_incoming(program, unit);
        launch_writes(program, unit->backward_sums);
    }
    launch_add(program, &norm_finish, index);
    launch_reads(program, unit->backward_sums);
    launch_reads_norm(program, unit);
    launch_writes_norm_gradients(program, unit);
}

/* Before the unit before is worked on: the gradient of its z. */
static void dz_add(struct cuda_program *program, uint32_t index)
{
    struct unit *unit = &program->units[index];
    unit->dz = tensor_add(program, "dz", index,
                          map_bytes(program, unit->shape.out_size, unit->shape.out_channels));
}

static void dense_add(struct cuda_program *program, uint32_t index)
{
    struct unit *unit = &program->units[index];
    unit->dy = tensor_add(program, "dy", index,
                          map_bytes(program, unit->shape.out_size, unit->shape.out_channels));
    launch_add(program, &apply, index);
    launch_reads(program, unit->y);
    launch_reads_norm(program, unit);
    launch_reads_incoming(program, unit);
    launch_reads(program, unit->means);
    launch_writes(program, unit->dy);

    unit->workspaces[CONVOLUTION_BACKWARD_FILTER] =
        workspace_add(program, index, CONVOLUTION_BACKWARD_FILTER);
    launch_add(program, &filter, index);
    launch_reads(program, unit_input_map(program, unit));
    launch_reads(program, unit->dy);
    launch_writes_parameter(program, program->slabs.gradients, unit->weight);
    launch_writes(program, unit->workspaces[CONVOLUTION_BACKWARD_FILTER]);
    if (index == 0)
        return;

    unit->workspaces[CONVOLUTION_BACKWARD_DATA] =
        workspace_add(program, index, CONVOLUTION_BACKWARD_DATA);
    dz_add(program, index - 1);
    launch_add(program, &data, index);
    launch_reads(program, unit->dy);
    launch_reads_parameter(program, program->slabs.halves, unit->weight);
    launch_writes(program, unit[-1].dz);
    launch_writes(program, unit->workspaces[CONVOLUTION_BACKWARD_DATA]);
}

static void depthwise_add(struct cuda_program *program, uint32_t index)
{
    struct unit *unit = &program->units[index], *before = unit - 1;
    const struct depthwise_shape shape = unit_depthwise_shape(program, unit);
    const size_t slices = depthwise_backward_slices(&shape);
    unit->weight_sums =
        tensor_add(program, "weight sums", index,
                   slices * shape.kernel * shape.kernel * shape.channels * sizeof(float));
    dz_add(program, index - 1);
    if (unit->input == INPUT_NORMALISED)
        before->backward_sums = tensor_add(program, "backward sums", index - 1,
                                           slices * 2 * shape.channels * sizeof(float));
    launch_add(program, &depthwise, index);
    launch_reads_depthwise_input(program, unit);
    launch_reads_parameter(program, program->slabs.values, unit->weight);
    launch_reads(program, unit->y);
    launch_reads_norm(program, unit);
    launch_reads_incoming(program, unit);
    launch_reads(program, unit->means);
    launch_writes(program, before->dz);
    launch_writes(program, before->backward_sums);
    launch_writes(program, unit->weight_sums);
    launch_writes_parameter(program, program->slabs.gradients, unit->weight);
}

/* What flows past the block is added to what flows through it. */
static void residual_add(struct cuda_program *program, uint32_t index)
{
    const struct unit *unit = &program->units[index];
    if (unit->residual_to == UNIT_NONE)
        return;
    launch_add(program, &add, index);
    launch_reads(program, program->units[unit->residual_to].dz);
    launch_reads(program, unit->dz);
    launch_writes(program, unit->dz);
}

void cuda_schedule_backward(struct cuda_program *program)
{
    for (uint32_t i = program->unit_count; i-- > 0;) {
        struct unit *unit = &program->units[i];
        unit->means =
            tensor_add(program, "means", i, 2 * (size_t)unit->shape.out_channels * sizeof(float));
        if (unit->gated)
            squeeze_add(program, i);
        else
            norm_add(program, i);
        if (unit->shape.depthwise)
            depthwise_add(program, i);
        else
            dense_add(program, i);
        if (i > 0)
            residual_add(program, i - 1);
    }
}
