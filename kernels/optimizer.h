/* SGD, RMSProp or AdamW over a whole arena of parameters in one launch, with the moving averages and the copy of the weights
 * in bfloat16: the CUDA counterpart of worker/engine's optimizer, which is also its reference and has the formulas. */
#ifndef KERNELS_OPTIMIZER_H
#define KERNELS_OPTIMIZER_H

#include "kernels/step.h"

#ifdef __cplusplus
extern "C" {
#endif

#include "search/recipe.h"

/* Device memory, every array aligned to 16 bytes. Sizes are in floats and need not be multiples of anything; what lies behind
 * an array's end is neither read nor written. */
struct optimizer_arena {
    float *values;                /* (total): with weight decay, without, statistics */
    const float *gradients;       /* (count) */
    float *states[2];             /* (count); SGD: the second is NULL */
    float *averages;              /* (total); NULL: none */
    uint16_t *halves;             /* (decayed): the first values in bfloat16; NULL: not wanted */
    size_t total, count, decayed; /* of all values, of what is trained, of that with weight decay */
};

struct optimizer_constants {
    float momentum, decay, epsilon, weight_decay;
};

/* One step with the rates and the clip in *control (device memory); nothing where control->refused is not 0. Asynchronous on
 * the stream. -EIO where the launch failed. */
int optimizer_launch(enum optimizer_kind kind, const struct optimizer_arena *arena,
                     const struct optimizer_constants *constants,
                     const struct step_control *control, struct CUstream_st *stream) MUST_USE;

/* halves (count) = values in bfloat16: after weights were written, and for the averages before an evaluation. */
int halves_launch(const float *values, uint16_t *ret_halves, size_t count,
                  struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
