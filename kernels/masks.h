/* What dropout and stochastic depth drop in a step, drawn on the device: worker/engine's mask.h has
 * the distribution and the order of the numbers, and makes the same factors to the bit. */
#ifndef KERNELS_MASKS_H
#define KERNELS_MASKS_H

#include "kernels/step.h"

#ifdef __cplusplus
extern "C" {
#endif

#include "search/attributes.h"

/* Factors of the images of a part of a batch: 0 or 1 / survival. Device memory. */
struct masks_draw {
    uint64_t seed;     /* the plan's */
    uint32_t first;    /* place of the part's first image in the batch */
    uint32_t images;   /* of the part */
    uint32_t blocks;   /* of the network; 0 is legal */
    uint32_t features; /* that the last layer reads */
    uint32_t stride;   /* floats from one image's features to the next one's; at least `features` */
    double branch_rate;  /* block i of N, from 1, is dropped with probability rate i / N; [0, 1) */
    double feature_rate; /* [0, 1) */
    float *ret_branches; /* (blocks, images); NULL: not wanted */
    float *ret_features; /* (images, stride), 0 beyond `features`; NULL: not wanted */
};

/* For step control->step. Asynchronous on the stream. -EIO where the launch failed. */
int masks_launch(const struct masks_draw *draw, const struct step_control *control,
                 struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
