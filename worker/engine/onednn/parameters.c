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

/* Steps in the slab: from block to block and inside a block of output and input channels, from tap to tap of a kernel. */
struct steps {
    size_t out_block, out, in_block, in, tap;
};

static struct steps steps_of(const struct parameter_place *place, size_t lanes)
{
    const size_t taps = (size_t)place->kernel * place->kernel, in = place->in, out = place->out;
    switch (place->order) {
    case ORDER_DENSE:
        return (struct steps){taps * in * lanes, 1, taps * lanes * lanes, lanes, lanes * lanes};
    case ORDER_STEM:
        return (struct steps){taps * in * lanes, 1, lanes * lanes, lanes, in * lanes};
    case ORDER_DEPTHWISE:
        return (struct steps){taps * lanes, 1, 0, 0, lanes};
    case ORDER_MATRIX:
        return (struct steps){in * lanes, in, lanes, 1, 0};
    case ORDER_TRANSPOSED:
        return (struct steps){lanes, 1, out * lanes, out, 0};
    case ORDER_CHANNELS:
        break;
    }
    return (struct steps){lanes, 1, 0, 0, 0};
}

/* Elements of the graph's order (out, in, taps), each with its place in the slab. */
struct walk {
    struct steps steps;
    size_t lanes, out, in, taps;
};

static struct walk walk_of(const struct parameter_places *places, size_t index)
{
    const struct graph_parameter *of = &places->graph->parameters[index];
    const struct parameter_place *place = &places->places[index];
    const size_t in = of->dimension_count > 1 ? of->dimensions[1] : 1;
    const size_t taps = (size_t)place->kernel * place->kernel;
    return (struct walk){.steps = steps_of(place, places->lanes),
                         .lanes = places->lanes,
                         .out = of->elements / (in * taps),
                         .in = in,
                         .taps = taps};
}

static size_t walk_at(const struct walk *walk, size_t out, size_t in)
{
    return out / walk->lanes * walk->steps.out_block + out % walk->lanes * walk->steps.out +
           in / walk->lanes * walk->steps.in_block + in % walk->lanes * walk->steps.in;
}

void parameter_pack(const struct parameter_places *places, size_t index, const float *values,
                    float *slab)
{
    const struct walk walk = walk_of(places, index);
    float *first = slab + places->places[index].offset;
    for (size_t out = 0; out < walk.out; out++)
        for (size_t in = 0; in < walk.in; in++) {
            float *at = first + walk_at(&walk, out, in);
            for (size_t tap = 0; tap < walk.taps; tap++)
                at[tap * walk.steps.tap] = *values++;
        }
}

void parameter_unpack(const struct parameter_places *places, size_t index, const float *slab,
                      float *ret_values)
{
    const struct walk walk = walk_of(places, index);
    const float *first = slab + places->places[index].offset;
    for (size_t out = 0; out < walk.out; out++)
        for (size_t in = 0; in < walk.in; in++) {
            const float *at = first + walk_at(&walk, out, in);
            for (size_t tap = 0; tap < walk.taps; tap++)
                *ret_values++ = at[tap * walk.steps.tap];
        }
}
