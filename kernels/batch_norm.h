/* Batch normalisation and SiLU of maps in bfloat16, (images, pixels, channels), channels a multiple of 8: the CUDA counterpart
 * of OP_NORM (worker/engine/reference/norm.c is the reference). What is stored of a map is the convolution's raw output, x;
 * normalisation and SiLU are made again wherever they are needed.
 *
 * Sums are kept in float, those of x shifted by the running mean, and added up in two stages of one order; the second one is
 * in double. SiLU is x / 2 (1 + tanh(x / 2)) with the device's tanh.approx; its relative error of 2^-11 makes SiLU wrong by up
 * to |x| / 4096: less than bfloat16's rounding where x is positive, more than it where x is far below 0 and SiLU almost 0. */
#ifndef KERNELS_BATCH_NORM_H
#define KERNELS_BATCH_NORM_H

#include "kernels/step.h"
#include "search/attributes.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BATCH_NORM_THREADS = 256,
    BATCH_NORM_LANES_MAX = 32, /* octets of channels that a block has beside each other */
    BATCH_NORM_BLOCKS_MAX = 1024,
    BATCH_NORM_SLICES_MAX = 512 /* blocks that share the rows of one channel */
};

/* images * pixels fits 32 bits. */
struct batch_norm_shape {
    uint32_t images, pixels, channels;
};

/* Slices of the sums that these launches make themselves. */
uint32_t batch_norm_slices(const struct batch_norm_shape *shape);

/* Device memory; maps are aligned to 16 bytes, as are arrays of channels. */
struct batch_norm {
    struct batch_norm_shape shape;
    const uint16_t *x;          /* (images, pixels, channels) */
    const float *scale, *shift; /* (channels) */
    float *mean, *inverse;      /* (channels): of the batch, and 1 / sqrt(variance + epsilon) */
    float *partials; /* (slices, 2, channels): two kinds of sums, for the launches' own use */
    bool silu;
};

/* Floats of partials, where all sums are these launches'. */
size_t batch_norm_partials(const struct batch_norm_shape *shape);

struct batch_norm_running {
    float *mean, *variance; /* (channels) */
    double momentum, epsilon;
    bool keep; /* they stay as they are */
};

/* mean, inverse of x; running = momentum running + (1 - momentum) batch, with the biased variance. Two launches: sums, and
 * the one below. */
int batch_norm_statistics_launch(const struct batch_norm *norm,
                                 const struct batch_norm_running *running,
                                 struct CUstream_st *stream) MUST_USE;

/* The same from partials that another kernel has written: sums of x - running mean, and of its square. x is not read. */
int batch_norm_statistics_finish_launch(const struct batch_norm *norm, uint32_t slices,
                                        const struct batch_norm_running *running,
                                        struct CUstream_st *stream) MUST_USE;

/* mean, inverse of the running statistics, for evaluation. */
int batch_norm_running_launch(const struct batch_norm *norm,
                              const struct batch_norm_running *running,
                              struct CUstream_st *stream) MUST_USE;

struct batch_norm_output {
    const float *branch;      /* (images): factors of stochastic depth; NULL: 1 */
    const float *gate;        /* (images, channels): squeeze-and-excitation's; NULL: 1 */
    const uint16_t *residual; /* (images, pixels, channels); NULL: 0 */
    uint16_t *ret_y;          /* (images, pixels, channels); neither x nor residual */
};

/* y = branch gate silu((x - mean) inverse scale + shift) + residual; without SiLU where norm->silu is false. */
int batch_norm_apply_launch(const struct batch_norm *norm, const struct batch_norm_output *output,
                            struct CUstream_st *stream) MUST_USE;

/* Global average pooling of silu((x - mean) inverse scale + shift), which is never stored, and dropout. */
struct batch_norm_pool {
    const float *features; /* (images, channels): factors of dropout; NULL: 1 */
    float *ret_pooled;     /* (images, channels) */
};

int batch_norm_pool_launch(const struct batch_norm *norm, const struct batch_norm_pool *pool,
                           struct CUstream_st *stream) MUST_USE;

/* The gradient dy of silu((x - mean) inverse scale + shift), p being one of the image's pixels:
 * dy(n, p, c) = branch(n) gate(n, c) map(n, p, c) + features(n, c) added(n, c) / pixels.
 * `map` is the gradient of what batch_norm_output makes, `added` that of the mean over the pixels. */
struct batch_norm_incoming {
    const uint16_t *map;   /* (images, pixels, channels); NULL: 0 */
    const float *branch;   /* (images); NULL: 1 */
    const float *gate;     /* (images, channels); NULL: 1 */
    const float *added;    /* (images, channels); NULL: 0 */
    const float *features; /* (images, channels): factors of dropout; NULL: 1 */
};

struct batch_norm_gradients {
    float *dscale, *dshift; /* (channels) */
    float *means; /* (2, channels): of dy times SiLU's slope, and of that times the normalised x */
    uint16_t *ret_dx; /* (images, pixels, channels); neither x nor dy */
    bool first;       /* dscale and dshift are replaced; otherwise added to */
};

/* partials: sums of dy times SiLU's slope, and of that times the normalised x. */
int batch_norm_backward_sums_launch(const struct batch_norm *norm,
                                    const struct batch_norm_incoming *incoming,
                                    struct CUstream_st *stream) MUST_USE;

/* partials, these or another kernel's -> dscale, dshift, means. x and ret_dx are not touched. */
int batch_norm_backward_finish_launch(const struct batch_norm *norm, uint32_t slices,
                                      const struct batch_norm_gradients *gradients,
                                      struct CUstream_st *stream) MUST_USE;

/* means -> ret_dx, through the statistics too. */
int batch_norm_backward_apply_launch(const struct batch_norm *norm,
                                     const struct batch_norm_incoming *incoming,
                                     const struct batch_norm_gradients *gradients,
                                     struct CUstream_st *stream) MUST_USE;

/* The three after each other. */
int batch_norm_backward_launch(const struct batch_norm *norm,
                               const struct batch_norm_incoming *incoming,
                               const struct batch_norm_gradients *gradients,
                               struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
