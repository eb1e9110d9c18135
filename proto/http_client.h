/* HTTP requests by libcurl: what the agent (on its event loop) and the command line (blocking)
 * share.
 *
 * Legal order: http_startup once in main, before threads; http_client_new; requests;
 * http_client_free; http_shutdown.
 *
 * Blocking: http_client_perform; the connection is kept open for the next request.
 * On a loop: http_exchange_new, hand http_exchange_handle to a curl multi handle; when curl says it
 * is done, take it out of the multi handle and call http_exchange_finish; http_exchange_free. The
 * request and what it points to is copied.
 *
 * Redirects are not followed, only http and https are spoken, and addresses on loopback never go
 * through a proxy. */
#ifndef PROTO_HTTP_CLIENT_H
#define PROTO_HTTP_CLIENT_H

#include <stddef.h>

#include "proto/buffer.h"
#include "search/error.h"

enum {
    HTTP_URL_SIZE = 2048,
    HTTP_HEADERS_MAX = 16,
    HTTP_VALUE_SIZE = 256,            /* of the response headers that are kept */
    HTTP_BODY_MAX_DEFAULT = 64 << 20, /* bytes of a response */
    HTTP_CONNECT_TIMEOUT_MS = 10000,
};

int http_startup(void) MUST_USE; /* -ENOMEM */
void http_shutdown(void);

struct http_request {
    const char *method;       /* "GET", "POST", ... */
    const char *path;         /* after the base URL: "/v1/searches?limit=10", already escaped */
    const char *content_type; /* of the body; NULL without one */
    const void *body;
    size_t body_length;
    const char *const
        *headers;        /* "Name: value", NULL at the end; or NULL; at most HTTP_HEADERS_MAX */
    long timeout_ms;     /* of the whole exchange; 0 = none */
    size_t response_max; /* bytes of the response body; 0 = HTTP_BODY_MAX_DEFAULT */
    /* Where set, the body of a 2xx response goes here piece by piece instead of into the response,
     * and response_max does not apply. Not 0 ends the exchange with -ECANCELED. */
    int (*on_data)(void *context, const char *bytes, size_t length);
    /* Where set, the request's body of body_length bytes is asked for piece by piece (`body` is NULL):
     * the number of bytes given, 0 at the end, or a negative errno, which ends the exchange. */
    int (*on_send)(void *context, char *buffer, size_t size);
    /* Where set, called about once a second while the exchange lasts, whether or not anything
     * arrives. Not 0 ends the exchange with -ECANCELED. */
    int (*on_tick)(void *context);
    void *context;
};

struct http_response {
    long status; /* 100 .. 599 */
    char content_type[HTTP_VALUE_SIZE];
    char etag[HTTP_VALUE_SIZE];
    char location[HTTP_VALUE_SIZE];
    long retry_after_s; /* 0 where not given in seconds */
    struct buffer body; /* always followed by a 0 byte that is not counted, so that text can be read
                           as a string */
};
/* Legal on a zeroed struct and twice. */
void http_response_release(struct http_response *response);

struct http_client;
/* `base_url` is "http://host:port" with an optional path; a final slash is dropped. -EINVAL with a
 * message, -ENOMEM. */
int http_client_new(const char *base_url, struct http_client **ret_client,
                    struct error *error) MUST_USE;
void http_client_free(struct http_client *client);
const char *http_client_base_url(const struct http_client *client);

/* 0: there is a response, whatever its status; release it. Else a message for a person and
 * -ECONNREFUSED nobody listens there (or no route), -EHOSTUNREACH the name is unknown, -ETIMEDOUT,
 * -ECONNRESET the connection broke, -EMSGSIZE the response is too long, -ECANCELED by on_data or on_tick,
 * -EINVAL, -ENOMEM, -EIO anything else. */
int http_client_perform(struct http_client *client, const struct http_request *request,
                        struct http_response *ret_response, struct error *error) MUST_USE;

struct http_exchange;
/* `user` comes back from http_exchange_user. -EINVAL, -ENOMEM. */
int http_exchange_new(const struct http_client *client, const struct http_request *request,
                      void *user, struct http_exchange **ret_exchange,
                      struct error *error) MUST_USE;
void http_exchange_free(struct http_exchange *exchange);
void *http_exchange_handle(struct http_exchange *exchange);  /* the CURL * */
struct http_exchange *http_exchange_of_handle(void *handle); /* the other way */
void *http_exchange_user(const struct http_exchange *exchange);
/* Turns curl's code into what http_client_perform returns. */
int http_exchange_finish(struct http_exchange *exchange, int curl_code,
                         struct http_response *ret_response, struct error *error) MUST_USE;

/* Percent-encodes everything but unreserved characters (RFC 3986, section 2.3) for use in a path or
 * query. -EMSGSIZE where `size` does not hold it. */
int http_escape(const char *text, char *ret_text, size_t size) MUST_USE;

#endif
