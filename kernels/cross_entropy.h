/* Softmax cross-entropy with label smoothing and two labels an image: the CUDA counterpart of worker/engine's loss, which is
 * also its reference and has the formulas. A block an image, then one block for the sum; one order of additions. */
#ifndef KERNELS_CROSS_ENTROPY_H
#define KERNELS_CROSS_ENTROPY_H

#include "kernels/step.h"
#include "search/attributes.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CROSS_ENTROPY_THREADS = 128 };

struct cross_entropy_options {
    uint32_t count, classes; /* images that count, above 0 */
    double smoothing;
    double gradient_scale; /* usually 1 / images of the whole batch */
    bool first;            /* *ret_sum is replaced; otherwise the images' sum is added to it */
};

/* Of one image or of many. */
struct cross_entropy_sum {
    double loss;
    uint64_t correct;
};

/* Device memory. A label or partner that is no class gives a loss that is not finite. */
struct cross_entropy {
    const float *logits;      /* (count, classes) */
    const uint32_t *labels;   /* (count) */
    const uint32_t *partners; /* (count); NULL: labels count whole */
    const float *shares;      /* (count), of the first label; not read where partners is NULL */
    float *ret_gradient; /* (count, classes): gradient_scale d loss / d logits; NULL: not wanted */
    struct cross_entropy_sum *images;  /* (count), for the launches' own use */
    struct cross_entropy_sum *ret_sum; /* (1) */
    struct step_control *control;      /* (1); gets STEP_LOSS_NOT_FINITE; NULL in evaluation */
};

/* Asynchronous on the stream. -EIO where a launch failed. */
int cross_entropy_launch(const struct cross_entropy_options *options,
                         const struct cross_entropy *loss, struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
