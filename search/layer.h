/* The layers of an architecture on a given problem, in execution order: the one description that
 * costs, the engine's network graph and exporters all start from.
 *
 * Order: stem; for each block its convolutions and SE layers; head; (global average pool;) fc.
 * Names follow the reference listings: "stem", "blocks_3.exp", ".dw", ".se_r", ".se_e", ".proj"
 * (MBConv), ".fexp", ".proj" (Fused-MBConv), ".conv" (Fused-MBConv with expansion 1, plain conv),
 * "head", "fc". */
#ifndef SEARCH_LAYER_H
#define SEARCH_LAYER_H

#include "search/architecture.h"

enum layer_kind {
    LAYER_CONV,      /* dense k x k convolution, no bias, then BN */
    LAYER_DEPTHWISE, /* k x k, one filter a channel, no bias, then BN */
    LAYER_SE_REDUCE, /* global mean of the input, 1x1 with bias, SiLU */
    LAYER_SE_EXPAND, /* 1x1 with bias, sigmoid, multiplied onto the input of the SE_REDUCE before it
                      */
    LAYER_FC         /* global mean, then linear with bias */
};

enum { LAYER_NO_BLOCK = UINT32_MAX, LAYER_NAME_SIZE = 24 };

struct layer {
    char name[LAYER_NAME_SIZE];
    enum layer_kind kind;
    uint32_t block; /* 0-based over all stages; LAYER_NO_BLOCK for stem, head, fc */
    uint32_t in_channels, out_channels;
    uint32_t kernel, stride;
    uint32_t in_size, out_size; /* pixels a side; out = ceil(in / stride); 1 for SE and fc */
    bool silu;                  /* SiLU after BN */
    bool residual;    /* last layer of a block with a skip: the block's input is added at the end */
    bool block_start; /* first layer of a block: its input is the block's input */
};

/* Number of layers of the architecture (valid, any form). */
size_t layer_count(const struct architecture *architecture);

/* Writes all layer_count() layers. The architecture and problem have been validated. */
void layer_list(const struct architecture *architecture, const struct problem *problem,
                struct layer *ret_layers);

#endif
