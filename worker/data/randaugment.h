/* RandAugment (Cubuk et al. 2019) as google/automl trains EfficientNetV2 with it: N operations drawn
 * uniformly, with replacement, from 16, all at one magnitude M. docs/augmentation.md has each
 * decision. */
#ifndef WORKER_DATA_RANDAUGMENT_H
#define WORKER_DATA_RANDAUGMENT_H

#include "search/random.h"
#include "worker/data/image.h"

/* The size whose pixels the strengths of Translate and Cutout are in. */
enum { RANDAUGMENT_SIZE = 224 };

struct randaugment_choice {
    enum randaugment_op op;
    bool negative; /* Rotate, ShearX, ShearY, TranslateX, TranslateY: the other way */
    uint32_t x, y; /* Cutout: the middle of its box, inside the image */
};

/* One operation, for an image of `size` pixels. Takes the same numbers from the stream whichever it is. */
struct randaugment_choice randaugment_draw(struct random_stream *stream, uint32_t size);

/* What the operation does at magnitude 0 .. RANDAUGMENT_MAGNITUDE_MAX to an image of `size` pixels:
 * degrees (Rotate), bits kept (Posterize), threshold (Solarize), factor (Color, Contrast, Brightness,
 * Sharpness), level (ShearX, ShearY), pixels (TranslateX, TranslateY, Cutout: half its box), addition
 * (SolarizeAdd), 0 for those without. Whole numbers where the reference has them. */
double randaugment_strength(enum randaugment_op op, double magnitude, uint32_t size);

/* The operation as a transform has it, for an image of `size` pixels. */
struct transform_op randaugment_resolve(const struct randaugment_choice *choice, double magnitude,
                                        uint32_t size);
/* In place; `scratch` is as large as the image. */
void randaugment_run(const struct transform_op *op, struct image *image, uint8_t *scratch);
/* The two together. */
void randaugment_apply(const struct randaugment_choice *choice, double magnitude,
                       struct image *image, uint8_t *scratch);

const char *randaugment_op_name(enum randaugment_op op); /* "AutoContrast" */

#endif
