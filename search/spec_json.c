#include "search/spec.h"

#include "search/recipe_json.h"
#include "search/space_json.h"
#include "search/spec_check.h"
#include "search/strategy.h"
#include "search/strategy_json.h"
#include "search/suggest.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CANDIDATES_DEFAULT = 24,
    EPOCHS_DEFAULT = 2,
    PARALLEL_DEFAULT = 4,
    NAMES_MAX = 16,
    VALIDATION_SHARE = 10, /* one in ten images of the training split is held out by default */
    EXPONENT_MAX = 10
};

/* Writes a, b and c for messages; those for which there is no room are "others". */
static void list_names(const char *const *names, size_t count, char *ret_list, size_t size)
{
    size_t used = 0;
    ret_list[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        bool fits = used + strlen(names[i]) + sizeof " and  and others" <= size;
        used += (size_t)snprintf(ret_list + used, size - used, "%s%s",
                                 i == 0 ? "" : (i + 1 < count && fits ? ", " : " and "),
                                 fits ? names[i] : "others");
        if (!fits)
            return;
    }
}

/* Refuses a name that is none of `names`, with the nearest or all of them. `noun` is what it would name. */
static int refuse_name(const struct json_reader *reader, const char *noun, const char *name,
                       const char *const *names, size_t count)
{
    char list[256];
    const char *near = suggest(name, names, count);
    list_names(names, count, list, sizeof list);
    if (near)
        return json_refuse(reader, "name",
                           "There is no %s \"%.64s\"; did you mean \"%s\"? There are %s.", noun,
                           name, near, list);
    return json_refuse(reader, "name", "There is no %s \"%.64s\"; there are %s.", noun, name, list);
}

static int name_read(const struct json_reader *reader, struct spec *spec)
{
    const char *name = "search";
    int r = json_read_string(reader, "name", &name);
    if (r < 0)
        return r;
    size_t length = strlen(name);
    bool printable = true;
    for (size_t i = 0; i < length; i++)
        printable = printable && (unsigned char)name[i] >= ' ' && name[i] != 0x7f;
    if (length < 1 || length >= SPEC_NAME_SIZE || !printable)
        return json_refuse(reader, "name",
                           "name must have 1 to %d bytes and no control characters.",
                           SPEC_NAME_SIZE - 1);
    memcpy(spec->name, name, length + 1);
    return 0;
}

static const struct dataset *dataset_find(const struct spec_datasets *datasets, const char *name)
{
    return datasets ? datasets->find(datasets->context, name) : dataset_known(name);
}

static const struct dataset *dataset_at(const struct spec_datasets *datasets, size_t index)
{
    return datasets ? datasets->at(datasets->context, index) : dataset_known_at(index);
}

static int dataset_name_read(const struct json_reader *reader, const struct spec_datasets *datasets,
                             struct dataset *ret_dataset)
{
    const char *name = NULL;
    int r = json_read_string(reader, "name", &name);
    if (r < 0)
        return r;
    if (!name)
        return json_refuse(reader, "name", "name is missing: the data set to train on.");
    const struct dataset *dataset = dataset_find(datasets, name);
    if (dataset) {
        *ret_dataset = *dataset;
        return 0;
    }
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (; dataset_at(datasets, count) && count < NAMES_MAX; count++)
        names[count] = dataset_at(datasets, count)->name;
    if (dataset_at(datasets, count))
        names[count - 1] = "others";
    if (count == 0)
        return json_refuse(reader, "name",
                           "There is no data set \"%.64s\" here: no worker has offered it.", name);
    return refuse_name(reader, "data set", name, names, count);
}

static int dataset_read(const struct json_reader *document, const struct spec_datasets *datasets,
                        struct spec *spec)
{
    static const char *const keys[] = {"name", "train", "validation", NULL};
    struct json_reader reader;
    bool present = false;
    int r = json_reader_enter(document, "dataset", keys, &reader, &present);
    if (r < 0)
        return r;
    if (!present)
        return json_refuse(document, "dataset",
                           "dataset is missing: {\"name\": \"fashion-mnist\", \"train\": 8000, "
                           "\"validation\": 2000}.");
    r = dataset_name_read(&reader, datasets, &spec->dataset);
    if (r < 0)
        return r;
    struct json_range images = {1, DATASET_IMAGES_MAX};
    uint64_t all = spec->dataset.train_images;
    spec->validation_images = all > VALIDATION_SHARE ? all / VALIDATION_SHARE : 1;
    r = json_read_u64(&reader, "train", images, &spec->train_images);
    if (r == 0 && spec->train_images > 0 && spec->train_images < all &&
        spec->validation_images > all - spec->train_images)
        spec->validation_images = all - spec->train_images;
    if (r == 0)
        r = json_read_u64(&reader, "validation", images, &spec->validation_images);
    if (r == 0 && !json_reader_has(&reader, "train"))
        spec->train_images = spec->validation_images < all ? all - spec->validation_images : all;
    return r;
}

