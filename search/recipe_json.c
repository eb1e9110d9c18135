#include "search/recipe_json.h"

#include "search/architecture.h"
#include "search/json_write.h"
#include "search/progressive_json.h"

#include <errno.h>

static const char *const keys[] = {
    "preset",           "optimizer",    "learning_rate", "momentum",        "decay",
    "epsilon",          "weight_decay", "schedule",      "warmup_epochs",   "staircase_factor",
    "staircase_epochs", "clip_norm",    "ema_decay",     "label_smoothing", "dropout",
    "stochastic_depth", "mixup",        "cutmix",        "randaugment_ops", "randaugment_magnitude",
    "crop_area_min",    "flip",         "shift",         "batch",           "micro_batches",
    "image_size",       "bn_momentum",  "precision",     "progressive",     NULL};

static int kinds_read(const struct json_reader *reader, struct recipe *recipe)
{
    const char *optimizer = NULL, *schedule = NULL, *precision = NULL;
    int r = json_read_string(reader, "optimizer", &optimizer);
    if (r == 0)
        r = json_read_string(reader, "schedule", &schedule);
    if (r == 0)
        r = json_read_string(reader, "precision", &precision);
    if (r < 0)
        return r;
    if (optimizer && optimizer_from_name(optimizer, &recipe->optimizer) < 0)
        return json_refuse(reader, "optimizer",
                           "There is no optimizer \"%.64s\"; there are \"sgd\", \"rmsprop\" and "
                           "\"adamw\".",
                           optimizer);
    if (schedule && schedule_from_name(schedule, &recipe->schedule) < 0)
        return json_refuse(reader, "schedule",
                           "There is no schedule \"%.64s\"; there are \"cosine\", \"staircase\" "
                           "and \"constant\".",
                           schedule);
    if (precision && precision_from_name(precision, &recipe->precision) < 0)
        return json_refuse(reader, "precision",
                           "There is no precision \"%.64s\"; there are \"f32\" and \"bf16\".",
                           precision);
    return 0;
}

static int numbers_read(const struct json_reader *reader, struct recipe *recipe)
{
    const struct {
        const char *key;
        double *value;
    } numbers[] = {
        {"learning_rate", &recipe->learning_rate},
        {"momentum", &recipe->momentum},
        {"decay", &recipe->decay},
        {"epsilon", &recipe->epsilon},
        {"weight_decay", &recipe->weight_decay},
        {"warmup_epochs", &recipe->warmup_epochs},
        {"staircase_factor", &recipe->staircase_factor},
        {"staircase_epochs", &recipe->staircase_epochs},
        {"clip_norm", &recipe->clip_norm},
        {"ema_decay", &recipe->ema_decay},
        {"label_smoothing", &recipe->label_smoothing},
        {"dropout", &recipe->dropout},
        {"stochastic_depth", &recipe->stochastic_depth},
        {"mixup", &recipe->mixup},
        {"cutmix", &recipe->cutmix},
        {"randaugment_magnitude", &recipe->randaugment_magnitude},
        {"crop_area_min", &recipe->crop_area_min},
        {"bn_momentum", &recipe->bn_momentum},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        int r = json_read_number(reader, numbers[i].key, numbers[i].value);
        if (r < 0)
            return r;
    }
    return 0;
}

static int counts_read(const struct json_reader *reader, struct recipe *recipe)
{
    const struct {
        const char *key;
        struct json_range range;
        uint32_t *value;
    } counts[] = {
        {"batch", {1, RECIPE_BATCH_MAX}, &recipe->batch},
        {"micro_batches", {1, RECIPE_BATCH_MAX}, &recipe->micro_batches},
        {"image_size", {1, IMAGE_SIZE_MAX}, &recipe->image_size},
        {"shift", {0, RECIPE_SHIFT_MAX}, &recipe->shift},
        {"randaugment_ops", {0, RANDAUGMENT_OPS_MAX}, &recipe->randaugment_ops},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        int r = json_read_u32(reader, counts[i].key, counts[i].range, counts[i].value);
        if (r < 0)
            return r;
    }
    return json_read_bool(reader, "flip", &recipe->flip);
}

