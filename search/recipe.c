#include "search/recipe.h"

#include "search/architecture.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- names ---- */

static const char *const optimizer_names[] = {
    [OPTIMIZER_SGD] = "sgd",
    [OPTIMIZER_RMSPROP] = "rmsprop",
    [OPTIMIZER_ADAMW] = "adamw",
};

static const char *const schedule_names[] = {
    [SCHEDULE_COSINE] = "cosine",
    [SCHEDULE_STAIRCASE] = "staircase",
    [SCHEDULE_CONSTANT] = "constant",
};

static const char *const precision_names[] = {
    [PRECISION_F32] = "f32",
    [PRECISION_BF16] = "bf16",
};

/* Position of a name in a list, or -EINVAL. */
static int name_find(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return (int)i;
    return -EINVAL;
}

const char *optimizer_name(enum optimizer_kind optimizer)
{
    assert((size_t)optimizer < ARRAY_LENGTH(optimizer_names));
    return optimizer_names[optimizer];
}

int optimizer_from_name(const char *name, enum optimizer_kind *ret_optimizer)
{
    int r = name_find(optimizer_names, ARRAY_LENGTH(optimizer_names), name);
    if (r < 0)
        return r;
    *ret_optimizer = (enum optimizer_kind)r;
    return 0;
}

const char *schedule_name(enum schedule_kind schedule)
{
    assert((size_t)schedule < ARRAY_LENGTH(schedule_names));
    return schedule_names[schedule];
}

int schedule_from_name(const char *name, enum schedule_kind *ret_schedule)
{
    int r = name_find(schedule_names, ARRAY_LENGTH(schedule_names), name);
    if (r < 0)
        return r;
    *ret_schedule = (enum schedule_kind)r;
    return 0;
}

const char *precision_name(enum precision precision)
{
    assert((size_t)precision < ARRAY_LENGTH(precision_names));
    return precision_names[precision];
}

int precision_from_name(const char *name, enum precision *ret_precision)
{
    int r = name_find(precision_names, ARRAY_LENGTH(precision_names), name);
    if (r < 0)
        return r;
    *ret_precision = (enum precision)r;
    return 0;
}

/* ---- validation ---- */

enum { MIX_ALPHA_MAX = 10, STAGE_POINTER_SIZE = 64 };

/* A number that a recipe must have within bounds. */
struct bound {
    const char *pointer;
    double value, min, max;
    bool min_excluded, max_excluded;
};

static bool within(const struct bound *bound)
{
    if (!isfinite(bound->value) || bound->value < bound->min || bound->value > bound->max)
        return false;
    return !(bound->min_excluded && bound->value == bound->min) &&
           !(bound->max_excluded && bound->value == bound->max);
}

/* Refuses the first that is out of bounds. */
static int bounds_check(const struct bound *bounds, size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct bound *bound = &bounds[i];
        if (!within(bound))
            return error_set(error, -EINVAL, bound->pointer, "%s must be %s %g and %s %g.",
                             strrchr(bound->pointer, '/') + 1,
                             bound->min_excluded ? "above" : "at least", bound->min,
                             bound->max_excluded ? "below" : "at most", bound->max);
    }
    return 0;
}

static int kinds_check(const struct recipe *recipe, struct error *error)
{
    if ((size_t)recipe->optimizer >= ARRAY_LENGTH(optimizer_names))
        return error_set(error, -EINVAL, "/optimizer",
                         "The optimizer must be \"sgd\", \"rmsprop\" or \"adamw\".");
    if ((size_t)recipe->schedule >= ARRAY_LENGTH(schedule_names))
        return error_set(error, -EINVAL, "/schedule",
                         "The schedule must be \"cosine\", \"staircase\" or \"constant\".");
    if ((size_t)recipe->precision >= ARRAY_LENGTH(precision_names))
        return error_set(error, -EINVAL, "/precision",
                         "The precision must be \"f32\" or \"bf16\".");
    return 0;
}

static int optimization_check(const struct recipe *recipe, struct error *error)
{
    const struct bound bounds[] = {
        {"/learning_rate", recipe->learning_rate, 0, 100, true, false},
        {"/momentum", recipe->momentum, 0, 1, false, true},
        {"/decay", recipe->decay, 0, 1, false, true},
        {"/epsilon", recipe->epsilon, 0, 1, true, false},
        {"/weight_decay", recipe->weight_decay, 0, 1, false, false},
        {"/warmup_epochs", recipe->warmup_epochs, 0, RECIPE_EPOCHS_MAX, false, false},
        {"/staircase_factor", recipe->staircase_factor, 0, 1, true, false},
        {"/staircase_epochs", recipe->staircase_epochs, 0, RECIPE_EPOCHS_MAX, true, false},
        {"/clip_norm", recipe->clip_norm, 0, 1e6, false, false},
        {"/ema_decay", recipe->ema_decay, 0, 1, false, true},
        {"/batch", recipe->batch, 1, RECIPE_BATCH_MAX, false, false},
        {"/micro_batches", recipe->micro_batches, 1, RECIPE_BATCH_MAX, false, false},
        {"/bn_momentum", recipe->bn_momentum, 0, 1, false, true},
    };
    int r = bounds_check(bounds, ARRAY_LENGTH(bounds), error);
    if (r == 0 && recipe->batch % recipe->micro_batches != 0)
        return error_set(error, -EINVAL, "/micro_batches",
                         "micro_batches must divide the batch of %u images.", recipe->batch);
    return r;
}

