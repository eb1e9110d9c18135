#include "daemon/api_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALLOW_SIZE = 64, DETAIL_SIZE = 256, DIGITS = 15, DIGITS_EXACT = 17 };

/* What the body of a request is. */
enum body { BODY_NONE, BODY_JSON, BODY_PROTOBUF };

struct api_route {
    const char *method, *pattern;
    api_function *function;
    enum body body;
    const char *query; /* parameters that the route knows, separated by spaces; NULL: its function
                          looks itself */
};

static const struct api_route routes[] = {
    {"POST", "/v1/searches", api_submit, BODY_JSON, ""},
    {"GET", "/v1/searches", api_searches, BODY_NONE, "page_size page_token"},
    {"GET", "/v1/searches/{id}", api_search, BODY_NONE, ""},
    {"POST", "/v1/searches/{id}:pause", api_pause, BODY_JSON, ""},
    {"POST", "/v1/searches/{id}:resume", api_resume, BODY_NONE, ""},
    {"POST", "/v1/searches/{id}:cancel", api_cancel, BODY_NONE, ""},
    {"GET", "/v1/searches/{id}/candidates", api_candidates, BODY_NONE,
     "state sort page_size page_token"},
    {"GET", "/v1/searches/{id}/candidates/{number}", api_candidate, BODY_NONE, ""},
    {"GET", "/v1/searches/{id}/frontier", api_frontier, BODY_NONE, "objectives"},
    {"GET", "/v1/searches/{id}/ranking", api_ranking, BODY_NONE, NULL},
    {"GET", "/v1/searches/{id}/export", api_export, BODY_NONE, "format candidate"},
    {"GET", "/v1/searches/{id}/spec", api_spec, BODY_NONE, ""},
    {"GET", "/v1/searches/{id}/log", api_log, BODY_NONE, "first limit"},
    {"GET", "/v1/searches/{id}/events", api_stream_events, BODY_NONE, "after"},
    {"GET", "/v1/workers", api_workers, BODY_NONE, ""},
    {"GET", "/v1/datasets", api_datasets, BODY_NONE, ""},
    {"GET", "/v1/presets", api_presets, BODY_NONE, ""},
    {"GET", "/healthz", api_health, BODY_NONE, ""},
    {"GET", "/readyz", api_ready, BODY_NONE, ""},
    {"POST", "/worker/v1/register", api_worker_register, BODY_PROTOBUF, ""},
    {"POST", "/worker/v1/lease", api_worker_lease, BODY_PROTOBUF, ""},
    {"POST", "/worker/v1/report", api_worker_report, BODY_PROTOBUF, ""},
    {"POST", "/worker/v1/result", api_worker_result, BODY_PROTOBUF, ""},
    {"PUT", "/worker/v1/artifacts/{sha256}", api_artifact_put, BODY_NONE, ""},
    {"GET", "/worker/v1/artifacts/{sha256}", api_artifact_get, BODY_NONE, ""},
};

int api_new(const struct api_options *options, struct api **ret_api)
{
    struct api *api = calloc(1, sizeof *api);
    if (!api)
        return -ENOMEM;
    api->options = *options;
    TAILQ_INIT(&api->waiting);
    int r = events_new(options, &api->events);
    if (r < 0) {
        free(api);
        return r;
    }
    *ret_api = api;
    return 0;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    assert(TAILQ_EMPTY(&api->waiting));
    events_free(api->events);
    free(api);
}

void api_wake_streams(struct api *api)
{
    events_wake(api->events);
}

/* ---- replies ---- */

int api_problem(struct api_call *call, enum problem_type problem, const char *detail)
{
    problem_reply(&call->reply, problem, detail);
    return API_REPLIED;
}

int api_bad_parameter(struct api_call *call, const char *name, const char *format, ...)
{
    char detail[DETAIL_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    problem_reply_parameter(&call->reply, PROBLEM_INVALID_PARAMETER, name, detail);
    return API_REPLIED;
}

static int reply_json(struct api_call *call, int status, json_t *json, size_t digits)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(digits)) : NULL;
    json_decref(json);
    if (!text)
        return -ENOMEM;
    call->reply = (struct http_reply){.status = status,
                                      .content_type = "application/json",
                                      .body = text,
                                      .body_bytes = strlen(text)};
    return API_REPLIED;
}

int api_json(struct api_call *call, int status, json_t *json)
{
    return reply_json(call, status, json, DIGITS);
}

int api_json_exact(struct api_call *call, int status, json_t *json)
{
    return reply_json(call, status, json, DIGITS_EXACT);
}

