#include "search/recipe.h"

#include "search/suggest.h"

#include <errno.h>
#include <string.h>

struct recipe_preset {
    const char *name;
    struct recipe recipe;
};

/* Version 1's recipe (Tan and Le 2019), on which version 2's builds. */
#define EFFICIENTNET                                                                               \
    .optimizer = OPTIMIZER_RMSPROP, .learning_rate = 0.016, .momentum = 0.9, .decay = 0.9,         \
    .epsilon = 1e-3, .weight_decay = 1e-5, .schedule = SCHEDULE_STAIRCASE, .warmup_epochs = 5.0,   \
    .staircase_factor = 0.97, .staircase_epochs = 2.4, .ema_decay = 0.9999,                        \
    .label_smoothing = 0.1, .dropout = 0.2, .stochastic_depth = 0.2, .crop_area_min = 0.08,        \
    .flip = true, .batch = 256, .micro_batches = 1, .bn_momentum = 0.99

/* docs/spec.md says where each value is from. */
static const struct recipe_preset presets[] = {
    {"efficientnet", {EFFICIENTNET}},
    {"efficientnetv2", {EFFICIENTNET, .randaugment_ops = 2, .randaugment_magnitude = 15}},
    {"search-short",
     {.optimizer = OPTIMIZER_SGD,
      .learning_rate = 0.1,
      .momentum = 0.9,
      .decay = 0.9,
      .epsilon = 1e-3,
      .weight_decay = 5e-4,
      .schedule = SCHEDULE_COSINE,
      .warmup_epochs = 0.25,
      .staircase_factor = 0.97,
      .staircase_epochs = 2.4,
      .crop_area_min = 1,
      .batch = 32,
      .micro_batches = 1,
      .bn_momentum = 0.9}},
};

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
                     "There is no recipe \"%.64s\"%s%s%s; the recipes are \"efficientnet\", "
                     "\"efficientnetv2\" and \"search-short\".",
                     name, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
}
