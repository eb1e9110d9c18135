#include "worker/engine/convolution_list.h"

#include "search/layer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Layers of one stage with two blocks, stem, head and last layer. */
enum { LAYERS_MAX = 16 };

struct map {
    uint32_t channels, size;
};

struct maps {
    struct map items[CONVOLUTION_LIST_MAPS_MAX];
    size_t count;
};

struct walk {
    struct convolution_list list;
    struct maps now, next; /* maps that a stage may be given, and that it may hand on */
    uint32_t batch;
};

static int add_map(struct maps *maps, uint32_t channels, uint32_t size)
{
    for (size_t i = 0; i < maps->count; i++)
        if (maps->items[i].channels == channels && maps->items[i].size == size)
            return 0;
    if (maps->count == CONVOLUTION_LIST_MAPS_MAX)
        return -E2BIG;
    maps->items[maps->count++] = (struct map){channels, size};
    return 0;
}

static int add_layer(struct walk *walk, const struct layer *layer, bool first)
{
    if (layer->kind != LAYER_CONV && layer->kind != LAYER_DEPTHWISE)
        return 0;
    const struct convolution item = {.depthwise = layer->kind == LAYER_DEPTHWISE,
                                     .first = first,
                                     .batch = walk->batch,
                                     .in_channels = convolution_pad_channels(layer->in_channels),
                                     .out_channels = convolution_pad_channels(layer->out_channels),
                                     .kernel = layer->kernel,
                                     .stride = layer->stride,
                                     .in_size = layer->in_size,
                                     .out_size = layer->out_size};
    struct convolution_list *list = &walk->list;
    for (size_t i = 0; i < list->count; i++)
        if (convolution_equal(&list->items[i], &item))
            return 0;
    if (list->count == CONVOLUTION_LIST_MAX)
        return -E2BIG;
    list->items[list->count++] = item;
    return 0;
}

/* The option after a stem that leaves the map as it is; the second block stands for all that follow the first. */
static int add_option(struct walk *walk, const struct map *map, const struct stage *option)
{
    if (option->block == BLOCK_IDENTITY)
        return add_map(&walk->next, map->channels, map->size);
    struct architecture alone = {.stem_kernel = 1,
                                 .stem_stride = 1,
                                 .stem_channels = map->channels,
                                 .head_channels = 8,
                                 .stage_count = 1,
                                 .stages = {*option}};
    if (option->layers > 2)
        alone.stages[0].layers = 2;
    const struct problem problem = {.image_size = map->size, .image_channels = 3, .classes = 2};
    struct layer layers[LAYERS_MAX];
    const size_t count = layer_count(&alone);
    assert(count <= LAYERS_MAX);
    layer_list(&alone, &problem, layers);
    struct map out = *map;
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (layers[i].block == LAYER_NO_BLOCK)
            continue;
        r = add_layer(walk, &layers[i], false);
        if (layers[i].kind == LAYER_CONV)
            out = (struct map){layers[i].out_channels, layers[i].out_size};
    }
    return r < 0 ? r : add_map(&walk->next, out.channels, out.size);
}

static int add_stage(struct walk *walk, const struct space *space, uint32_t stage)
{
    walk->next.count = 0;
    for (size_t i = 0; i < walk->now.count; i++)
        for (uint32_t option = 0; option < space_option_count(space, stage); option++) {
            int r = add_option(walk, &walk->now.items[i], space_option(space, stage, option));
            if (r < 0)
                return r;
        }
    walk->now = walk->next;
    return 0;
}

/* Stem, or head, of an architecture without stages. */
static int add_ends(struct walk *walk, const struct architecture *ends,
                    const struct problem *problem, bool stem)
{
    struct layer layers[LAYERS_MAX];
    const size_t count = layer_count(ends);
    assert(count == 3);
    layer_list(ends, problem, layers);
    if (stem) {
        int r = add_layer(walk, &layers[0], true);
        return r < 0 ? r : add_map(&walk->now, layers[0].out_channels, layers[0].out_size);
    }
    return add_layer(walk, &layers[1], false);
}

static int walk_space(struct walk *walk, const struct space *space, const struct problem *problem)
{
    struct architecture ends = *space_ends(space);
    ends.stage_count = 0;
    int r = add_ends(walk, &ends, problem, true);
    for (uint32_t stage = 0; r == 0 && stage < space_stage_count(space); stage++)
        r = add_stage(walk, space, stage);
    for (size_t i = 0; r == 0 && i < walk->now.count; i++) {
        const struct map *map = &walk->now.items[i];
        const struct problem last = {map->size, problem->image_channels, problem->classes};
        ends.stem_channels = map->channels;
        ends.stem_stride = 1;
        r = add_ends(walk, &ends, &last, false);
    }
    return r;
}

int convolution_list_new(const struct space *space, const struct problem *problem, uint32_t batch,
                         struct convolution_list *ret_list, struct error *error)
{
    struct walk *walk = calloc(1, sizeof *walk);
    int r = walk ? 0 : -ENOMEM;
    if (r == 0) {
        walk->batch = batch;
        walk->list.items = calloc(CONVOLUTION_LIST_MAX, sizeof *walk->list.items);
        r = walk->list.items ? walk_space(walk, space, problem) : -ENOMEM;
    }
    if (r == 0)
        *ret_list = walk->list;
    else if (walk)
        free(walk->list.items);
    free(walk);
    if (r == -E2BIG)
        return error_set(error, r, "/stages", "the space needs more than %d convolutions",
                         CONVOLUTION_LIST_MAX);
    return r < 0 ? error_set(error, r, "", "out of memory") : 0;
}

void convolution_list_release(struct convolution_list *list)
{
    free(list->items);
    *list = (struct convolution_list){0};
}
