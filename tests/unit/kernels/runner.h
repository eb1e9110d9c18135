/* Where the kernels of a test run. A test is linked with one of two: runner_host.c goes through grid, blocks and threads of
 * the kernels' bodies in loops, tests/gpu/runner_device.c launches them on a device. Arrays are array.h's, in ordinary
 * memory, for both. */
#ifndef TESTS_UNIT_KERNELS_RUNNER_H
#define TESTS_UNIT_KERNELS_RUNNER_H

#include "kernels/batch_norm.h"
#include "kernels/cross_entropy.h"
#include "kernels/gradient_norm.h"
#include "kernels/optimizer.h"

#include <stdbool.h>

enum { RUNNER_SKIPPED = 77 };

/* False, with the reason printed, where there is nothing to run on. */
bool runner_ready(void);

void run_optimizer(enum optimizer_kind kind, const struct optimizer_arena *arena,
                   const struct optimizer_constants *constants, const struct step_control *control);
void run_halves(const float *values, uint16_t *ret_halves, size_t count);
/* partials are the runner's. */
void run_gradient_norm(const struct gradient_norm *norm, struct step_control *control);
/* How far SiLU and its slope may be off, relative to values of about 1. */
double runner_silu_tolerance(void);

/* partials and means are the runner's. */
void run_norm_statistics(const struct batch_norm *norm, const struct batch_norm_running *running);
void run_norm_running(const struct batch_norm *norm, const struct batch_norm_running *running);
void run_norm_apply(const struct batch_norm *norm, const struct batch_norm_output *output);
void run_norm_pool(const struct batch_norm *norm, const struct batch_norm_pool *pool);
void run_norm_backward(const struct batch_norm *norm, const struct batch_norm_incoming *incoming,
                       const struct batch_norm_gradients *gradients);

/* images are the runner's; *ret_sum is read where options->first is false. */
void run_cross_entropy(const struct cross_entropy_options *options,
                       const struct cross_entropy *loss);

#endif
