#include "tests/unit/kernels/runner.h"

#include "kernels/cross_entropy_body.h"
#include "kernels/gradient_norm_body.h"
#include "kernels/optimizer_body.h"

#include <stdlib.h>

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

static void peak_tree_of(struct peak *peaks)
{
    for (uint32_t active = CROSS_ENTROPY_THREADS; active > 1; active = tree_half(active))
        for (uint32_t thread = 0; thread < CROSS_ENTROPY_THREADS; thread++)
            peak_level(peaks, thread, active);
}

static struct cross_entropy_sum image_run(const struct cross_entropy_options *options,
                                          const struct cross_entropy *loss, uint32_t image)
{
    struct peak peaks[CROSS_ENTROPY_THREADS];
    double sums[CROSS_ENTROPY_THREADS], exponentials[CROSS_ENTROPY_THREADS];
    const uint32_t classes = options->classes;
    const size_t at = (size_t)image * classes;
    const float *logits = loss->logits + at;
    const struct cross_entropy_target target = cross_entropy_target_of(loss, image);
    for (uint32_t t = 0; t < CROSS_ENTROPY_THREADS; t++)
        peaks[t] = cross_entropy_scan(logits, classes, t, &sums[t]);
    peak_tree_of(peaks);
    for (uint32_t t = 0; t < CROSS_ENTROPY_THREADS; t++)
        exponentials[t] = cross_entropy_exponentials(logits, classes, t, peaks[0].value);
    const struct cross_entropy_totals totals = {peaks[0], tree_of(sums, CROSS_ENTROPY_THREADS),
                                                tree_of(exponentials, CROSS_ENTROPY_THREADS)};
    for (uint32_t t = 0; loss->ret_gradient && t < CROSS_ENTROPY_THREADS; t++)
        cross_entropy_gradient(options, logits, target, &totals, t, loss->ret_gradient + at);
    return cross_entropy_image_of(options, logits, target, &totals);
}

void run_cross_entropy(const struct cross_entropy_options *options,
                       const struct cross_entropy *loss)
{
    struct cross_entropy_sum *images = calloc(options->count, sizeof *images);
    double losses[CROSS_ENTROPY_THREADS], correct[CROSS_ENTROPY_THREADS];
    for (uint32_t n = 0; n < options->count; n++)
        images[n] = image_run(options, loss, n);
    for (uint32_t t = 0; t < CROSS_ENTROPY_THREADS; t++)
        cross_entropy_partials(images, options->count, t, &losses[t], &correct[t]);
    cross_entropy_finish(options->first, tree_of(losses, CROSS_ENTROPY_THREADS),
                         tree_of(correct, CROSS_ENTROPY_THREADS), loss);
    free(images);
}
