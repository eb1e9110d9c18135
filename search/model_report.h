/* What `archscout model` and `archscout presets` print: a preset's stage table and exact counts,
 * without a daemon.
 *
 * The JSON functions are in the library archscout_search_json, the others in archscout_search. All
 * append to a text that the caller initialised; look at text_status afterwards. */
#ifndef SEARCH_MODEL_REPORT_H
#define SEARCH_MODEL_REPORT_H

#include "search/architecture.h"
#include "search/text.h"

enum { MODEL_REPORT_SIZE_MAX = 1 << 20 }; /* bytes; enough for any report */

struct model_query {
    const char *name;       /* of a preset */
    struct problem problem; /* image_size 0: the size that the model is meant for; channels 0: 3;
                               classes 0: 1000 */
};

/* A page for people. -ENOENT for an unknown name, -EINVAL for a wrong problem, -ENOMEM. */
int model_report_text(const struct model_query *query, struct text *text,
                      struct error *error) MUST_USE;

/* One JSON object: name, image_size, image_channels, classes, params, params_with_bn_statistics,
 * macs, activation_bytes, stem, stages, head. Same errors. */
int model_report_json(const struct model_query *query, struct text *text,
                      struct error *error) MUST_USE;

/* What a spec can name: models with their counts, recipes, progressive schedules. For people, and as a JSON object
 * {"presets": [{"name", "image_size", "params", "macs"}, ...], "recipes": [{"name", "recipe"}, ...], "progressive": [{"name",
 * "progressive"}, ...]}. -ENOMEM. */
int preset_report_text(struct text *text, struct error *error) MUST_USE;
int preset_report_json(struct text *text, struct error *error) MUST_USE;

#endif
