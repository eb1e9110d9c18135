#include "worker/engine/graph.h"

#include "search/layer.h"
#include "search/random.h"
#include "worker/engine/normal.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPS_A_LAYER_MAX = 2, PARAMETERS_A_LAYER_MAX = 5 };

/* What is known while the layers are walked. */
struct builder {
    struct graph *graph;
    uint32_t current;     /* tensor that the next layer reads */
    uint32_t block_input; /* tensor that a residual adds */
};

static uint32_t tensor_add(struct graph *graph, uint32_t size, uint32_t channels)
{
    graph->tensors[graph->tensor_count] = (struct graph_tensor){size, channels};
    return (uint32_t)graph->tensor_count++;
}

/* Adds an operation that reads the current tensor and whose output becomes the current one. */
static struct graph_op *op_add(struct builder *builder, enum op_kind kind, uint32_t size,
                               uint32_t channels)
{
    struct graph *graph = builder->graph;
    struct graph_op *op = &graph->ops[graph->op_count++];
    *op = (struct graph_op){.kind = kind,
                            .input = builder->current,
                            .output = tensor_add(graph, size, channels),
                            .residual = GRAPH_NONE,
                            .block = GRAPH_NONE,
                            .kernel = 1,
                            .stride = 1,
                            .parameter = (uint32_t)graph->parameter_count};
    builder->current = op->output;
    return op;
}

static void parameter_add(struct graph *graph, const char *layer, const char *field,
                          enum parameter_kind kind, const struct graph_parameter *shape)
{
    struct graph_parameter *parameter = &graph->parameters[graph->parameter_count++];
    *parameter = *shape;
    snprintf(parameter->name, sizeof parameter->name, "%s.%s", layer, field);
    parameter->kind = kind;
    parameter->elements = 1;
    for (uint32_t i = 0; i < parameter->dimension_count; i++)
        parameter->elements *= parameter->dimensions[i];
}

static void weight_add(struct graph *graph, const struct layer *layer, uint32_t in_channels)
{
    const uint32_t k = layer->kernel;
    const size_t fan_channels = layer->kind == LAYER_DEPTHWISE ? 1 : layer->out_channels;
    parameter_add(graph, layer->name, "weight", PARAMETER_WEIGHT,
                  &(struct graph_parameter){.dimension_count = 4,
                                            .dimensions = {layer->out_channels, in_channels, k, k},
                                            .fan = (size_t)k * k * fan_channels});
}

static void channels_add(struct graph *graph, const struct layer *layer, const char *field,
                         enum parameter_kind kind)
{
    parameter_add(
        graph, layer->name, field, kind,
        &(struct graph_parameter){.dimension_count = 1, .dimensions = {layer->out_channels}});
}

/* Convolution, dense or depthwise, and the normalisation after it. */
static void conv_add(struct builder *builder, const struct layer *layer)
{
    struct graph *graph = builder->graph;
    const bool depthwise = layer->kind == LAYER_DEPTHWISE;
    struct graph_op *conv =
        op_add(builder, depthwise ? OP_DEPTHWISE : OP_CONV, layer->out_size, layer->out_channels);
    conv->kernel = layer->kernel;
    conv->stride = layer->stride;
    weight_add(graph, layer, depthwise ? 1 : layer->in_channels);

    struct graph_op *norm = op_add(builder, OP_NORM, layer->out_size, layer->out_channels);
    norm->silu = layer->silu;
    if (layer->residual) {
        norm->residual = builder->block_input;
        norm->block = layer->block;
    }
    channels_add(graph, layer, "bn.scale", PARAMETER_SCALE);
    channels_add(graph, layer, "bn.shift", PARAMETER_SHIFT);
    channels_add(graph, layer, "bn.mean", PARAMETER_MEAN);
    channels_add(graph, layer, "bn.variance", PARAMETER_VARIANCE);
}

/* The first of the two SE layers makes the operation, the second adds its parameters to it. */
static void squeeze_add(struct builder *builder, const struct layer *layer)
{
    struct graph *graph = builder->graph;
    if (layer->kind == LAYER_SE_REDUCE) {
        const struct graph_tensor input = graph->tensors[builder->current];
        struct graph_op *op = op_add(builder, OP_SQUEEZE, input.size, input.channels);
        op->squeezed = layer->out_channels;
    }
    weight_add(graph, layer, layer->in_channels);
    channels_add(graph, layer, "bias", PARAMETER_BIAS);
}