/* Compact JSON, a preset written out; NULL when out of memory. */
static char *space_text_of(const json_t *space)
{
    const char *preset = json_string_value(json_object_get(space, "preset"));
    if (!preset)
        return json_dumps(space, JSON_COMPACT);
    json_t *definition = json_loads(space_preset_find(preset), 0, NULL);
    char *text = definition ? json_dumps(definition, JSON_COMPACT) : NULL;
    json_decref(definition);
    return text;
}

static int space_field_read(const struct json_reader *document, struct spec *spec)
{
    const json_t *value = json_object_get(document->object, "space");
    if (!value)
        return json_refuse(document, "space",
                           "space is missing: {\"preset\": \"%s\"}, or stem, stages and head.",
                           space_preset_name(0));
    int r = space_read(value, "/space", &spec->space, document->error);
    if (r < 0)
        return r;
    spec->space_text = space_text_of(value);
    if (!spec->space_text)
        return error_set(document->error, -ENOMEM, "", "Out of memory.");
    return 0;
}

static void objective_names(const char *ret_names[OBJECTIVE_COUNT])
{
    for (int i = 0; i < OBJECTIVE_COUNT; i++)
        ret_names[i] = objective_name((enum objective)i);
}

static int objective_read(const struct json_reader *document, size_t index, const json_t *value,
                          struct spec *spec)
{
    char pointer[ERROR_POINTER_SIZE];
    struct json_reader place = *document;
    const char *names[OBJECTIVE_COUNT];
    objective_names(names);
    json_pointer_join(document->pointer, "objectives", place.pointer);
    json_pointer_join_index(place.pointer, index, pointer);
    if (!json_is_string(value))
        return error_set(document->error, -EINVAL, pointer, "An objective is a string, not %s.",
                         json_type_name(value));
    enum objective objective;
    if (objective_from_name(json_string_value(value), &objective) < 0) {
        char list[128];
        const char *near = suggest(json_string_value(value), names, OBJECTIVE_COUNT);
        list_names(names, OBJECTIVE_COUNT, list, sizeof list);
        return error_set(document->error, -EINVAL, pointer,
                         "There is no objective \"%.64s\"%s%s%s; there are %s.",
                         json_string_value(value), near ? " (did you mean \"" : "",
                         near ? near : "", near ? "\"?)" : "", list);
    }
    for (size_t i = 0; i < index; i++) {
        if (spec->objectives[i] == objective)
            return error_set(document->error, -EINVAL, pointer,
                             "The objective \"%s\" is given twice; give it once.",
                             objective_name(objective));
    }
    spec->objectives[index] = objective;
    spec->objective_count = index + 1;
    return 0;
}

static int objectives_read(const struct json_reader *document, struct spec *spec)
{
    const json_t *list = json_object_get(document->object, "objectives");
    if (!list) {
        spec->objectives[0] = OBJECTIVE_ACCURACY;
        spec->objectives[1] = OBJECTIVE_STEP_TIME;
        spec->objectives[2] = OBJECTIVE_PARAMS;
        spec->objective_count = 3;
        return 0;
    }
    if (!json_is_array(list) || json_array_size(list) < 1 ||
        json_array_size(list) > PARETO_OBJECTIVES_MAX)
        return json_refuse(document, "objectives",
                           "objectives must be a list of 1 to %d names, \"accuracy\" among them.",
                           PARETO_OBJECTIVES_MAX);
    bool has_accuracy = false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        int r = objective_read(document, i, json_array_get(list, i), spec);
        if (r < 0)
            return r;
        has_accuracy = has_accuracy || spec->objectives[i] == OBJECTIVE_ACCURACY;
    }
    if (!has_accuracy)
        return json_refuse(document, "objectives",
                           "objectives must have \"accuracy\" among them: without it the smallest "
                           "network would always win.");
    return 0;
}

