#include "proto/http_loop.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>

struct http_loop {
    uv_loop_t *loop;
    const struct http_client *client;
    CURLM *multi;
    uv_timer_t timer; /* curl's own timeouts */
    struct http_call *calls;
    size_t handles; /* libuv handles not closed yet, the timer among them */
    int closing;
};

struct http_call {
    struct http_loop *http_loop;
    struct http_exchange *exchange;
    http_loop_done *done;
    void *user;
    struct http_call *previous, *next;
};

/* One socket that curl waits for. */
struct http_socket {
    uv_poll_t poll;
    struct http_loop *http_loop;
    curl_socket_t fd;
};

static void handle_closed(struct http_loop *http_loop)
{
    assert(http_loop->handles > 0);
    if (--http_loop->handles == 0 && http_loop->closing)
        free(http_loop);
}

/* ---- calls ---- */

static void call_unlink(struct http_call *call)
{
    if (call->previous)
        call->previous->next = call->next;
    else
        call->http_loop->calls = call->next;
    if (call->next)
        call->next->previous = call->previous;
}

static void call_free(struct http_call *call)
{
    call_unlink(call);
    http_exchange_free(call->exchange);
    free(call);
}

int http_loop_start(struct http_loop *http_loop, const struct http_request *request,
                    http_loop_done *done, void *user, struct http_call **ret_call)
{
    assert(!http_loop->closing);
    struct http_call *call = calloc(1, sizeof *call);
    if (!call)
        return -ENOMEM;
    int code = http_exchange_new(http_loop->client, request, call, &call->exchange, NULL);
    if (code < 0) {
        free(call);
        return code;
    }
    call->http_loop = http_loop;
    call->done = done;
    call->user = user;
    call->next = http_loop->calls;
    if (call->next)
        call->next->previous = call;
    http_loop->calls = call;
    if (curl_multi_add_handle(http_loop->multi, http_exchange_handle(call->exchange)) != CURLM_OK) {
        call_free(call);
        return -ENOMEM;
    }
    *ret_call = call;
    return 0;
}

void http_loop_cancel(struct http_call *call)
{
    if (!call)
        return;
    curl_multi_remove_handle(call->http_loop->multi, http_exchange_handle(call->exchange));
    call_free(call);
}

static void finish_call(struct http_loop *http_loop, const CURLMsg *message)
{
    CURL *curl = message->easy_handle;
    int curl_code = (int)message->data.result; /* the message is gone once the handle is removed */
    struct http_exchange *exchange = http_exchange_of_handle(curl);
    struct http_call *call = http_exchange_user(exchange);
    curl_multi_remove_handle(http_loop->multi, curl);
    struct http_response response = {0};
    struct error error = {0};
    int code = http_exchange_finish(exchange, curl_code, &response, &error);
    http_loop_done *done = call->done;
    void *user = call->user;
    call_free(call);
    done(user, code, &response, &error);
    http_response_release(&response);
}

/* A callback may start and cancel calls and close the http_loop; its memory stays until the loop has run close callbacks. */
static void finish_calls(struct http_loop *http_loop)
{
    int left = 0;
    while (!http_loop->closing) {
        const CURLMsg *message = curl_multi_info_read(http_loop->multi, &left);
        if (!message)
            break;
        if (message->msg == CURLMSG_DONE)
            finish_call(http_loop, message);
    }
}

/* ---- between curl and libuv ---- */

static void act(struct http_loop *http_loop, curl_socket_t fd, int events)
{
    int running = 0;
    if (http_loop->closing)
        return;
    curl_multi_socket_action(http_loop->multi, fd, events, &running);
    finish_calls(http_loop);
}

static void on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct http_socket *entry = poll->data;
    int flags = 0;
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    act(entry->http_loop, entry->fd, flags);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct http_socket *entry = handle->data;
    struct http_loop *http_loop = entry->http_loop;
    free(entry);
    handle_closed(http_loop);
}

static struct http_socket *socket_new(struct http_loop *http_loop, curl_socket_t fd)
{
    struct http_socket *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    if (uv_poll_init_socket(http_loop->loop, &entry->poll, fd) < 0) {
        free(entry);
        return NULL;
    }
    entry->poll.data = entry;
    entry->http_loop = http_loop;
    entry->fd = fd;
    http_loop->handles++;
    curl_multi_assign(http_loop->multi, fd, entry);
    return entry;
}

/* curl asks to watch a socket, or no longer to. */
static int watch_socket(CURL *curl, curl_socket_t fd, int what, void *context, void *socket_context)
{
    (void)curl;
    struct http_loop *http_loop = context;
    struct http_socket *entry = socket_context;
    if (what == CURL_POLL_REMOVE) {
        if (entry) {
            curl_multi_assign(http_loop->multi, fd, NULL);
            uv_close((uv_handle_t *)&entry->poll, on_socket_closed);
        }
        return 0;
    }
    if (!entry)
        entry = socket_new(http_loop, fd);
    if (!entry)
        return -1;
    int events = 0;
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    return uv_poll_start(&entry->poll, events, on_socket) < 0 ? -1 : 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct http_loop *http_loop = context;
    if (http_loop->closing)
        return 0;
    if (timeout_ms < 0)
        return uv_timer_stop(&http_loop->timer) < 0 ? -1 : 0;
    return uv_timer_start(&http_loop->timer, on_timer, (uint64_t)timeout_ms, 0) < 0 ? -1 : 0;
}

/* ---- begin and end ---- */

int http_loop_new(uv_loop_t *loop, const struct http_client *client, long connections_max,
                  struct http_loop **ret_http_loop)
{
    struct http_loop *http_loop = calloc(1, sizeof *http_loop);
    CURLM *multi = curl_multi_init();
    int code = http_loop && multi ? uv_timer_init(loop, &http_loop->timer) : -ENOMEM;
    if (code < 0) {
        curl_multi_cleanup(multi);
        free(http_loop);
        return code;
    }
    http_loop->loop = loop;
    http_loop->client = client;
    http_loop->multi = multi;
    http_loop->timer.data = http_loop;
    http_loop->handles = 1;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http_loop);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http_loop);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections_max);
    *ret_http_loop = http_loop;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

void http_loop_close(struct http_loop *http_loop)
{
    if (!http_loop || http_loop->closing)
        return;
    while (http_loop->calls)
        http_loop_cancel(http_loop->calls);
    http_loop->closing = 1;
    curl_multi_cleanup(
        http_loop->multi); /* closes idle connections, so that their sockets are given up */
    uv_close((uv_handle_t *)&http_loop->timer, on_timer_closed);
}
