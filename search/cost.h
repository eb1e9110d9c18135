/* Exact costs of an architecture from its layers; they equal the reference counts to the last
 * digit.
 *
 * What is counted, one image forward:
 * - multiply-adds of convolutions, SE and fc; BN, activations, pooling and additions are not
 * counted;
 * - activation bytes: the outputs of every convolution (before BN), SE convolution and fc, 4 bytes
 * an element, as if nothing were reused or recomputed. It orders networks by memory; what a backend
 * really takes differs by a factor.
 *
 * All figures stop at COST_MAX, which no network that fits a machine comes near. */
#ifndef SEARCH_COST_H
#define SEARCH_COST_H

#include "search/layer.h"

#define COST_MAX ((uint64_t)INT64_MAX) /* so that JSON and SQL integers hold every figure */

enum { COST_ELEMENT_BYTES = 4 };

struct cost {
    uint64_t params;                    /* trainable: weights, BN scale and shift, biases */
    uint64_t params_with_bn_statistics; /* plus running mean and variance */
    uint64_t macs;             /* multiply-adds of conv, SE and fc layers, one image forward */
    uint64_t activation_bytes; /* outputs of all conv, SE and fc layers of one image */
};

/* Both arguments have been validated. */
struct cost cost_of(const struct architecture *architecture, const struct problem *problem);

/* a + times * b, each figure stopping at COST_MAX. */
struct cost cost_add(const struct cost *a, const struct cost *b, uint32_t times);

/* Costs of one stage, which is no identity, on an input of in_channels x in_size x in_size;
 * *ret_out_size is the side of its output. The parts of an architecture's cost add up: stem +
 * stages + head and fc. */
struct cost cost_of_stage(const struct stage *stage, uint32_t in_channels, uint32_t in_size,
                          uint32_t *ret_out_size);
struct cost cost_of_stem(const struct architecture *architecture, const struct problem *problem,
                         uint32_t *ret_out_size);
struct cost cost_of_head(const struct architecture *architecture, const struct problem *problem,
                         uint32_t in_channels, uint32_t in_size);

/* One layer's weights (convolution or matrix entries, no bias, no BN) and multiply-adds. */
uint64_t layer_weights(const struct layer *layer);
uint64_t layer_macs(const struct layer *layer);

#endif
