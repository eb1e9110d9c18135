/* HTTP requests on a libuv loop: many at a time, none blocks.
 *
 * Legal order: http_loop_new; http_loop_start and http_loop_cancel; http_loop_close, which cancels what is left and frees
 * itself once the loop has run its close callbacks. Everything on the loop's thread. Connections are kept for later
 * requests. */
#ifndef PROTO_HTTP_LOOP_H
#define PROTO_HTTP_LOOP_H

#include <uv.h>

#include "proto/http_client.h"

struct http_loop;
struct http_call;

/* What became of a call, once, never from inside http_loop_start. `code` as http_client_perform's: 0 with a response that
 * the callback may read until it returns, else negative with an error. The call is gone then. */
typedef void http_loop_done(void *user, int code, const struct http_response *response,
                            const struct error *error);

/* `client` outlives the loop. `connections_max`: open connections kept. -ENOMEM or libuv's negative errno. */
int http_loop_new(uv_loop_t *loop, const struct http_client *client, long connections_max,
                  struct http_loop **ret_http_loop) MUST_USE;
/* NULL is legal. */
void http_loop_close(struct http_loop *http_loop);

/* Starts a request; its fields are copied. -EINVAL, -ENOMEM. */
int http_loop_start(struct http_loop *http_loop, const struct http_request *request,
                    http_loop_done *done, void *user, struct http_call **ret_call) MUST_USE;
/* Ends a call without its callback. NULL is legal. */
void http_loop_cancel(struct http_call *call);

#endif
