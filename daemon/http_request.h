/* A request as plain values, and the checks that need no socket: the request target, the headers
 * that decide framing, and who may ask (Host, Origin).
 *
 * Legal order: http_request_new; http_request_add_header for each header in order;
 * http_request_set_target; http_request_check; http_request_append_body for each piece of the body.
 * Texts live as long as the request. */
#ifndef DAEMON_HTTP_REQUEST_H
#define DAEMON_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "search/attributes.h"

enum {
    HTTP_TARGET_BYTES_MAX = 8192,
    HTTP_HEADERS_MAX = 64,
    HTTP_HEADERS_BYTES_MAX = 32768,
    HTTP_QUERY_MAX = 32,
    HTTP_BODY_BYTES_MAX = 1 << 20,
};

struct http_field {
    const char *name;
    const char *value;
};

struct http_request {
    const char *method; /* as sent; a HEAD request says "GET" here and has `head` set */
    const char *path;   /* decoded; begins with '/', UTF-8 without control characters */
    bool head;
    bool http_1_0;
    struct http_field query[HTTP_QUERY_MAX]; /* decoded; no name twice */
    size_t query_count;
    struct http_field headers[HTTP_HEADERS_MAX]; /* as sent */
    size_t header_count;
    const char *body; /* never NULL, not terminated */
    size_t body_bytes;
    uint64_t body_bytes_max; /* that may be announced */
    void *sink;              /* whom the body went to instead; NULL = it is above */
    int sink_failure;        /* 0, or the negative errno that the sink gave */
};

/* What is wrong with a request: the status to answer with and one sentence. */
struct http_refusal {
    int status;
    const char *detail;
};

/* Host names that the server answers to, without ports: "localhost", "127.0.0.1", "[::1]". */
struct http_hosts {
    const char *const *names;
    size_t count;
};

/* `method` and `version` as in the request line ("HTTP/1.1"). -ENOMEM, -EINVAL where the method is
 * no token. */
int http_request_new(const char *method, const char *version,
                     struct http_request **ret_request) MUST_USE;
void http_request_free(struct http_request *request);

/* 0, -ENOMEM, or -E2BIG beyond HTTP_HEADERS_MAX or HTTP_HEADERS_BYTES_MAX. */
int http_request_add_header(struct http_request *request, const char *name,
                            const char *value) MUST_USE;

/* Reads the target as in the request line: origin form, or absolute form whose authority then
 * counts as Host. False with *ret_refusal filled where it is malformed. */
bool http_request_set_target(struct http_request *request, const char *target,
                             struct http_refusal *ret_refusal) MUST_USE;

/* Framing (one length, or chunked, never both), header syntax, Host and Origin. False with
 * *ret_refusal filled. */
bool http_request_check(const struct http_request *request, const struct http_hosts *hosts,
                        struct http_refusal *ret_refusal) MUST_USE;

/* The body's announced length; UINT64_MAX where it is chunked, 0 where there is none. The request
 * passed the check. */
uint64_t http_request_length(const struct http_request *request);

/* 0, -ENOMEM, or -E2BIG beyond HTTP_BODY_BYTES_MAX. */
int http_request_append_body(struct http_request *request, const char *data, size_t bytes) MUST_USE;

/* NULL where absent. Header names are compared without case. */
const char *http_request_header(const struct http_request *request, const char *name);
const char *http_request_query(const struct http_request *request, const char *name);

/* True where Content-Type is `type`, whatever its parameters. */
bool http_request_content_is(const struct http_request *request, const char *type);

#endif
