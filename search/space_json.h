/* Spaces and architectures in JSON, for the JSON parts of search/. */
#ifndef SEARCH_SPACE_JSON_H
#define SEARCH_SPACE_JSON_H

#include "search/json_read.h"
#include "search/space.h"

/* Reads a space that stands at `pointer` in a document. -EINVAL, -E2BIG, -ENOMEM. */
int space_read(const json_t *value, const char *pointer, struct space **ret_space,
               struct error *error) MUST_USE;

/* Reads one architecture: {"preset": NAME} or {"stem", "stages", "head"} with single values. -EINVAL. */
int architecture_read(const json_t *value, const char *pointer,
                      struct architecture *ret_architecture, struct error *error) MUST_USE;

#endif
