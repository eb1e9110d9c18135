/* Specs for tests. */
#ifndef TESTS_UNIT_SEARCH_SPECS_H
#define TESTS_UNIT_SEARCH_SPECS_H

#include "search/spec.h"

/* The example of the documentation. */
extern const char specs_example[];

/* Parses a spec that must be right. The caller frees it. */
struct spec *specs_parse(const char *json);

/* A spec with this space and these further members (", \"seed\": 1" or ""), on fashion-mnist. The caller frees it. */
struct spec *specs_with(const char *space, const char *members);

#endif
