/* Which observations a proposal sees, and when it may be made: the rules of a search's course that the daemon and a
 * rehearsal share. Pure.
 *
 * A free search (spec.deterministic is false) tells its strategy every accepted result, in the order of acceptance. In a
 * deterministic one proposal k has seen exactly the candidates 0 to k - parallel_max, in that order, whatever else is
 * known. */
#ifndef SEARCH_WINDOW_H
#define SEARCH_WINDOW_H

#include "search/spec.h"

/* How many observations proposal k has seen, when `accepted_count` results have been accepted. */
uint64_t window_size(const struct spec *spec, uint64_t k, uint64_t accepted_count);

/* The candidate whose observation is told as number `index`; accepted[i] is the candidate of the i-th accepted result. */
uint64_t window_candidate(const struct spec *spec, const uint64_t *accepted, uint64_t index);

/* The candidate that has to be finished before proposal k is made in a deterministic search; UINT64_MAX where none has. */
uint64_t window_awaited(const struct spec *spec, uint64_t k);

#endif
