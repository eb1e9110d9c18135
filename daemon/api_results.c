#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/api_internal.h"
#include "search/export.h"

/* ---- frontier ---- */

static int read_objectives(struct api_call *call, enum objective objectives[PARETO_OBJECTIVES_MAX],
                           size_t *ret_count)
{
    const char *text = http_request_query(call->request, "objectives");
    char word[32];
    size_t count = 0;
    while (text && *text) {
        size_t length = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : 0), text);
        if (count == PARETO_OBJECTIVES_MAX || objective_from_name(word, &objectives[count++]) < 0)
            return api_bad_parameter(call, "objectives",
                                     "must be a list, separated by commas, of one to %d of "
                                     "accuracy, step_time, params, macs, memory, loss",
                                     PARETO_OBJECTIVES_MAX);
        text += length + (text[length] == ',');
    }
    *ret_count = count;
    return 0;
}

/* One value an objective, by name. */
static json_t *values_json(const struct frontier_view *view, const double *values)
{
    json_t *object = json_object();
    for (size_t i = 0; i < view->objective_count; i++) {
        if (json_object_set_new(object, objective_name(view->objectives[i]),
                                api_number_json(values[i])) == 0)
            continue;
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *points_json(const struct frontier_view *view)
{
    json_t *array = json_array();
    for (size_t i = 0; i < view->point_count; i++) {
        json_t *point = values_json(view, view->points[i].value);
        if (json_object_set_new(point, "candidate",
                                json_integer((json_int_t)view->points[i].candidate)) == 0 &&
            json_array_append(array, point) == 0) {
            json_decref(point);
            continue;
        }
        json_decref(point);
        json_decref(array);
        return NULL;
    }
    return array;
}

static json_t *objective_names(const struct frontier_view *view)
{
    json_t *array = json_array();
    for (size_t i = 0; i < view->objective_count; i++)
        if (json_array_append_new(array, json_string(objective_name(view->objectives[i]))) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

int api_frontier(struct api_call *call)
{
    enum objective objectives[PARETO_OBJECTIVES_MAX];
    struct frontier_view view;
    size_t count = 0;
    uint64_t search = 0;
    int r = api_search_id(call, &search);
    if (r == 0)
        r = read_objectives(call, objectives, &count);
    if (r)
        return r;
    r = coordinator_frontier(call->coordinator, search, objectives, count, &view, &call->error);
    if (r == -EINVAL)
        return api_bad_parameter(call, "objectives", "%s", call->error.message);
    if (r < 0)
        return r;
    return api_json(
        call, 200,
        json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "search", (json_int_t)search, "objectives",
                  objective_names(&view), "reference", values_json(&view, view.reference),
                  "hypervolume", api_number_json(view.hypervolume), "hypervolume_fraction",
                  api_number_json(view.hypervolume_fraction), "points", points_json(&view)));
}

/* ---- export ---- */

/* The candidate asked for, or the best by reward. */
static int find_exported(struct api_call *call, const struct search_view *view,
                         uint64_t *ret_candidate)
{
    const uint64_t range[2] = {0, INT64_MAX};
    bool given = http_request_query(call->request, "candidate") != NULL;
    int r = api_query_number(call, "candidate", range, ret_candidate);
    if (r || given)
        return r;
    if (!view->best_known)
        return api_problem(call, PROBLEM_NO_RESULT,
                           "No candidate of this search has a result yet.");
    *ret_candidate = view->best;
    return 0;
}

static int write_model(enum export_format format, const struct export_model *model,
                       struct text *text)
{
    switch (format) {
    case EXPORT_JSON:
        return export_json(model, text);
    case EXPORT_CSV:
        export_csv(model, text);
        break;
    case EXPORT_MARKDOWN:
        export_markdown(model, text);
        break;
    }
    return text_status(text);
}

static int reply_model(struct api_call *call, enum export_format format,
                       const struct export_model *model)
{
    struct text text;
    text_init(&text, EXPORT_SIZE_MAX);
    int r = write_model(format, model, &text);
    if (r < 0) {
        text_release(&text);
        return r;
    }
    call->reply = (struct http_reply){.status = 200,
                                      .content_type = export_content_type(format),
                                      .body = text.data,
                                      .body_bytes = text.length};
    return API_REPLIED;
}

int api_export(struct api_call *call)
{
    char name[64];
    enum export_format format = EXPORT_JSON;
    struct search_view search_view;
    struct candidate_view view;
    uint64_t search = 0, candidate = 0;
    const char *format_name = http_request_query(call->request, "format");
    int r = api_search_id(call, &search);
    if (r < 0)
        return r;
    if (format_name && export_format_from_name(format_name, &format) < 0)
        return api_bad_parameter(call, "format", "must be json, csv or markdown");
    r = coordinator_search(call->coordinator, search, &search_view);
    if (r == 0)
        r = find_exported(call, &search_view, &candidate);
    if (r)
        return r;
    if (!search_view.spec)
        return error_set(&call->error, -EPERM, "", "The search's spec cannot be read.");
    struct problem problem = search_view.spec->problem;
    r = coordinator_candidate(call->coordinator, search, candidate, &view);
    if (r < 0)
        return r;
    snprintf(name, sizeof name, "search-%llu-candidate-%llu", (unsigned long long)search,
             (unsigned long long)candidate);
    struct export_model model = {
        .name = name, .architecture = &view.architecture, .problem = problem};
    return reply_model(call, format, &model);
}
