/* The strategies' fields in JSON, for the JSON parts of search/. */
#ifndef SEARCH_STRATEGY_JSON_H
#define SEARCH_STRATEGY_JSON_H

#include "search/json_read.h"
#include "search/spec.h"

/* The fields that "strategy" may have, "name" first; NULL ends them. */
extern const char *const strategy_keys[];

/* Reads the fields beside the name, which spec->strategy has already, as it has the space and the budget. `reader` stands
 * on the document's "strategy"; NULL where there is none. -EINVAL, -ENOMEM. */
int strategy_options_read(const struct json_reader *document, const struct json_reader *reader,
                          struct spec *spec) MUST_USE;

/* The strategy with every default resolved; NULL when out of memory. */
json_t *strategy_write(const struct spec *spec);

#endif
