/* Bilinear resizing of square images with half-pixel centres; when shrinking, the triangle filter
 * is widened by the factor, so that every source pixel counts (as PIL's BILINEAR does). */
#ifndef WORKER_DATA_RESIZE_H
#define WORKER_DATA_RESIZE_H

#include "search/attributes.h"

#include <stdint.h>

struct resizer;

/* Sizes in pixels. -ENOMEM. */
int resizer_new(uint32_t in_size, uint32_t out_size, uint32_t channels,
                struct resizer **ret_resizer) MUST_USE;
void resizer_free(struct resizer *resizer);

/* (in, in, channels) bytes to (out, out, channels) floats of 0 .. 255. One thread at a time. */
void resizer_run(struct resizer *resizer, const uint8_t *image, float *ret_image);

#endif
