#include "search/progressive_json.h"

#include "search/architecture.h"
#include "search/json_write.h"

#include <errno.h>
#include <math.h>

static const char *const keys[] = {"preset", "stages", "image_size", "randaugment_magnitude",
                                   "mixup",  "cutmix", "dropout",    NULL};
static const char *const stage_keys[] = {
    "image_size", "randaugment_magnitude", "mixup", "cutmix", "dropout", NULL};

/* The recipe's own values, for what is not given. */
static struct recipe_stage stage_default(const struct recipe *recipe, uint32_t own_size)
{
    struct recipe without = *recipe;
    without.stage_count = 0;
    if (without.image_size == 0)
        without.image_size = own_size;
    return recipe_stage_at(&without, 0, 1);
}

/* One value for all stages, or a list of the first and the last. Both are whole numbers' doubles for image sizes. */
static int pair_read(const struct json_reader *reader, const char *key, double *first, double *last)
{
    const json_t *value = json_object_get(reader->object, key);
    if (!value)
        return 0;
    if (json_is_number(value)) {
        *first = *last = json_number_value(value);
        return 0;
    }
    if (json_array_size(value) != 2 || !json_is_number(json_array_get(value, 0)) ||
        !json_is_number(json_array_get(value, 1)))
        return json_refuse(reader, key,
                           "This must be a number, or a list of two numbers: of the first and of "
                           "the last stage.");
    *first = json_number_value(json_array_get(value, 0));
    *last = json_number_value(json_array_get(value, 1));
    return 0;
}

static bool is_image_size(double value)
{
    return value >= 1 && value <= IMAGE_SIZE_MAX && value == floor(value);
}

static int linear_read(const struct json_reader *reader, uint32_t own_size, struct recipe *recipe)
{
    uint32_t count = 0;
    int r = json_read_u32(reader, "stages", (struct json_range){1, RECIPE_STAGES_MAX}, &count);
    if (r < 0)
        return r;
    if (count == 0)
        return json_refuse(reader, "stages",
                           "This must be the number of stages, or a list of them; or give a "
                           "\"preset\".");
    struct recipe_stage first = stage_default(recipe, own_size), last = first;
    double size_first = first.image_size, size_last = last.image_size;
    const struct {
        const char *key;
        double *first, *last;
    } pairs[] = {
        {"image_size", &size_first, &size_last},
        {"randaugment_magnitude", &first.randaugment_magnitude, &last.randaugment_magnitude},
        {"mixup", &first.mixup, &last.mixup},
        {"cutmix", &first.cutmix, &last.cutmix},
        {"dropout", &first.dropout, &last.dropout},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        r = pair_read(reader, pairs[i].key, pairs[i].first, pairs[i].last);
        if (r < 0)
            return r;
    }
    if (!is_image_size(size_first) || !is_image_size(size_last))
        return json_refuse(reader, "image_size",
                           "This must be two whole numbers from 1 to %d: the pixels of the first "
                           "and of the last stage.",
                           IMAGE_SIZE_MAX);
    first.image_size = (uint32_t)size_first;
    last.image_size = (uint32_t)size_last;
    recipe_stages_linear(recipe, count, &first, &last);
    return 0;
}

static int stage_read(const json_t *value, const char *pointer, const struct json_reader *reader,
                      struct recipe_stage *stage)
{
    struct json_reader inner;
    int r = json_reader_open(&inner, value, pointer, stage_keys, reader->error);
    if (r == 0)
        r = json_read_u32(&inner, "image_size", (struct json_range){1, IMAGE_SIZE_MAX},
                          &stage->image_size);
    if (r == 0)
        r = json_read_number(&inner, "randaugment_magnitude", &stage->randaugment_magnitude);
    if (r == 0)
        r = json_read_number(&inner, "mixup", &stage->mixup);
    if (r == 0)
        r = json_read_number(&inner, "cutmix", &stage->cutmix);
    return r == 0 ? json_read_number(&inner, "dropout", &stage->dropout) : r;
}

static int list_read(const struct json_reader *reader, const json_t *list, uint32_t own_size,
                     struct recipe *recipe)
{
    static const char *const of_all[] = {"image_size", "randaugment_magnitude", "mixup", "cutmix",
                                         "dropout"};
    const size_t count = json_array_size(list);
    if (count < 1 || count > RECIPE_STAGES_MAX)
        return json_refuse(reader, "stages", "There must be 1 to %d stages.", RECIPE_STAGES_MAX);
    for (size_t i = 0; i < ARRAY_LENGTH(of_all); i++)
        if (json_reader_has(reader, of_all[i]))
            return json_refuse(reader, of_all[i],
                               "Where the stages are listed, this stands in each of them.");
    char stages[ERROR_POINTER_SIZE], place[ERROR_POINTER_SIZE];
    json_pointer_join(reader->pointer, "stages", stages);
    const struct recipe_stage own = stage_default(recipe, own_size);
    for (size_t i = 0; i < count; i++) {
        json_pointer_join_index(stages, i, place);
        recipe->stages[i] = own;
        int r = stage_read(json_array_get(list, i), place, reader, &recipe->stages[i]);
        if (r < 0)
            return r;
    }
    recipe->stage_count = (uint32_t)count;
    return 0;
}

static int preset_read(const struct json_reader *reader, struct recipe *recipe)
{
    const char *name = "";
    struct error reason;
    int r = json_read_string(reader, "preset", &name);
    if (r < 0)
        return r;
    for (const char *const *key = keys + 1; *key; key++)
        if (json_reader_has(reader, *key))
            return json_refuse(reader, *key, "Give either a preset or this.");
    if (recipe_progressive_preset(recipe, name, &reason) < 0)
        return json_refuse(reader, "preset", "%s", reason.message);
    return 0;
}

int progressive_read(const struct json_reader *reader, uint32_t own_size, struct recipe *recipe)
{
    struct json_reader inner;
    bool present = false;
    int r = json_reader_enter(reader, "progressive", keys, &inner, &present);
    if (r < 0 || !present)
        return r;
    const json_t *stages = json_object_get(inner.object, "stages");
    if (json_reader_has(&inner, "preset")) {
        if (recipe->image_size == 0)
            recipe->image_size = own_size;
        return preset_read(&inner, recipe);
    }
    if (json_is_array(stages))
        r = list_read(&inner, stages, own_size, recipe);
    else
        r = linear_read(&inner, own_size, recipe);
    if (r == 0 && recipe->image_size == 0)
        recipe->image_size = recipe->stages[recipe->stage_count - 1].image_size;
    return r;
}

static json_t *stage_write(const struct recipe_stage *stage)
{
    return JSON_BUILD({"image_size", json_integer(stage->image_size)},
                      {"randaugment_magnitude", json_real(stage->randaugment_magnitude)},
                      {"mixup", json_real(stage->mixup)}, {"cutmix", json_real(stage->cutmix)},
                      {"dropout", json_real(stage->dropout)});
}

json_t *progressive_write(const struct recipe *recipe)
{
    json_t *stages = json_array();
    for (uint32_t i = 0; stages && i < recipe->stage_count; i++)
        if (json_array_append_new(stages, stage_write(&recipe->stages[i])) < 0) {
            json_decref(stages);
            stages = NULL;
        }
    return JSON_BUILD({"stages", stages});
}
