/* The pieces that layer lists and costs are made of. Used inside search/ only; everybody else wants
 * layer.h. */
#ifndef SEARCH_LAYER_BLOCK_H
#define SEARCH_LAYER_BLOCK_H

#include "search/layer.h"

enum { LAYER_BLOCK_MAX = 5 }; /* layers in one block: expansion, depthwise, two of SE, projection */

/* Where a block stands. */
struct layer_block {
    uint32_t in_channels;
    uint32_t in_size; /* pixels a side */
    uint32_t stride;
};

/* Layers of one block of a stage that is no identity, without names and block numbers. Returns how
 * many. */
size_t layer_block_list(const struct stage *stage, const struct layer_block *block,
                        struct layer ret_layers[LAYER_BLOCK_MAX]);
/* How many layers layer_block_list writes; 0 for an identity stage. */
size_t layer_block_count(const struct stage *stage);

/* The ends, without names. */
struct layer layer_stem(const struct architecture *architecture, const struct problem *problem);
struct layer layer_head(const struct architecture *architecture, uint32_t in_channels,
                        uint32_t in_size);
struct layer layer_fc(const struct architecture *architecture, const struct problem *problem);

/* SE's inner channels: max(1, floor(in * ratio)), of the channels that enter the block. */
uint32_t layer_squeeze_channels(uint32_t in_channels, uint32_t se_ratio);

#endif
