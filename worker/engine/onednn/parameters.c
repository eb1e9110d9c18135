#include "worker/engine/onednn/parameters.h"

#include <errno.h>
#include <stdlib.h>

/* Every parameter begins on a cache line. */
enum { FLOATS_A_LINE = 16 };

uint32_t channels_padded(uint32_t channels, uint32_t lanes)
{
    return (channels + lanes - 1) / lanes * lanes;
}

/* `which` of the operation's parameters. */
static enum parameter_order weight_order(const struct graph_op *op, size_t which)
{
    switch (op->kind) {
    case OP_CONV:
        return op->input == 0 ? ORDER_STEM : ORDER_DENSE;
    case OP_DEPTHWISE:
        return ORDER_DEPTHWISE;
    case OP_SQUEEZE:
        return which == 0 ? ORDER_MATRIX : ORDER_TRANSPOSED;
    default:
        return ORDER_MATRIX;
    }
}

static struct parameter_place place_of(const struct graph_parameter *parameter,
                                       const struct graph_op *op, size_t which, uint32_t lanes)
{
    struct parameter_place place = {.order = ORDER_CHANNELS, .kernel = 1, .in = 1};
    place.out = channels_padded(parameter->dimensions[0], lanes);
    if (parameter->kind == PARAMETER_WEIGHT) {
        const uint32_t in = parameter->dimensions[1];
        place.order = weight_order(op, which);
        place.kernel = op->kernel;
        if (place.order == ORDER_STEM)
            place.in = in;
        else if (place.order != ORDER_DEPTHWISE)
            place.in = channels_padded(in, lanes);
    }
    const size_t floats = place.out * place.in * place.kernel * place.kernel;
    place.floats = (floats + FLOATS_A_LINE - 1) / FLOATS_A_LINE * FLOATS_A_LINE;
    return place;
}

/* The operation that owns each parameter is the last one whose first parameter is not after it. */
static void places_fill(struct parameter_places *places)
{
    const struct graph *graph = places->graph;
    const struct graph_op *owner = graph->ops;
    for (size_t i = 0; i < graph->parameter_count; i++) {
        for (const struct graph_op *op = owner; op < graph->ops + graph->op_count; op++)
            if (op->parameter <= i)
                owner = op;
        places->places[i] =
            place_of(&graph->parameters[i], owner, i - owner->parameter, places->lanes);
    }
}

static size_t offsets_set(struct parameter_places *places, size_t offset, bool weights,
                          bool trained)
{
    for (size_t i = 0; i < places->graph->parameter_count; i++) {
        const enum parameter_kind kind = places->graph->parameters[i].kind;
        if ((kind == PARAMETER_WEIGHT) != weights || parameter_trained(kind) != trained)
            continue;
        places->places[i].offset = offset;
        offset += places->places[i].floats;
    }
    return offset;
}

int parameter_places_init(struct parameter_places *places, const struct graph *graph,
                          uint32_t lanes)
{
    *places = (struct parameter_places){.graph = graph, .lanes = lanes};
    places->places = calloc(graph->parameter_count, sizeof *places->places);
    if (!places->places)
        return -ENOMEM;
    places_fill(places);
    places->decayed = offsets_set(places, 0, true, true);
    places->trained = offsets_set(places, places->decayed, false, true);
    places->total = offsets_set(places, places->trained, false, false);
    return 0;
}

void parameter_places_release(struct parameter_places *places)
{
    free(places->places);
    places->places = NULL;
}

/* Position in the slab of element `index` of a parameter in the graph's order (out, in, k, k). */
static size_t position(const struct parameter_places *places, size_t parameter, size_t index)
{
    const struct parameter_place *place = &places->places[parameter];
    const struct graph_parameter *of = &places->graph->parameters[parameter];
    const size_t lanes = places->lanes, k = place->kernel;
    const size_t in_count = of->dimension_count > 1 ? of->dimensions[1] : 1;
    const size_t in = index / (k * k) % in_count, out = index / (k * k) / in_count,
                 tap = index % (k * k);
    switch (place->order) {
    case ORDER_DENSE:
        return place->offset +
               (((out / lanes * (place->in / lanes) + in / lanes) * k * k + tap) * lanes +
                in % lanes) *
                   lanes +
               out % lanes;
    case ORDER_STEM:
        return place->offset + ((out / lanes * k * k + tap) * place->in + in) * lanes + out % lanes;
    case ORDER_DEPTHWISE:
        return place->offset + (out / lanes * k * k + tap) * lanes + out % lanes;
    case ORDER_MATRIX:
        return place->offset + out * place->in + in;
    case ORDER_TRANSPOSED:
        return place->offset + in * place->out + out;
    case ORDER_CHANNELS:
        break;
    }
    return place->offset + index;
}

void parameter_pack(const struct parameter_places *places, size_t index, const float *values,
                    float *slab)
{
    for (size_t i = 0; i < places->graph->parameters[index].elements; i++)
        slab[position(places, index, i)] = values[i];
}

void parameter_unpack(const struct parameter_places *places, size_t index, const float *slab,
                      float *ret_values)
{
    for (size_t i = 0; i < places->graph->parameters[index].elements; i++)
        ret_values[i] = slab[position(places, index, i)];
}
