#include "search/model_report.h"

#include "search/export.h"
#include "search/model_query.h"
#include "search/preset.h"
#include "search/recipe.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int model_query_resolve(const struct model_query *query, struct architecture *ret_architecture,
                        struct problem *ret_problem, struct error *error)
{
    int r = preset_find(query->name, ret_architecture, error);
    if (r < 0)
        return r;
    struct problem problem = query->problem;
    for (size_t i = 0; preset_name(i); i++) {
        struct problem usual = preset_problem(i);
        if (strcmp(preset_name(i), query->name) != 0)
            continue;
        problem.image_size = problem.image_size > 0 ? problem.image_size : usual.image_size;
        problem.image_channels =
            problem.image_channels > 0 ? problem.image_channels : usual.image_channels;
        problem.classes = problem.classes > 0 ? problem.classes : usual.classes;
    }
    r = problem_validate(&problem, error);
    if (r < 0)
        return r;
    *ret_problem = problem;
    return 0;
}

void preset_summary(size_t index, struct problem *ret_problem, struct cost *ret_cost)
{
    struct architecture architecture;
    *ret_problem = preset_problem(index);
    if (preset_find(preset_name(index), &architecture, NULL) == 0)
        *ret_cost = cost_of(&architecture, ret_problem);
}

int model_report_text(const struct model_query *query, struct text *text, struct error *error)
{
    struct architecture architecture;
    struct problem problem;
    int r = model_query_resolve(query, &architecture, &problem, error);
    if (r < 0)
        return r;
    export_markdown(&(struct export_model){query->name, &architecture, problem}, text);
    r = text_status(text);
    return r < 0 ? error_set(error, r, "", "Out of memory.") : 0;
}

static void names_add(const char *title, const char *(*name)(size_t index), struct text *text)
{
    text_format(text, "\n%s\n", title);
    for (size_t i = 0; name(i); i++)
        text_format(text, "%s\n", name(i));
}

int preset_report_text(struct text *text, struct error *error)
{
    text_format(text, "%-32s %10s %14s %16s\n", "name", "image size", "params", "macs");
    for (size_t i = 0; preset_name(i); i++) {
        struct problem problem;
        struct cost cost;
        preset_summary(i, &problem, &cost);
        text_format(text, "%-32s %10" PRIu32 " %14" PRIu64 " %16" PRIu64 "\n", preset_name(i),
                    problem.image_size, cost.params, cost.macs);
    }
    names_add("recipes", recipe_preset_name, text);
    names_add("progressive schedules", recipe_progressive_preset_name, text);
    int r = text_status(text);
    return r < 0 ? error_set(error, r, "", "Out of memory.") : 0;
}
