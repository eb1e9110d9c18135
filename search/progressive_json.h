/* Progressive learning in JSON, for recipe_json.c. */
#ifndef SEARCH_PROGRESSIVE_JSON_H
#define SEARCH_PROGRESSIVE_JSON_H

#include "search/json_read.h"
#include "search/recipe.h"

/* Reads field "progressive" of a recipe's object, whose other fields have been read into `recipe`:
 *   {"preset": NAME}
 *   {"stages": COUNT, "image_size": [FIRST, LAST], "dropout": ..., ...}     linear from stage to stage
 *   {"stages": [{"image_size": N, "dropout": ..., ...}, ...]}
 * A value that is not given is the recipe's own, an image size the data set's, `own_size`, where the recipe has none. A preset is scaled to the recipe's image size or, where it has none, to
 * `own_size`; otherwise a recipe without image size gets the last stage's. -EINVAL. */
int progressive_read(const struct json_reader *reader, uint32_t own_size,
                     struct recipe *recipe) MUST_USE;

/* {"stages": [...]}; NULL where memory is short. The caller owns it. */
json_t *progressive_write(const struct recipe *recipe);

#endif
