#include "search/spec.h"

#include "search/export_json.h"
#include "search/json_write.h"
#include "search/recipe_json.h"
#include "search/strategy_json.h"

static json_t *whole(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *objectives_write(const struct spec *spec)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < spec->objective_count; i++) {
        if (json_array_append_new(list, json_string(objective_name(spec->objectives[i]))) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *reference_write(const struct spec *spec)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < spec->objective_count; i++) {
        const enum objective objective = spec->objectives[i];
        if (json_object_set_new(object, objective_name(objective),
                                json_real(spec->reference.value[objective])) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *reward_write(const struct spec *spec)
{
    json_t *object = json_object();
    for (int i = 0; object && i < OBJECTIVE_COUNT; i++) {
        double exponent = spec->reward.exponent[i];
        if (exponent != 0 && json_object_set_new(object, objective_name((enum objective)i),
                                                 json_real(exponent)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *constraints_write(const struct spec *spec)
{
    json_t *object = json_object();
    for (int i = 0; object && i < LIMIT_COUNT; i++) {
        uint64_t value = limit_value(&spec->constraints, (enum limit)i);
        if (value != 0 &&
            json_object_set_new(object, limit_name((enum limit)i), whole(value)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *spec_write(const struct spec *spec)
{
    json_t *object = JSON_BUILD(
        {"name", json_string(spec->name)},
        {"dataset",
         JSON_BUILD({"name", json_string(spec->dataset.name)}, {"train", whole(spec->train_images)},
                    {"validation", whole(spec->validation_images)})},
        {"space", json_loads(spec->space_text, 0, NULL)}, {"objectives", objectives_write(spec)},
        {"reward", reward_write(spec)}, {"constraints", constraints_write(spec)},
        {"strategy", strategy_write(spec)},
        {"budget",
         JSON_BUILD({"candidates", whole(spec->candidates_max)}, {"epochs", whole(spec->epochs)})},
        {"recipe", recipe_write(&spec->recipe)}, {"baseline", architecture_write(&spec->baseline)},
        {"parallel_max", whole(spec->parallel_max)}, {"priority", json_integer(spec->priority)},
        {"seed", whole(spec->seed)}, {"deterministic", json_boolean(spec->deterministic)});
    if (object && spec->has_reference &&
        json_object_set_new(object, "reference", reference_write(spec)) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

int spec_to_json(const struct spec *spec, struct text *text)
{
    return json_write_text(spec_write(spec), text);
}
