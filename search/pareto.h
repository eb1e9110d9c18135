/* The Pareto front of up to three objectives, kept incrementally, and its exact hypervolume.
 *
 * Points whose objective vectors are equal are all kept. A front is single-threaded. */
#ifndef SEARCH_PARETO_H
#define SEARCH_PARETO_H

#include "search/objective.h"

#include <stdint.h>

enum { PARETO_OBJECTIVES_MAX = 3 };

struct pareto_point {
    uint64_t candidate;
    double value[PARETO_OBJECTIVES_MAX]; /* as measured, in the order of the front's objectives */
};

struct pareto;

/* 1 to PARETO_OBJECTIVES_MAX distinct objectives, else -EINVAL; -ENOMEM. */
int pareto_new(const enum objective *objectives, size_t objective_count,
               struct pareto **ret_pareto) MUST_USE;
void pareto_free(struct pareto *pareto);

enum { PARETO_JOINED = 1, PARETO_DOMINATED = 2 };
/* PARETO_JOINED: the point is on the front now (what it dominates is gone); PARETO_DOMINATED;
 * -ENOMEM;
 * -EINVAL for NaN and infinity. */
int pareto_add(struct pareto *pareto, const struct pareto_point *point) MUST_USE;

size_t pareto_count(const struct pareto *pareto);
/* In the order of the first objective, best first. Valid until the next pareto_add. */
const struct pareto_point *pareto_points(const struct pareto *pareto);

/* Volume dominated by the front and dominating `reference` (one value an objective); points that do
 * not dominate the reference add nothing. Exact: sweep for two objectives, slicing for three. */
double pareto_hypervolume(const struct pareto *pareto, const double *reference);

#endif
