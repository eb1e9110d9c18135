/* Rehearsals: a search played over a table of known results, in simulated time and without a daemon, to choose a strategy
 * and a budget before anything is trained.
 *
 * The strategies are the daemon's, and so are the rules of what a proposal has seen (window.h) and the reward. Simulated
 * are the workers and their scheduling: each of `workers` takes up the next candidate as soon as it is free, at most
 * parallel_max candidates are unfinished at a time, in a deterministic search candidate k waits for k - parallel_max, and
 * results are accepted in the order in which their trainings end (of two that end together the lower candidate's first).
 * Nothing fails, and nothing takes time but training.
 *
 * Pure: the same spec, table and options give the same rehearsal on every machine. */
#ifndef SEARCH_REHEARSAL_H
#define SEARCH_REHEARSAL_H

#include "search/result_table.h"

enum rehearsal_missing {
    REHEARSAL_MISSING_FAILS,  /* a proposal that the table has no result for ends the rehearsal */
    REHEARSAL_MISSING_REFUSED /* it becomes a failed candidate at once */
};

struct rehearsal_options {
    const struct result_table *table;
    uint32_t workers; /* 1 .. SPEC_PARALLEL_MAX */
    bool noise;       /* an evaluation gives one of the table's runs at random, not its accuracy */
    enum rehearsal_missing missing;
};

struct rehearsal_candidate {
    struct encoding encoding;
    uint64_t hash, seen, parent;
    const struct result_entry *entry; /* NULL: missing in the table */
    bool finished;
    double accuracy, reward; /* as observed; NaN where missing */
    double finish;           /* clock when the result is accepted */
};

struct rehearsal {
    struct rehearsal_candidate *candidates;
    uint64_t *accepted; /* candidates in the order of their results */
    uint64_t count, accepted_count;
};

/* -EINVAL with a sentence where the table has no column for what the spec's objectives or reward need, or no runs for
 * noise, or no architecture that meets the spec's limits. */
int rehearsal_check(const struct spec *spec, const struct rehearsal_options *options,
                    struct error *error) MUST_USE;

/* What a training of the entry takes: seconds where the table has them; else a unit of its own, proportional to the
 * multiply-adds, in which the mean over the table is 1. */
double rehearsal_duration(const struct result_table *table, const struct result_entry *entry);

/* True reward and measures of an entry. */
double rehearsal_reward(const struct spec *spec, const struct result_entry *entry);
struct measures rehearsal_measures(const struct result_entry *entry);

/* Plays the spec's whole budget. The spec must pass rehearsal_check. -ENOENT naming the encoding that the table misses,
 * -EINVAL for an unknown strategy, -ENOMEM. The caller releases. */
int rehearsal_run(const struct spec *spec, const struct rehearsal_options *options,
                  struct rehearsal *ret_rehearsal, struct error *error) MUST_USE;
void rehearsal_release(struct rehearsal *rehearsal); /* a rehearsal of zeros is legal */

#endif
