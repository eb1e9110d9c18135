/* Which search a person means. */
#ifndef CLI_FIND_SEARCH_H
#define CLI_FIND_SEARCH_H

#include "cli/api.h"

/* A search's number from what a person calls it: the number, "latest", or a name or its beginning
 * where one search alone is called so. What goes wrong is told on standard error. */
enum exit_code find_search(struct cli *cli, const char *called, char ret_id[API_ID_SIZE]) MUST_USE;

#endif
