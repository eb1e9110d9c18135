#include "daemon/problem.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { TYPE_SIZE = 80 };

static const struct {
    int status;
    const char *name, *title;
} problems[PROBLEM_COUNT] = {
    [PROBLEM_MALFORMED_REQUEST] = {400, "malformed-request", "The request is malformed"},
    [PROBLEM_INVALID_PARAMETER] = {400, "invalid-parameter", "A parameter is invalid"},
    [PROBLEM_INVALID_MESSAGE] = {400, "invalid-message", "The message is invalid"},
    [PROBLEM_FORBIDDEN_ORIGIN] = {403, "forbidden-origin", "Refused for this origin"},
    [PROBLEM_NOT_FOUND] = {404, "not-found", "There is no such thing here"},
    [PROBLEM_METHOD_NOT_ALLOWED] = {405, "method-not-allowed", "The method is not allowed here"},
    [PROBLEM_CONFLICT] = {409, "conflict", "The present state does not allow it"},
    [PROBLEM_STALE_ATTEMPT] = {409, "stale-attempt", "The attempt is not current any more"},
    [PROBLEM_NO_RESULT] = {409, "no-result", "There is no result yet"},
    [PROBLEM_LENGTH_REQUIRED] = {411, "length-required", "The body's length is missing"},
    [PROBLEM_TOO_LARGE] = {413, "too-large", "The body is too large"},
    [PROBLEM_TARGET_TOO_LONG] = {414, "target-too-long", "The request target is too long"},
    [PROBLEM_UNSUPPORTED_MEDIA_TYPE] = {415, "unsupported-media-type",
                                        "The media type is not supported"},
    [PROBLEM_EXPECTATION_FAILED] = {417, "expectation-failed", "The expectation can't be met"},
    [PROBLEM_UNKNOWN_HOST] = {421, "unknown-host", "This server does not answer to that host"},
    [PROBLEM_INVALID_SPEC] = {422, "invalid-spec", "The spec is invalid"},
    [PROBLEM_CONTENT_MISMATCH] = {422, "content-mismatch", "The body is not what its name says"},
    [PROBLEM_IDEMPOTENCY_MISMATCH] = {422, "idempotency-mismatch",
                                      "The idempotency key was used with another body"},
    [PROBLEM_HEADERS_TOO_LARGE] = {431, "headers-too-large", "The headers are too large"},
    [PROBLEM_INTERNAL] = {500, "internal", "Something went wrong inside"},
    [PROBLEM_UNAVAILABLE] = {503, "unavailable", "The server can't do that at present"},
    [PROBLEM_INSUFFICIENT_STORAGE] = {507, "insufficient-storage", "There is no room for that"},
};

enum problem_type problem_of_status(int status)
{
    for (int i = 0; i < PROBLEM_COUNT; i++)
        if (problems[i].status == status)
            return (enum problem_type)i;
    return PROBLEM_INTERNAL;
}

/* Messages are cut where they don't fit, perhaps inside a character: then all that is not ASCII
 * becomes '?'. */
static void set_text(json_t *object, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    json_t *text = json_string(value);
    if (!text) {
        char ascii[ERROR_MESSAGE_SIZE];
        snprintf(ascii, sizeof ascii, "%s", value);
        for (char *c = ascii; *c; c++)
            if ((unsigned char)*c >= 0x80)
                *c = '?';
        text = json_string(ascii);
    }
    json_object_set_new(object, key, text);
}

static void fill(struct http_reply *ret_reply, enum problem_type problem, const char *member,
                 const char *value, const char *detail)
{
    char type[TYPE_SIZE];
    assert(problem < PROBLEM_COUNT);
    *ret_reply = (struct http_reply){.status = problems[problem].status,
                                     .content_type = "application/problem+json"};
    if (problem == PROBLEM_UNAVAILABLE || problem == PROBLEM_INSUFFICIENT_STORAGE)
        http_reply_header(ret_reply, "Retry-After", "%d", HTTP_RETRY_AFTER_SECONDS);
    snprintf(type, sizeof type, "urn:archscout:problem:%s", problems[problem].name);
    json_t *object = json_object();
    set_text(object, "type", type);
    set_text(object, "title", problems[problem].title);
    json_object_set_new(object, "status", json_integer(problems[problem].status));
    set_text(object, "detail", detail);
    set_text(object, member, value);
    ret_reply->body = json_dumps(object, JSON_COMPACT);
    ret_reply->body_bytes = ret_reply->body ? strlen(ret_reply->body) : 0;
    json_decref(object);
}

void problem_reply(struct http_reply *ret_reply, enum problem_type problem, const char *detail)
{
    fill(ret_reply, problem, "pointer", NULL, detail);
}

void problem_reply_pointer(struct http_reply *ret_reply, enum problem_type problem,
                           const struct error *error)
{
    fill(ret_reply, problem, "pointer", error->pointer, error->message);
}

void problem_reply_parameter(struct http_reply *ret_reply, enum problem_type problem,
                             const char *parameter, const char *detail)
{
    fill(ret_reply, problem, "parameter", parameter, detail);
}
