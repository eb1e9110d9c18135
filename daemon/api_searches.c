#include <errno.h>
#include <string.h>

#include "daemon/api_internal.h"
#include "daemon/page_token.h"
#include "search/json_read.h"

enum { PAGE_SIZE_DEFAULT = 50, PAUSE_BODY_MAX = 1024 };

/* Puts the best candidate into a search's JSON, which says "best": null so far. Takes over `search`. */
static json_t *with_best(struct api_call *call, json_t *search, uint64_t id, uint64_t best)
{
    struct candidate_view view;
    if (!search || coordinator_candidate(call->coordinator, id, best, &view) < 0)
        return search;
    if (json_object_set_new(search, "best", api_candidate_json(&view)) < 0) {
        json_decref(search);
        return NULL;
    }
    return search;
}

static int reply_search(struct api_call *call, int status, uint64_t search)
{
    struct search_view view;
    int r = coordinator_search(call->coordinator, search, &view);
    if (r < 0)
        return r;
    json_t *json = api_search_json(&view, true);
    if (view.best_known)
        json = with_best(call, json, search, view.best);
    return api_json(call, status, json);
}

int api_search(struct api_call *call)
{
    uint64_t search = 0;
    int r = api_search_id(call, &search);
    return r < 0 ? r : reply_search(call, 200, search);
}

static bool is_key(const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length >= IDEMPOTENCY_KEY_SIZE)
        return false;
    for (const char *c = text; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            return false;
    return true;
}

int api_submit(struct api_call *call)
{
    uint64_t search = 0;
    struct submission submission = {.text = call->request->body,
                                    .length = call->request->body_bytes,
                                    .idempotency_key =
                                        http_request_header(call->request, "Idempotency-Key")};
    if (submission.idempotency_key && !is_key(submission.idempotency_key))
        return api_bad_parameter(call, "Idempotency-Key",
                                 "must be 1 to %d printable ASCII characters",
                                 IDEMPOTENCY_KEY_SIZE - 1);
    int r = coordinator_submit(call->coordinator, &submission, &search, &call->error);
    if (r < 0)
        return r;
    r = reply_search(call, 201, search);
    if (r == API_REPLIED)
        http_reply_header(&call->reply, "Location", "/v1/searches/%llu",
                          (unsigned long long)search);
    return r;
}

static int steer(struct api_call *call,
                 int (*verb)(struct coordinator *coordinator, uint64_t search, struct error *error))
{
    uint64_t search = 0;
    int r = api_search_id(call, &search);
    if (r == 0)
        r = verb(call->coordinator, search, &call->error);
    return r < 0 ? r : reply_search(call, 200, search);
}

/* An empty body is {"running": "hand_back"}. */
int api_pause(struct api_call *call)
{
    static const char *const keys[] = {"running", NULL};
    const struct http_request *request = call->request;
    const char *running = "hand_back";
    json_t *json = NULL;
    struct json_reader reader;
    if (request->body_bytes == 0)
        return steer(call, coordinator_pause);
    int r = json_read_text(request->body, request->body_bytes, PAUSE_BODY_MAX, &json, &call->error);
    if (r == 0)
        r = json_reader_open(&reader, json, "", keys, &call->error);
    if (r == 0)
        r = json_read_string(&reader, "running", &running);
    bool gently = r == 0 && strcmp(running, "finish") == 0;
    if (r == 0 && !gently && strcmp(running, "hand_back") != 0)
        r = error_set(&call->error, -EINVAL, "/running", "must be \"hand_back\" or \"finish\"");
    json_decref(json);
    if (r == -EINVAL) {
        problem_reply_pointer(&call->reply, PROBLEM_MALFORMED_REQUEST, &call->error);
        return API_REPLIED;
    }
    return r < 0 ? r : steer(call, gently ? coordinator_pause_gently : coordinator_pause);
}

int api_resume(struct api_call *call)
{
    return steer(call, coordinator_resume);
}

int api_cancel(struct api_call *call)
{
    return steer(call, coordinator_cancel);
}

/* ---- the list ---- */

struct search_page {
    json_t *array;
    size_t count;
    struct {
        uint64_t id, best;
        bool best_known;
    } items[PAGE_ITEMS_MAX + 1]; /* one more than a page tells that there is another */
};

static int visit_search(void *context, const struct search_view *view)
{
    struct search_page *page = context;
    page->items[page->count].id = view->id;
    page->items[page->count].best = view->best;
    page->items[page->count++].best_known = view->best_known;
    return json_array_append_new(page->array, api_search_json(view, false)) < 0 ? -ENOMEM : 0;
}

/* The best candidates are looked up after the walk: a view lives only until the next operation. */
static int add_bests(struct api_call *call, struct search_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        json_t *search = json_incref(json_array_get(page->array, i));
        if (page->items[i].best_known)
            search = with_best(call, search, page->items[i].id, page->items[i].best);
        if (!search)
            return -ENOMEM;
        json_decref(search);
    }
    return 0;
}

static int reply_page(struct api_call *call, struct search_page *page, uint64_t limit)
{
    char token[PAGE_TOKEN_SIZE] = "";
    if (page->count > limit) {
        struct candidate_cursor cursor = {.set = true, .number = page->items[limit - 1].id};
        page_token_write(call->request, &cursor, token);
        json_array_remove(page->array, limit);
        page->count = limit;
    }
    int r = add_bests(call, page);
    if (r < 0)
        return r;
    return api_json(call, 200,
                    json_pack("{s:O, s:s}", "searches", page->array, "next_page_token", token));
}

int api_searches(struct api_call *call)
{
    const uint64_t range[2] = {1, PAGE_ITEMS_MAX};
    uint64_t limit = PAGE_SIZE_DEFAULT;
    struct candidate_cursor cursor = {.number = UINT64_MAX};
    const char *token = http_request_query(call->request, "page_token");
    int r = api_query_number(call, "page_size", range, &limit);
    if (r)
        return r;
    if (token && *token && !page_token_read(call->request, token, &cursor))
        return api_bad_parameter(call, "page_token", "is not a token of this list");
    struct search_page page = {.array = json_array()};
    if (!page.array)
        return -ENOMEM;
    r = coordinator_searches(call->coordinator, cursor.number, (uint32_t)limit + 1, visit_search,
                             &page);
    if (r == 0)
        r = reply_page(call, &page, limit);
    json_decref(page.array);
    return r;
}
