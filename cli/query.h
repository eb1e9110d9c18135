/* A path with query parameters, escaped. */
#ifndef CLI_QUERY_H
#define CLI_QUERY_H

#include "cli/api.h"

struct query {
    char path[API_PATH_SIZE];
    size_t length;
    bool too_long;
};

void query_init(struct query *query, const char *format, ...) FORMAT_PRINTF(2, 3);
/* Nothing is added where `value` is NULL. */
void query_add(struct query *query, const char *name, const char *value);
/* GETs it as JSON. */
enum exit_code query_get(struct cli *cli, const struct query *query,
                         struct api_reply *ret_reply) MUST_USE;

#endif
