/* The checks of a spec that need several of its fields. Used by spec_json.c. */
#ifndef SEARCH_SPEC_CHECK_H
#define SEARCH_SPEC_CHECK_H

#include "search/spec.h"

/* Checks data set sizes, image sizes, the space against the data set, and that something is feasible, of a spec whose
 * fields are all read; makes its pricing. -EINVAL with a pointer into the spec, -E2BIG, -ENOMEM. */
int spec_check(struct spec *spec, struct error *error) MUST_USE;

#endif
