#include "search/model_report.h"

#include "search/export.h"
#include "search/json_write.h"
#include "search/model_query.h"
#include "search/preset.h"

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

int preset_report_json(struct text *text, struct error *error)
{
    json_t *list = json_array();
    for (size_t i = 0; list && preset_name(i); i++) {
        if (json_array_append_new(list, preset_write(i)) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    int r = json_write_text(JSON_BUILD({"presets", list}), text);
    return r < 0 ? error_set(error, r, "", "Out of memory.") : 0;
}
