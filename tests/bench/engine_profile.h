/* Where a step's time goes: oneDNN's backend keeps books of it. */
#ifndef TESTS_BENCH_ENGINE_PROFILE_H
#define TESTS_BENCH_ENGINE_PROFILE_H

#include "worker/engine/engine.h"

/* Takes `steps` steps and prints a table of the milliseconds by kind of work. -EOPNOTSUPP where the plan is not oneDNN's. */
int profile_print(struct plan *plan, const struct backend *backend, uint32_t steps) MUST_USE;

/* The set of kernels that the processor gets; "-" where the build has none. */
const char *profile_kernels(void);

#endif
