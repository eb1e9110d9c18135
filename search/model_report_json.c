#include "search/model_report.h"

#include "search/export.h"
#include "search/json_write.h"
#include "search/model_query.h"
#include "search/preset.h"
#include "search/progressive_json.h"
#include "search/recipe_json.h"

#include <errno.h>

int model_report_json(const struct model_query *query, struct text *text, struct error *error)
{
    struct architecture architecture;
    struct problem problem;
    int r = model_query_resolve(query, &architecture, &problem, error);
    if (r < 0)
        return r;
    r = export_json(&(struct export_model){query->name, &architecture, problem}, text);
    return r < 0 ? error_set(error, r, "", "Out of memory.") : 0;
}

static json_t *preset_write(size_t index)
{
    struct problem problem;
    struct cost cost;
    preset_summary(index, &problem, &cost);
    return JSON_BUILD({"name", json_string(preset_name(index))},
                      {"image_size", json_integer(problem.image_size)},
                      {"params", json_integer((json_int_t)cost.params)},
                      {"macs", json_integer((json_int_t)cost.macs)});
}

static json_t *recipe_preset_write(size_t index)
{
    struct recipe recipe;
    if (recipe_preset(recipe_preset_name(index), &recipe, NULL) < 0)
        return NULL;
    return JSON_BUILD({"name", json_string(recipe_preset_name(index))},
                      {"recipe", recipe_write(&recipe)});
}

static json_t *progressive_preset_write(size_t index)
{
    struct recipe recipe;
    const char *name = recipe_progressive_preset_name(index);
    if (recipe_preset("efficientnetv2", &recipe, NULL) < 0 ||
        recipe_progressive_preset(&recipe, name, NULL) < 0)
        return NULL;
    return JSON_BUILD({"name", json_string(name)}, {"progressive", progressive_write(&recipe)});
}

/* An array of what `write` makes of each name; NULL where memory is short. */
static json_t *list_write(const char *(*name)(size_t index), json_t *(*write)(size_t index))
{
    json_t *list = json_array();
    for (size_t i = 0; list && name(i); i++) {
        if (json_array_append_new(list, write(i)) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

int preset_report_json(struct text *text, struct error *error)
{
    json_t *report = JSON_BUILD(
        {"presets", list_write(preset_name, preset_write)},
        {"recipes", list_write(recipe_preset_name, recipe_preset_write)},
        {"progressive", list_write(recipe_progressive_preset_name, progressive_preset_write)});
    int r = json_write_text(report, text);
    return r < 0 ? error_set(error, r, "", "Out of memory.") : 0;
}
