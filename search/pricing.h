/* Prices of a space on a problem: the exact cost of every option wherever it can stand, and a lower bound on what
 * finishing from there costs. With them an encoding is priced by a few additions, and a proposal can be built stage by
 * stage so that it meets the limits.
 *
 * A place is what the stages before leave behind: (channels, image size). Where a stage can be reached in several ways
 * (an identity, a choice of channels or strides) it has several places.
 *
 * Immutable once made; may be shared between threads. */
#ifndef SEARCH_PRICING_H
#define SEARCH_PRICING_H

#include "search/cost.h"
#include "search/space.h"

enum {
    PRICING_OFFERS_MAX = 1 << 18, /* options x places; more is refused */
    PRICING_STEPS_MAX = 1 << 22   /* of one branch-and-bound search */
};

/* Upper limits; 0 = no limit. */
struct constraints {
    uint64_t params_max, macs_max, memory_max; /* memory: activation bytes of one image */
};

/* True where the costs are within the limits. */
bool constraints_met(const struct constraints *constraints, const struct cost *cost);

/* The figures that can be limited. */
enum limit { LIMIT_PARAMS, LIMIT_MACS, LIMIT_MEMORY, LIMIT_COUNT };
const char *limit_name(enum limit limit); /* "params_max", "macs_max", "memory_max" */
uint64_t limit_value(const struct constraints *constraints, enum limit limit);
uint64_t limit_of_cost(const struct cost *cost, enum limit limit);

struct pricing;

/* `space` must outlive the pricing. -E2BIG with the reason where a space has too many places, -ENOMEM. */
int pricing_new(const struct space *space, const struct problem *problem,
                struct pricing **ret_pricing, struct error *error) MUST_USE;
void pricing_free(struct pricing *pricing);

/* The smallest value of each figure over the whole space; each is reached, perhaps by different architectures. */
struct cost pricing_minimum(const struct pricing *pricing);

/* The cost of an encoding of the space; equals cost_of its architecture. */
struct cost pricing_cost(const struct pricing *pricing, const struct encoding *encoding);

/* A way through the stages, from stage 0 on. */
struct walk {
    uint32_t stage; /* the next to choose an option for */
    uint32_t place;
    struct cost spent; /* by what was chosen so far */
};

struct walk walk_start(const struct pricing *pricing);
/* Chooses an option for walk.stage. At the end walk.stage is the stage count, and walk_total the cost. */
void walk_choose(const struct pricing *pricing, struct walk *walk, uint32_t option);
/* False where nothing that starts with this walk and `option` can meet one of the limits. Where only one figure is
 * limited, true means that something can. */
bool walk_may_choose(const struct pricing *pricing, const struct walk *walk, uint32_t option,
                     const struct constraints *constraints);
/* The cost of a walk that is through all stages. */
struct cost walk_total(const struct pricing *pricing, const struct walk *walk);

/* One option at one place. */
struct offer {
    struct cost cost;
    uint32_t next; /* place before the next stage */
};

/* What the prices are of. */
const struct space *pricing_space(const struct pricing *pricing);
/* The first place of a stage; places are numbered stage by stage. Of the stage count: the first place behind the last
 * stage, and of one more: how many places there are. */
size_t pricing_first_place(const struct pricing *pricing, uint32_t stage);
const struct offer *pricing_offer(const struct pricing *pricing, size_t place, uint32_t option);
/* The least of each figure that finishing from a place costs. */
const struct cost *pricing_least(const struct pricing *pricing, size_t place);

enum { PRICING_NONE = 1, PRICING_UNKNOWN = 2 };
/* Finds the architecture with the smallest figure `limit` among those that meet the constraints (whose own limit on that
 * figure is ignored). 0; PRICING_NONE where none meets them; PRICING_UNKNOWN where none was found in PRICING_STEPS_MAX
 * steps. *ret_exact is false where the smallest found may not be the smallest. */
int pricing_minimize(const struct pricing *pricing, const struct constraints *constraints,
                     enum limit limit, struct cost *ret_cost, bool *ret_exact) MUST_USE;
/* Finds the architecture whose limited figures are at most the smallest multiple of their limits: the nearest to
 * constraints that nothing meets. *ret_exact is false where the nearest found in PRICING_STEPS_MAX steps may not be the
 * nearest. */
struct cost pricing_nearest(const struct pricing *pricing, const struct constraints *constraints,
                            bool *ret_exact);

#endif
