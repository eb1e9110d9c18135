/* Whether what a search has stored follows from its spec, its seed and what was observed: the strategy is asked anew, with
 * the observations that each proposal had seen. Pure; a strategy of its own, so that a running search is not touched.
 *
 * Checked, in this order: that the positions of acceptance are 0, 1, 2, ... without gap or repetition; each reward, from its
 * measures and the baseline (to a relative 1e-12, because C libraries round powers differently); for each candidate what
 * its proposal had seen, the choices, the hash, the exact costs and the parent; the best and the front. Not checked, for
 * there is nothing that they follow from: the measured values themselves, and whether candidates are missing at the end. */
#ifndef SEARCH_TRAJECTORY_H
#define SEARCH_TRAJECTORY_H

#include "search/spec.h"

#define TRAJECTORY_NO_POSITION UINT64_MAX

/* A candidate as it is stored. */
struct trial {
    struct encoding encoding;
    uint64_t hash, params, macs, memory;
    uint64_t seen;   /* observations that its proposal had seen */
    uint64_t parent; /* STRATEGY_NO_PARENT where it was drawn afresh */
    uint64_t
        position; /* of its result in the order of acceptance; TRAJECTORY_NO_POSITION where none was accepted */
    bool usable;              /* the accepted result has the values below */
    double reward;            /* usable only */
    struct measures measures; /* usable only; a step time that was not measured is NaN */
};

struct trajectory {
    const struct spec *spec;
    const struct trial *trials; /* by number */
    uint64_t count;
    bool best_known;
    uint64_t best;         /* the highest reward; the earlier one where equal */
    const uint64_t *front; /* candidates on the front over the spec's objectives, in any order */
    uint64_t front_count;
};

enum { TRAJECTORY_TEXT_SIZE = 8 * ARCHITECTURE_STAGES_MAX };
struct trajectory_difference {
    uint64_t candidate;
    const char *field; /* "position", "reward", "seen", "choices", ... */
    char stored[TRAJECTORY_TEXT_SIZE], expected[TRAJECTORY_TEXT_SIZE];
};

enum { TRAJECTORY_DIFFERS = 1 };
/* 0; TRAJECTORY_DIFFERS with the first difference; -ENOMEM; -EINVAL where the spec's strategy is unknown. */
int trajectory_verify(const struct trajectory *trajectory,
                      struct trajectory_difference *ret_difference, struct error *error) MUST_USE;

#endif
