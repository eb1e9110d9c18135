#include "search/recipe.h"

#include "search/architecture.h"
#include "search/suggest.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct recipe_preset {
    const char *name;
    struct recipe recipe;
};

static const struct recipe_preset presets[] = {
    {"efficientnetv2",
     {.optimizer = OPTIMIZER_RMSPROP,
      .learning_rate = 0.016,
      .momentum = 0.9,
      .decay = 0.9,
      .epsilon = 1e-3,
      .weight_decay = 1e-5,
      .warmup_epochs = 5.0,
      .label_smoothing = 0.1,
      .batch = 256,
      .flip = true,
      .shift = 4,
      .bn_momentum = 0.99}},
    {"search-short",
     {.optimizer = OPTIMIZER_SGD,
      .learning_rate = 0.1,
      .momentum = 0.9,
      .decay = 0.9,
      .epsilon = 1e-3,
      .weight_decay = 5e-4,
      .warmup_epochs = 0.25,
      .label_smoothing = 0.0,
      .batch = 32,
      .flip = false,
      .shift = 0,
      .bn_momentum = 0.9}},
};

static const char *const optimizer_names[] = {
    [OPTIMIZER_SGD] = "sgd",
    [OPTIMIZER_RMSPROP] = "rmsprop",
};

const char *optimizer_name(enum optimizer_kind optimizer)
{
    assert((size_t)optimizer < ARRAY_LENGTH(optimizer_names));
    return optimizer_names[optimizer];
}

int optimizer_from_name(const char *name, enum optimizer_kind *ret_optimizer)
{
    for (size_t i = 0; i < ARRAY_LENGTH(optimizer_names); i++) {
        if (strcmp(name, optimizer_names[i]) == 0) {
            *ret_optimizer = (enum optimizer_kind)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *recipe_preset_name(size_t index)
{
    return index < ARRAY_LENGTH(presets) ? presets[index].name : NULL;
}

int recipe_preset(const char *name, struct recipe *ret_recipe, struct error *error)
{
    const char *names[ARRAY_LENGTH(presets)];
    for (size_t i = 0; i < ARRAY_LENGTH(presets); i++) {
        if (strcmp(name, presets[i].name) == 0) {
            *ret_recipe = presets[i].recipe;
            return 0;
        }
        names[i] = presets[i].name;
    }
    const char *near = suggest(name, names, ARRAY_LENGTH(names));
    return error_set(error, -ENOENT, "",
                     "There is no recipe \"%.64s\"%s%s%s; the recipes are \"efficientnetv2\" and "
                     "\"search-short\".",
                     name, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
}

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

int recipe_validate(const struct recipe *recipe, struct error *error)
{
    if ((size_t)recipe->optimizer >= ARRAY_LENGTH(optimizer_names))
        return error_set(error, -EINVAL, "/optimizer",
                         "The optimizer must be \"sgd\" or \"rmsprop\".");
    const struct bound bounds[] = {
        {"/learning_rate", recipe->learning_rate, 0, 100, true, false},
        {"/momentum", recipe->momentum, 0, 1, false, true},
        {"/decay", recipe->decay, 0, 1, false, true},
        {"/epsilon", recipe->epsilon, 0, 1, true, false},
        {"/weight_decay", recipe->weight_decay, 0, 1, false, false},
        {"/warmup_epochs", recipe->warmup_epochs, 0, RECIPE_EPOCHS_MAX, false, false},
        {"/label_smoothing", recipe->label_smoothing, 0, 1, false, true},
        {"/batch", recipe->batch, 1, RECIPE_BATCH_MAX, false, false},
        {"/image_size", recipe->image_size, 0, IMAGE_SIZE_MAX, false, false},
        {"/shift", recipe->shift, 0, RECIPE_SHIFT_MAX, false, false},
        {"/bn_momentum", recipe->bn_momentum, 0, 1, false, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bounds); i++) {
        const struct bound *bound = &bounds[i];
        if (!within(bound))
            return error_set(error, -EINVAL, bound->pointer, "%s must be %s %g and %s %g.",
                             bound->pointer + 1, bound->min_excluded ? "above" : "at least",
                             bound->min, bound->max_excluded ? "below" : "at most", bound->max);
    }
    return 0;
}

double recipe_learning_rate(const struct recipe *recipe, uint64_t step, uint64_t steps_total,
                            uint64_t steps_per_epoch)
{
    assert(step < steps_total);
    double warmup = recipe->warmup_epochs * (double)steps_per_epoch;
    double total = (double)steps_total, done = (double)step;
    if (done + 1 <= warmup)
        return recipe->learning_rate * (done + 1) / warmup;
    if (total <= warmup)
        return recipe->learning_rate;
    double progress = fmax(0, done - warmup) / (total - warmup);
    return recipe->learning_rate * 0.5 * (1 + cos(M_PI * progress));
}
