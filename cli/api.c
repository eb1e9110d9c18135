#include "cli/api.h"

#include "proto/http_client.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    TIMEOUT_MS = 60000,
    SUBMIT_TRIES_MAX = 5,
    RETRY_SECONDS_MAX = 10,
    FIELD_DEPTH_MAX = 8,
    KEY_BYTES = 16
};

void api_reply_release(struct api_reply *reply)
{
    json_decref(reply->json);
    free(reply->text);
    *reply = (struct api_reply){0};
}

/* One exchange. 0 and a response, or a negative errno with *error. */
static int perform(struct cli *cli, const struct http_request *request,
                   struct http_response *ret_response, struct error *error)
{
    if (!cli->client) {
        int r = http_client_new(cli->server, &cli->client, error);
        if (r)
            return r;
    }
    return http_client_perform(cli->client, request, ret_response, error);
}

/* Takes over the response. */
static enum exit_code take_response(struct cli *cli, struct http_response *response,
                                    const struct problem_source *source,
                                    struct api_reply *ret_reply)
{
    enum exit_code code = EXIT_CODE_OK;
    if (response->status < 200 || response->status > 299) {
        code = problem_tell(cli, response->status, (const char *)response->body.data, source);
    } else {
        char *text = strdup((const char *)response->body.data);
        if (text)
            *ret_reply = (struct api_reply){
                .json = json_loads(text, 0, NULL), .text = text, .length = strlen(text)};
        else
            code = problem_say(cli, EXIT_CODE_FAILED, "out of memory");
    }
    http_response_release(response);
    return code;
}

static enum exit_code exchange(struct cli *cli, const char *method, const char *path,
                               const char *json, struct api_reply *ret_reply)
{
    struct error error = {0};
    struct http_response response = {0};
    struct http_request request = {.method = method,
                                   .path = path,
                                   .content_type = json ? "application/json" : NULL,
                                   .body = json,
                                   .body_length = json ? strlen(json) : 0,
                                   .timeout_ms = TIMEOUT_MS};
    int r = perform(cli, &request, &response, &error);
    if (r)
        return problem_tell_unreachable(cli, r, error.message);
    return take_response(cli, &response, NULL, ret_reply);
}

enum exit_code api_get(struct cli *cli, const char *path, struct api_reply *ret_reply)
{
    return exchange(cli, "GET", path, NULL, ret_reply);
}

enum exit_code api_get_json(struct cli *cli, const char *path, struct api_reply *ret_reply)
{
    struct api_reply reply = {0};
    enum exit_code code = api_get(cli, path, &reply);
    if (code == EXIT_CODE_OK && !reply.json) {
        api_reply_release(&reply);
        return problem_say(cli, EXIT_CODE_UNREACHABLE,
                           "%s%s did not answer with JSON; is it an archscoutd?", cli->server,
                           path);
    }
    if (code == EXIT_CODE_OK)
        *ret_reply = reply;
    return code;
}

int api_try_json(struct cli *cli, const char *path, struct api_reply *ret_reply)
{
    struct http_response response = {0};
    struct http_request request = {.method = "GET", .path = path, .timeout_ms = TIMEOUT_MS};
    int r = perform(cli, &request, &response, NULL);
    if (r)
        return r;
    struct api_reply reply = {0};
    if (response.status == 200)
        reply.json = json_loads((const char *)response.body.data, 0, NULL);
    http_response_release(&response);
    if (!reply.json)
        return -EPROTO;
    *ret_reply = reply;
    return 0;
}

enum exit_code api_post(struct cli *cli, const char *path, const char *json,
                        struct api_reply *ret_reply)
{
    return exchange(cli, "POST", path, json, ret_reply);
}

static int make_key_header(char *ret_header, size_t size)
{
    unsigned char bytes[KEY_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return -EIO;
    int used = snprintf(ret_header, size, "Idempotency-Key: ");
    for (size_t i = 0; i < sizeof bytes; i++)
        used += snprintf(ret_header + used, size - (size_t)used, "%02x", bytes[i]);
    return 0;
}

/* Whether the same request may succeed a little later: the answer was lost, or the daemon says so.
 */
static bool may_retry(int r, long status)
{
    return r ? r == -ECONNRESET || r == -ETIMEDOUT : status == 503;
}

enum exit_code api_submit(struct cli *cli, const struct problem_source *spec,
                          struct api_reply *ret_reply)
{
    char key[64];
    if (make_key_header(key, sizeof key))
        return problem_say(cli, EXIT_CODE_FAILED, "the system has no random numbers");
    const char *headers[] = {key, NULL};
    struct http_request request = {.method = "POST",
                                   .path = "/v1/searches",
                                   .content_type = "application/json",
                                   .body = spec->text,
                                   .body_length = spec->length,
                                   .headers = headers,
                                   .timeout_ms = TIMEOUT_MS};
    for (int try = 1;; try++) {
        struct error error = {0};
        struct http_response response = {0};
        int r = perform(cli, &request, &response, &error);
        if (try < SUBMIT_TRIES_MAX && may_retry(r, response.status)) {
            long seconds = response.retry_after_s > 0 ? response.retry_after_s : try;
            http_response_release(&response);
            sleep((unsigned)(seconds < RETRY_SECONDS_MAX ? seconds : RETRY_SECONDS_MAX));
            continue;
        }
        if (r)
            return problem_tell_unreachable(cli, r, error.message);
        return take_response(cli, &response, spec, ret_reply);
    }
}

/* ---- fields ---- */

const json_t *api_field(const json_t *object, const char *path)
{
    char key[64];
    for (int depth = 0; object && depth < FIELD_DEPTH_MAX; depth++) {
        size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        object = json_object_get(object, key);
        if (!path[length])
            return object;
        path += length + 1;
    }
    return NULL;
}

double api_number(const json_t *object, const char *path)
{
    const json_t *value = api_field(object, path);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

uint64_t api_integer(const json_t *object, const char *path)
{
    json_int_t value = json_integer_value(api_field(object, path));
    return value > 0 ? (uint64_t)value : 0;
}

const char *api_text(const json_t *object, const char *path)
{
    const char *text = json_string_value(api_field(object, path));
    return text ? text : "";
}
