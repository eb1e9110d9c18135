#include "search/cost.h"

#include "search/layer_block.h"

#include <assert.h>

uint64_t layer_weights(const struct layer *layer)
{
    uint64_t filter = (uint64_t)layer->kernel * layer->kernel * layer->out_channels;
    return layer->kind == LAYER_DEPTHWISE ? filter : filter * layer->in_channels;
}

uint64_t layer_macs(const struct layer *layer)
{
    return layer_weights(layer) * layer->out_size * layer->out_size;
}

static bool layer_has_bn(const struct layer *layer)
{
    return layer->kind == LAYER_CONV || layer->kind == LAYER_DEPTHWISE;
}

static struct cost cost_of_layer(const struct layer *layer)
{
    uint64_t weights = layer_weights(layer), out = layer->out_channels;
    uint64_t elements = out * layer->out_size * layer->out_size;
    bool bn = layer_has_bn(layer);
    return (struct cost){
        .params = weights + (bn ? 2 * out : out),
        .params_with_bn_statistics = weights + (bn ? 4 * out : out),
        .macs = layer_macs(layer),
        .activation_bytes = elements * COST_ELEMENT_BYTES,
    };
}

static uint64_t add_saturated(uint64_t a, uint64_t b, uint32_t times)
{
    uint64_t product, sum;
    if (__builtin_mul_overflow(b, times, &product) || __builtin_add_overflow(a, product, &sum))
        return COST_MAX;
    return sum < COST_MAX ? sum : COST_MAX;
}

struct cost cost_add(const struct cost *a, const struct cost *b, uint32_t times)
{
    return (struct cost){
        .params = add_saturated(a->params, b->params, times),
        .params_with_bn_statistics =
            add_saturated(a->params_with_bn_statistics, b->params_with_bn_statistics, times),
        .macs = add_saturated(a->macs, b->macs, times),
        .activation_bytes = add_saturated(a->activation_bytes, b->activation_bytes, times),
    };
}

static struct cost cost_of_block(const struct stage *stage, const struct layer_block *block,
                                 uint32_t *ret_out_size)
{
    struct layer layers[LAYER_BLOCK_MAX];
    size_t count = layer_block_list(stage, block, layers);
    struct cost sum = {0};
    for (size_t i = 0; i < count; i++) {
        struct cost cost = cost_of_layer(&layers[i]);
        sum = cost_add(&sum, &cost, 1);
    }
    *ret_out_size = layers[count - 1].out_size;
    return sum;
}

struct cost cost_of_stage(const struct stage *stage, uint32_t in_channels, uint32_t in_size,
                          uint32_t *ret_out_size)
{
    assert(stage->block != BLOCK_IDENTITY && stage->layers > 0);
    struct layer_block first = {in_channels, in_size, stage->stride};
    uint32_t out_size = 0;
    struct cost sum = cost_of_block(stage, &first, &out_size);
    if (stage->layers > 1) {
        struct layer_block other = {stage->channels, out_size, 1};
        struct cost cost = cost_of_block(stage, &other, &out_size);
        sum = cost_add(&sum, &cost, stage->layers - 1);
    }
    *ret_out_size = out_size;
    return sum;
}

struct cost cost_of_stem(const struct architecture *architecture, const struct problem *problem,
                         uint32_t *ret_out_size)
{
    struct layer stem = layer_stem(architecture, problem);
    *ret_out_size = stem.out_size;
    return cost_of_layer(&stem);
}

struct cost cost_of_head(const struct architecture *architecture, const struct problem *problem,
                         uint32_t in_channels, uint32_t in_size)
{
    struct layer head = layer_head(architecture, in_channels, in_size);
    struct layer fc = layer_fc(architecture, problem);
    struct cost head_cost = cost_of_layer(&head), fc_cost = cost_of_layer(&fc);
    return cost_add(&head_cost, &fc_cost, 1);
}

struct cost cost_of(const struct architecture *architecture, const struct problem *problem)
{
    uint32_t size = 0, channels = architecture->stem_channels;
    struct cost sum = cost_of_stem(architecture, problem, &size);
    for (uint32_t i = 0; i < architecture->stage_count; i++) {
        const struct stage *stage = &architecture->stages[i];
        if (stage->block == BLOCK_IDENTITY)
            continue;
        struct cost cost = cost_of_stage(stage, channels, size, &size);
        sum = cost_add(&sum, &cost, 1);
        channels = stage->channels;
    }
    struct cost head = cost_of_head(architecture, problem, channels, size);
    return cost_add(&sum, &head, 1);
}
