/* Random horizontal flip and random shift, a function of (seed, epoch, image) alone. */
#ifndef WORKER_DATA_AUGMENT_H
#define WORKER_DATA_AUGMENT_H

#include "search/transform.h"

/* What the recipe asks for one image (index into the data set) in one epoch (from 0). Shifts are
 * uniform over -recipe->shift .. recipe->shift in each direction. */
struct augmentation augmentation_draw(const struct recipe *recipe, uint64_t seed, uint32_t epoch,
                                      uint32_t image);
bool augmentation_is_none(const struct augmentation *augmentation);

/* (size, size, channels) to the same, not in place; 1 or 3 channels. What is shifted in is black. */
void augmentation_apply(const struct augmentation *augmentation, uint32_t size, uint32_t channels,
                        const uint8_t *pixels, uint8_t *ret_pixels);

#endif
