/* Augmentation: random horizontal flip and random shift, a function of (seed, epoch, image) alone.
 */
#ifndef WORKER_DATA_AUGMENT_H
#define WORKER_DATA_AUGMENT_H

#include "search/recipe.h"

struct augmentation {
    bool flip;       /* left and right exchanged, before the shift */
    int32_t shift_x; /* pixels to the right */
    int32_t shift_y; /* pixels down */
};

/* What the recipe asks for one image (index into the data set) in one epoch (from 0). Shifts are
 * uniform over -recipe->shift .. recipe->shift in each direction. */
struct augmentation augmentation_draw(const struct recipe *recipe, uint64_t seed, uint32_t epoch,
                                      uint32_t image);

/* (size, size, channels) to (size, size, channels), not in place; what is shifted in is `fill`, a
 * value a channel. */
void augmentation_apply(const struct augmentation *augmentation, uint32_t size, uint32_t channels,
                        const float *fill, const float *image, float *ret_image);

#endif
