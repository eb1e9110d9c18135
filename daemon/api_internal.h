/* What the files of the api share. Nobody else includes it. */
#ifndef DAEMON_API_INTERNAL_H
#define DAEMON_API_INTERNAL_H

#include <jansson.h>
#include <sys/queue.h>

#include "daemon/api.h"
#include "daemon/events.h"
#include "daemon/problem.h"
#include "daemon/route.h"

struct waiting_lease;
TAILQ_HEAD(waiting_leases, waiting_lease);

struct api {
    struct api_options options;
    struct events *events;
    struct waiting_leases waiting;
    size_t waiting_count;
};

/* One request on its way. */
struct api_call {
    struct api *api;
    struct coordinator *coordinator;
    struct http_exchange *exchange;
    const struct http_request *request;
    struct route_parameters parameters; /* of the path */
    struct error error;                 /* filled before a negative return, or left empty */
    struct http_reply reply;            /* filled before API_REPLIED */
};

/* What a route's function returns; a negative errno becomes the problem that coordinator.h lists for it. */
enum {
    API_REPLIED = 1, /* call->reply is filled */
    API_TAKEN = 2,   /* the exchange was parked or streams: there is no reply to send now */
};

typedef int api_function(struct api_call *call);

/* Routes, by file. */
api_function api_submit, api_search, api_searches, api_pause, api_resume,
    api_cancel;                                                             /* api_searches.c */
api_function api_candidates, api_candidate, api_ranking;                    /* api_candidates.c */
api_function api_frontier, api_export;                                      /* api_results.c */
api_function api_spec, api_log;                                             /* api_log.c */
api_function api_stream_events;                                             /* events.c */
api_function api_workers, api_datasets, api_presets, api_health, api_ready; /* api_catalog.c */
api_function api_worker_register, api_worker_lease, api_worker_report,
    api_worker_result;                           /* api_worker.c */
api_function api_artifact_put, api_artifact_get; /* api_artifacts.c */

/* API_REPLIED with a problem that names a query parameter or header. */
int api_bad_parameter(struct api_call *call, const char *name, const char *format, ...)
    FORMAT_PRINTF(3, 4);
/* API_REPLIED with any problem. */
int api_problem(struct api_call *call, enum problem_type problem, const char *detail);
/* API_REPLIED with a JSON document, whose reference is taken; -ENOMEM where `json` is NULL. */
int api_json(struct api_call *call, int status, json_t *json) MUST_USE;
/* The same with so many digits that every number reads back to the bit. */
int api_json_exact(struct api_call *call, int status, json_t *json) MUST_USE;

/* The problem that coordinator.h lists for a negative errno; *error may be empty. */
void api_error_reply(struct http_reply *ret_reply, int code, const struct error *error);

/* 0 and the {id} of the path, or -ENOENT. */
int api_search_id(struct api_call *call, uint64_t *ret_search) MUST_USE;
/* 0 and a whole number of the query within limits, `fallback` where it is not given; or API_REPLIED. */
int api_query_number(struct api_call *call, const char *name, const uint64_t range[2],
                     uint64_t *number) MUST_USE;

/* ---- api_render.c: JSON of views. NULL without memory. ---- */

json_t *api_time_json(int64_t time_us);
json_t *api_number_json(double number); /* null where not finite */
json_t *api_reward_json(const struct reward *reward);
json_t *api_search_json(const struct search_view *view, bool with_spec);
json_t *api_candidate_json(const struct candidate_view *view);
json_t *api_attempt_json(const struct attempt_view *view);
json_t *api_worker_json(const struct worker_view *view);
json_t *api_dataset_json(const struct dataset_view *view);
json_t *api_event_json(const struct event_view *view);

#endif
