/* Compound scaling: a backbone made wider and deeper (EfficientNet, section 3.3; EfficientNetV2,
 * section 3.3). */
#ifndef SEARCH_SCALE_H
#define SEARCH_SCALE_H

#include "search/architecture.h"

/* How scaled channels are rounded to multiples of 8. */
enum scale_rounding {
    SCALE_ROUND_V1, /* one step up where rounding took more than 10 % away */
    SCALE_ROUND_V2  /* to the nearest, as google/automl's EfficientNetV2 does */
};

/* Multiplies the channels of stem, stages and head by `width` and the layers of every stage by
 * `depth` (rounded up). A width or depth of exactly 1 leaves its figures alone. -ERANGE where the
 * result exceeds an architecture's limits; both factors must be finite and positive, else -EINVAL.
 */
int scale_architecture(const struct architecture *base, double width, double depth,
                       enum scale_rounding rounding, struct architecture *ret_scaled) MUST_USE;

#endif
