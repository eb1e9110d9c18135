/* A search's spec and log as the daemon has them stored, to be verified here. */
#ifndef CLI_STORED_SEARCH_H
#define CLI_STORED_SEARCH_H

#include "cli/api.h"
#include "search/trajectory.h"

/* The caller releases it whatever the outcome. Values of candidates that the log does not have in their proper form are
 * ones that cannot be verified: numbers are UINT64_MAX, measures NaN. */
struct stored_search {
    struct spec *spec;
    struct trial *trials;
    uint64_t *front;
    uint64_t results;
    struct trajectory trajectory; /* of the above */
    json_t *datasets;
};

/* The state of a running search at the first request: what happened later is left out. What goes wrong is told on standard
 * error. */
enum exit_code stored_search_get(struct cli *cli, const char *id,
                                 struct stored_search *ret_stored) MUST_USE;
void stored_search_release(struct stored_search *stored);

#endif
