/* What both kinds of model report start from. Used inside search/ only. */
#ifndef SEARCH_MODEL_QUERY_H
#define SEARCH_MODEL_QUERY_H

#include "search/cost.h"
#include "search/model_report.h"

/* Finds the preset and fills in what the query leaves open. -ENOENT, -EINVAL. */
int model_query_resolve(const struct model_query *query, struct architecture *ret_architecture,
                        struct problem *ret_problem, struct error *error) MUST_USE;

/* The problem that a preset is meant for, and its cost there. `index` is below preset_count(). */
void preset_summary(size_t index, struct problem *ret_problem, struct cost *ret_cost);

#endif
