/* The library, wrapped: the only file that includes dnnl.h, the differences between its versions 2 and 3 in it.
 *
 * What is needed of it: the three passes of a dense convolution on blocked maps, and reordering of their weights. Everything
 * runs on the calling thread. Legal order for a pass: _new, then _bind for each place that its maps may be at, _run; _free
 * takes NULL. The library's codes become -ENOMEM, -ENOTSUP or -EIO here. */
#ifndef WORKER_ENGINE_ONEDNN_PRIMITIVE_H
#define WORKER_ENGINE_ONEDNN_PRIMITIVE_H

#include "search/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct primitive_context;

int primitive_context_new(struct primitive_context **ret_context, struct error *error) MUST_USE;
void primitive_context_free(struct primitive_context *context);
/* Whether the library has fast convolutions of bfloat16 for this processor. */
bool primitive_has_bfloat(void);
/* "2.6.3" */
const char *primitive_library_version(void);
/* GFLOP/s of one float matrix product size x size, by this thread's processor time: what nothing can be faster than. */
double primitive_matrix_product(uint32_t size, const float *a, const float *b, float *ret_c);

enum convolution_pass {
    CONVOLUTION_FORWARD,
    CONVOLUTION_BACKWARD_DATA,
    CONVOLUTION_BACKWARD_WEIGHTS
};

/* Padding kernel / 2. Channels are multiples of lanes (8 or 16), maps blocked by them. A plain input instead is (images,
 * channels, size, size) with one to three channels. Weights are blocked (out / lanes, in / lanes, k, k, lanes in, lanes
 * out), for a plain input (out / lanes, k, k, in, lanes out). */
struct convolution_shape {
    uint32_t images, in_channels, out_channels, in_size, out_size, kernel, stride, lanes;
    bool plain_input;
    bool
        bfloat; /* maps, and the library's copies of the weights; our weights and their gradients are floats */
};

struct convolution;

int convolution_new(struct primitive_context *context, enum convolution_pass pass,
                    const struct convolution_shape *shape,
                    struct convolution **ret_convolution) MUST_USE;
void convolution_free(struct convolution *convolution);
size_t convolution_scratch_bytes(const struct convolution *convolution);
/* Bytes for weights in the library's own order; 0 where ours will do. */
size_t convolution_weight_bytes(const struct convolution *convolution);
const char *convolution_implementation(const struct convolution *convolution);

/* Forward reads x and w and writes y; backward data reads y's gradient and w and writes x's; backward weights reads x and
 * y's gradient and writes w's. `w` is in our order, or, where convolution_weight_bytes is not 0, in the library's. */
struct convolution_places {
    void *x, *w, *y, *scratch;
};
int convolution_run(struct convolution *convolution,
                    const struct convolution_places *places) MUST_USE;
/* Between our order and the library's; for passes whose convolution_weight_bytes is not 0. */
int convolution_weights_import(struct convolution *convolution, const float *ours,
                               void *ret_theirs) MUST_USE;
int convolution_weights_export(struct convolution *convolution, const void *theirs,
                               float *ret_ours) MUST_USE;

#endif
