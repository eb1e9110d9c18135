/* The arithmetic of kernels/gradient_norm.cu. */
#ifndef KERNELS_GRADIENT_NORM_BODY_H
#define KERNELS_GRADIENT_NORM_BODY_H

#include "kernels/gradient_norm.h"

#include <float.h>

/* Depends on nothing but the count, so that the order of additions does not either. */
KERNEL_BODY uint32_t gradient_norm_blocks(size_t count)
{
    const size_t a_block = (size_t)GRADIENT_NORM_THREADS * QUAD_FLOATS;
    const size_t needed = (count + a_block - 1) / a_block;
    if (needed == 0)
        return 1;
    if (needed > GRADIENT_NORM_BLOCKS_MAX)
        return GRADIENT_NORM_BLOCKS_MAX;
    return (uint32_t)needed;
}

/* What one of the grid's threads adds up before its block's tree. */
KERNEL_BODY double gradient_squares(const float *gradients, size_t count, size_t thread,
                                    size_t threads)
{
    double sum = 0;
    KERNEL_UNROLL
    for (size_t i = thread * QUAD_FLOATS; i < count; i += threads * QUAD_FLOATS) {
        const struct quad g = quad_load(gradients, i, count);
        for (uint32_t lane = 0; lane < QUAD_FLOATS; lane++)
            sum += (double)g.v[lane] * (double)g.v[lane];
    }
    return sum;
}

/* What one of the last block's threads adds up of the blocks' sums. */
KERNEL_BODY double gradient_partials(const double *partials, uint32_t blocks, uint32_t thread)
{
    double sum = 0;
    for (uint32_t i = thread; i < blocks; i += GRADIENT_NORM_THREADS)
        sum += partials[i];
    return sum;
}

KERNEL_BODY void gradient_norm_decide(double squares, double clip_norm,
                                      struct step_control *control)
{
    const double norm = sqrt(squares);
    control->norm = (float)norm;
    if (norm <= DBL_MAX)
        control->clip = norm > clip_norm ? (float)(clip_norm / norm) : 1.0f;
    else
        control->refused |= STEP_NORM_NOT_FINITE;
}

#endif
