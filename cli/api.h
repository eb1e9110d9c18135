/* The daemon's HTTP API, one blocking request at a time. What goes wrong is told on standard error
 * at once, and the functions return the exit code that goes with it. */
#ifndef CLI_API_H
#define CLI_API_H

#include "cli/command.h"
#include "cli/problem.h"

#include <jansson.h>
#include <stdint.h>

enum { API_PATH_SIZE = 1024, API_ID_SIZE = 32 };

struct api_reply {
    json_t *json; /* NULL where the body is no JSON */
    char *text;   /* the body */
    size_t length;
};
void api_reply_release(struct api_reply *reply); /* legal on a zeroed one */

/* The answer to GET `path`. */
enum exit_code api_get(struct cli *cli, const char *path, struct api_reply *ret_reply) MUST_USE;

/* The same, with an answer that must be JSON. */
enum exit_code api_get_json(struct cli *cli, const char *path,
                            struct api_reply *ret_reply) MUST_USE;

/* The same in silence: 0, a negative errno where no answer came, -EPROTO where it was not the one
 * asked for. */
int api_try_json(struct cli *cli, const char *path, struct api_reply *ret_reply) MUST_USE;

/* POST of JSON, or without a body where `json` is NULL: custom methods such as ":pause". */
enum exit_code api_post(struct cli *cli, const char *path, const char *json,
                        struct api_reply *ret_reply) MUST_USE;

/* POSTs a spec under an Idempotency-Key and tries again where no answer came or the daemon could
 * not do it at present, so that one submission makes one search. */
enum exit_code api_submit(struct cli *cli, const struct problem_source *spec,
                          struct api_reply *ret_reply) MUST_USE;

/* ---- fields of answers; a missing one is NaN, "" or NULL ---- */

const json_t *api_field(const json_t *object, const char *path); /* "progress.done" */
double api_number(const json_t *object, const char *path);
uint64_t api_integer(const json_t *object, const char *path); /* 0 where missing or negative */
const char *api_text(const json_t *object, const char *path);

#endif
