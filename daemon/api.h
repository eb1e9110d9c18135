/* The HTTP API: routes, what they take, and how the coordinator's views are shown. docs/api.md is its reference.
 *
 * Layers: http > api > coordinator. The api answers every request in the tick in which it arrives, except lease requests
 * for which there is no work (parked here until there is) and event streams. Single-threaded. */
#ifndef DAEMON_API_H
#define DAEMON_API_H

#include "daemon/artifacts.h"
#include "daemon/coordinator.h"
#include "daemon/http.h"

enum {
    LEASE_WAIT_SECONDS_MAX = 60,
    LEASES_WAITING_MAX = HTTP_CONNECTIONS_MAX,
    STREAMS_MAX = 256, /* event streams at the same time; more get 503 */
};

struct api;

struct api_options {
    struct coordinator *coordinator; /* outlives the api */
    struct artifacts *artifacts;     /* this, too */
    const char *version;
    /* Called before the coordinator is used outside of api_handle: begins a tick if there is none. */
    void (*begin_tick)(void *context);
    uint64_t (*now_ms)(void *context); /* monotonic, as the coordinator's */
    void *context;
};

int api_new(const struct api_options *options, struct api **ret_api) MUST_USE; /* -ENOMEM */
/* After the HTTP server is closed. NULL is legal. */
void api_free(struct api *api);

/* Answers one request; `api` is a struct api, as http_options wants it. */
void api_handle(void *api, struct http_exchange *exchange, const struct http_request *request);

/* Uploads: to be set in http_options, whose `context` has to lead to the api. */
#define API_LARGE_METHOD "PUT"
#define API_LARGE_PATH "/worker/v1/artifacts/"
bool api_open_sink(struct api *api, const struct http_request *request, struct http_sink *ret_sink,
                   struct http_reply *ret_reply);
/* Removes files that are wanted no more. After the tick's commit; returns how many. */
uint64_t api_sweep_artifacts(struct api *api, uint64_t now_ms);

/* Tries the parked lease requests again, in the order in which they came. Before the tick's commit. */
void api_serve_waiting(struct api *api);
/* Tells the coordinator that the workers of parked requests are alive. */
void api_touch_waiting(struct api *api);
/* Wakes the event streams. After the tick's commit. */
void api_wake_streams(struct api *api);

#endif