static int regularization_check(const struct recipe *recipe, struct error *error)
{
    const struct bound bounds[] = {
        {"/label_smoothing", recipe->label_smoothing, 0, 1, false, true},
        {"/dropout", recipe->dropout, 0, 1, false, true},
        {"/stochastic_depth", recipe->stochastic_depth, 0, 1, false, true},
        {"/mixup", recipe->mixup, 0, MIX_ALPHA_MAX, false, false},
        {"/cutmix", recipe->cutmix, 0, MIX_ALPHA_MAX, false, false},
        {"/randaugment_ops", recipe->randaugment_ops, 0, RANDAUGMENT_OPS_MAX, false, false},
        {"/randaugment_magnitude", recipe->randaugment_magnitude, 0, RANDAUGMENT_MAGNITUDE_MAX,
         false, false},
        {"/crop_area_min", recipe->crop_area_min, 0, 1, true, false},
        {"/image_size", recipe->image_size, 0, IMAGE_SIZE_MAX, false, false},
        {"/shift", recipe->shift, 0, RECIPE_SHIFT_MAX, false, false},
    };
    return bounds_check(bounds, ARRAY_LENGTH(bounds), error);
}

static int stage_check(const struct recipe_stage *stage, uint32_t index, struct error *error)
{
    const struct bound bounds[] = {
        {"/image_size", stage->image_size, 1, IMAGE_SIZE_MAX, false, false},
        {"/randaugment_magnitude", stage->randaugment_magnitude, 0, RANDAUGMENT_MAGNITUDE_MAX,
         false, false},
        {"/mixup", stage->mixup, 0, MIX_ALPHA_MAX, false, false},
        {"/cutmix", stage->cutmix, 0, MIX_ALPHA_MAX, false, false},
        {"/dropout", stage->dropout, 0, 1, false, true},
    };
    int r = bounds_check(bounds, ARRAY_LENGTH(bounds), error);
    char place[STAGE_POINTER_SIZE];
    snprintf(place, sizeof place, "/progressive/stages/%u", index);
    return r < 0 ? error_prefix(error, r, place) : 0;
}

static int stages_check(const struct recipe *recipe, struct error *error)
{
    if (recipe->stage_count > RECIPE_STAGES_MAX)
        return error_set(error, -EINVAL, "/progressive/stages", "There must be 1 to %d stages.",
                         RECIPE_STAGES_MAX);
    for (uint32_t i = 0; i < recipe->stage_count; i++) {
        int r = stage_check(&recipe->stages[i], i, error);
        if (r < 0)
            return r;
    }
    if (recipe->stage_count == 0)
        return 0;
    const uint32_t last = recipe->stages[recipe->stage_count - 1].image_size;
    if (last != recipe->image_size)
        return error_set(error, -EINVAL, "/progressive",
                         "The last stage's images have %u pixels, but image_size is %u; both must "
                         "be the same.",
                         last, recipe->image_size);
    return 0;
}

int recipe_validate(const struct recipe *recipe, struct error *error)
{
    int r = kinds_check(recipe, error);
    if (r == 0)
        r = optimization_check(recipe, error);
    if (r == 0)
        r = regularization_check(recipe, error);
    return r == 0 ? stages_check(recipe, error) : r;
}

/* ---- the learning rate ---- */

double recipe_learning_rate(const struct recipe *recipe, uint64_t step, uint64_t steps_total,
                            uint64_t steps_per_epoch)
{
    assert(step < steps_total);
    double warmup = recipe->warmup_epochs * (double)steps_per_epoch;
    double total = (double)steps_total, done = (double)step;
    if (done + 1 <= warmup)
        return recipe->learning_rate * (done + 1) / warmup;
    if (recipe->schedule == SCHEDULE_CONSTANT)
        return recipe->learning_rate;
    if (recipe->schedule == SCHEDULE_STAIRCASE) {
        double stair = recipe->staircase_epochs * (double)steps_per_epoch;
        return recipe->learning_rate * pow(recipe->staircase_factor, floor(done / stair));
    }
    if (total <= warmup)
        return recipe->learning_rate;
    double progress = fmax(0, done - warmup) / (total - warmup);
    return recipe->learning_rate * 0.5 * (1 + cos(M_PI * progress));
}
