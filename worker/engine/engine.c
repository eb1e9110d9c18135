#include "worker/engine/engine.h"

#include "worker/engine/backend.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct engine {
    const struct backend *backend;
    struct device *device;
    bool has_plan;
};

struct plan {
    struct engine *engine;
    struct graph *graph;
    struct program *program;
    float *images, *logits; /* (batch, size, size, channels), (batch, classes) */
    uint32_t *labels;       /* (batch) */
    uint32_t batch, parts;
};

static const char GRADIENT_PREFIX[] = "grad:";

const struct backend *backend_find(const char *name)
{
    const struct backend *backends[] = {backend_reference(), backend_onednn()};
    for (size_t i = 0; i < ARRAY_LENGTH(backends); i++)
        if (backends[i] && strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

const char *backend_name(const struct backend *backend)
{
    return backend->name;
}

int engine_new(const struct backend *backend, struct engine **ret_engine, struct error *error)
{
    assert(backend);
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return error_set(error, -ENOMEM, "", "out of memory");
    engine->backend = backend;
    int r = backend->device_open(&engine->device, error);
    if (r < 0) {
        free(engine);
        return r;
    }
    *ret_engine = engine;
    return 0;
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

static int plan_allocate(struct plan *plan, const struct plan_options *options, struct error *error)
{
    const struct problem *problem = &options->problem;
    const size_t batch = options->recipe.batch;
    const size_t pixels =
        batch * problem->image_size * problem->image_size * problem->image_channels;
    plan->batch = options->recipe.batch;
    plan->parts = options->micro_batches;
    plan->images = calloc(pixels, sizeof *plan->images);
    plan->labels = calloc(batch, sizeof *plan->labels);
    plan->logits = calloc(batch * problem->classes, sizeof *plan->logits);
    if (plan->images && plan->labels && plan->logits)
        return 0;
    return error_set(error, -ENOMEM, "", "the batch buffers need %zu bytes",
                     pixels * sizeof(float) + batch * (problem->classes + 1) * sizeof(float));
}

static int weights_write(struct plan *plan, uint64_t seed, struct error *error)
{
    const struct graph *graph = plan->graph;
    size_t longest = 0;
    for (size_t i = 0; i < graph->parameter_count; i++)
        if (graph->parameters[i].elements > longest)
            longest = graph->parameters[i].elements;
    float *values = malloc(longest * sizeof *values);
    int r = values ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < graph->parameter_count; i++) {
        graph_initial_values(graph, i, seed, values);
        r = plan->engine->backend->write(plan->program, i, values);
    }
    free(values);
    return r < 0 ? error_set(error, r, "", "the initial weights could not be written") : 0;
}

int plan_new(struct engine *engine, const struct plan_options *options, struct plan **ret_plan,
             struct error *error)
{
    assert(!engine->has_plan);
    int r = options_validate(options, error);
    if (r < 0)
        return r;
    struct plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return error_set(error, -ENOMEM, "", "out of memory");
    plan->engine = engine;
    engine->has_plan = true;
    engine->device->bytes_needed = 0;
    r = plan_allocate(plan, options, error);
    if (r < 0)
        goto fail;
    r = graph_new(&options->architecture, &options->problem, &plan->graph);
    if (r < 0) {
        error_set(error, r, "", "out of memory for the network graph");
        goto fail;
    }
    r = engine->backend->compile(engine->device, plan->graph, options, &plan->program, error);
    if (r < 0)
        goto fail;
    r = weights_write(plan, options->seed, error);
    if (r < 0)
        goto fail;
    *ret_plan = plan;
    return 0;
fail:
    plan_free(plan);
    return r;
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    if (plan->program)
        plan->engine->backend->release(plan->program);
    graph_free(plan->graph);
    free(plan->images);
    free(plan->labels);
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

float *plan_images(struct plan *plan)
{
    return plan->images;
}

uint32_t *plan_labels(struct plan *plan)
{
    return plan->labels;
}

const float *plan_logits(const struct plan *plan)
{
    return plan->logits;
}

void plan_poison(struct plan *plan)
{
    plan->engine->backend->poison(plan->program);
}

static struct part part_at(const struct plan *plan, uint32_t index)
{
    const struct problem *problem = &plan->graph->problem;
    const uint32_t count = plan->batch / plan->parts;
    const size_t first = (size_t)index * count;
    const size_t image =
        (size_t)problem->image_size * problem->image_size * problem->image_channels;
    return (struct part){.images = plan->images + first * image,
                         .labels = plan->labels + first,
                         .logits = plan->logits + first * problem->classes,
                         .count = count,
                         .first = index == 0};
}

static int train_parts(struct plan *plan, bool keep_statistics, struct batch_result *ret_result)
{
    struct batch_result sum = {0};
    for (uint32_t i = 0; i < plan->parts; i++) {
        struct part part = part_at(plan, i);
        struct batch_result result;
        part.keep_statistics = keep_statistics;
        int r = plan->engine->backend->train(plan->program, &part, &result);
        if (r < 0)
            return r;
        sum.loss += result.loss;
        sum.correct += result.correct;
    }
    if (!isfinite(sum.loss))
        return -EDOM;
    *ret_result = sum;
    return 0;
}

int plan_step(struct plan *plan, double learning_rate, struct batch_result *ret_result)
{
    int r = train_parts(plan, false, ret_result);
    if (r < 0)
        return r;
    plan->engine->backend->update(plan->program, learning_rate);
    return 0;
}

int plan_gradients(struct plan *plan, struct batch_result *ret_result)
{
    return train_parts(plan, true, ret_result);
}

int plan_evaluate(struct plan *plan, uint32_t count, struct batch_result *ret_result)
{
    assert(count <= plan->batch);
    struct batch_result sum = {0};
    for (uint32_t i = 0, done = 0; done < count; i++) {
        struct part part = part_at(plan, i);
        struct batch_result result;
        if (part.count > count - done)
            part.count = count - done;
        int r = plan->engine->backend->infer(plan->program, &part, &result);
        if (r < 0)
            return r;
        sum.loss += result.loss;
        sum.correct += result.correct;
        done += part.count;
    }
    if (!isfinite(sum.loss))
        return -EDOM;
    *ret_result = sum;
    return 0;
}

size_t plan_tensor_count(const struct plan *plan)
{
    return plan->graph->parameter_count;
}

void plan_tensor_info(const struct plan *plan, size_t index, struct tensor_info *ret_info)
{
    assert(index < plan->graph->parameter_count);
    const struct graph_parameter *parameter = &plan->graph->parameters[index];
    struct tensor_info info = {.dimension_count = parameter->dimension_count,
                               .elements = parameter->elements};
    static_assert(sizeof info.name == sizeof parameter->name, "names are copied whole");
    memcpy(info.name, parameter->name, sizeof info.name);
    memcpy(info.dimensions, parameter->dimensions, sizeof info.dimensions);
    *ret_info = info;
}

int plan_tensor_read(struct plan *plan, const char *name, float *ret_values)
{
    const size_t prefix = sizeof GRADIENT_PREFIX - 1;
    const bool gradient = strncmp(name, GRADIENT_PREFIX, prefix) == 0;
    const size_t index = graph_parameter_find(plan->graph, gradient ? name + prefix : name);
    if (index == plan->graph->parameter_count)
        return -ENOENT;
    if (gradient && !parameter_trained(plan->graph->parameters[index].kind))
        return -ENOENT;
    return plan->engine->backend->read(plan->program, gradient ? VALUE_GRADIENT : VALUE_PARAMETER,
                                       index, ret_values);
}

int plan_tensor_write(struct plan *plan, const char *name, const float *values)
{
    const size_t index = graph_parameter_find(plan->graph, name);
    if (index == plan->graph->parameter_count)
        return -ENOENT;
    return plan->engine->backend->write(plan->program, index, values);
}
