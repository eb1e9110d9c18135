#include "tests/unit/kernels/runner.h"

#include "kernels/gradient_norm_body.h"
#include "kernels/optimizer_body.h"

bool runner_ready(void)
{
    return true;
}

void run_optimizer(enum optimizer_kind kind, const struct optimizer_arena *arena,
                   const struct optimizer_constants *constants, const struct step_control *control)
{
    if (control->refused)
        return;
    for (size_t i = 0; i < optimizer_extent(arena); i += QUAD_FLOATS)
        optimizer_quad(kind, arena, constants, control, i);
}

void run_halves(const float *values, uint16_t *ret_halves, size_t count)
{
    for (size_t i = 0; i < count; i += QUAD_FLOATS)
        halves_store(ret_halves, i, count, quad_load(values, i, count));
}

static double tree_of(double *sums, uint32_t count)
{
    for (uint32_t active = count; active > 1; active = tree_half(active))
        for (uint32_t thread = 0; thread < count; thread++)
            tree_level(sums, thread, active);
    return sums[0];
}

void run_gradient_norm(const struct gradient_norm *norm, struct step_control *control)
{
    double partials[GRADIENT_NORM_BLOCKS_MAX], sums[GRADIENT_NORM_THREADS];
    const uint32_t blocks = gradient_norm_blocks(norm->count);
    for (uint32_t block = 0; block < blocks; block++) {
        for (uint32_t thread = 0; thread < GRADIENT_NORM_THREADS; thread++)
            sums[thread] = gradient_squares(norm->gradients, norm->count,
                                            (size_t)block * GRADIENT_NORM_THREADS + thread,
                                            (size_t)blocks * GRADIENT_NORM_THREADS);
        partials[block] = tree_of(sums, GRADIENT_NORM_THREADS);
    }
    for (uint32_t thread = 0; thread < GRADIENT_NORM_THREADS; thread++)
        sums[thread] = gradient_partials(partials, blocks, thread);
    gradient_norm_decide(tree_of(sums, GRADIENT_NORM_THREADS), norm->clip_norm, control);
}
