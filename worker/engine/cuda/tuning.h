/* Which of several ways to do a thing is the fastest. How they are run and timed is the caller's. */
#ifndef WORKER_ENGINE_CUDA_TUNING_H
#define WORKER_ENGINE_CUDA_TUNING_H

#include "search/attributes.h"

#include <stddef.h>

enum { TUNING_CANDIDATES_MAX = 64, TUNING_ROUNDS = 7 };

/* Rounds of one candidate so far. */
struct tuning_times {
    double seconds[TUNING_ROUNDS];
    size_t count; /* 0: it cannot be run */
};

/* The candidate of the least median. Of those within 2 % of it the first wins: what comes first is
 * what heuristics prefer, and a choice between equals should not depend on noise. -ENOTSUP where
 * none has been run. */
int tuning_choose(const struct tuning_times *times, size_t count, size_t *ret_winner) MUST_USE;

struct tuning {
    size_t count; /* of candidates, 1 to TUNING_CANDIDATES_MAX */
    void *context;
    /* Runs a candidate once. -ENOTSUP: it cannot be run, and is left out from now on; any other
     * error ends the tuning. */
    int (*run)(void *context, size_t candidate, double *ret_seconds);
};

/* One round of all candidates that does not count, then TUNING_ROUNDS that do: candidates take turns,
 * so that a clock that drifts wrongs none of them. Errors of run; -ENOTSUP where none could be run. */
int tuning_run(const struct tuning *tuning, size_t *ret_winner) MUST_USE;

#endif
