/* The L2 norm of all gradients together, and by it the factor that clips them: two launches, one order of additions, whatever
 * the device. Sums are kept in double. */
#ifndef KERNELS_GRADIENT_NORM_H
#define KERNELS_GRADIENT_NORM_H

#include "kernels/step.h"
#include "search/attributes.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GRADIENT_NORM_THREADS = 256, GRADIENT_NORM_BLOCKS_MAX = 512 };

/* Device memory. */
struct gradient_norm {
    const float *gradients; /* (count), aligned to 16 bytes */
    size_t count;
    double *partials; /* (GRADIENT_NORM_BLOCKS_MAX), for the launches' own use */
    double clip_norm; /* above 0 */
};

/* control->norm = norm, control->clip = min(1, clip_norm / norm); a norm that is not finite sets STEP_NORM_NOT_FINITE in
 * control->refused and leaves clip. Asynchronous on the stream. -EIO where a launch failed. */
int gradient_norm_launch(const struct gradient_norm *norm, struct step_control *control,
                         struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
