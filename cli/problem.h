/* Tells a person on standard error what went wrong. */
#ifndef CLI_PROBLEM_H
#define CLI_PROBLEM_H

#include "cli/command.h"
#include "search/error.h"

#include <jansson.h>

/* The text that a refused request was made of, so that the offending line can be shown. */
struct problem_source {
    const char *name; /* of the file */
    const char *text;
    size_t length;
};

/* A problem+json answer with its HTTP status; `source` may be NULL. With --json the answer itself
 * is printed. Returns the exit code that goes with the status. */
enum exit_code problem_tell(const struct cli *cli, long status, const char *body,
                            const struct problem_source *source);

/* No answer at all: `code` and `message` as http_client_perform gives them. Says how to start a
 * daemon. */
enum exit_code problem_tell_unreachable(const struct cli *cli, int code, const char *message);

/* A spec that was refused here, with the line at fault. Returns EXIT_CODE_REFUSED. */
enum exit_code problem_tell_spec(const struct cli *cli, const struct error *error,
                                 const struct problem_source *source);

/* "archscout: " and the text, for whatever else goes wrong here. Returns `code`. */
enum exit_code problem_say(const struct cli *cli, enum exit_code code, const char *format, ...)
    FORMAT_PRINTF(3, 4);

#endif
