#include "tests/unit/kernels/runner.h"

#include "kernels/batch_norm_body.h"
#include "kernels/cross_entropy_body.h"
#include "kernels/gradient_norm_body.h"
#include "kernels/optimizer_body.h"

#include "tests/unit/kernels/array.h"

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

double runner_silu_tolerance(void)
{
    return 1e-6;
}

/* One thread's sums, of x or of the gradient. */
struct norm_pass {
    struct norm_sums (*sums)(const struct batch_norm *norm, const void *given,
                             const struct norm_grid *grid, const struct norm_place *place);
    void (*finish)(const struct batch_norm *norm, const void *given, uint32_t channel,
                   struct norm_totals totals);
    const void *read; /* by the sums: struct batch_norm_running or struct batch_norm_incoming */
    const void
        *result; /* of the finish: struct batch_norm_running or struct batch_norm_gradients */
};

static struct norm_sums statistics_sums(const struct batch_norm *norm, const void *given,
                                        const struct norm_grid *grid,
                                        const struct norm_place *place)
{
    const struct batch_norm_running *running = given;
    return norm_statistics_sums(norm, running->mean, grid, place);
}

static void statistics_finish(const struct batch_norm *norm, const void *given, uint32_t channel,
                              struct norm_totals totals)
{
    norm_statistics_finish(norm, given, channel, totals);
}

static struct norm_sums backward_sums(const struct batch_norm *norm, const void *given,
                                      const struct norm_grid *grid, const struct norm_place *place)
{
    return norm_backward_sums(norm, given, grid, place);
}

static void backward_finish(const struct batch_norm *norm, const void *given, uint32_t channel,
                            struct norm_totals totals)
{
    norm_backward_finish(norm, given, channel, totals);
}

static void block_tree(float *block, const struct norm_grid *grid)
{
    for (uint32_t active = grid->rows_at_once; active > 1; active = tree_half(active))
        for (uint32_t t = 0; t < BATCH_NORM_THREADS; t++)
            norm_level(block, grid->lanes, t, active);
}

static void block_run(const struct batch_norm *norm, const struct norm_pass *pass,
                      const struct norm_grid *grid, uint32_t slice, uint32_t tile)
{
    static float block[NORM_SUMS * BATCH_NORM_THREADS];
    for (uint32_t t = 0; t < BATCH_NORM_THREADS; t++) {
        const struct norm_place place = norm_place_of(grid, slice, tile, t);
        const struct norm_sums sums = pass->sums(norm, pass->read, grid, &place);
        norm_sums_put(block, t, &sums);
    }
    block_tree(block, grid);
    for (uint32_t t = 0; t < BATCH_NORM_THREADS; t++) {
        const struct norm_place place = norm_place_of(grid, slice, tile, t);
        norm_partials_write(norm, block, &place, slice, t);
    }
}

static void finish_run(const struct batch_norm *norm, const struct norm_pass *pass, uint32_t slices,
                       uint32_t channel)
{
    struct norm_totals parts[NORM_FINISH_PARTS * NORM_FINISH_LANES];
    const uint32_t lane = channel % NORM_FINISH_LANES;
    for (uint32_t p = 0; p < NORM_FINISH_PARTS; p++)
        parts[p * NORM_FINISH_LANES + lane] = norm_partials_read(norm, slices, channel, p);
    pass->finish(norm, pass->result, channel, norm_parts_add(parts, lane));
}

static void pass_run(const struct batch_norm *norm, const struct norm_pass *pass)
{
    const struct norm_grid grid = norm_grid_of(&norm->shape);
    struct batch_norm here = *norm;
    here.partials = array_new((size_t)grid.slices * 2 * norm->shape.channels * sizeof(float));
    for (uint32_t slice = 0; slice < grid.slices; slice++)
        for (uint32_t tile = 0; tile < grid.tiles; tile++)
            block_run(&here, pass, &grid, slice, tile);
    for (uint32_t c = 0; c < norm->shape.channels; c++)
        finish_run(&here, pass, grid.slices, c);
    array_free(here.partials);
}

void run_norm_statistics(const struct batch_norm *norm, const struct batch_norm_running *running)
{
    const struct norm_pass pass = {statistics_sums, statistics_finish, running, running};
    pass_run(norm, &pass);
}

void run_norm_running(const struct batch_norm *norm, const struct batch_norm_running *running)
{
    for (uint32_t c = 0; c < norm->shape.channels; c++) {
        norm->mean[c] = running->mean[c];
        norm->inverse[c] = norm_inverse((double)running->variance[c], running->epsilon);
    }
}

/* The n-th thread of the grid, all blocks after each other. */
static struct norm_place place_at(const struct norm_grid *grid, size_t n)
{
    const size_t block = n / BATCH_NORM_THREADS;
    return norm_place_of(grid, (uint32_t)(block % grid->slices), (uint32_t)(block / grid->slices),
                         (uint32_t)(n % BATCH_NORM_THREADS));
}

void run_norm_apply(const struct batch_norm *norm, const struct batch_norm_output *output)
{
    const struct norm_grid grid = norm_grid_of(&norm->shape);
    for (size_t n = 0; n < (size_t)grid.slices * grid.tiles * BATCH_NORM_THREADS; n++) {
        const struct norm_place place = place_at(&grid, n);
        norm_apply(norm, output, &grid, &place);
    }
}

static void pool_block_run(const struct batch_norm *norm, const struct batch_norm_pool *pool,
                           const struct norm_grid *grid, uint32_t image, uint32_t tile)
{
    static float block[NORM_SUMS * BATCH_NORM_THREADS];
    for (uint32_t t = 0; t < BATCH_NORM_THREADS; t++) {
        const struct norm_place place = norm_place_of(grid, 0, tile, t);
        const struct norm_sums sums = norm_pool_sums(norm, image, grid, &place);
        norm_sums_put(block, t, &sums);
    }
    block_tree(block, grid);
    for (uint32_t t = 0; t < BATCH_NORM_THREADS; t++) {
        const struct norm_place place = norm_place_of(grid, 0, tile, t);
        norm_pool_write(norm, pool, block, image, &place, t);
    }
}

void run_norm_pool(const struct batch_norm *norm, const struct batch_norm_pool *pool)
{
    const struct norm_grid grid = norm_grid_of(&norm->shape);
    for (uint32_t image = 0; image < norm->shape.images; image++)
        for (uint32_t tile = 0; tile < grid.tiles; tile++)
            pool_block_run(norm, pool, &grid, image, tile);
}

void run_norm_backward(const struct batch_norm *norm, const struct batch_norm_incoming *incoming,
                       const struct batch_norm_gradients *gradients)
{
    const struct norm_grid grid = norm_grid_of(&norm->shape);
    struct batch_norm_gradients here = *gradients;
    here.means = array_new((size_t)2 * norm->shape.channels * sizeof(float));
    const struct norm_pass pass = {backward_sums, backward_finish, incoming, &here};
    pass_run(norm, &pass);
    for (size_t n = 0; n < (size_t)grid.slices * grid.tiles * BATCH_NORM_THREADS; n++) {
        const struct norm_place place = place_at(&grid, n);
        norm_backward_apply(norm, incoming, &here, &grid, &place);
    }
    array_free(here.means);
}
