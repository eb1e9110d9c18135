/* Dropout before the last layer (Srivastava et al. 2014) and stochastic depth a sample (Huang et al. 2016): which values are
 * dropped in a training step, drawn here so that all backends agree.
 *
 * The numbers are a function of the plan's seed, the step, the image's place in its batch and the block or feature: they do
 * not depend on the order of drawing, on micro-batches or on each other's rates. */
#ifndef WORKER_ENGINE_MASK_H
#define WORKER_ENGINE_MASK_H

#include "search/attributes.h"

#include <stddef.h>
#include <stdint.h>

/* Factors of one part: 0 or 1 / survival. */
struct masks {
    float *branches; /* (blocks, images) */
    float *features; /* (images, features) */
    uint32_t images, blocks, features_count;
};

/* -ENOMEM. */
int masks_init(struct masks *masks, uint32_t images, uint32_t blocks, uint32_t features) MUST_USE;
void masks_release(struct masks *masks);

/* The images of a part in a step. */
struct mask_key {
    uint64_t seed, step;
    uint32_t first; /* place of the part's first image in the batch */
};

/* Block i of N, from 1, is dropped with probability rate * i / N. */
void masks_draw_branches(struct masks *masks, const struct mask_key *key, double rate);
void masks_draw_features(struct masks *masks, const struct mask_key *key, double rate);

#endif
