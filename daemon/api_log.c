/* What a search's trajectory can be checked by: its resolved spec, and its log. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/api_internal.h"
#include "search/strategy.h"

/* A page of the log is about 150 KB, which takes 5 to 10 ms. */
enum { LOG_LIMIT_MAX = 500, RESOLVED_SPEC_MAX = 4 * SPEC_TEXT_MAX, HASH_SIZE = 17 };

int api_spec(struct api_call *call)
{
    uint64_t search = 0;
    struct search_view view;
    int r = api_search_id(call, &search);
    if (r == 0)
        r = coordinator_search(call->coordinator, search, &view);
    if (r < 0)
        return r;
    if (!view.spec)
        return error_set(&call->error, -EPERM, "", "%s", view.problem);
    struct text text;
    text_init(&text, RESOLVED_SPEC_MAX);
    r = spec_to_json(view.spec, &text);
    if (r < 0) {
        text_release(&text);
        return r;
    }
    call->reply = (struct http_reply){.status = 200,
                                      .content_type = "application/json",
                                      .body = text.data,
                                      .body_bytes = text.length};
    return API_REPLIED;
}

/* ---- the log ---- */

static json_t *optional(uint64_t number)
{
    return number == UINT64_MAX ? json_null() : json_integer((json_int_t)number);
}

static json_t *choices_json(const struct candidate_view *view)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < view->stage_count; i++)
        if (json_array_append_new(array, json_integer(view->encoding.choices[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *entry_json(const struct candidate_view *view)
{
    const double *value = view->measures.value;
    char hash[HASH_SIZE];
    snprintf(hash, sizeof hash, "%016" PRIx64, view->hash);
    bool done = view->state == CANDIDATE_DONE;
    return json_pack(
        "{s:I, s:o, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "number",
        (json_int_t)view->number, "choices", choices_json(view), "hash", hash, "params",
        (json_int_t)view->cost.params, "macs", (json_int_t)view->cost.macs, "memory",
        (json_int_t)view->cost.activation_bytes, "seen", (json_int_t)view->seen, "parent",
        optional(view->parent), "position", optional(view->position), "usable", done, "reward",
        api_number_json(done ? view->reward : NAN), "accuracy",
        api_number_json(value[OBJECTIVE_ACCURACY]), "loss", api_number_json(value[OBJECTIVE_LOSS]),
        "step_time", api_number_json(value[OBJECTIVE_STEP_TIME]));
}

static json_t *entries_json(struct api_call *call, uint64_t search, uint64_t first, uint64_t end)
{
    struct candidate_view view;
    json_t *array = json_array();
    for (uint64_t k = first; k < end; k++)
        if (coordinator_candidate(call->coordinator, search, k, &view) < 0 ||
            json_array_append_new(array, entry_json(&view)) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

/* The candidates on the front over the spec's objectives. */
static json_t *front_json(struct api_call *call, uint64_t search)
{
    struct frontier_view view;
    json_t *array = json_array();
    if (coordinator_frontier(call->coordinator, search, NULL, 0, &view, &call->error) < 0)
        view.point_count = 0;
    for (size_t i = 0; i < view.point_count; i++)
        if (json_array_append_new(array, optional(view.points[i].candidate)) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

int api_log(struct api_call *call)
{
    const uint64_t first_range[2] = {0, INT64_MAX}, limit_range[2] = {1, LOG_LIMIT_MAX};
    uint64_t search = 0, first = 0, limit = LOG_LIMIT_MAX;
    struct search_view view;
    int r = api_search_id(call, &search);
    if (r == 0)
        r = coordinator_search(call->coordinator, search, &view);
    if (r == 0)
        r = api_query_number(call, "first", first_range, &first);
    if (r == 0)
        r = api_query_number(call, "limit", limit_range, &limit);
    if (r)
        return r;
    if (!view.spec)
        return error_set(&call->error, -EPERM, "", "%s", view.problem);
    uint64_t created = view.progress.created;
    uint64_t end = first >= created ? first : created - first < limit ? created : first + limit;
    json_t *front = first == 0 ? front_json(call, search) : json_null();
    return api_json_exact(call, 200,
                          json_pack("{s:I, s:s, s:I, s:I, s:o, s:o, s:o}", "search",
                                    (json_int_t)search, "state", search_state_name(view.state),
                                    "created", (json_int_t)created, "results",
                                    (json_int_t)view.spend.results, "best",
                                    optional(view.best_known ? view.best : UINT64_MAX), "front",
                                    front, "candidates", entries_json(call, search, first, end)));
}
