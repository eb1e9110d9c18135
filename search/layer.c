#include "search/layer.h"

#include "search/layer_block.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

uint32_t layer_squeeze_channels(uint32_t in_channels, uint32_t se_ratio)
{
    uint32_t squeezed = (uint32_t)((uint64_t)in_channels * se_ratio / SE_RATIO_SCALE);
    return squeezed > 0 ? squeezed : 1;
}

static bool block_is_one_conv(const struct stage *stage)
{
    return stage->block == BLOCK_CONV ||
           (stage->block == BLOCK_FUSED_MBCONV && stage->expansion == 1);
}

/* A convolution on a map of `in_size` pixels a side, padded so that out = ceil(in / stride). */
static struct layer convolution(enum layer_kind kind, uint32_t in_channels, uint32_t out_channels,
                                uint32_t kernel, uint32_t stride, uint32_t in_size)
{
    return (struct layer){.kind = kind,
                          .block = LAYER_NO_BLOCK,
                          .in_channels = in_channels,
                          .out_channels = out_channels,
                          .kernel = kernel,
                          .stride = stride,
                          .in_size = in_size,
                          .out_size = (in_size + stride - 1) / stride,
                          .silu = true};
}

static struct layer dense(enum layer_kind kind, uint32_t in_channels, uint32_t out_channels)
{
    struct layer layer = convolution(kind, in_channels, out_channels, 1, 1, 1);
    layer.silu = false;
    return layer;
}

static void name_in_block(struct layer *layer, uint32_t block, const char *suffix)
{
    snprintf(layer->name, sizeof layer->name, "blocks_%" PRIu32 "%s", block, suffix);
    layer->block = block;
}

static struct layer named(struct layer layer, const char *name)
{
    snprintf(layer.name, sizeof layer.name, "%s", name);
    return layer;
}

size_t layer_block_list(const struct stage *stage, const struct layer_block *block,
                        struct layer ret_layers[LAYER_BLOCK_MAX])
{
    assert(stage->block != BLOCK_IDENTITY);
    size_t count = 0;
    uint32_t in = block->in_channels, wide = in * stage->expansion;
    if (block_is_one_conv(stage)) {
        ret_layers[count++] = convolution(LAYER_CONV, in, stage->channels, stage->kernel,
                                          block->stride, block->in_size);
    } else {
        if (stage->block == BLOCK_FUSED_MBCONV) {
            ret_layers[count++] =
                convolution(LAYER_CONV, in, wide, stage->kernel, block->stride, block->in_size);
        } else {
            if (stage->expansion != 1)
                ret_layers[count++] = convolution(LAYER_CONV, in, wide, 1, 1, block->in_size);
            ret_layers[count++] = convolution(LAYER_DEPTHWISE, wide, wide, stage->kernel,
                                              block->stride, block->in_size);
        }
        uint32_t out_size = ret_layers[count - 1].out_size;
        if (stage->se_ratio > 0) {
            uint32_t squeezed = layer_squeeze_channels(in, stage->se_ratio);
            ret_layers[count++] = dense(LAYER_SE_REDUCE, wide, squeezed);
            ret_layers[count++] = dense(LAYER_SE_EXPAND, squeezed, wide);
        }
        ret_layers[count] = convolution(LAYER_CONV, wide, stage->channels, 1, 1, out_size);
        ret_layers[count++].silu = false;
    }
    ret_layers[0].block_start = true;
    ret_layers[count - 1].residual = block->stride == 1 && in == stage->channels;
    return count;
}

struct layer layer_stem(const struct architecture *architecture, const struct problem *problem)
{
    return convolution(LAYER_CONV, problem->image_channels, architecture->stem_channels,
                       architecture->stem_kernel, architecture->stem_stride, problem->image_size);
}

struct layer layer_head(const struct architecture *architecture, uint32_t in_channels,
                        uint32_t in_size)
{
    return convolution(LAYER_CONV, in_channels, architecture->head_channels, 1, 1, in_size);
}

struct layer layer_fc(const struct architecture *architecture, const struct problem *problem)
{
    return dense(LAYER_FC, architecture->head_channels, problem->classes);
}

size_t layer_block_count(const struct stage *stage)
{
    if (stage->block == BLOCK_IDENTITY)
        return 0;
    if (block_is_one_conv(stage))
        return 1;
    size_t expansion_and_depthwise = stage->block == BLOCK_MBCONV && stage->expansion != 1 ? 2 : 1;
    return expansion_and_depthwise + (stage->se_ratio > 0 ? 2 : 0) + 1;
}

size_t layer_count(const struct architecture *architecture)
{
    size_t count = 3;
    for (uint32_t i = 0; i < architecture->stage_count; i++)
        count += architecture->stages[i].layers * layer_block_count(&architecture->stages[i]);
    return count;
}

static const char *layer_suffix(const struct stage *stage, const struct layer *layer, bool last)
{
    switch (layer->kind) {
    case LAYER_DEPTHWISE:
        return ".dw";
    case LAYER_SE_REDUCE:
        return ".se_r";
    case LAYER_SE_EXPAND:
        return ".se_e";
    case LAYER_CONV:
    case LAYER_FC:
        break;
    }
    if (block_is_one_conv(stage))
        return ".conv";
    if (last)
        return ".proj";
    return stage->block == BLOCK_MBCONV ? ".exp" : ".fexp";
}

void layer_list(const struct architecture *architecture, const struct problem *problem,
                struct layer *ret_layers)
{
    size_t used = 0;
    uint32_t block_index = 0;
    ret_layers[used++] = named(layer_stem(architecture, problem), "stem");
    struct layer_block block = {architecture->stem_channels, ret_layers[0].out_size, 1};
    for (uint32_t i = 0; i < architecture->stage_count; i++) {
        const struct stage *stage = &architecture->stages[i];
        if (stage->block == BLOCK_IDENTITY)
            continue;
        for (uint32_t j = 0; j < stage->layers; j++) {
            block.stride = j == 0 ? stage->stride : 1;
            struct layer *layers = &ret_layers[used];
            size_t count = layer_block_list(stage, &block, layers);
            for (size_t k = 0; k < count; k++)
                name_in_block(&layers[k], block_index,
                              layer_suffix(stage, &layers[k], k == count - 1));
            used += count;
            block_index++;
            block.in_channels = stage->channels;
            block.in_size = layers[count - 1].out_size;
        }
    }
    ret_layers[used++] = named(layer_head(architecture, block.in_channels, block.in_size), "head");
    ret_layers[used++] = named(layer_fc(architecture, problem), "fc");
    assert(used == layer_count(architecture));
}
