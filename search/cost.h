/* Exact costs of an architecture from its layers; they equal the reference counts to the last digit. */
#ifndef SEARCH_COST_H
#define SEARCH_COST_H

#include "search/layer.h"

struct cost {
    uint64_t params;                    /* trainable: weights, BN scale and shift, biases */
    uint64_t params_with_bn_statistics; /* plus running mean and variance */
    uint64_t macs;                      /* multiply-adds of conv, SE and fc layers, one image forward */
    uint64_t activation_bytes;          /* outputs of all conv, SE and fc layers of one image, 4 bytes an element */
};

/* Both arguments have been validated. */
struct cost cost_of(const struct architecture *architecture, const struct problem *problem);

/* One layer's weights (convolution or matrix entries, no bias, no BN) and multiply-adds. */
uint64_t layer_weights(const struct layer *layer);
uint64_t layer_macs(const struct layer *layer);

#endif
