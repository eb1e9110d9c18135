/* The loader: batches of normalised images, straight into a plan's input buffers; or, for a device that makes the images
 * itself, the transforms that say how.
 *
 * Legal order: loader_new; for each epoch loader_start_epoch and loader_train_batch (or
 * loader_train_transforms) for any of its steps, in any order; loader_validation_batch (or _transforms), loader_set_stage and loader_set_evaluation_size at any time; loader_free. The pack and the
 * split must outlive the loader. One thread at a time.
 *
 * An image for training passes, in this order: random-resized crop, or resizing where the batch's size is not the data set's
 * own; flip; shift, black comes in; RandAugment; normalisation by the data set's mean and deviation a channel; mixup or CutMix.
 * One for evaluation is resized and normalised. Up to the normalisation they are bytes. docs/augmentation.md has the
 * details.
 *
 * A batch is a function of (seed, epoch, step, stage) alone, whatever was loaded before, in which thread and when. The order of
 * an epoch is drawn by (seed, epoch). The last images of an epoch that do not fill a batch are dropped: other ones each
 * epoch, because the order changes. Validation uses all images, the last batch may be partial.
 *
 * With `prefetch`, a background thread prepares the batch that follows the last one asked for, as bytes; what is left for the
 * caller is to normalise and mix it. The last batch of an epoch, or of the held-out images, is followed by none. */
#ifndef WORKER_DATA_LOADER_H
#define WORKER_DATA_LOADER_H

#include "worker/data/pack.h"
#include "worker/data/split.h"

#include "search/transform.h"

struct loader;

struct loader_options {
    const struct pack *pack;
    const struct split *split;
    struct recipe recipe; /* batch and augmentation; not its stages: loader_set_stage */
    uint32_t image_size;  /* pixels, of the batches */
    uint64_t seed;        /* order and augmentation */
    bool prefetch;
};

/* Where a batch goes: the caller's buffers. Image i counts as labels[i] with shares[i], as partners[i] with the rest. Without
 * partners and shares (both NULL) nothing is mixed. */
struct loader_batch {
    float *images;      /* (batch, size, size, channels) */
    uint32_t *labels;   /* (batch) */
    uint32_t *partners; /* (batch); labels[i] where nothing is mixed */
    float *shares;      /* (batch); 1 where nothing is mixed */
};

/* The same without pixels: image i is what transforms[i] makes of the images that loader_images has. */
struct loader_transforms {
    struct transform *transforms; /* (batch) */
    uint32_t *labels;             /* (batch), as above */
    uint32_t *partners;
    float *shares;
};

/* -EINVAL where the training images do not fill one batch, -ENOMEM, -EAGAIN where there is no thread to be had. */
int loader_new(const struct loader_options *options, struct loader **ret_loader,
               struct error *error) MUST_USE;
void loader_free(struct loader *loader);

/* Progressive learning: from the next batch on this image size, RandAugment magnitude, and alphas of mixup and CutMix. -ENOMEM,
 * and all stays as it was. */
int loader_set_stage(struct loader *loader, const struct recipe_stage *stage,
                     struct error *error) MUST_USE;
/* Held-out images come in this size from now on, whatever the stage; 0 (as at first): in the stage's. -ENOMEM likewise. */
int loader_set_evaluation_size(struct loader *loader, uint32_t size, struct error *error) MUST_USE;

uint64_t loader_steps_per_epoch(const struct loader *loader);
uint64_t loader_validation_batches(const struct loader *loader);

void loader_start_epoch(struct loader *loader, uint32_t epoch); /* from 0 */

/* Step `step` of the epoch. */
void loader_train_batch(struct loader *loader, uint64_t step, const struct loader_batch *ret_batch);

void loader_train_transforms(struct loader *loader, uint64_t step,
                             const struct loader_transforms *ret_batch);

/* Returns the number of images written, batch or, in the last one, less. */
uint32_t loader_validation_batch(struct loader *loader, uint64_t index,
                                 const struct loader_batch *ret_batch);
uint32_t loader_validation_transforms(struct loader *loader, uint64_t index,
                                      const struct loader_transforms *ret_batch);

/* The pack's training images, which held-out ones are among, as they lie there. */
struct image_set loader_images(const struct loader *loader);

#endif
