/* Bilinear resizing of a part of a square image to a square one, with half-pixel centres; when
 * shrinking, the triangle filter is widened by the factor, so that every source pixel counts (as
 * PIL's BILINEAR does). Each direction has a factor of its own. */
#ifndef WORKER_DATA_RESIZE_H
#define WORKER_DATA_RESIZE_H

#include "search/attributes.h"
#include "worker/data/crop.h"

#include <stdint.h>

struct resizer;

/* Sizes in pixels, 1 or 3 channels. -ENOMEM. */
int resizer_new(uint32_t in_size, uint32_t out_size, uint32_t channels,
                struct resizer **ret_resizer) MUST_USE;
void resizer_free(struct resizer *resizer);

/* `part` of (in, in, channels) to (out, out, channels), rounded to bytes once. One thread at a time. */
void resizer_run(struct resizer *resizer, const uint8_t *image, const struct crop *part,
                 uint8_t *ret_image);

#endif
