#include "worker/engine/engine.h"

#include "worker/engine/optimizer.h"
#include "worker/engine/plan.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct backend *backend_find(const char *name)
{
    const struct backend *backends[] = {backend_reference(), backend_onednn(), backend_cuda()};
    for (size_t i = 0; i < ARRAY_LENGTH(backends); i++)
        if (backends[i] && strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

const char *backend_name(const struct backend *backend)
{
    return backend->name;
}

int engine_new_on(const struct backend *backend, const char *device, struct engine **ret_engine,
                  struct error *error)
{
    assert(backend);
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return error_set(error, -ENOMEM, "", "out of memory");
    engine->backend = backend;
    if (device)
        snprintf(engine->device_name, sizeof engine->device_name, "%s", device);
    int r = backend->device_open(device, &engine->device, error);
    if (r < 0) {
        free(engine);
        return r;
    }
    *ret_engine = engine;
    return 0;
}

int engine_new(const struct backend *backend, struct engine **ret_engine, struct error *error)
{
    return engine_new_on(backend, NULL, ret_engine, error);
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    assert(!engine->has_plan);
    engine->backend->device_close(engine->device);
    free(engine);
}

void engine_limit_memory(struct engine *engine, size_t bytes_max)
{
    engine->device->bytes_max = bytes_max;
}

size_t engine_bytes_needed(const struct engine *engine)
{
    return engine->device->bytes_needed;
}

bool engine_takes_transforms(const struct engine *engine)
{
    return engine->backend->hold_images != NULL;
}

int engine_hold_images(struct engine *engine, const struct image_set *set, struct error *error)
{
    assert(engine_takes_transforms(engine) && !engine->has_plan);
    engine->images = (struct image_set){0};
    int r = engine->backend->hold_images(engine->device, set, error);
    if (r == 0 && set)
        engine->images = *set;
    return r;
}

static int options_validate(const struct plan_options *options, struct error *error)
{
    int r = architecture_validate(&options->architecture, error);
    if (r < 0)
        return r;
    r = problem_validate(&options->problem, error);
    if (r < 0)
        return r;
    r = recipe_validate(&options->recipe, error);
    if (r < 0)
        return r;
    if (options->micro_batches == 0 || options->recipe.batch % options->micro_batches != 0)
        return error_set(error, -EINVAL, "/micro_batches",
                         "micro_batches must divide the batch of %u images", options->recipe.batch);
    return 0;
}

/* Floats of a batch of images, 0 where they are made of transforms. */
static size_t image_floats(const struct plan *plan)
{
    const struct plan_options *options = &plan->options;
    if (plan->engine->images.bytes)
        return 0;
    const struct problem *problem = &options->problem;
    return (size_t)options->recipe.batch * problem->image_size * problem->image_size *
           problem->image_channels;
}

/* Of the set's first image as it is. */
static struct transform *transforms_new(const struct image_set *set, uint32_t batch)
{
    struct transform *transforms = calloc(batch, sizeof *transforms);
    for (uint32_t n = 0; transforms && n < batch; n++) {
        transforms[n].shown = (struct crop){.width = set->size, .height = set->size};
        transforms[n].mixing = (struct mixing){.partner = n, .share = 1};
    }
    return transforms;
}

static int plan_allocate(struct plan *plan, struct error *error)
{
    const struct plan_options *options = &plan->options;
    const size_t batch = options->recipe.batch, classes = options->problem.classes;
    if (plan->engine->images.bytes)
        plan->transforms = transforms_new(&plan->engine->images, options->recipe.batch);
    else
        plan->images = calloc(image_floats(plan), sizeof *plan->images);
    plan->labels = calloc(batch, sizeof *plan->labels);
    plan->partners = calloc(batch, sizeof *plan->partners);
    plan->shares = calloc(batch, sizeof *plan->shares);
    plan->logits = calloc(batch * classes, sizeof *plan->logits);
    if ((!plan->images && !plan->transforms) || !plan->labels || !plan->partners || !plan->shares ||
        !plan->logits)
        return error_set(error, -ENOMEM, "", "the batch buffers need %zu bytes",
                         (image_floats(plan) + batch * (classes + 3)) * sizeof(float));
    for (size_t n = 0; n < batch; n++)
        plan->shares[n] = 1.0f;
    return 0;
}

static size_t longest_parameter(const struct graph *graph)
{
    size_t longest = 0;
    for (size_t i = 0; i < graph->parameter_count; i++)
        if (graph->parameters[i].elements > longest)
            longest = graph->parameters[i].elements;
    return longest;
}

/* The averages begin with the initial weights. */
static int parameter_write(struct plan *plan, size_t parameter, const float *values)
{
    const struct backend *backend = plan->engine->backend;
    int r = backend->write(plan->program, VALUE_PARAMETER, parameter, values);
    if (r == 0 && plan_has_tensor(plan, (struct tensor_key){VALUE_AVERAGE, parameter}))
        r = backend->write(plan->program, VALUE_AVERAGE, parameter, values);
    return r;
}

static int weights_write(struct plan *plan, struct error *error)
{
    const struct graph *graph = plan->graph;
    float *values = malloc(longest_parameter(graph) * sizeof *values);
    int r = values ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < graph->parameter_count; i++) {
        graph_initial_values(graph, i, plan->options.seed, values);
        r = parameter_write(plan, i, values);
    }
    free(values);
    return r < 0 ? error_set(error, r, "", "the initial weights could not be written") : 0;
}

static int plan_build(struct plan *plan, struct error *error)
{
    const struct plan_options *options = &plan->options;
    int r = plan_allocate(plan, error);
    if (r < 0)
        return r;
    r = graph_new(&options->architecture, &options->problem, &plan->graph);
    if (r < 0)
        return error_set(error, r, "", "out of memory for the network graph");
    r = masks_init(&plan->masks, options->recipe.batch / options->micro_batches,
                   plan->graph->block_count, plan->graph->features);
    if (r < 0)
        return error_set(error, r, "", "out of memory for the masks");
    r = plan->engine->backend->compile(plan->engine->device, plan->graph, options, &plan->program,
                                       error);
    return r < 0 ? r : weights_write(plan, error);
}

int plan_new(struct engine *engine, const struct plan_options *options, struct plan **ret_plan,
             struct error *error)
{
    assert(!engine->has_plan);
    int r = options_validate(options, error);
    if (r < 0)
        return r;
    const struct image_set *images = &engine->images;
    if (images->bytes && images->channels != options->problem.image_channels)
        return error_set(error, -EINVAL, "", "images of %u channels are held, the plan is for %u",
                         images->channels, options->problem.image_channels);
    struct plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return error_set(error, -ENOMEM, "", "out of memory");
    plan->engine = engine;
    plan->options = *options;
    engine->has_plan = true;
    engine->device->bytes_needed = 0;
    r = plan_build(plan, error);
    if (r < 0) {
        plan_free(plan);
        return r;
    }
    *ret_plan = plan;
    return 0;
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    if (plan->program)
        plan->engine->backend->release(plan->program);
    graph_free(plan->graph);
    masks_release(&plan->masks);
    free(plan->images);
    free(plan->transforms);
    free(plan->labels);
    free(plan->partners);
    free(plan->shares);
    free(plan->logits);
    plan->engine->has_plan = false;
    free(plan);
}

struct program *plan_program(struct plan *plan)
{
    return plan->program;
}

size_t plan_bytes(const struct plan *plan)
{
    return plan->program->bytes;
}

enum precision plan_precision(const struct plan *plan)
{
    return plan->program->precision;
}

float *plan_images(struct plan *plan)
{
    return plan->images;
}

struct transform *plan_transforms(struct plan *plan)
{
    return plan->transforms;
}

uint32_t *plan_labels(struct plan *plan)
{
    return plan->labels;
}

uint32_t *plan_partners(struct plan *plan)
{
    return plan->partners;
}

float *plan_shares(struct plan *plan)
{
    return plan->shares;
}

const float *plan_logits(const struct plan *plan)
{
    return plan->logits;
}

void plan_poison(struct plan *plan)
{
    plan->engine->backend->poison(plan->program);
}
