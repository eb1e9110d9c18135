#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api_internal.h"
#include "daemon/page_token.h"
#include "search/export.h"

enum { PAGE_SIZE_DEFAULT = 50, RANKING_DEFAULT = 20, EXPONENT_MAX = 10 };

static int visit_candidate(void *context, const struct candidate_view *view)
{
    json_t *array = context;
    return json_array_append_new(array, api_candidate_json(view)) < 0 ? -ENOMEM : 0;
}

/* "done,failed" */
static int read_states(struct api_call *call, unsigned *ret_states)
{
    const char *text = http_request_query(call->request, "state");
    char word[32];
    unsigned states = 0;
    while (text && *text) {
        enum candidate_state state;
        size_t length = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : 0), text);
        if (candidate_state_from_name(word, &state) < 0)
            return api_bad_parameter(
                call, "state",
                "must be a list, separated by commas, of queued, leased, done, failed, cancelled");
        states |= 1u << state;
        text += length + (text[length] == ',');
    }
    *ret_states = states;
    return 0;
}

/* "reward", "-params" */
static int read_sort(struct api_call *call, struct candidate_query *query)
{
    const char *text = http_request_query(call->request, "sort");
    if (!text)
        return 0;
    query->worst_first = *text == '-';
    text += query->worst_first;
    if (strcmp(text, "number") == 0)
        query->sort = CANDIDATE_SORT_NUMBER;
    else if (strcmp(text, "reward") == 0)
        query->sort = CANDIDATE_SORT_REWARD;
    else if (objective_from_name(text, &query->objective) == 0)
        query->sort = CANDIDATE_SORT_OBJECTIVE;
    else
        return api_bad_parameter(
            call, "sort",
            "must be number, reward, accuracy, step_time, params, macs, memory "
            "or loss, with a minus in front for worst first");
    return 0;
}

static int read_query(struct api_call *call, struct candidate_query *query)
{
    const uint64_t range[2] = {1, PAGE_ITEMS_MAX};
    uint64_t limit = PAGE_SIZE_DEFAULT;
    const char *token = http_request_query(call->request, "page_token");
    int r = read_states(call, &query->states);
    if (r == 0)
        r = read_sort(call, query);
    if (r == 0)
        r = api_query_number(call, "page_size", range, &limit);
    if (r)
        return r;
    if (token && *token && !page_token_read(call->request, token, &query->after))
        return api_bad_parameter(call, "page_token", "is not a token of this list");
    query->limit = (uint32_t)limit;
    return 0;
}

int api_candidates(struct api_call *call)
{
    char token[PAGE_TOKEN_SIZE] = "";
    uint64_t search = 0;
    struct candidate_query query = {.sort = CANDIDATE_SORT_NUMBER};
    struct candidate_cursor next = {.set = false};
    int r = api_search_id(call, &search);
    if (r == 0)
        r = read_query(call, &query);
    if (r)
        return r;
    json_t *array = json_array();
    if (!array)
        return -ENOMEM;
    r = coordinator_candidates(call->coordinator, search, &query, visit_candidate, array, &next);
    if (r == 0) {
        if (next.set)
            page_token_write(call->request, &next, token);
        r = api_json(call, 200,
                     json_pack("{s:I, s:O, s:s}", "search", (json_int_t)search, "candidates", array,
                               "next_page_token", token));
    }
    json_decref(array);
    return r;
}

/* ---- one candidate ---- */

static int visit_attempt(void *context, const struct attempt_view *view)
{
    json_t *array = context;
    return json_array_append_new(array, api_attempt_json(view)) < 0 ? -ENOMEM : 0;
}

static int find_candidate(struct api_call *call, uint64_t search, uint64_t *ret_number,
                          struct candidate_view *ret_view)
{
    if (!route_number(call->parameters.text[1], ret_number))
        return error_set(&call->error, -ENOENT, "", "There is no candidate '%s'.",
                         call->parameters.text[1]);
    return coordinator_candidate(call->coordinator, search, *ret_number, ret_view);
}

