/* Depthwise convolutions of maps in bfloat16, (images, size, size, channels), each direction in one pass over its maps: the CUDA
 * counterpart of depthwise_forward and depthwise_backward (worker/engine/reference/ops.h), with the normalisation and SiLU before
 * the convolution made again on load, and the sums that the normalisations on both sides ask for made on the way.
 *
 * Weights are (kernel, kernel, channels) in float. What is staged of a map is in float, and so are all sums; maps are rounded once,
 * when they are written. How many blocks share a map, and with that the order of additions, follows from the shape alone. */
#ifndef KERNELS_DEPTHWISE_H
#define KERNELS_DEPTHWISE_H

#include "kernels/batch_norm.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    DEPTHWISE_KERNEL_MAX = 7, /* kernels are 1, 3, 5 and 7 */
    DEPTHWISE_SIZE_MAX = 1024
};

/* Padding kernel / 2 on every side; out_size = ceil(in_size / stride), stride 1 or 2; channels a multiple of 8. */
struct depthwise_shape {
    uint32_t images, channels, in_size, out_size, kernel, stride;
};

/* Device memory; maps and arrays of channels are aligned to 16 bytes. Where scale is not NULL, neither are the other three, and
 * the convolution's input is silu((x - mean) inverse scale + shift), without SiLU where `silu` is false. Where it is NULL the input
 * is x, and `silu` is false. */
struct depthwise_input {
    const uint16_t *x;          /* (images, in_size, in_size, channels) */
    const float *scale, *shift; /* (channels) */
    const float *mean, *inverse;
    bool silu;
};

/* Slices of ret_partials and weight_partials. */
uint32_t depthwise_forward_slices(const struct depthwise_shape *shape);
uint32_t depthwise_backward_slices(const struct depthwise_shape *shape);

struct depthwise_forward {
    struct depthwise_shape shape;
    struct depthwise_input input;
    const float *weights; /* (kernel, kernel, channels) */
    const float
        *pivot;      /* (channels): running mean of the normalisation after this; NULL: no sums */
    uint16_t *ret_y; /* (images, out_size, out_size, channels); not x */
    float
        *ret_partials; /* (slices, 2, channels): sums of y - pivot and of its square, y as stored */
};

/* One launch. What batch_norm_statistics_finish_launch needs is in ret_partials. */
int depthwise_forward_launch(const struct depthwise_forward *forward,
                             struct CUstream_st *stream) MUST_USE;

/* ret_dx is the gradient of what the input's scale and shift make, through SiLU's slope; where the input is not normalised it is
 * the gradient of x. */
struct depthwise_backward {
    struct depthwise_shape shape;
    struct depthwise_input input;
    const float *weights;                /* (kernel, kernel, channels) */
    const struct batch_norm *after;      /* of this convolution's output, which is its x */
    struct batch_norm_incoming incoming; /* gradient of what `after` makes */
    const float *means; /* (2, channels): of batch_norm_backward_finish_launch for `after` */
    uint16_t *ret_dx;   /* (images, in_size, in_size, channels); neither x, y nor incoming */
    float *
        ret_partials; /* (slices, 2, channels): sums of dx as stored, and of it times the normalised
                               x; NULL where the input is not normalised */
    float *weight_partials; /* (slices, kernel * kernel, channels), for the launches' own use */
    float *dweights;        /* (kernel, kernel, channels) */
    bool first;             /* dweights are replaced; otherwise added to */
};

/* Two launches: the pass over the maps, and the sum of weight_partials. What batch_norm_backward_finish_launch needs for the
 * normalisation before this is in ret_partials. */
int depthwise_backward_launch(const struct depthwise_backward *backward,
                              struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
