/* From a pack's image to the bytes that are trained on: crop and resize, flip, shift, RandAugment, in this order. What is done
 * is drawn first, a function of (seed, epoch, image) and the rules alone, as a struct transform; then it is applied. Holds the
 * buffers for it: one thread at a time, nothing is allocated an image. */
#ifndef WORKER_DATA_PREPARER_H
#define WORKER_DATA_PREPARER_H

#include "search/transform.h"
#include "worker/data/pack.h"

struct preparer;

struct prepare_rules {
    const struct recipe *recipe; /* crop_area_min, flip, shift, randaugment_ops */
    double randaugment_magnitude;
    uint64_t seed;
    uint32_t epoch;
};

/* To images of `size` pixels. The pack must outlive it. -ENOMEM. */
int preparer_new(const struct pack *pack, uint32_t size, struct preparer **ret_preparer) MUST_USE;
void preparer_free(struct preparer *preparer);

/* All of a transform but its mixing, which is none. */
void preparer_draw(const struct preparer *preparer, const struct prepare_rules *rules,
                   uint32_t image, struct transform *ret_transform);
/* The one that changes nothing but the size. */
void preparer_draw_plain(const struct preparer *preparer, uint32_t image,
                         struct transform *ret_transform);

/* What a transform makes of the pack's image, before normalisation and mixing: (size, size, channels), until the next call:
 * the preparer's own or the pack's. */
const uint8_t *preparer_apply(struct preparer *preparer, const struct transform *transform);

/* Draws and applies. */
const uint8_t *preparer_train(struct preparer *preparer, const struct prepare_rules *rules,
                              uint32_t image);
const uint8_t *preparer_plain(struct preparer *preparer, uint32_t image);

#endif
