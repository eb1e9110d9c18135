/* Squeeze-and-excitation after a normalisation with SiLU, in plain C and double: what kernels/squeeze.h is tested against. */
#ifndef TESTS_UNIT_KERNELS_SQUEEZE_PLAIN_H
#define TESTS_UNIT_KERNELS_SQUEEZE_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plain_shape {
    uint32_t images, pixels, channels, squeezed;
    bool silu;
    double epsilon;
};

/* The inputs, in the order of enum plain_input. */
enum plain_input {
    PLAIN_X,           /* (images, pixels, channels) */
    PLAIN_G,           /* (images, pixels, channels): gradient of the gated map */
    PLAIN_SCALE,       /* (channels) */
    PLAIN_SHIFT,       /* (channels) */
    PLAIN_REDUCE,      /* (squeezed, channels) */
    PLAIN_REDUCE_BIAS, /* (squeezed) */
    PLAIN_EXPAND,      /* (channels, squeezed) */
    PLAIN_EXPAND_BIAS, /* (channels) */
    PLAIN_INPUTS
};

size_t plain_count(const struct plain_shape *shape, enum plain_input input);

/* What is made on the way. */
struct plain_forward {
    double *mean, *inverse;                   /* (channels): of the batch */
    double *normal, *value, *slope;           /* (images, pixels, channels): xhat, z, s */
    double *pooled, *gate, *reduced, *active; /* (images, channels) or (images, squeezed) */
    double loss;                              /* sum of g gate z */
};

struct plain_forward plain_forward_new(const struct plain_shape *shape,
                                       double *const inputs[PLAIN_INPUTS]);
void plain_forward_free(const struct plain_forward *forward);

struct plain_backward {
    double *sums;             /* (5, images, channels) */
    double *added;            /* (images, channels) */
    double *means;            /* (2, channels) */
    double *of[PLAIN_INPUTS]; /* gradients of the inputs; of g, NULL */
};

struct plain_backward plain_backward_new(const struct plain_shape *shape,
                                         double *const inputs[PLAIN_INPUTS],
                                         const struct plain_forward *forward);
void plain_backward_free(const struct plain_backward *backward);

#endif
