/* Recipes: how a candidate is trained. Plain values; the spec and the worker's messages carry all
 * fields, resolved. */
#ifndef SEARCH_RECIPE_H
#define SEARCH_RECIPE_H

#include "search/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum optimizer_kind { OPTIMIZER_SGD, OPTIMIZER_RMSPROP };

enum { RECIPE_BATCH_MAX = 4096, RECIPE_EPOCHS_MAX = 10000, RECIPE_SHIFT_MAX = 64 };

struct recipe {
    enum optimizer_kind optimizer;
    double learning_rate;   /* peak, for the whole batch as given; > 0 */
    double momentum;        /* Nesterov for SGD; plain for RMSProp; 0 .. <1 */
    double decay;           /* RMSProp's mean-square decay, 0 .. <1 */
    double epsilon;         /* RMSProp's, inside the square root, > 0 */
    double weight_decay;    /* L2 on weights, not on BN and biases */
    double warmup_epochs;   /* linear from 0; may be a fraction */
    double label_smoothing; /* 0 .. <1 */
    uint32_t batch;         /* images a step */
    uint32_t image_size;    /* pixels; 0 = the data set's own */
    bool flip;              /* random horizontal flip */
    uint32_t shift;         /* random shift by up to this many pixels each way, zero filled */
    double bn_momentum;     /* running = bn_momentum * running + (1 - bn_momentum) * batch */
};

/* "search-short": SGD for a few passes over some thousand images. "efficientnetv2": the paper's
 * RMSProp for long runs. -ENOENT with a message that names the nearest or all. */
int recipe_preset(const char *name, struct recipe *ret_recipe, struct error *error) MUST_USE;
const char *recipe_preset_name(size_t index); /* sorted; NULL past the end */

/* -EINVAL, pointers such as "/learning_rate". */
int recipe_validate(const struct recipe *recipe, struct error *error) MUST_USE;

const char *optimizer_name(enum optimizer_kind optimizer); /* "sgd", "rmsprop" */
int optimizer_from_name(const char *name,
                        enum optimizer_kind *ret_optimizer) MUST_USE; /* -EINVAL */

/* Learning rate for step `step` (0-based) of `steps_total`: linear warm-up that reaches the peak at
 * the end of warmup_epochs * steps_per_epoch steps, then half a cosine to 0 (Loshchilov and Hutter,
 * 2017). */
double recipe_learning_rate(const struct recipe *recipe, uint64_t step, uint64_t steps_total,
                            uint64_t steps_per_epoch);

#endif
