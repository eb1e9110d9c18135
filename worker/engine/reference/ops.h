/* Every operation in plain C: what the other backends are tested against, and itself tested against finite differences.
 *
 * Images are (N, size, size, channels), convolution weights (out, in, k, k), depthwise (c, 1, k, k), linear (out, in). Sums
 * are kept in double. A backward function ADDS to its gradients (dx, dw, ...), which the caller has cleared; dx may be NULL
 * where nobody asks for it. */
#ifndef WORKER_ENGINE_REFERENCE_OPS_H
#define WORKER_ENGINE_REFERENCE_OPS_H

#include <stddef.h>
#include <stdint.h>

/* Convolution: padding kernel / 2 on every side, out_size = ceil(in_size / stride). Depthwise: out_channels = in_channels. */
struct conv_shape {
    uint32_t batch, in_size, in_channels, out_size, out_channels, kernel, stride;
};

void conv_forward(const struct conv_shape *shape, const float *x, const float *w, float *ret_y);
void conv_backward(const struct conv_shape *shape, const float *x, const float *w, const float *dy,
                   float *dx, float *dw);
void depthwise_forward(const struct conv_shape *shape, const float *x, const float *w,
                       float *ret_y);
void depthwise_backward(const struct conv_shape *shape, const float *x, const float *w,
                        const float *dy, float *dx, float *dw);

/* Batch normalisation of (pixels, channels), pixels = N * size * size (Ioffe and Szegedy, 2015); the variance is the biased
 * one. Training: the batch's statistics are computed and given out; evaluation: they are given. */
struct norm_shape {
    size_t pixels;
    uint32_t channels;
    double epsilon;
};

void norm_statistics(const struct norm_shape *shape, const float *x, float *ret_mean,
                     float *ret_variance);
struct norm_parameters {
    const float *scale, *shift, *mean, *variance; /* (channels) each */
};
void norm_forward(const struct norm_shape *shape, const struct norm_parameters *parameters,
                  const float *x, float *ret_y);
struct norm_gradients {
    float *dx, *dscale, *dshift;
};
/* Through the statistics too: mean and variance must be x's own. */
void norm_backward(const struct norm_shape *shape, const struct norm_parameters *parameters,
                   const float *x, const float *dy, const struct norm_gradients *gradients);

/* y = x sigmoid(x), (count). */
void silu_forward(size_t count, const float *x, float *ret_y);
void silu_backward(size_t count, const float *x, const float *dy, float *dx);
void sigmoid_forward(size_t count, const float *x, float *ret_y);
void sigmoid_backward(size_t count, const float *y, const float *dy,
                      float *dx); /* of the output y */

/* to += from, (count) */
void accumulate(size_t count, const float *from, float *to);

/* Maps of one image: pixels = size * size. */
struct map_shape {
    uint32_t batch, channels;
    size_t pixels;
};
/* (N, pixels, c) -> (N, c) */
void mean_forward(const struct map_shape *shape, const float *x, float *ret_y);
void mean_backward(const struct map_shape *shape, const float *dy, float *dx);
/* x (N, pixels, c) * gate (N, c) */
void gate_forward(const struct map_shape *shape, const float *x, const float *gate, float *ret_y);
void gate_backward(const struct map_shape *shape, const float *x, const float *gate,
                   const float *dy, float *dx, float *dgate);

/* x (N, in) -> (N, out), w (out, in), b (out) */
struct linear_shape {
    uint32_t batch, in, out;
};
void linear_forward(const struct linear_shape *shape, const float *x, const float *w,
                    const float *b, float *ret_y);
struct linear_gradients {
    float *dx, *dw, *db;
};
void linear_backward(const struct linear_shape *shape, const float *x, const float *w,
                     const float *dy, const struct linear_gradients *gradients);

#endif