/* A magnitude means RandAugment: with its usual two operations (Cubuk et al. 2020) where the recipe says nothing of how many. */
static void randaugment_turn_on(const struct json_reader *reader, struct recipe *recipe)
{
    bool has_magnitude = recipe->randaugment_magnitude > 0;
    for (uint32_t i = 0; i < recipe->stage_count; i++)
        has_magnitude = has_magnitude || recipe->stages[i].randaugment_magnitude > 0;
    if (has_magnitude && recipe->randaugment_ops == 0 &&
        !json_reader_has(reader, "randaugment_ops"))
        recipe->randaugment_ops = RANDAUGMENT_OPS_USUAL;
}

static int fields_read(const struct json_reader *reader, uint32_t own_size, struct recipe *recipe)
{
    struct error reason;
    int r = kinds_read(reader, recipe);
    if (r == 0)
        r = numbers_read(reader, recipe);
    if (r == 0)
        r = counts_read(reader, recipe);
    if (r == 0)
        r = progressive_read(reader, own_size, recipe);
    if (r < 0)
        return r;
    randaugment_turn_on(reader, recipe);
    if (recipe_validate(recipe, &reason) < 0) {
        error_set(reader->error, -EINVAL, reason.pointer, "%s", reason.message);
        return error_prefix(reader->error, -EINVAL, reader->pointer);
    }
    return 0;
}

int recipe_read(const struct json_reader *reader, uint32_t own_size, struct recipe *ret_recipe)
{
    struct json_reader inner;
    bool present = false;
    struct recipe recipe;
    struct error reason;
    const char *preset = "search-short";
    int r = json_reader_enter(reader, "recipe", keys, &inner, &present);
    if (r == 0 && present)
        r = json_read_string(&inner, "preset", &preset);
    if (r < 0)
        return r;
    if (recipe_preset(preset, &recipe, &reason) < 0)
        return json_refuse(&inner, "preset", "%s", reason.message);
    if (present)
        r = fields_read(&inner, own_size, &recipe);
    if (r < 0)
        return r;
    if (recipe.image_size == 0)
        recipe.image_size = own_size;
    *ret_recipe = recipe;
    return 0;
}

json_t *recipe_write(const struct recipe *recipe)
{
    json_t *object = JSON_BUILD(
        {"optimizer", json_string(optimizer_name(recipe->optimizer))},
        {"learning_rate", json_real(recipe->learning_rate)},
        {"momentum", json_real(recipe->momentum)}, {"decay", json_real(recipe->decay)},
        {"epsilon", json_real(recipe->epsilon)}, {"weight_decay", json_real(recipe->weight_decay)},
        {"schedule", json_string(schedule_name(recipe->schedule))},
        {"warmup_epochs", json_real(recipe->warmup_epochs)},
        {"staircase_factor", json_real(recipe->staircase_factor)},
        {"staircase_epochs", json_real(recipe->staircase_epochs)},
        {"clip_norm", json_real(recipe->clip_norm)}, {"ema_decay", json_real(recipe->ema_decay)},
        {"label_smoothing", json_real(recipe->label_smoothing)},
        {"dropout", json_real(recipe->dropout)},
        {"stochastic_depth", json_real(recipe->stochastic_depth)},
        {"mixup", json_real(recipe->mixup)}, {"cutmix", json_real(recipe->cutmix)},
        {"randaugment_ops", json_integer(recipe->randaugment_ops)},
        {"randaugment_magnitude", json_real(recipe->randaugment_magnitude)},
        {"crop_area_min", json_real(recipe->crop_area_min)}, {"flip", json_boolean(recipe->flip)},
        {"shift", json_integer(recipe->shift)}, {"batch", json_integer(recipe->batch)},
        {"micro_batches", json_integer(recipe->micro_batches)},
        {"bn_momentum", json_real(recipe->bn_momentum)},
        {"precision", json_string(precision_name(recipe->precision))});
    int r = 0;
    if (object && recipe->image_size > 0)
        r = json_object_set_new(object, "image_size", json_integer(recipe->image_size));
    if (object && r == 0 && recipe->stage_count > 0)
        r = json_object_set_new(object, "progressive", progressive_write(recipe));
    if (r == 0)
        return object;
    json_decref(object);
    return NULL;
}
