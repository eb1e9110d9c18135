/* The encodings of a space that meet the limits, counted, so that one of them can be drawn where hardly any meets them.
 *
 * What an encoding has over the least of a limited figure is the sum of what each of its stages adds. A stage's share is
 * rounded down to bins, and for every place and every number of bins left it is counted in how many ways the stages from
 * there on can be chosen. Rounding down never loses an encoding that meets the limits but lets some others pass: draws are
 * uniform over those counted, and one that does not meet the limits is thrown away. So those that are kept are uniform
 * over the encodings that meet the limits, to the rounding of a double.
 *
 * Immutable once made; may be shared between threads. */
#ifndef SEARCH_FEASIBLE_H
#define SEARCH_FEASIBLE_H

#include "search/pricing.h"
#include "search/random.h"

enum {
    FEASIBLE_BINS_MAX = 1 << 14,  /* of all limited figures together, a place */
    FEASIBLE_CELLS_MAX = 1 << 20, /* of all places, eight bytes each */
    FEASIBLE_ADDITIONS_MAX =
        1 << 23, /* some milliseconds; fewer bins where there are many options */
};

struct feasible;

/* `pricing` must outlive it. -ENOMEM. */
int feasible_new(const struct pricing *pricing, const struct constraints *constraints,
                 struct feasible **ret_feasible) MUST_USE;
void feasible_free(struct feasible *feasible);

/* How many encodings are counted: at least as many as meet the limits; 0 where it is certain that none does. */
double feasible_count(const struct feasible *feasible);

/* Draws one of the counted encodings. False where it does not meet the limits, or nothing is counted. */
bool feasible_draw(const struct feasible *feasible, struct random_stream *random,
                   struct encoding *ret_encoding) MUST_USE;

/* False where nothing that starts with this walk and `option` can meet the limits together; true may still be wrong, but
 * more rarely than walk_may_choose. */
bool feasible_may_choose(const struct feasible *feasible, const struct walk *walk, uint32_t option);

#endif
