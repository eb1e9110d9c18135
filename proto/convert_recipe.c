#include "proto/convert.h"

#include <assert.h>
#include <errno.h>

void recipe_to_message(const struct recipe *recipe, struct recipe_message *ret_message)
{
    assert(recipe->stage_count <= RECIPE_STAGES_MAX);
    Archscout__V1__Recipe *message = &ret_message->message;
    archscout__v1__recipe__init(message);
    message->optimizer = (char *)optimizer_name(recipe->optimizer); /* packing only reads it */
    message->learning_rate = recipe->learning_rate;
    message->momentum = recipe->momentum;
    message->decay = recipe->decay;
    message->epsilon = recipe->epsilon;
    message->weight_decay = recipe->weight_decay;
    message->schedule = (char *)schedule_name(recipe->schedule);
    message->warmup_epochs = recipe->warmup_epochs;
    message->staircase_factor = recipe->staircase_factor;
    message->staircase_epochs = recipe->staircase_epochs;
    message->clip_norm = recipe->clip_norm;
    message->ema_decay = recipe->ema_decay;
    message->label_smoothing = recipe->label_smoothing;
    message->dropout = recipe->dropout;
    message->stochastic_depth = recipe->stochastic_depth;
    message->mixup = recipe->mixup;
    message->cutmix = recipe->cutmix;
    message->randaugment_ops = recipe->randaugment_ops;
    message->randaugment_magnitude = recipe->randaugment_magnitude;
    message->crop_area_min = recipe->crop_area_min;
    message->flip = recipe->flip;
    message->shift = recipe->shift;
    message->batch = recipe->batch;
    message->micro_batches = recipe->micro_batches;
    message->image_size = recipe->image_size;
    message->bn_momentum = recipe->bn_momentum;
    message->precision = (char *)precision_name(recipe->precision);
    message->n_stages = recipe->stage_count;
    message->stages = ret_message->stage_pointers;
    for (uint32_t i = 0; i < recipe->stage_count; i++) {
        const struct recipe_stage *from = &recipe->stages[i];
        Archscout__V1__RecipeStage *to = &ret_message->stages[i];
        archscout__v1__recipe_stage__init(to);
        to->image_size = from->image_size;
        to->randaugment_magnitude = from->randaugment_magnitude;
        to->mixup = from->mixup;
        to->cutmix = from->cutmix;
        to->dropout = from->dropout;
        ret_message->stage_pointers[i] = to;
    }
}

static int kinds_from_message(const Archscout__V1__Recipe *message, struct recipe *recipe,
                              struct error *error)
{
    if (optimizer_from_name(message->optimizer, &recipe->optimizer) < 0)
        return error_set(error, -EINVAL, "/recipe/optimizer", "must be sgd, rmsprop or adamw");
    if (schedule_from_name(message->schedule, &recipe->schedule) < 0)
        return error_set(error, -EINVAL, "/recipe/schedule",
                         "must be cosine, staircase or constant");
    if (precision_from_name(message->precision, &recipe->precision) < 0)
        return error_set(error, -EINVAL, "/recipe/precision", "must be f32 or bf16");
    return 0;
}

static int stages_from_message(const Archscout__V1__Recipe *message, struct recipe *recipe,
                               struct error *error)
{
    if (message->n_stages > RECIPE_STAGES_MAX)
        return error_set(error, -EINVAL, "/recipe/stages", "must have at most %d stages",
                         RECIPE_STAGES_MAX);
    recipe->stage_count = (uint32_t)message->n_stages;
    for (uint32_t i = 0; i < recipe->stage_count; i++) {
        const Archscout__V1__RecipeStage *from = message->stages[i];
        recipe->stages[i] =
            (struct recipe_stage){.image_size = from->image_size,
                                  .randaugment_magnitude = from->randaugment_magnitude,
                                  .mixup = from->mixup,
                                  .cutmix = from->cutmix,
                                  .dropout = from->dropout};
    }
    return 0;
}

int recipe_from_message(const Archscout__V1__Recipe *message, struct recipe *ret_recipe,
                        struct error *error)
{
    if (!message)
        return error_set(error, -EINVAL, "/recipe", "is missing");
    struct recipe recipe = {
        .learning_rate = message->learning_rate,
        .momentum = message->momentum,
        .decay = message->decay,
        .epsilon = message->epsilon,
        .weight_decay = message->weight_decay,
        .warmup_epochs = message->warmup_epochs,
        .staircase_factor = message->staircase_factor,
        .staircase_epochs = message->staircase_epochs,
        .clip_norm = message->clip_norm,
        .ema_decay = message->ema_decay,
        .label_smoothing = message->label_smoothing,
        .dropout = message->dropout,
        .stochastic_depth = message->stochastic_depth,
        .mixup = message->mixup,
        .cutmix = message->cutmix,
        .randaugment_ops = message->randaugment_ops,
        .randaugment_magnitude = message->randaugment_magnitude,
        .crop_area_min = message->crop_area_min,
        .flip = message->flip,
        .shift = message->shift,
        .batch = message->batch,
        .micro_batches = message->micro_batches,
        .image_size = message->image_size,
        .bn_momentum = message->bn_momentum,
    };
    int code = kinds_from_message(message, &recipe, error);
    if (code == 0)
        code = stages_from_message(message, &recipe, error);
    if (code < 0)
        return code;
    *ret_recipe = recipe;
    return 0;
}