void api_error_reply(struct http_reply *ret_reply, int code, const struct error *error)
{
    static const struct {
        int code;
        enum problem_type problem;
        const char *detail;
    } problems[] = {
        {-ENOENT, PROBLEM_NOT_FOUND, "There is nothing with that number or name."},
        {-EINVAL, PROBLEM_INVALID_SPEC, "The request's body is invalid."},
        {-E2BIG, PROBLEM_TOO_LARGE, "The request's body is too large."},
        {-EPERM, PROBLEM_CONFLICT, "The search's state does not allow it."},
        {-EEXIST, PROBLEM_IDEMPOTENCY_MISMATCH,
         "The idempotency key was used before with another body."},
        {-ESTALE, PROBLEM_STALE_ATTEMPT,
         "The attempt is over or belongs to another worker by now."},
        {-EIO, PROBLEM_UNAVAILABLE, "The disk fails; nothing was changed."},
        {-ENOSPC, PROBLEM_UNAVAILABLE, "The disk is full; nothing was changed."},
        {-ENOMEM, PROBLEM_UNAVAILABLE, "There is no memory left; nothing was changed."},
    };
    struct error said = *error;
    enum problem_type problem = PROBLEM_INTERNAL;
    const char *detail = "An operation failed in a way that it should not.";
    for (size_t i = 0; i < ARRAY_LENGTH(problems); i++) {
        if (problems[i].code != code)
            continue;
        problem = problems[i].problem;
        detail = problems[i].detail;
    }
    if (!said.message[0])
        snprintf(said.message, sizeof said.message, "%s", detail);
    problem_reply_pointer(ret_reply, problem, &said);
}

/* ---- what is wrong with a request whatever its route does ---- */

/* True where `word` is one of `words`, which are separated by spaces. */
static bool is_word_of(const char *word, const char *words)
{
    size_t length = strlen(word);
    for (const char *at = words; *at; at += strspn(at, " ")) {
        size_t end = strcspn(at, " ");
        if (end == length && strncmp(at, word, length) == 0)
            return true;
        at += end;
    }
    return false;
}

static int check_query(struct api_call *call, const struct api_route *route)
{
    for (size_t i = 0; route->query && i < call->request->query_count; i++)
        if (!is_word_of(call->request->query[i].name, route->query))
            return api_bad_parameter(call, call->request->query[i].name,
                                     *route->query ? "unknown; known are: %s"
                                                   : "unknown; this route takes none%s",
                                     route->query);
    return 0;
}

static int check_body(struct api_call *call, const struct api_route *route)
{
    const struct http_request *request = call->request;
    bool typed = http_request_header(request, "Content-Type") != NULL;
    if (route->body == BODY_NONE && request->body_bytes > 0)
        return api_problem(call, PROBLEM_MALFORMED_REQUEST, "This route takes no body.");
    if (route->body == BODY_JSON && typed &&
        !http_request_content_is(request, "application/json") &&
        !http_request_content_is(request, "application/x-www-form-urlencoded"))
        return api_problem(call, PROBLEM_UNSUPPORTED_MEDIA_TYPE,
                           "The body must be application/json.");
    if (route->body == BODY_PROTOBUF && !http_request_content_is(request, "application/x-protobuf"))
        return api_problem(call, PROBLEM_UNSUPPORTED_MEDIA_TYPE,
                           "The body must be application/x-protobuf.");
    return 0;
}

/* The route, or NULL with the problem in call->reply. */
static const struct api_route *find_route(struct api_call *call)
{
    char allow[ALLOW_SIZE] = "";
    const char *method = call->request->method;
    for (size_t i = 0; i < ARRAY_LENGTH(routes); i++) {
        if (!route_match(routes[i].pattern, call->request->path, &call->parameters))
            continue;
        if (strcmp(routes[i].method, method) == 0)
            return &routes[i];
        size_t used = strlen(allow);
        snprintf(allow + used, sizeof allow - used, "%s%s", used ? ", " : "",
                 strcmp(routes[i].method, "GET") == 0 ? "GET, HEAD" : routes[i].method);
    }
    if (*allow) {
        problem_reply(&call->reply, PROBLEM_METHOD_NOT_ALLOWED,
                      "The header Allow lists the methods of this path.");
        http_reply_header(&call->reply, "Allow", "%s", allow);
    } else {
        problem_reply(&call->reply, PROBLEM_NOT_FOUND, "There is no such path.");
    }
    return NULL;
}

static int answer(struct api_call *call)
{
    const struct api_route *route = find_route(call);
    if (!route)
        return API_REPLIED;
    int r = check_query(call, route);
    if (r == 0)
        r = check_body(call, route);
    if (r == 0)
        r = route->function(call);
    return r;
}

void api_handle(void *context, struct http_exchange *exchange, const struct http_request *request)
{
    struct api *api = context;
    struct api_call call = {.api = api,
                            .coordinator = api->options.coordinator,
                            .exchange = exchange,
                            .request = request};
    int r = answer(&call);
    if (r == API_TAKEN)
        return;
    if (r != API_REPLIED) {
        assert(r < 0);
        api_error_reply(&call.reply, r, &call.error);
    }
    http_exchange_reply(exchange, &call.reply);
}

/* ---- parameters ---- */

int api_search_id(struct api_call *call, uint64_t *ret_search)
{
    if (!route_number(call->parameters.text[0], ret_search))
        return error_set(&call->error, -ENOENT, "", "There is no search '%s'.",
                         call->parameters.text[0]);
    return 0;
}

int api_query_number(struct api_call *call, const char *name, const uint64_t range[2],
                     uint64_t *number)
{
    uint64_t value = 0;
    const char *text = http_request_query(call->request, name);
    if (!text)
        return 0;
    if (!route_number(text, &value) || value < range[0] || value > range[1])
        return api_bad_parameter(call, name, "must be a whole number from %llu to %llu",
                                 (unsigned long long)range[0], (unsigned long long)range[1]);
    *number = value;
    return 0;
}
