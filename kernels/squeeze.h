/* Squeeze-and-excitation (Hu et al., 2018), after a normalisation with SiLU: with z = silu(BN(x)), and its mean over the pixels
 * being pooled(n, c), the map goes on as gate(n, c) z(n, p, c), where
 *     reduced = pooled R^T + r,  active = silu(reduced),  gate = sigmoid(active E^T + e).
 *
 * Backward, g being the gradient of the gated map: dgate(n, c) is the sum of g z over the image's pixels, and
 *     dz(n, p, c) = gate(n, c) g(n, p, c) + added(n, c) / pixels,
 * added being the gradient of pooled, which is known only once all dgate are. The normalisation before needs the sums of dz s and
 * of dz s xhat over images and pixels, s being SiLU's slope and xhat the normalised x. gate and added do not depend on the pixel:
 *     sum dz s      = sum over n of gate(n, c) (sum over p of g s)      + added(n, c) / pixels (sum over p of s)
 *     sum dz s xhat = sum over n of gate(n, c) (sum over p of g s xhat) + added(n, c) / pixels (sum over p of s xhat)
 * so that one pass over g and x suffices for dgate and for these. Order of calls: squeeze_sums_launch, squeeze_backward_launch,
 * squeeze_finish_launch, and then what makes dx, with batch_norm_incoming's gate and added.
 *
 * Everything is asynchronous on the stream; -EIO where a launch failed. All arrays are device memory, aligned to 16 bytes. */
#ifndef KERNELS_SQUEEZE_H
#define KERNELS_SQUEEZE_H

#include "kernels/batch_norm.h"

#ifdef __cplusplus
extern "C" {
#endif

struct squeeze {
    uint32_t images, channels, squeezed; /* channels a multiple of 8, squeezed any number above 0 */
    const float *pooled;                 /* (images, channels) */
    const float *reduce, *reduce_bias;   /* R (squeezed, channels), r (squeezed) */
    const float *expand, *expand_bias;   /* E (channels, squeezed), e (channels) */
    float *reduced, *active;             /* (images, squeezed) */
    float *gate;                         /* (images, channels) */
};

/* reduced, active, gate; one launch. */
int squeeze_forward_launch(const struct squeeze *squeeze, struct CUstream_st *stream) MUST_USE;

/* Over the pixels of an image. */
enum squeeze_sum {
    SQUEEZE_GRADIENT_VALUE,        /* g z: the gate's gradient */
    SQUEEZE_GRADIENT_SLOPE,        /* g s */
    SQUEEZE_GRADIENT_SLOPE_NORMAL, /* g s xhat */
    SQUEEZE_SLOPE,                 /* s */
    SQUEEZE_SLOPE_NORMAL,          /* s xhat */
    SQUEEZE_SUMS
};

/* norm is the normalisation before, g (images, pixels, channels), ret_sums (SQUEEZE_SUMS, images, channels). */
int squeeze_sums_launch(const struct batch_norm *norm, const uint16_t *g, float *ret_sums,
                        struct CUstream_st *stream) MUST_USE;

struct squeeze_gradients {
    float *dreduce, *dreduce_bias; /* as reduce, reduce_bias */
    float *dexpand, *dexpand_bias;
    float *scratch; /* (squeeze_scratch), for the launches' own use */
    bool first;     /* the four are replaced; otherwise added to */
};

/* Floats of scratch. */
size_t squeeze_scratch(const struct squeeze *squeeze);

/* Of sums, the gate's gradient is read. ret_added (images, channels): the gradient of pooled. Two launches. */
int squeeze_backward_launch(const struct squeeze *squeeze, const float *sums,
                            const struct squeeze_gradients *gradients, float *ret_added,
                            struct CUstream_st *stream) MUST_USE;

/* dscale, dshift and means of the normalisation before; the same as batch_norm_backward_sums_launch and
 * batch_norm_backward_finish_launch would make of dz. gate, added: (images, channels). norm's x and partials are not touched. */
struct squeeze_finish {
    const float *sums, *gate, *added;
};

int squeeze_finish_launch(const struct batch_norm *norm, const struct squeeze_finish *finish,
                          const struct batch_norm_gradients *gradients,
                          struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
