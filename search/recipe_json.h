/* Recipes in JSON, for the JSON parts of search/. */
#ifndef SEARCH_RECIPE_JSON_H
#define SEARCH_RECIPE_JSON_H

#include "search/json_read.h"
#include "search/recipe.h"

/* Reads field "recipe" of the reader's object: {"preset": NAME} and fields of struct recipe that replace the preset's.
 * An absent field or preset means "search-short", an absent image size `own_size`, the data set's. -EINVAL. */
int recipe_read(const struct json_reader *reader, uint32_t own_size,
                struct recipe *ret_recipe) MUST_USE;

/* All fields as a JSON object that reads back to the same recipe, the image size only where there is one; NULL where memory is short. The caller owns it. */
json_t *recipe_write(const struct recipe *recipe);

#endif
