/* Maps in bfloat16, value by value. */
#ifndef KERNELS_MAP_H
#define KERNELS_MAP_H

#include "kernels/step.h"
#include "search/attributes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* to += from, in float and rounded once: a residual's gradient. Device memory, aligned to 16 bytes; count is a multiple of 8.
 * Asynchronous; -EIO where the launch failed. */
int map_add_launch(uint16_t *to, const uint16_t *from, size_t count,
                   struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
