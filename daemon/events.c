#include "daemon/events.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api_internal.h"
#include "search/text.h"

enum {
    EVENTS_AT_ONCE = 64,
    EVENTS_TEXT_MAX = 64 << 10, /* of one reading, and so of one client's backlog in memory */
    EVENT_TEXT_MAX = 1024,
};

struct event_stream {
    TAILQ_ENTRY(event_stream) link;
    struct events *events;
    struct http_exchange *exchange;
    uint64_t search;
    uint64_t after;    /* the latest event that was read */
    struct text ready; /* read, not sent */
    size_t sent;       /* of `ready` */
    bool finished;     /* the event that ends the search was read */
};

TAILQ_HEAD(stream_list, event_stream);

struct events {
    struct api_options options;
    struct stream_list streams;
    size_t count;
};

int events_new(const struct api_options *options, struct events **ret_events)
{
    struct events *events = calloc(1, sizeof *events);
    if (!events)
        return -ENOMEM;
    events->options = *options;
    TAILQ_INIT(&events->streams);
    *ret_events = events;
    return 0;
}

void events_free(struct events *events)
{
    if (!events)
        return;
    assert(TAILQ_EMPTY(&events->streams));
    free(events);
}

void events_wake(struct events *events)
{
    struct event_stream *stream = NULL;
    TAILQ_FOREACH(stream, &events->streams, link)
    {
        http_stream_wake(stream->exchange);
    }
}

static int visit_event(void *context, const struct event_view *view)
{
    struct event_stream *stream = context;
    if (stream->ready.length + EVENT_TEXT_MAX > EVENTS_TEXT_MAX)
        return API_REPLIED;
    json_t *json = api_event_json(view);
    char *data = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(json);
    if (!data)
        return -ENOMEM;
    text_format(&stream->ready, "id: %llu\nevent: %s\ndata: %s\n\n", (unsigned long long)view->id,
                event_kind_name(view->kind), data);
    free(data);
    stream->after = view->id;
    stream->finished = view->kind == EVENT_SEARCH_DONE || view->kind == EVENT_SEARCH_CANCELLED;
    return text_status(&stream->ready);
}

/* Reads the next events. Fewer than there are is fine; an error ends the stream, and the client resumes. */
static int read_events(struct event_stream *stream)
{
    const struct api_options *options = &stream->events->options;
    options->begin_tick(options->context);
    text_release(&stream->ready);
    stream->sent = 0;
    int r = coordinator_events(options->coordinator, stream->search, stream->after, EVENTS_AT_ONCE,
                               visit_event, stream);
    return r < 0 ? r : 0;
}

/* True where the search has ended and its last event is among those that were to be read, so that
 * none can come any more. */
static bool has_ended(struct event_stream *stream)
{
    struct coordinator *coordinator = stream->events->options.coordinator;
    struct search_view view;
    if (coordinator_events_pending(coordinator))
        return false;
    return coordinator_search(coordinator, stream->search, &view) < 0 ||
           (view.state != SEARCH_RUNNING && view.state != SEARCH_PAUSED);
}

static ssize_t on_read(void *context, char *buffer, size_t size)
{
    struct event_stream *stream = context;
    if (stream->sent == stream->ready.length) {
        if (stream->finished || read_events(stream) < 0)
            return HTTP_STREAM_END;
        if (stream->ready.length == 0)
            return has_ended(stream) ? HTTP_STREAM_END : 0;
    }
    size_t left = stream->ready.length - stream->sent;
    size_t bytes = left < size ? left : size;
    memcpy(buffer, stream->ready.data + stream->sent, bytes);
    stream->sent += bytes;
    return (ssize_t)bytes;
}

static void on_close(void *context)
{
    struct event_stream *stream = context;
    TAILQ_REMOVE(&stream->events->streams, stream, link);
    stream->events->count--;
    text_release(&stream->ready);
    free(stream);
}

/* Where the client wants to go on: Last-Event-ID, which browsers send by themselves, or ?after=. */
static int find_start(struct api_call *call, uint64_t *ret_after)
{
    const uint64_t range[2] = {0, INT64_MAX};
    const char *last = http_request_header(call->request, "Last-Event-ID");
    uint64_t after = 0;
    int r = api_query_number(call, "after", range, &after);
    if (r)
        return r;
    if (last && !route_number(last, &after))
        return api_bad_parameter(call, "Last-Event-ID", "must be the id of an event");
    *ret_after = after;
    return 0;
}

static int start(struct api_call *call, struct event_stream *stream)
{
    struct events *events = stream->events;
    struct http_stream http = {.content_type = "text/event-stream",
                               .heartbeat = ":\n\n",
                               .read = on_read,
                               .close = on_close,
                               .context = stream};
    text_init(&stream->ready, EVENTS_TEXT_MAX);
    text_add(&stream->ready, "retry: 2000\n\n");
    if (text_status(&stream->ready) < 0) {
        text_release(&stream->ready);
        free(stream);
        return -ENOMEM;
    }
    TAILQ_INSERT_TAIL(&events->streams, stream, link);
    events->count++;
    http_exchange_stream(call->exchange, &http);
    return API_TAKEN;
}

static int visit_last(void *context, const struct event_view *view)
{
    struct event_view *last = context;
    *last = *view;
    return 0;
}

/* True where the event that the client saw last ended the search. */
static bool saw_the_end(struct api_call *call, uint64_t search, uint64_t after)
{
    struct event_view last = {.id = 0};
    if (after == 0 ||
        coordinator_events(call->coordinator, search, after - 1, 1, visit_last, &last) < 0)
        return false;
    return last.id == after &&
           (last.kind == EVENT_SEARCH_DONE || last.kind == EVENT_SEARCH_CANCELLED);
}

int api_stream_events(struct api_call *call)
{
    struct events *events = call->api->events;
    struct search_view view;
    uint64_t search = 0, after = 0;
    int r = api_search_id(call, &search);
    if (r == 0)
        r = find_start(call, &after);
    if (r == 0)
        r = coordinator_search(call->coordinator, search, &view);
    if (r)
        return r;
    if (saw_the_end(call, search, after)) {
        call->reply = (struct http_reply){.status = 204};
        return API_REPLIED;
    }
    if (events->count >= STREAMS_MAX)
        return api_problem(call, PROBLEM_UNAVAILABLE, "There are too many event streams.");
    struct event_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return -ENOMEM;
    *stream = (struct event_stream){
        .events = events, .exchange = call->exchange, .search = search, .after = after};
    return start(call, stream);
}
