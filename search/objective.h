/* Objectives, reward, Pareto dominance.
 *
 * Values are kept as measured (accuracy as a fraction, step time relative to the baseline, params
 * as a number); `objective_sign` says which way is better. */
#ifndef SEARCH_OBJECTIVE_H
#define SEARCH_OBJECTIVE_H

#include "search/error.h"

#include <stdbool.h>
#include <stddef.h>

enum objective {
    OBJECTIVE_ACCURACY,  /* fraction of held-out images, up */
    OBJECTIVE_STEP_TIME, /* relative to the baseline on the same worker, down */
    OBJECTIVE_PARAMS,    /* down */
    OBJECTIVE_MACS,      /* down */
    OBJECTIVE_MEMORY,    /* activation bytes, down */
    OBJECTIVE_LOSS,      /* held-out cross-entropy, down */
    OBJECTIVE_COUNT
};

const char *objective_name(enum objective objective); /* "accuracy", "step_time", ... */
int objective_from_name(const char *name, enum objective *ret_objective) MUST_USE; /* -EINVAL */
int objective_sign(enum objective objective); /* +1 more is better, -1 less */

/* One value an objective; indexed by enum objective. */
struct measures {
    double value[OBJECTIVE_COUNT];
};

struct reward {
    double exponent[OBJECTIVE_COUNT]; /* 0 = not part of the reward; accuracy's is 1 unless given */
};

/* accuracy^a * product over the others of (value / baseline)^exponent (MnasNet, equation 2;
 * EfficientNetV2, section 3). `baseline` must be positive where an exponent is not 0; step time is
 * relative already and loss has no scale, so the baseline of both is 1. Where a product is not
 * finite (an accuracy of 0 under a negative exponent) the reward is 0. */
double reward_of(const struct reward *reward, const struct measures *measures,
                 const struct measures *baseline);

#endif
