/* What a strategy is made of. Used by the strategies only. */
#ifndef SEARCH_STRATEGY_KIND_H
#define SEARCH_STRATEGY_KIND_H

#include "search/proposals.h"
#include "search/strategy.h"

struct strategy_kind {
    const char *name;
    /* Makes what the strategy keeps besides the proposals. NULL where it keeps nothing. -ENOMEM. */
    int (*state_new)(const struct spec *spec, void **ret_state);
    void (*state_free)(void *state);
    /* Chooses proposal k without recording it, and sets strategy->parent where it mutates one (it is STRATEGY_NO_PARENT
     * before). 0, PROPOSALS_NONE, -ENOMEM. */
    int (*propose)(struct strategy *strategy, uint64_t k, struct encoding *ret_encoding);
    /* Makes room for proposal k, before it is recorded. NULL where nothing is kept of proposals. -ENOMEM; may be called
     * again for the same k. */
    int (*reserve)(struct strategy *strategy, uint64_t k);
    /* Takes in proposal k once it is recorded, on strategy_ask and strategy_replay alike. NULL where it does not matter. */
    void (*added)(struct strategy *strategy, uint64_t k);
    /* Takes in an observation, usable or not. NULL where none matters. -ENOMEM changes nothing. */
    int (*learn)(struct strategy *strategy, const struct observation *observation);
    /* As strategy_recommend, where something usable was observed. NULL: the largest reward. -ENOMEM. */
    int (*recommend)(struct strategy *strategy, uint64_t *ret_candidate);
};

struct strategy {
    const struct strategy_kind *kind;
    const struct spec *spec;
    struct proposals proposals;
    uint64_t parent; /* of the latest proposal */
    bool best_known;
    uint64_t best; /* candidate with the largest reward so far, the first of equals */
    double best_reward;
    void *state;
};

extern const struct strategy_kind strategy_evolution;
extern const struct strategy_kind strategy_grid;
extern const struct strategy_kind strategy_list;
extern const struct strategy_kind strategy_local;
extern const struct strategy_kind strategy_model;
extern const struct strategy_kind strategy_nsga2;
extern const struct strategy_kind strategy_policy;
extern const struct strategy_kind strategy_random;

#endif
