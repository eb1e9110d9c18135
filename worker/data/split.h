/* Which images of a training split are trained on and which are held out to measure accuracy.
 *
 * Within a class the order is drawn by (seed, class); classes are then merged so that every prefix
 * of the whole order has each class in its share, to within one image. The first
 * `validation_images` of it are held out, the next `train_images` trained on. So for one seed the
 * held-out images are the same whatever the number of training images, and a smaller training set
 * is part of a larger one. */
#ifndef WORKER_DATA_SPLIT_H
#define WORKER_DATA_SPLIT_H

#include "search/error.h"

#include <stdint.h>

struct split_request {
    const uint16_t *labels; /* (images) */
    uint64_t images;
    uint32_t classes;
    uint64_t seed;
    uint64_t train_images, validation_images;
};

struct split {
    uint32_t *train;      /* (train_images) indices into the labels */
    uint32_t *validation; /* (validation_images) */
    uint64_t train_images, validation_images;
};

/* -EINVAL where a count is 0 or both are more than there is, -ENOMEM. Labels are below `classes`.
 */
int split_init(struct split *split, const struct split_request *request,
               struct error *error) MUST_USE;
void split_release(struct split *split); /* zeroed or initialised */

#endif