static int reference_value_read(const struct json_reader *reader, enum objective objective,
                                struct spec *spec)
{
    const char *name = objective_name(objective);
    double *value = &spec->reference.value[objective];
    if (!spec_has_objective(spec, objective))
        return json_reader_has(reader, name)
                   ? json_refuse(reader, name, "%s is not among this search's objectives.", name)
                   : 0;
    if (!json_reader_has(reader, name))
        return json_refuse(reader, name,
                           "%s is missing: a reference has a value for every objective.", name);
    int r = json_read_number(reader, name, value);
    if (r < 0)
        return r;
    if (objective == OBJECTIVE_ACCURACY && !(*value >= 0 && *value < 1))
        return json_refuse(reader, name,
                           "The reference's accuracy is a fraction from 0 to below 1.");
    if (objective != OBJECTIVE_ACCURACY && !(isfinite(*value) && *value > 0))
        return json_refuse(reader, name, "The reference's %s must be above 0.", name);
    return 0;
}

static int reference_read(const struct json_reader *document, struct spec *spec)
{
    const char *keys[OBJECTIVE_COUNT + 1] = {NULL};
    objective_names(keys);
    struct json_reader reader;
    int r = json_reader_enter(document, "reference", keys, &reader, &spec->has_reference);
    if (r < 0 || !spec->has_reference)
        return r;
    for (int i = 0; i < OBJECTIVE_COUNT && r == 0; i++)
        r = reference_value_read(&reader, (enum objective)i, spec);
    return r;
}

static int exponent_read(const struct json_reader *reader, enum objective objective,
                         double *exponent)
{
    const char *name = objective_name(objective);
    int r = json_read_number(reader, name, exponent);
    if (r < 0)
        return r;
    bool up = objective_sign(objective) > 0;
    double towards = up ? *exponent : -*exponent;
    if (!isfinite(towards) || towards < 0 || towards > EXPONENT_MAX || (up && towards == 0))
        return json_refuse(reader, name, "The exponent of %s must be %s, because %s is better.",
                           name, up ? "above 0 and at most 10" : "from -10 to 0",
                           up ? "more" : "less");
    return 0;
}

static int reward_read(const struct json_reader *document, struct spec *spec)
{
    const char *keys[OBJECTIVE_COUNT + 1] = {NULL};
    objective_names(keys);
    struct json_reader reader;
    bool present = false;
    int r = json_reader_enter(document, "reward", keys, &reader, &present);
    spec->reward = (struct reward){.exponent = {[OBJECTIVE_ACCURACY] = 1}};
    if (r < 0 || !present) {
        spec->reward.exponent[OBJECTIVE_STEP_TIME] = -0.07;
        spec->reward.exponent[OBJECTIVE_PARAMS] = -0.05;
        return r;
    }
    for (int i = 0; i < OBJECTIVE_COUNT && r == 0; i++)
        r = exponent_read(&reader, (enum objective)i, &spec->reward.exponent[i]);
    return r;
}

static int constraints_read(const struct json_reader *document, struct spec *spec)
{
    static const char *const keys[] = {"params_max", "macs_max", "memory_max", NULL};
    struct json_reader reader;
    bool present = false;
    int r = json_reader_enter(document, "constraints", keys, &reader, &present);
    if (r < 0 || !present)
        return r;
    struct json_range range = {1, INT64_MAX};
    r = json_read_u64(&reader, "params_max", range, &spec->constraints.params_max);
    if (r == 0)
        r = json_read_u64(&reader, "macs_max", range, &spec->constraints.macs_max);
    if (r == 0)
        r = json_read_u64(&reader, "memory_max", range, &spec->constraints.memory_max);
    return r;
}

static int budget_read(const struct json_reader *document, struct spec *spec)
{
    static const char *const keys[] = {"candidates", "epochs", NULL};
    struct json_reader reader;
    bool present = false;
    int r = json_reader_enter(document, "budget", keys, &reader, &present);
    spec->candidates_max = CANDIDATES_DEFAULT;
    spec->epochs = EPOCHS_DEFAULT;
    if (r < 0 || !present)
        return r;
    r = json_read_u32(&reader, "candidates", (struct json_range){1, SPEC_CANDIDATES_MAX},
                      &spec->candidates_max);
    if (r == 0)
        r = json_read_u32(&reader, "epochs", (struct json_range){1, RECIPE_EPOCHS_MAX},
                          &spec->epochs);
    return r;
}

