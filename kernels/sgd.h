/* SGD with Nesterov momentum over a whole slab of parameters, in one launch: the CUDA counterpart of worker/engine's
 * optimizer, which is also its reference. */
#ifndef KERNELS_SGD_H
#define KERNELS_SGD_H

#include "search/attributes.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* cudaStream_t, for callers that do not see CUDA's headers; NULL is the default stream. */
struct CUstream_st;

enum { SGD_FLOATS_A_THREAD = 4 };

struct sgd_slabs {
    float *values, *velocity; /* device memory, `count` floats each, aligned to 16 bytes */
    const float *gradients;
    size_t count,
        decayed; /* floats; the first `decayed` have weight decay. Multiples of SGD_FLOATS_A_THREAD */
};

struct sgd_constants {
    float learning_rate, momentum, weight_decay;
};

/* g = gradient + weight_decay value (decayed part);  velocity = momentum velocity + g;
 * value -= learning_rate (g + momentum velocity). Asynchronous on the stream. -EIO where the launch failed. */
int sgd_launch(const struct sgd_slabs *slabs, const struct sgd_constants *constants,
               struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
