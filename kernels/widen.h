/* Gradients that a library has written in bfloat16, brought into float. */
#ifndef KERNELS_WIDEN_H
#define KERNELS_WIDEN_H

#include "search/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct CUstream_st;

/* values = halves, or += where `add`; (count) each, aligned to 16 bytes, not overlapping. -EIO. */
int widen_launch(const uint16_t *halves, float *values, size_t count, bool add,
                 struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
