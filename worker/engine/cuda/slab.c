#include "worker/engine/cuda/slab.h"

#include "worker/engine/convolution.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of a weight (out, in, k, k). */
static struct slab_place weight_place(const struct graph_parameter *parameter,
                                      const struct graph_op *op, size_t which)
{
    const size_t taps = (size_t)op->kernel * op->kernel;
    const size_t out = convolution_pad_channels(parameter->dimensions[0]);
    const size_t in = convolution_pad_channels(parameter->dimensions[1]);
    switch (op->kind) {
    case OP_CONV:
        return (struct slab_place){
            .floats = out * taps * in, .out_step = taps * in, .in_step = 1, .tap_step = in};
    case OP_DEPTHWISE:
        return (struct slab_place){.floats = taps * out, .out_step = 1, .tap_step = out};
    default:
        break;
    }
    const bool from_channels = op->kind == OP_LINEAR || which == 0;
    const size_t rows = from_channels ? parameter->dimensions[0] : out;
    const size_t columns = from_channels ? in : parameter->dimensions[1];
    return (struct slab_place){.floats = rows * columns, .out_step = columns, .in_step = 1};
}

/* `which` of the operation's parameters. Of the biases only those of map channels are padded. */
static struct slab_place place_of(const struct graph_parameter *parameter,
                                  const struct graph_op *op, size_t which)
{
    if (parameter->kind == PARAMETER_WEIGHT)
        return weight_place(parameter, op, which);
    const bool plain = op->kind == OP_LINEAR || (op->kind == OP_SQUEEZE && which == 1);
    const uint32_t channels = parameter->dimensions[0];
    return (struct slab_place){.floats = plain ? channels : convolution_pad_channels(channels),
                               .out_step = 1};
}

/* The operation that owns each parameter is the last one whose first parameter is not after it. */
static void places_fill(struct slab_layout *layout)
{
    const struct graph *graph = layout->graph;
    const struct graph_op *owner = graph->ops, *end = graph->ops + graph->op_count;
    for (size_t i = 0; i < graph->parameter_count; i++) {
        for (const struct graph_op *op = owner; op < end; op++)
            if (op->parameter <= i)
                owner = op;
        layout->places[i] = place_of(&graph->parameters[i], owner, i - owner->parameter);
    }
}

size_t slab_span(const struct slab_place *place)
{
    return (place->floats + SLAB_ALIGNMENT - 1) / SLAB_ALIGNMENT * SLAB_ALIGNMENT;
}

static size_t offsets_set(struct slab_layout *layout, size_t offset, bool weights, bool trained)
{
    for (size_t i = 0; i < layout->graph->parameter_count; i++) {
        const enum parameter_kind kind = layout->graph->parameters[i].kind;
        if ((kind == PARAMETER_WEIGHT) != weights || parameter_trained(kind) != trained)
            continue;
        layout->places[i].offset = offset;
        offset += slab_span(&layout->places[i]);
    }
    return offset;
}

int slab_layout_init(struct slab_layout *layout, const struct graph *graph)
{
    *layout = (struct slab_layout){.graph = graph};
    layout->places = calloc(graph->parameter_count, sizeof *layout->places);
    if (!layout->places)
        return -ENOMEM;
    places_fill(layout);
    layout->decayed = offsets_set(layout, 0, true, true);
    layout->trained = offsets_set(layout, layout->decayed, false, true);
    layout->total = offsets_set(layout, layout->trained, false, false);
    return 0;
}

void slab_layout_release(struct slab_layout *layout)
{
    free(layout->places);
    layout->places = NULL;
}

/* The graph's order (out, in, taps) of a parameter. */
struct extent {
    size_t out, in, taps;
};

static struct extent extent_of(const struct graph_parameter *parameter)
{
    const uint32_t *dimensions = parameter->dimensions;
    struct extent extent = {dimensions[0], 1, 1};
    if (parameter->dimension_count > 1)
        extent.in = dimensions[1];
    if (parameter->dimension_count == 4)
        extent.taps = (size_t)dimensions[2] * dimensions[3];
    return extent;
}

void slab_pack(const struct slab_layout *layout, size_t index, const float *values,
               float *ret_stored)
{
    const struct slab_place *place = &layout->places[index];
    const struct extent extent = extent_of(&layout->graph->parameters[index]);
    memset(ret_stored, 0, place->floats * sizeof *ret_stored);
    for (size_t out = 0; out < extent.out; out++)
        for (size_t in = 0; in < extent.in; in++)
            for (size_t tap = 0; tap < extent.taps; tap++)
                ret_stored[out * place->out_step + in * place->in_step + tap * place->tap_step] =
                    *values++;
}

void slab_unpack(const struct slab_layout *layout, size_t index, const float *stored,
                 float *ret_values)
{
    const struct slab_place *place = &layout->places[index];
    const struct extent extent = extent_of(&layout->graph->parameters[index]);
    for (size_t out = 0; out < extent.out; out++)
        for (size_t in = 0; in < extent.in; in++)
            for (size_t tap = 0; tap < extent.taps; tap++)
                *ret_values++ =
                    stored[out * place->out_step + in * place->in_step + tap * place->tap_step];
}
