/* Recipes: how a candidate is trained. Plain values; the spec and the worker's messages carry all
 * fields, resolved. */
#ifndef SEARCH_RECIPE_H
#define SEARCH_RECIPE_H

#include "search/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum optimizer_kind { OPTIMIZER_SGD, OPTIMIZER_RMSPROP, OPTIMIZER_ADAMW };

/* After the warm-up: half a cosine to 0, a staircase of constant factors, or the peak. */
enum schedule_kind { SCHEDULE_COSINE, SCHEDULE_STAIRCASE, SCHEDULE_CONSTANT };

/* What activations are stored and multiplied in. BF16: where the processor has instructions for it,
 * F32 otherwise. Weights, statistics and sums are floats in both. */
enum precision { PRECISION_F32, PRECISION_BF16 };

enum {
    RECIPE_BATCH_MAX = 4096,
    RECIPE_EPOCHS_MAX = 10000,
    RECIPE_SHIFT_MAX = 64,
    RECIPE_STAGES_MAX = 8,
    RANDAUGMENT_MAGNITUDE_MAX = 30,
    RANDAUGMENT_OPS_MAX = 8,
    RANDAUGMENT_OPS_USUAL = 2
};

/* One stage of progressive learning (Tan and Le 2021, algorithm 1). */
struct recipe_stage {
    uint32_t image_size;
    double randaugment_magnitude, mixup, cutmix, dropout;
};

struct recipe {
    enum optimizer_kind optimizer;
    double learning_rate; /* peak, for the whole batch as given; > 0 */
    double momentum;      /* Nesterov for SGD; plain for RMSProp; AdamW's beta1; 0 .. <1 */
    double decay;         /* RMSProp's mean-square decay; AdamW's beta2; 0 .. <1 */
    double epsilon;       /* RMSProp's, inside the square root; AdamW's, outside; > 0 */
    double weight_decay;  /* L2, or decoupled (AdamW), on weights, not on BN and biases */
    enum schedule_kind schedule;
    double warmup_epochs;     /* linear from 0; may be a fraction */
    double staircase_factor;  /* the learning rate is multiplied by this, 0 < .. 1, */
    double staircase_epochs;  /* every so many epochs, counted from step 0; > 0 */
    double clip_norm;         /* largest L2 norm of all gradients together; 0 = no clipping */
    double ema_decay;         /* moving average of weights and BN statistics: after step t (from 0)
                                 min(ema_decay, (1 + t) / (10 + t)); 0 = none, .. <1 */
    double label_smoothing;   /* 0 .. <1 */
    double dropout;           /* before the classifier, 0 .. <1 */
    double stochastic_depth;  /* drop rate of block i (from 1) of N is this times i / N; 0 .. <1 */
    double mixup, cutmix;     /* alpha of Beta(alpha, alpha); 0 = off */
    uint32_t randaugment_ops; /* operations an image; 0 = off */
    double randaugment_magnitude;
    double crop_area_min;   /* random-resized crop: least share of the image's area; 1 = no crop */
    bool flip;              /* random horizontal flip */
    uint32_t shift;         /* random shift by up to this many pixels each way, zero filled */
    uint32_t batch;         /* images a step */
    uint32_t micro_batches; /* the batch passes in so many equal parts; divides it */
    uint32_t image_size;    /* pixels; 0 = the data set's own */
    double bn_momentum;     /* running = bn_momentum * running + (1 - bn_momentum) * batch */
    enum precision precision;
    /* Progressive learning: stages of equal numbers of steps, whose values replace those above; the last one's image size
     * is the recipe's. 0 = none. */
    uint32_t stage_count;
    struct recipe_stage stages[RECIPE_STAGES_MAX];
};

/* "search-short": SGD for a few passes over some thousand images. "efficientnet", "efficientnetv2": the
 * papers' RMSProp for long runs. -ENOENT with a message that names the nearest or all. */
int recipe_preset(const char *name, struct recipe *ret_recipe, struct error *error) MUST_USE;
const char *recipe_preset_name(size_t index); /* sorted; NULL past the end */

/* -EINVAL, pointers such as "/learning_rate", "/progressive/stages/1/image_size". */
int recipe_validate(const struct recipe *recipe, struct error *error) MUST_USE;

const char *optimizer_name(enum optimizer_kind optimizer); /* "sgd", "rmsprop", "adamw" */
int optimizer_from_name(const char *name,
                        enum optimizer_kind *ret_optimizer) MUST_USE; /* -EINVAL */
const char *schedule_name(enum schedule_kind schedule); /* "cosine", "staircase", "constant" */
int schedule_from_name(const char *name, enum schedule_kind *ret_schedule) MUST_USE; /* -EINVAL */
const char *precision_name(enum precision precision); /* "f32", "bf16" */
int precision_from_name(const char *name, enum precision *ret_precision) MUST_USE; /* -EINVAL */

/* Learning rate for step `step` (0-based) of `steps_total`: linear warm-up that reaches the peak at
 * the end of warmup_epochs * steps_per_epoch steps, then by the schedule: half a cosine to 0 (Loshchilov and Hutter,
 * 2017); staircase_factor ^ floor(step / (staircase_epochs * steps_per_epoch)) (Tan and Le 2019); constant. */
double recipe_learning_rate(const struct recipe *recipe, uint64_t step, uint64_t steps_total,
                            uint64_t steps_per_epoch);

/* ---- progressive learning, in search/progressive.c ---- */

/* Values of the stage that step `step` of `steps_total` belongs to: stage i has the steps from floor(i * total / M) on. Without
 * stages, the recipe's own values with its image size. */
struct recipe_stage recipe_stage_at(const struct recipe *recipe, uint64_t step,
                                    uint64_t steps_total);
uint32_t recipe_stage_index(const struct recipe *recipe, uint64_t step, uint64_t steps_total);

/* The smallest image size that the recipe trains at; image_size without stages. */
uint32_t recipe_image_size_min(const struct recipe *recipe);

/* Algorithm 1: `count` stages (1 .. RECIPE_STAGES_MAX), every value linear from `first` to `last`, image sizes rounded. */
void recipe_stages_linear(struct recipe *recipe, uint32_t count, const struct recipe_stage *first,
                          const struct recipe_stage *last);

/* A published schedule: "efficientnetv2-s-paper" and -m, -l (paper, table 6), "efficientnetv2-s-automl" and -m, -l, -xl,
 * -b0 .. -b3 (the released code; b0 to b3 have AutoAugment there, which is not offered, so that RandAugment stays as the
 * recipe has it). Where the recipe has an image size, all sizes are scaled so that the last one is it. -ENOENT with a message
 * that names the nearest. */
int recipe_progressive_preset(struct recipe *recipe, const char *name,
                              struct error *error) MUST_USE;
const char *recipe_progressive_preset_name(size_t index); /* sorted; NULL past the end */

#endif
