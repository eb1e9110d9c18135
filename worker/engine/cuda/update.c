/* The update: the gradients' norm where they are clipped, the optimizer with the averages and the copy in bfloat16, and what
 * came of it. */
#include "kernels/device.h"
#include "kernels/gradient_norm.h"
#include "kernels/optimizer.h"
#include "worker/engine/cuda/program.h"

static int run_norm(struct cuda_program *program, const struct launch *launch)
{
    const struct slabs *slabs = &program->slabs;
    const struct gradient_norm norm = {.gradients = launch_data(program, launch, slabs->gradients),
                                       .count = program->layout.trained,
                                       .partials = launch_data(program, launch, slabs->norm_sums),
                                       .clip_norm = program->recipe.clip_norm};
    return gradient_norm_launch(&norm, launch_data(program, launch, program->inputs.control),
                                program->device->stream);
}

static int run_optimizer(struct cuda_program *program, const struct launch *launch)
{
    const struct slabs *slabs = &program->slabs;
    const struct recipe *recipe = &program->recipe;
    const struct optimizer_arena arena = {
        .values = launch_data(program, launch, slabs->values),
        .gradients = launch_data(program, launch, slabs->gradients),
        .states = {launch_data(program, launch, slabs->states[0]),
                   launch_data(program, launch, slabs->states[1])},
        .averages = launch_data(program, launch, slabs->averages),
        .halves = launch_data(program, launch, slabs->halves),
        .total = program->layout.total,
        .count = program->layout.trained,
        .decayed = program->layout.decayed};
    const struct optimizer_constants constants = {(float)recipe->momentum, (float)recipe->decay,
                                                  (float)recipe->epsilon,
                                                  (float)recipe->weight_decay};
    return optimizer_launch(recipe->optimizer, &arena, &constants,
                            launch_data(program, launch, program->inputs.control),
                            program->device->stream);
}

static int run_outcome(struct cuda_program *program, const struct launch *launch)
{
    return device_read_async(program->staging.outcome,
                             launch_data(program, launch, program->inputs.control),
                             sizeof *program->staging.outcome, program->device->stream, NULL);
}

static const struct launch_kind norm = {"gradient_norm_launch", run_norm};
static const struct launch_kind optimizer = {"optimizer_launch", run_optimizer};
static const struct launch_kind outcome = {"device_read_async", run_outcome};

void cuda_schedule_update(struct cuda_program *program)
{
    const struct slabs *slabs = &program->slabs;
    if (program->recipe.clip_norm > 0) {
        launch_add(program, &norm, UNIT_NONE);
        launch_reads(program, slabs->gradients);
        launch_writes(program, slabs->norm_sums);
        launch_writes(program, program->inputs.control);
    }
    launch_add(program, &optimizer, UNIT_NONE);
    launch_reads(program, slabs->gradients);
    launch_reads(program, slabs->values);
    launch_writes(program, slabs->values);
    for (size_t i = 0; i < OPTIMIZER_STATES_MAX; i++) {
        launch_reads(program, slabs->states[i]);
        launch_writes(program, slabs->states[i]);
    }
    launch_reads(program, slabs->averages);
    launch_writes(program, slabs->averages);
    launch_writes(program, slabs->halves);
    launch_reads(program, program->inputs.control);
    launch_add(program, &outcome, UNIT_NONE);
    launch_reads(program, program->inputs.control);
}