/* The stage table as the JSON export has it. */
static json_t *model_json(const struct candidate_view *candidate, const struct problem *problem)
{
    char name[64];
    struct text text;
    struct export_model model = {
        .name = name, .architecture = &candidate->architecture, .problem = *problem};
    snprintf(name, sizeof name, "search-%llu-candidate-%llu", (unsigned long long)candidate->search,
             (unsigned long long)candidate->number);
    text_init(&text, EXPORT_SIZE_MAX);
    json_t *json = NULL;
    if (export_json(&model, &text) == 0)
        json = json_loadb(text.data, text.length, 0, NULL);
    text_release(&text);
    return json;
}

int api_candidate(struct api_call *call)
{
    struct search_view search_view;
    struct candidate_view view;
    struct problem problem = {0};
    uint64_t search = 0, number = 0;
    int r = api_search_id(call, &search);
    if (r == 0)
        r = coordinator_search(call->coordinator, search, &search_view);
    if (r < 0)
        return r;
    if (search_view.spec)
        problem = search_view.spec->problem;
    r = find_candidate(call, search, &number, &view);
    if (r < 0)
        return r;
    json_t *json = api_candidate_json(&view), *attempts = json_array();
    json_t *model = problem.classes ? model_json(&view, &problem) : json_null();
    r = coordinator_attempts(call->coordinator, search, number, visit_attempt, attempts);
    int model_set = json_object_set_new(json, "model", model);
    int attempts_set = json_object_set_new(json, "attempts", attempts);
    if (r == 0 && (model_set < 0 || attempts_set < 0))
        r = -ENOMEM;
    if (r < 0) {
        json_decref(json);
        return r;
    }
    return api_json(call, 200, json);
}

/* ---- ranking ---- */

static int read_exponent(struct api_call *call, const struct http_field *field,
                         struct reward *reward)
{
    enum objective objective;
    char *end = NULL;
    if (objective_from_name(field->name, &objective) < 0)
        return api_bad_parameter(
            call, field->name,
            "unknown; known are: limit accuracy step_time params macs memory loss");
    double exponent = strtod(field->value, &end);
    if (end == field->value || *end || !isfinite(exponent) || fabs(exponent) > EXPONENT_MAX)
        return api_bad_parameter(call, field->name, "must be an exponent from -%d to %d",
                                 EXPONENT_MAX, EXPONENT_MAX);
    reward->exponent[objective] = exponent;
    return 0;
}

/* Exponents of the query; the spec's where there are none. */
static int read_reward(struct api_call *call, const struct spec *spec, struct reward *ret_reward)
{
    struct reward reward = {.exponent = {[OBJECTIVE_ACCURACY] = 1}};
    bool given = false;
    for (size_t i = 0; i < call->request->query_count; i++) {
        const struct http_field *field = &call->request->query[i];
        if (strcmp(field->name, "limit") == 0)
            continue;
        int r = read_exponent(call, field, &reward);
        if (r)
            return r;
        given = true;
    }
    *ret_reward = given || !spec ? reward : spec->reward;
    return 0;
}

int api_ranking(struct api_call *call)
{
    const uint64_t range[2] = {1, PAGE_ITEMS_MAX};
    uint64_t search = 0, limit = RANKING_DEFAULT;
    struct search_view view;
    struct reward reward;
    struct candidate_cursor next;
    int r = api_search_id(call, &search);
    if (r == 0)
        r = coordinator_search(call->coordinator, search, &view);
    if (r == 0)
        r = read_reward(call, view.spec, &reward);
    if (r == 0)
        r = api_query_number(call, "limit", range, &limit);
    if (r)
        return r;
    struct candidate_query query = {.sort = CANDIDATE_SORT_REWARD,
                                    .states = 1u << CANDIDATE_DONE,
                                    .reward = &reward,
                                    .limit = (uint32_t)limit};
    json_t *array = json_array();
    if (!array)
        return -ENOMEM;
    r = coordinator_candidates(call->coordinator, search, &query, visit_candidate, array, &next);
    if (r == 0)
        r = api_json(call, 200,
                     json_pack("{s:I, s:o, s:O}", "search", (json_int_t)search, "reward",
                               api_reward_json(&reward), "candidates", array));
    json_decref(array);
    return r;
}
