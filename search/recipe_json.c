#include "search/recipe_json.h"

#include "search/architecture.h"
#include "search/json_write.h"

#include <errno.h>

static const char *const keys[] = {
    "preset",     "optimizer",    "learning_rate", "momentum",        "decay",
    "epsilon",    "weight_decay", "warmup_epochs", "label_smoothing", "batch",
    "image_size", "flip",         "shift",         "bn_momentum",     NULL};

static int optimizer_read(const struct json_reader *reader, enum optimizer_kind *optimizer)
{
    const char *name = NULL;
    int r = json_read_string(reader, "optimizer", &name);
    if (r < 0 || !name)
        return r;
    if (optimizer_from_name(name, optimizer) < 0)
        return json_refuse(reader, "optimizer",
                           "There is no optimizer \"%.64s\"; there are \"sgd\" and \"rmsprop\".",
                           name);
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
        {"label_smoothing", &recipe->label_smoothing},
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
    int r =
        json_read_u32(reader, "batch", (struct json_range){1, RECIPE_BATCH_MAX}, &recipe->batch);
    if (r == 0)
        r = json_read_u32(reader, "image_size", (struct json_range){1, IMAGE_SIZE_MAX},
                          &recipe->image_size);
    if (r == 0)
        r = json_read_u32(reader, "shift", (struct json_range){0, RECIPE_SHIFT_MAX},
                          &recipe->shift);
    if (r == 0)
        r = json_read_bool(reader, "flip", &recipe->flip);
    return r;
}

int recipe_read(const struct json_reader *reader, struct recipe *ret_recipe)
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
    if (present) {
        r = optimizer_read(&inner, &recipe.optimizer);
        if (r == 0)
            r = numbers_read(&inner, &recipe);
        if (r == 0)
            r = counts_read(&inner, &recipe);
        if (r < 0)
            return r;
        if (recipe_validate(&recipe, &reason) < 0)
            return json_refuse(&inner, reason.pointer + 1, "%s", reason.message);
    }
    *ret_recipe = recipe;
    return 0;
}

json_t *recipe_write(const struct recipe *recipe)
{
    return JSON_BUILD(
        {"optimizer", json_string(optimizer_name(recipe->optimizer))},
        {"learning_rate", json_real(recipe->learning_rate)},
        {"momentum", json_real(recipe->momentum)}, {"decay", json_real(recipe->decay)},
        {"epsilon", json_real(recipe->epsilon)}, {"weight_decay", json_real(recipe->weight_decay)},
        {"warmup_epochs", json_real(recipe->warmup_epochs)},
        {"label_smoothing", json_real(recipe->label_smoothing)},
        {"batch", json_integer(recipe->batch)}, {"image_size", json_integer(recipe->image_size)},
        {"flip", json_boolean(recipe->flip)}, {"shift", json_integer(recipe->shift)},
        {"bn_momentum", json_real(recipe->bn_momentum)});
}
