/* The published models by name, and their small-image variants.
 *
 * efficientnet-b0..b8, -l2, efficientnetv2-b0..b3, -s, -m, -l, -xl, -s-arxiv1: google/automl's
 * stage tables, channels and layers as released. A name with "-small-images" is for 28 to 64
 * pixels: the same stages behind a stem of stride 1, so one halving fewer. "archscout-reference" is
 * the small network that engines are measured with, for the same sizes. */
#ifndef SEARCH_PRESET_H
#define SEARCH_PRESET_H

#include "search/architecture.h"

size_t preset_count(void);
const char *preset_name(size_t index); /* sorted; NULL past the end */
/* What the model was published for (its training size, 3 channels, 1000 classes); small-image variants: 32 pixels, 10
 * classes. `index` is below preset_count(). */
struct problem preset_problem(size_t index);
/* -ENOENT with a message that names the nearest preset, or all of them. */
int preset_find(const char *name, struct architecture *ret_architecture,
                struct error *error) MUST_USE;

#endif