static void linear_add(struct builder *builder, const struct layer *layer)
{
    struct graph *graph = builder->graph;
    graph->features = layer->in_channels;
    op_add(builder, OP_MEAN, 1, layer->in_channels);
    op_add(builder, OP_LINEAR, 1, layer->out_channels);
    parameter_add(graph, layer->name, "weight", PARAMETER_WEIGHT,
                  &(struct graph_parameter){.dimension_count = 2,
                                            .dimensions = {layer->out_channels, layer->in_channels},
                                            .fan = layer->out_channels});
    channels_add(graph, layer, "bias", PARAMETER_BIAS);
}

static void layer_add(struct builder *builder, const struct layer *layer)
{
    if (layer->block_start)
        builder->block_input = builder->current;
    if (layer->block != LAYER_NO_BLOCK)
        builder->graph->block_count = layer->block + 1;
    switch (layer->kind) {
    case LAYER_CONV:
    case LAYER_DEPTHWISE:
        conv_add(builder, layer);
        return;
    case LAYER_SE_REDUCE:
    case LAYER_SE_EXPAND:
        assert(!layer->residual);
        squeeze_add(builder, layer);
        return;
    case LAYER_FC:
        linear_add(builder, layer);
        return;
    }
}

/* Gives every parameter its place: weights first, then what is trained without decay, then the statistics. */
static void slab_lay_out(struct graph *graph)
{
    size_t offset = 0;
    for (int class = 0; class < 3; class ++) {
        for (size_t i = 0; i < graph->parameter_count; i++) {
            struct graph_parameter *parameter = &graph->parameters[i];
            const int of = parameter->kind == PARAMETER_WEIGHT  ? 0
                           : parameter_trained(parameter->kind) ? 1
                                                                : 2;
            if (of != class)
                continue;
            parameter->offset = offset;
            offset += parameter->elements;
        }
        if (class == 0)
            graph->decayed = offset;
        else if (class == 1)
            graph->trained = offset;
    }
    graph->total = offset;
}

static int graph_allocate(struct graph *graph, size_t layers)
{
    graph->ops = calloc(layers * OPS_A_LAYER_MAX, sizeof *graph->ops);
    graph->tensors = calloc(layers * OPS_A_LAYER_MAX + 1, sizeof *graph->tensors);
    graph->parameters = calloc(layers * PARAMETERS_A_LAYER_MAX, sizeof *graph->parameters);
    return graph->ops && graph->tensors && graph->parameters ? 0 : -ENOMEM;
}

int graph_new(const struct architecture *architecture, const struct problem *problem,
              struct graph **ret_graph)
{
    const size_t count = layer_count(architecture);
    struct layer *layers = calloc(count, sizeof *layers);
    struct graph *graph = calloc(1, sizeof *graph);
    int r = layers && graph ? graph_allocate(graph, count) : -ENOMEM;
    if (r < 0)
        goto out;

    layer_list(architecture, problem, layers);
    graph->problem = *problem;
    struct builder builder = {.graph = graph};
    tensor_add(graph, problem->image_size, problem->image_channels);
    for (size_t i = 0; i < count; i++)
        layer_add(&builder, &layers[i]);
    slab_lay_out(graph);
    *ret_graph = graph;
    graph = NULL;
out:
    graph_free(graph);
    free(layers);
    return r;
}

void graph_free(struct graph *graph)
{
    if (!graph)
        return;
    free(graph->ops);
    free(graph->tensors);
    free(graph->parameters);
    free(graph);
}

size_t graph_parameter_find(const struct graph *graph, const char *name)
{
    size_t i = 0;
    while (i < graph->parameter_count && strcmp(graph->parameters[i].name, name) != 0)
        i++;
    return i;
}

static void fill(float *values, size_t count, float value)
{
    for (size_t i = 0; i < count; i++)
        values[i] = value;
}

void graph_initial_values(const struct graph *graph, size_t index, uint64_t seed, float *ret_values)
{
    assert(index < graph->parameter_count);
    const struct graph_parameter *parameter = &graph->parameters[index];
    struct random_stream random = random_stream_of(seed, index, RANDOM_WEIGHTS);
    if (parameter->kind != PARAMETER_WEIGHT) {
        const bool one =
            parameter->kind == PARAMETER_SCALE || parameter->kind == PARAMETER_VARIANCE;
        fill(ret_values, parameter->elements, one ? 1.0f : 0.0f);
    } else if (parameter->dimension_count == 2) {
        const double bound = 1.0 / sqrt((double)parameter->fan);
        for (size_t i = 0; i < parameter->elements; i++)
            ret_values[i] = (float)(bound * (2.0 * random_unit(&random) - 1.0));
    } else {
        const double deviation = sqrt(2.0 / (double)parameter->fan);
        normal_fill(&random, (float)deviation, parameter->elements, ret_values);
    }
}
