/* Stage tables as others read them. An export appends to a text that the caller initialised; look
 * at text_status afterwards. JSON is in the library archscout_search_json, the others in
 * archscout_search. */
#ifndef SEARCH_EXPORT_H
#define SEARCH_EXPORT_H

#include "search/cost.h"
#include "search/text.h"

enum { EXPORT_SIZE_MAX = 1 << 20 }; /* bytes; enough for any architecture */

enum export_format { EXPORT_JSON, EXPORT_CSV, EXPORT_MARKDOWN };

/* "json", "csv", "markdown". -EINVAL for another name. */
int export_format_from_name(const char *name, enum export_format *ret_format) MUST_USE;
const char *export_content_type(
    enum export_format format); /* "application/json", "text/csv", "text/markdown" */

struct export_model {
    const char *name; /* a preset, or what the caller calls the model */
    const struct architecture *architecture;
    struct problem problem; /* fixes the shapes and the counts */
};

/* One JSON object: name, image_size, image_channels, classes, params, params_with_bn_statistics,
 * macs, activation_bytes, text (canonical), stem, stages (block, layers, kernel, expansion, se,
 * stride, in_channels, channels, in_size, out_size, params, macs), head. Stages as given, identity
 * stages left out. -ENOMEM, -E2BIG. */
int export_json(const struct export_model *model, struct text *text) MUST_USE;

/* A row for the stem, each stage and the head. */
void export_csv(const struct export_model *model, struct text *text);
void export_markdown(const struct export_model *model, struct text *text);

#endif
