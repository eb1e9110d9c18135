/* Architectures as JSON values, for the JSON parts of search/. */
#ifndef SEARCH_EXPORT_JSON_H
#define SEARCH_EXPORT_JSON_H

#include "search/export.h"

#include <jansson.h>

/* Stem, stages and head as a space or baseline of a spec states them; NULL where memory is short. The caller owns it. */
json_t *architecture_write(const struct architecture *architecture);

/* What export_json writes; NULL where memory is short. The caller owns it. */
json_t *export_write(const struct export_model *model);

#endif