static int strategy_read(const struct json_reader *document, struct spec *spec)
{
    struct json_reader reader;
    bool present = false;
    const char *name = "model";
    int r = json_reader_enter(document, "strategy", strategy_keys, &reader, &present);
    if (r == 0 && present)
        r = json_read_string(&reader, "name", &name);
    if (r < 0)
        return r;
    const char *names[NAMES_MAX];
    size_t count = 0;
    bool known = false;
    for (; strategy_name(count) && count < NAMES_MAX; count++) {
        names[count] = strategy_name(count);
        known = known || strcmp(names[count], name) == 0;
    }
    if (!known)
        return refuse_name(&reader, "strategy", name, names, count);
    snprintf(spec->strategy.name, sizeof spec->strategy.name, "%s", name);
    return strategy_options_read(document, present ? &reader : NULL, spec);
}

/* The middle choice of every stage: neither the smallest nor the largest of the space. */
static void baseline_default(struct spec *spec)
{
    struct encoding encoding = {0};
    for (uint32_t i = 0; i < space_stage_count(spec->space); i++)
        encoding.choices[i] = (uint16_t)(space_option_count(spec->space, i) / 2);
    space_architecture(spec->space, &encoding, &spec->baseline);
}

static int baseline_read(const struct json_reader *document, struct spec *spec)
{
    const json_t *value = json_object_get(document->object, "baseline");
    if (value)
        return architecture_read(value, "/baseline", &spec->baseline, document->error);
    baseline_default(spec);
    return 0;
}

static int scheduling_read(const struct json_reader *document, struct spec *spec)
{
    int64_t priority = 0;
    spec->parallel_max = PARALLEL_DEFAULT;
    int r = json_read_u32(document, "parallel_max", (struct json_range){1, SPEC_PARALLEL_MAX},
                          &spec->parallel_max);
    if (r == 0)
        r = json_read_integer(document, "priority",
                              (struct json_range){-SPEC_PRIORITY_MAX, SPEC_PRIORITY_MAX},
                              &priority);
    if (r == 0)
        r = json_read_u64(document, "seed", (struct json_range){0, INT64_MAX}, &spec->seed);
    if (r == 0)
        r = json_read_bool(document, "deterministic", &spec->deterministic);
    spec->priority = (int32_t)priority;
    return r;
}

static int spec_fill(const struct json_reader *document, const struct spec_datasets *datasets,
                     struct spec *spec)
{
    int (*const readers[])(const struct json_reader *, struct spec *) = {
        name_read,        space_field_read, objectives_read, reference_read, reward_read,
        constraints_read, budget_read,      strategy_read,   scheduling_read};
    int r = dataset_read(document, datasets, spec);
    for (size_t i = 0; i < ARRAY_LENGTH(readers) && r == 0; i++)
        r = readers[i](document, spec);
    if (r == 0)
        r = recipe_read(document, spec->dataset.image_size, &spec->recipe);
    if (r == 0)
        r = baseline_read(document, spec);
    if (r < 0)
        return r;
    spec->problem = (struct problem){spec->recipe.image_size, spec->dataset.image_channels,
                                     spec->dataset.classes};
    return spec_check(spec, document->error);
}

int spec_parse(const char *json, size_t json_length, const struct spec_datasets *datasets,
               struct spec **ret_spec, struct error *error)
{
    static const char *const keys[] = {"name",      "dataset", "space",         "objectives",
                                       "reference", "reward",  "constraints",   "strategy",
                                       "budget",    "recipe",  "baseline",      "parallel_max",
                                       "priority",  "seed",    "deterministic", NULL};
    json_t *value = NULL;
    int r = json_read_text(json, json_length, SPEC_TEXT_MAX, &value, error);
    if (r < 0)
        return r;
    struct spec *spec = calloc(1, sizeof *spec);
    struct json_reader document;
    r = spec ? json_reader_open(&document, value, "", keys, error)
             : error_set(error, -ENOMEM, "", "Out of memory.");
    if (r == 0)
        r = spec_fill(&document, datasets, spec);
    json_decref(value);
    if (r < 0) {
        spec_free(spec);
        return r;
    }
    *ret_spec = spec;
    return 0;
}
