/* What a search has observed, as the "model" strategy keeps it, and which part of it its models are made of. */
#ifndef SEARCH_MODEL_RESULTS_H
#define SEARCH_MODEL_RESULTS_H

#include "search/acquisition.h"
#include "search/strategy.h"
#include "search/surrogate.h"

/* One usable observation. */
struct model_result {
    uint64_t candidate;
    double goodness[GOODNESS_MAX]; /* of the quantities; of each, more is better */
};

struct model_results {
    struct model_result *items; /* in the order in which they were accepted */
    uint32_t count, capacity;
    uint8_t *told; /* a candidate: whether it was observed, usable or not */
    uint64_t told_capacity;
};

void model_results_release(struct model_results *results);
/* Makes room for an observation of this candidate. -ENOMEM. */
int model_results_reserve(struct model_results *results, uint64_t candidate) MUST_USE;
/* Adds it, after model_results_reserve. `goodness` NULL: not usable. */
void model_results_add(struct model_results *results, uint64_t candidate, const double *goodness);
bool model_results_told(const struct model_results *results, uint64_t candidate);

/* Indices of results. */
struct model_selection {
    uint32_t count;
    uint32_t items[SURROGATE_POINTS_MAX];
};

/* In ascending order: of the first `count` results the best of each of the quantities, one half, and the latest, the other half, `wanted` in all;
 * all where there are no more than that. -ENOMEM. */
int model_results_select(const struct model_results *results, uint32_t count, uint32_t quantities,
                         uint32_t wanted, struct model_selection *ret_selection) MUST_USE;

/* The best by the first goodness, best first; all where there are fewer. -ENOMEM. */
int model_results_best(const struct model_results *results, uint32_t wanted,
                       struct model_selection *ret_selection) MUST_USE;

#endif
