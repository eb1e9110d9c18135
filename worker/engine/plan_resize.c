/* Another image size for a plan that trains. Parameters and what belongs to them do not depend on it; maps do, and with them
 * the whole layout of memory. So the state is taken out, in the graph's order, the program made anew, and the state put back:
 * the device then never holds two programs. */
#include "worker/engine/plan.h"

#include <errno.h>
#include <stdlib.h>

static size_t state_floats(const struct plan *plan)
{
    size_t floats = 0;
    for (size_t i = 0; i < plan_state_count(plan); i++)
        floats += plan->graph->parameters[plan_state_key(plan, i).parameter].elements;
    return floats;
}

/* Between the program and an array of state_floats(). */
static int state_move(struct plan *plan, float *state, bool out)
{
    const struct backend *backend = plan->engine->backend;
    const size_t count = plan_state_count(plan);
    for (size_t i = 0, at = 0; i < count; i++) {
        const struct tensor_key key = plan_state_key(plan, i);
        int r = out ? backend->read(plan->program, key.class, key.parameter, state + at)
                    : backend->write(plan->program, key.class, key.parameter, state + at);
        if (r < 0)
            return r;
        at += plan->graph->parameters[key.parameter].elements;
    }
    return 0;
}

/* What the new size needs, and what is kept meanwhile. */
struct resize {
    struct plan_options options;
    struct graph *graph;
    float *images, *state;
};

static void resize_release(struct resize *resize)
{
    graph_free(resize->graph);
    free(resize->images);
    free(resize->state);
}

static int resize_prepare(struct plan *plan, struct resize *resize)
{
    const struct problem *problem = &resize->options.problem;
    const size_t pixels = (size_t)problem->image_size * problem->image_size;
    if (!plan->transforms)
        resize->images = calloc(resize->options.recipe.batch * pixels * problem->image_channels,
                                sizeof *resize->images);
    resize->state = malloc(state_floats(plan) * sizeof *resize->state);
    if ((!plan->transforms && !resize->images) || !resize->state)
        return -ENOMEM;
    int r = graph_new(&resize->options.architecture, problem, &resize->graph);
    return r < 0 ? r : state_move(plan, resize->state, true);
}

/* The plan's program from its graph and options, with the state. */
static int program_build(struct plan *plan, float *state, struct error *error)
{
    struct engine *engine = plan->engine;
    int r = engine->backend->compile(engine->device, plan->graph, &plan->options, &plan->program,
                                     error);
    if (r == 0) {
        r = state_move(plan, state, false);
        if (r == 0)
            return 0;
        error_set(error, r, "", "the weights could not be written");
        engine->backend->release(plan->program);
    }
    plan->program = NULL;
    return r;
}

/* The plan gets what the resize holds, and the other way round. */
static void resize_swap(struct plan *plan, struct resize *resize)
{
    const struct resize before = {plan->options, plan->graph, plan->images, resize->state};
    plan->options = resize->options;
    plan->graph = resize->graph;
    plan->images = resize->images;
    *resize = before;
}

static int program_replace(struct plan *plan, struct resize *resize, struct error *error)
{
    plan->engine->backend->release(plan->program);
    resize_swap(plan, resize);
    int r = program_build(plan, resize->state, error);
    if (r == 0)
        return 0;
    size_t *bytes_needed = &plan->engine->device->bytes_needed;
    const size_t refused_bytes = *bytes_needed;
    resize_swap(plan, resize);
    const int restored = program_build(plan, resize->state, NULL);
    if (restored < 0 && restored != -EIO)
        r = error_set(error, -ENOTRECOVERABLE, "",
                      "neither the new nor the old image size could be built");
    *bytes_needed = refused_bytes;
    return r;
}

int plan_resize(struct plan *plan, uint32_t image_size, double dropout, struct error *error)
{
    struct resize resize = {.options = plan->options};
    resize.options.problem.image_size = image_size;
    resize.options.recipe.dropout = dropout;
    int r = problem_validate(&resize.options.problem, error);
    if (r < 0)
        return r;
    if (!(dropout >= 0 && dropout < 1))
        return error_set(error, -EINVAL, "/dropout", "dropout must be at least 0 and below 1");
    if (image_size == plan->options.problem.image_size) {
        plan->options = resize.options;
        return 0;
    }
    r = resize_prepare(plan, &resize);
    if (r < 0)
        error_set(error, r, "",
                  r == -ENOMEM ? "out of memory for another image size"
                               : "the weights could not be read");
    else
        r = program_replace(plan, &resize, error);
    resize_release(&resize);
    return r;
}
