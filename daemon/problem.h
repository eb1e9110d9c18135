/* Errors as people and programs see them: RFC 9457 problem+json with a stable `type`,
 * "urn:archscout:problem:NAME". */
#ifndef DAEMON_PROBLEM_H
#define DAEMON_PROBLEM_H

#include "daemon/http.h"
#include "search/error.h"

enum problem_type {
    PROBLEM_MALFORMED_REQUEST,      /* 400 */
    PROBLEM_INVALID_PARAMETER,      /* 400: of the query, or a header */
    PROBLEM_INVALID_MESSAGE,        /* 400: a worker's protobuf body */
    PROBLEM_FORBIDDEN_ORIGIN,       /* 403 */
    PROBLEM_NOT_FOUND,              /* 404 */
    PROBLEM_METHOD_NOT_ALLOWED,     /* 405 */
    PROBLEM_CONFLICT,               /* 409: the search's state does not allow it */
    PROBLEM_STALE_ATTEMPT,          /* 409: the attempt is not the current one any more */
    PROBLEM_NO_RESULT,              /* 409: nothing to export yet */
    PROBLEM_LENGTH_REQUIRED,        /* 411 */
    PROBLEM_TOO_LARGE,              /* 413 */
    PROBLEM_TARGET_TOO_LONG,        /* 414 */
    PROBLEM_UNSUPPORTED_MEDIA_TYPE, /* 415 */
    PROBLEM_EXPECTATION_FAILED,     /* 417 */
    PROBLEM_UNKNOWN_HOST,           /* 421 */
    PROBLEM_INVALID_SPEC,           /* 422 */
    PROBLEM_CONTENT_MISMATCH,       /* 422: the body is not what its name says */
    PROBLEM_IDEMPOTENCY_MISMATCH,   /* 422: the key was used with another body */
    PROBLEM_HEADERS_TOO_LARGE,      /* 431 */
    PROBLEM_INTERNAL,               /* 500 */
    PROBLEM_UNAVAILABLE,            /* 503, with Retry-After */
    PROBLEM_INSUFFICIENT_STORAGE,   /* 507, with Retry-After */
    PROBLEM_COUNT
};

/* The problem that a bare status stands for; PROBLEM_INTERNAL where there is none. */
enum problem_type problem_of_status(int status);

/* Fills the whole reply: status, media type, body. `pointer` (JSON pointer into the request's body)
 * and `parameter` (of the query, or a header's name) are left out where NULL or "". */
void problem_reply(struct http_reply *ret_reply, enum problem_type problem, const char *detail);
void problem_reply_pointer(struct http_reply *ret_reply, enum problem_type problem,
                           const struct error *error);
void problem_reply_parameter(struct http_reply *ret_reply, enum problem_type problem,
                             const char *parameter, const char *detail);

#endif
