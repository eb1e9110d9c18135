/* The published models by name, and their small-image variants.
 *
 * efficientnet-b0..b7, efficientnetv2-b0..b3, -s, -m, -l, -xl: google/automl's stage tables, channels and layers as released.
 * A name with "-small-images" has the strides for 28 to 64 pixels: stem stride 1 and fewer halvings. */
#ifndef SEARCH_PRESET_H
#define SEARCH_PRESET_H

#include "search/architecture.h"

size_t preset_count(void);
const char *preset_name(size_t index); /* sorted; NULL past the end */
/* -ENOENT with a message that lists near names. */
int preset_find(const char *name, struct architecture *ret_architecture, struct error *error) MUST_USE;

#endif
