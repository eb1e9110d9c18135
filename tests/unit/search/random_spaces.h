/* Small random spaces for tests, and ways through all their encodings. */
#ifndef TESTS_UNIT_SEARCH_RANDOM_SPACES_H
#define TESTS_UNIT_SEARCH_RANDOM_SPACES_H

#include "search/pricing.h"
#include "search/random.h"

/* What the spaces are used for. */
extern const struct problem random_spaces_problem;

/* One to five stages of one to five options. The caller frees it. */
struct space *random_space(struct random_stream *random);

/* False behind the last encoding. */
bool next_encoding(const struct space *space, struct encoding *encoding);

/* From the layers of the encoding's architecture. */
struct cost cost_of_encoding(const struct space *space, const struct encoding *encoding);

#endif
