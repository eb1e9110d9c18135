/* The loader: batches of normalised images, straight into a plan's input buffers.
 *
 * Legal order: loader_new; for each epoch loader_start_epoch and loader_train_batch for steps 0, 1,
 * ...; loader_validation_batch at any time; loader_free. The pack and the split must outlive the
 * loader. One thread at a time.
 *
 * An image is resized where the requested size is not the data set's own, normalised by the data
 * set's mean and standard deviation a channel, and in training flipped and shifted; what is shifted
 * in is black (pixel value 0). The order of an epoch is drawn by (seed, epoch). In training the
 * last images of an epoch that do not fill a batch are dropped: other ones each epoch, because the
 * order changes. Validation uses all images, the last batch may be partial. */
#ifndef WORKER_DATA_LOADER_H
#define WORKER_DATA_LOADER_H

#include "worker/data/pack.h"
#include "worker/data/split.h"

#include "search/recipe.h"

struct loader;

struct loader_options {
    const struct pack *pack;
    const struct split *split;
    struct recipe recipe; /* batch, flip, shift */
    uint32_t image_size;  /* pixels, of the batches */
    uint64_t seed;        /* order and augmentation */
};

/* -EINVAL where the training images do not fill one batch, -ENOMEM. */
int loader_new(const struct loader_options *options, struct loader **ret_loader,
               struct error *error) MUST_USE;
void loader_free(struct loader *loader);

uint64_t loader_steps_per_epoch(const struct loader *loader);
uint64_t loader_validation_batches(const struct loader *loader);

void loader_start_epoch(struct loader *loader, uint32_t epoch); /* from 0 */

/* Step `step` of the epoch: ret_images (batch, size, size, channels), ret_labels (batch). */
void loader_train_batch(struct loader *loader, uint64_t step, float *ret_images,
                        uint32_t *ret_labels);

/* Returns the number of images written, batch or, in the last one, less. */
uint32_t loader_validation_batch(struct loader *loader, uint64_t index, float *ret_images,
                                 uint32_t *ret_labels);

#endif
