/* The index arithmetic and arithmetic of kernels/batch_norm.cu.
 *
 * A thread has 8 channels of some rows, a row being one pixel of one image. A block has up to 32 such octets beside each other
 * (its tile) and as many rows at once as its threads suffice for; the grid is (slices, tiles), and a slice's rows lie
 * slices * rows_at_once apart. */
#ifndef KERNELS_BATCH_NORM_BODY_H
#define KERNELS_BATCH_NORM_BODY_H

#include "kernels/batch_norm.h"

enum {
    NORM_SUMS = 2 * OCTET_HALVES,
    NORM_FINISH_LANES = 32,
    NORM_FINISH_PARTS = 8,
    NORM_BATCH = 4,           /* rows that a thread has on their way at once */
    NORM_IMAGE_LANES_MIN = 4, /* 64 bytes beside each other */
    NORM_IMAGE_BLOCKS_WANTED = 256
};

struct norm_grid {
    uint32_t octets, tiles, lanes, rows, rows_at_once, slices;
};

KERNEL_BODY uint32_t norm_parts(uint32_t whole, uint32_t part)
{
    return (whole - 1) / part + 1;
}

/* Depends on the shape alone, so that the order of additions does too. */
KERNEL_BODY struct norm_grid norm_grid_of(const struct batch_norm_shape *shape)
{
    struct norm_grid grid;
    grid.octets = shape->channels / OCTET_HALVES;
    grid.tiles = norm_parts(grid.octets, BATCH_NORM_LANES_MAX);
    grid.lanes = norm_parts(grid.octets, grid.tiles);
    grid.rows = shape->images * shape->pixels;
    grid.rows_at_once = BATCH_NORM_THREADS / grid.lanes;
    grid.slices = norm_parts(grid.rows, 4 * grid.rows_at_once);
    const uint32_t most = norm_parts(BATCH_NORM_BLOCKS_MAX, grid.tiles);
    grid.slices = grid.slices < most ? grid.slices : most;
    if (grid.slices > BATCH_NORM_SLICES_MAX)
        grid.slices = BATCH_NORM_SLICES_MAX;
    return grid;
}

/* For kernels that keep images apart: a grid of (images, tiles), of which a block has all rows of one image. Tiles are narrow
 * where there are few images. */
KERNEL_BODY struct norm_grid norm_image_grid_of(const struct batch_norm_shape *shape)
{
    struct norm_grid grid;
    grid.octets = shape->channels / OCTET_HALVES;
    const uint32_t most = norm_parts(grid.octets, NORM_IMAGE_LANES_MIN);
    const uint32_t least = norm_parts(grid.octets, BATCH_NORM_LANES_MAX);
    const uint32_t wanted = norm_parts(NORM_IMAGE_BLOCKS_WANTED, shape->images);
    const uint32_t tiles = wanted < most ? wanted : most;
    grid.lanes = norm_parts(grid.octets, tiles > least ? tiles : least);
    grid.tiles = norm_parts(grid.octets, grid.lanes);
    grid.rows = shape->pixels;
    grid.rows_at_once = BATCH_NORM_THREADS / grid.lanes;
    grid.slices = 1;
    return grid;
}

/* Where a thread works. */
struct norm_place {
    bool active;
    uint32_t row;     /* of rows_at_once */
    uint32_t channel; /* the first of 8 */
    uint32_t first, stride;
};

KERNEL_BODY struct norm_place norm_place_of(const struct norm_grid *grid, uint32_t slice,
                                            uint32_t tile, uint32_t thread)
{
    struct norm_place place;
    const uint32_t octet = tile * grid->lanes + thread % grid->lanes;
    place.row = thread / grid->lanes;
    place.active = place.row < grid->rows_at_once && octet < grid->octets;
    place.channel = octet * OCTET_HALVES;
    place.first = slice * grid->rows_at_once + place.row;
    place.stride = grid->slices * grid->rows_at_once;
    return place;
}

KERNEL_BODY void channels_load(const float *values, uint32_t channel, float *ret_values)
{
    for (uint32_t i = 0; i < OCTET_HALVES; i += QUAD_FLOATS) {
        const struct quad quad = *(const struct quad *)(const void *)(values + channel + i);
        for (uint32_t lane = 0; lane < QUAD_FLOATS; lane++)
            ret_values[i + lane] = quad.v[lane];
    }
}

/* 8 sums of one kind, then 8 of the other. */
struct norm_sums {
    float v[NORM_SUMS];
};

/* x - running mean, and its square */
KERNEL_BODY struct norm_sums norm_statistics_sums(const struct batch_norm *norm,
                                                  const float *running_mean,
                                                  const struct norm_grid *grid,
                                                  const struct norm_place *place)
{
    struct norm_sums sums = {{0}};
    float origin[OCTET_HALVES], x[OCTET_HALVES];
    if (!place->active)
        return sums;
    channels_load(running_mean, place->channel, origin);
    KERNEL_UNROLL
    for (size_t row = place->first; row < grid->rows; row += place->stride) {
        octet_load(norm->x + row * norm->shape.channels + place->channel, x);
        for (uint32_t i = 0; i < OCTET_HALVES; i++) {
            const float off = x[i] - origin[i];
            sums.v[i] += off;
            sums.v[OCTET_HALVES + i] += off * off;
        }
    }
    return sums;
}

/* A block's sums lie as (NORM_SUMS, BATCH_NORM_THREADS). */
KERNEL_BODY void norm_sums_put(float *block, uint32_t thread, const struct norm_sums *sums)
{
    for (uint32_t k = 0; k < NORM_SUMS; k++)
        block[k * BATCH_NORM_THREADS + thread] = sums->v[k];
}

/* A level of the tree over the rows of a block, as tree_level. */
KERNEL_BODY void norm_level(float *block, uint32_t lanes, uint32_t thread, uint32_t active)
{
    const uint32_t half = tree_half(active);
    if (thread / lanes + half >= active)
        return;
    for (uint32_t k = 0; k < NORM_SUMS; k++)
        block[k * BATCH_NORM_THREADS + thread] +=
            block[k * BATCH_NORM_THREADS + thread + half * lanes];
}

/* partials (slices, 2, channels); for the threads of row 0 */
KERNEL_BODY void norm_partials_write(const struct batch_norm *norm, const float *block,
                                     const struct norm_place *place, uint32_t slice,
                                     uint32_t thread)
{
    const size_t channels = norm->shape.channels;
    if (!place->active || place->row > 0)
        return;
    for (uint32_t k = 0; k < NORM_SUMS; k++)
        norm->partials[(2 * (size_t)slice + k / OCTET_HALVES) * channels + place->channel +
                       k % OCTET_HALVES] = block[k * BATCH_NORM_THREADS + thread];
}

struct norm_totals {
    double first, second;
};

/* Part p of NORM_FINISH_PARTS has the slices p, p + NORM_FINISH_PARTS, ... of a channel. */
KERNEL_BODY struct norm_totals norm_partials_read(const struct batch_norm *norm, uint32_t slices,
                                                  uint32_t channel, uint32_t part)
{
    const size_t channels = norm->shape.channels;
    struct norm_totals totals = {0, 0};
    for (size_t s = part; s < slices; s += NORM_FINISH_PARTS) {
        totals.first += (double)norm->partials[2 * s * channels + channel];
        totals.second += (double)norm->partials[(2 * s + 1) * channels + channel];
    }
    return totals;
}

/* parts (NORM_FINISH_PARTS, NORM_FINISH_LANES) */
KERNEL_BODY struct norm_totals norm_parts_add(const struct norm_totals *parts, uint32_t lane)
{
    struct norm_totals totals = {0, 0};
    for (uint32_t p = 0; p < NORM_FINISH_PARTS; p++) {
        totals.first += parts[p * NORM_FINISH_LANES + lane].first;
        totals.second += parts[p * NORM_FINISH_LANES + lane].second;
    }
    return totals;
}

KERNEL_BODY float norm_inverse(double variance, double epsilon)
{
    return (float)(1.0 / sqrt(variance + epsilon));
}

KERNEL_BODY void norm_statistics_finish(const struct batch_norm *norm,
                                        const struct batch_norm_running *running, uint32_t channel,
                                        struct norm_totals totals)
{
    const double rows = (double)norm->shape.images * norm->shape.pixels;
    const double kept = running->momentum, off = totals.first / rows;
    const double mean = (double)running->mean[channel] + off;
    const double variance = fmax(totals.second / rows - off * off, 0.0);
    norm->mean[channel] = (float)mean;
    norm->inverse[channel] = norm_inverse(variance, running->epsilon);
    if (running->keep)
        return;
    running->mean[channel] = (float)(kept * (double)running->mean[channel] + (1.0 - kept) * mean);
    running->variance[channel] =
        (float)(kept * (double)running->variance[channel] + (1.0 - kept) * variance);
}

/* 8 channels from `channel` on that are times x + plus. */
struct norm_line {
    uint32_t channel;
    float times[OCTET_HALVES], plus[OCTET_HALVES];
};

/* Half of what the scale and the shift make of x, which is what SiLU takes: with h half of z, t = tanh(h),
 * silu(z) = h t + h, and twice its slope is (1 + t) (1 + h - h t). */
KERNEL_BODY struct norm_line norm_half_of(const struct batch_norm *norm, uint32_t channel)
{
    float mean[OCTET_HALVES], inverse[OCTET_HALVES], scale[OCTET_HALVES], shift[OCTET_HALVES];
    struct norm_line half;
    half.channel = channel;
    channels_load(norm->mean, channel, mean);
    channels_load(norm->inverse, channel, inverse);
    channels_load(norm->scale, channel, scale);
    channels_load(norm->shift, channel, shift);
    for (uint32_t i = 0; i < OCTET_HALVES; i++) {
        half.times[i] = 0.5f * scale[i] * inverse[i];
        half.plus[i] = 0.5f * shift[i] - mean[i] * half.times[i];
    }
    return half;
}

KERNEL_BODY float norm_value(float half, bool silu)
{
    return half + half * (silu ? tanh_fast(half) : 1.0f);
}

KERNEL_BODY float norm_slope_twice(float half, bool silu)
{
    const float t = silu ? tanh_fast(half) : 1.0f, sum = 1.0f + t;
    return sum + sum * (half - half * t);
}

/* Products of 8 channels with `factors` (images, channels), of which `at` is the first; NULL: 1. */
KERNEL_BODY void channels_multiply(const float *factors, size_t at, float *values)
{
    float loaded[OCTET_HALVES];
    if (!factors)
        return;
    channels_load(factors + at, 0, loaded);
    for (uint32_t i = 0; i < OCTET_HALVES; i++)
        values[i] *= loaded[i];
}

/* What is the same in all pixels of an image: dy = times map + plus. */
struct norm_factors {
    float times[OCTET_HALVES], plus[OCTET_HALVES];
};

KERNEL_BODY struct norm_factors norm_factors_of(const struct batch_norm_incoming *incoming,
                                                const struct batch_norm_shape *shape,
                                                uint32_t image, uint32_t channel)
{
    const size_t at = (size_t)image * shape->channels + channel;
    const float branch = incoming->branch ? incoming->branch[image] : 1.0f;
    struct norm_factors factors = {{0}, {0}};
    for (uint32_t i = 0; i < OCTET_HALVES; i++)
        factors.times[i] = branch;
    channels_multiply(incoming->gate, at, factors.times);
    if (!incoming->added)
        return factors;
    for (uint32_t i = 0; i < OCTET_HALVES; i++)
        factors.plus[i] = 1.0f / (float)shape->pixels;
    channels_multiply(incoming->added, at, factors.plus);
    channels_multiply(incoming->features, at, factors.plus);
    return factors;
}

/* 8 values of bfloat16 as they lie in memory, the first of a pair in its lower half; taken apart only where they are used. */
struct octet_pairs {
    uint32_t v[OCTET_HALVES / 2];
} __attribute__((aligned(16)));

KERNEL_BODY void octet_unpack(const struct octet_pairs *pairs, float *ret_values)
{
    for (uint32_t i = 0; i < OCTET_HALVES / 2; i++) {
        ret_values[2 * i] = float_of_bits(pairs->v[i] << 16);
        ret_values[2 * i + 1] = float_of_bits(pairs->v[i] & 0xffff0000u);
    }
}

/* NORM_BATCH rows of a thread, all loaded before the first is used: branches in what follows would keep a compiler from that. */
struct norm_batch {
    struct octet_pairs rows[NORM_BATCH];
};

/* Rows from `first` on; 0 where there is no map or no such row. */
KERNEL_BODY struct norm_batch norm_batch_load(const struct batch_norm *norm, const uint16_t *map,
                                              const struct norm_place *place, size_t first,
                                              size_t end)
{
    struct norm_batch batch = {{{{0}}}};
    KERNEL_UNROLL
    for (uint32_t k = 0; k < NORM_BATCH; k++) {
        const size_t row = first + (size_t)k * place->stride;
        if (map && row < end)
            batch.rows[k] =
                *(const struct octet_pairs *)(const void *)(map + row * norm->shape.channels +
                                                            place->channel);
    }
    return batch;
}

/* values of a row become times values + plus. */
KERNEL_BODY void row_multiply(const struct batch_norm_incoming *incoming,
                              const struct batch_norm_shape *shape, size_t row, uint32_t channel,
                              float *values)
{
    const struct norm_factors factors =
        norm_factors_of(incoming, shape, (uint32_t)row / shape->pixels, channel);
    for (uint32_t i = 0; i < OCTET_HALVES; i++)
        values[i] = factors.times[i] * values[i] + factors.plus[i];
}

/* x of a row becomes y. */
KERNEL_BODY void norm_row_apply(const struct batch_norm *norm,
                                const struct batch_norm_output *output,
                                const struct norm_line *half, size_t row, float *x)
{
    const struct batch_norm_incoming gates = {NULL, output->branch, output->gate, NULL, NULL};
    for (uint32_t i = 0; i < OCTET_HALVES; i++)
        x[i] = norm_value(half->times[i] * x[i] + half->plus[i], norm->silu);
    if (output->branch || output->gate)
        row_multiply(&gates, &norm->shape, row, half->channel, x);
}

KERNEL_BODY void norm_apply(const struct batch_norm *norm, const struct batch_norm_output *output,
                            const struct norm_grid *grid, const struct norm_place *place)
{
    const uint32_t channel = place->channel;
    float x[OCTET_HALVES], added[OCTET_HALVES];
    if (!place->active)
        return;
    const struct norm_line half = norm_half_of(norm, channel);
    for (size_t row = place->first; row < grid->rows; row += NORM_BATCH * (size_t)place->stride) {
        const struct norm_batch maps = norm_batch_load(norm, norm->x, place, row, grid->rows);
        const struct norm_batch residuals =
            norm_batch_load(norm, output->residual, place, row, grid->rows);
        KERNEL_UNROLL
        for (uint32_t k = 0; k < NORM_BATCH; k++) {
            const size_t at = row + (size_t)k * place->stride;
            if (at >= grid->rows)
                continue;
            octet_unpack(&maps.rows[k], x);
            octet_unpack(&residuals.rows[k], added);
            norm_row_apply(norm, output, &half, at, x);
            for (uint32_t i = 0; i < OCTET_HALVES; i++)
                x[i] += added[i];
            octet_store(output->ret_y + at * norm->shape.channels + channel, x);
        }
    }
}

/* One image a block, all its rows: what a thread has of the sums of 8 channels, in the first half. */
KERNEL_BODY struct norm_sums norm_pool_sums(const struct batch_norm *norm, uint32_t image,
                                            const struct norm_grid *grid,
                                            const struct norm_place *place)
{
    const uint16_t *map = norm->x + (size_t)image * norm->shape.pixels * norm->shape.channels;
    struct norm_sums sums = {{0}};
    float x[OCTET_HALVES];
    if (!place->active)
        return sums;
    const struct norm_line half = norm_half_of(norm, place->channel);
    for (size_t row = place->first; row < grid->rows; row += NORM_BATCH * (size_t)place->stride) {
        const struct norm_batch maps = norm_batch_load(norm, map, place, row, grid->rows);
        KERNEL_UNROLL
        for (uint32_t k = 0; k < NORM_BATCH; k++) {
            if (row + (size_t)k * place->stride >= grid->rows)
                continue;
            octet_unpack(&maps.rows[k], x);
            for (uint32_t i = 0; i < OCTET_HALVES; i++)
                sums.v[i] += norm_value(half.times[i] * x[i] + half.plus[i], norm->silu);
        }
    }
    return sums;
}

/* For the threads of row 0. */
KERNEL_BODY void norm_pool_write(const struct batch_norm *norm, const struct batch_norm_pool *pool,
                                 const float *block, uint32_t image, const struct norm_place *place,
                                 uint32_t thread)
{
    const size_t at = (size_t)image * norm->shape.channels + place->channel;
    const float share = 1.0f / (float)norm->shape.pixels;
    if (!place->active || place->row > 0)
        return;
    for (uint32_t i = 0; i < OCTET_HALVES; i++) {
        const float factor = pool->features ? pool->features[at + i] : 1.0f;
        pool->ret_pooled[at + i] = factor * share * block[i * BATCH_NORM_THREADS + thread];
    }
}

/* map of a row becomes dy times twice SiLU's slope. */
KERNEL_BODY void norm_row_backward(const struct batch_norm *norm,
                                   const struct batch_norm_incoming *incoming,
                                   const struct norm_line *half, size_t row, const float *x,
                                   float *dy)
{
    if (incoming->branch || incoming->gate || incoming->added)
        row_multiply(incoming, &norm->shape, row, half->channel, dy);
    for (uint32_t i = 0; i < OCTET_HALVES; i++)
        dy[i] *= norm_slope_twice(half->times[i] * x[i] + half->plus[i], norm->silu);
}

KERNEL_BODY void norm_row_add(const float *x, const float *d, const float *mean,
                              struct norm_sums *sums)
{
    for (uint32_t i = 0; i < OCTET_HALVES; i++) {
        sums->v[i] += d[i];
        sums->v[OCTET_HALVES + i] += d[i] * (x[i] - mean[i]);
    }
}

/* Sums of the gradient of what the scale and the shift make, and of it times the normalised value: in the loop, of twice
 * that gradient, and times x - mean. */
KERNEL_BODY struct norm_sums norm_backward_sums(const struct batch_norm *norm,
                                                const struct batch_norm_incoming *incoming,
                                                const struct norm_grid *grid,
                                                const struct norm_place *place)
{
    struct norm_sums sums = {{0}};
    float x[OCTET_HALVES], dy[OCTET_HALVES], mean[OCTET_HALVES], inverse[OCTET_HALVES];
    if (!place->active)
        return sums;
    const struct norm_line half = norm_half_of(norm, place->channel);
    channels_load(norm->mean, place->channel, mean);
    for (size_t row = place->first; row < grid->rows; row += NORM_BATCH * (size_t)place->stride) {
        const struct norm_batch maps = norm_batch_load(norm, norm->x, place, row, grid->rows);
        const struct norm_batch dys = norm_batch_load(norm, incoming->map, place, row, grid->rows);
        KERNEL_UNROLL
        for (uint32_t k = 0; k < NORM_BATCH; k++) {
            const size_t at = row + (size_t)k * place->stride;
            if (at >= grid->rows)
                continue;
            octet_unpack(&maps.rows[k], x);
            octet_unpack(&dys.rows[k], dy);
            norm_row_backward(norm, incoming, &half, at, x, dy);
            norm_row_add(x, dy, mean, &sums);
        }
    }
    channels_load(norm->inverse, place->channel, inverse);
    for (uint32_t i = 0; i < OCTET_HALVES; i++) {
        sums.v[i] *= 0.5f;
        sums.v[OCTET_HALVES + i] *= 0.5f * inverse[i];
    }
    return sums;
}

KERNEL_BODY void norm_backward_finish(const struct batch_norm *norm,
                                      const struct batch_norm_gradients *gradients,
                                      uint32_t channel, struct norm_totals totals)
{
    const double rows = (double)norm->shape.images * norm->shape.pixels;
    const float shift = gradients->first ? 0.0f : gradients->dshift[channel];
    const float scale = gradients->first ? 0.0f : gradients->dscale[channel];
    gradients->dshift[channel] = shift + (float)totals.first;
    gradients->dscale[channel] = scale + (float)totals.second;
    gradients->means[channel] = (float)(totals.first / rows);
    gradients->means[norm->shape.channels + channel] = (float)(totals.second / rows);
}

/* What the means take away: scale inverse (mean + xhat product), as a line of x. */
KERNEL_BODY struct norm_line norm_means_of(const struct batch_norm *norm, const float *means,
                                           const struct norm_line *half, uint32_t channel)
{
    float mean[OCTET_HALVES], inverse[OCTET_HALVES], of_d[OCTET_HALVES], product[OCTET_HALVES];
    struct norm_line line;
    line.channel = channel;
    channels_load(norm->mean, channel, mean);
    channels_load(norm->inverse, channel, inverse);
    channels_load(means, channel, of_d);
    channels_load(means + norm->shape.channels, channel, product);
    for (uint32_t i = 0; i < OCTET_HALVES; i++) {
        line.times[i] = 2.0f * half->times[i] * inverse[i] * product[i];
        line.plus[i] = 2.0f * half->times[i] * of_d[i] - line.times[i] * mean[i];
    }
    return line;
}

KERNEL_BODY void norm_backward_apply(const struct batch_norm *norm,
                                     const struct batch_norm_incoming *incoming,
                                     const struct batch_norm_gradients *gradients,
                                     const struct norm_grid *grid, const struct norm_place *place)
{
    const uint32_t channel = place->channel;
    float x[OCTET_HALVES], dy[OCTET_HALVES];
    if (!place->active)
        return;
    const struct norm_line half = norm_half_of(norm, channel);
    const struct norm_line means = norm_means_of(norm, gradients->means, &half, channel);
    for (size_t row = place->first; row < grid->rows; row += NORM_BATCH * (size_t)place->stride) {
        const struct norm_batch maps = norm_batch_load(norm, norm->x, place, row, grid->rows);
        const struct norm_batch dys = norm_batch_load(norm, incoming->map, place, row, grid->rows);
        KERNEL_UNROLL
        for (uint32_t k = 0; k < NORM_BATCH; k++) {
            const size_t at = row + (size_t)k * place->stride;
            if (at >= grid->rows)
                continue;
            octet_unpack(&maps.rows[k], x);
            octet_unpack(&dys.rows[k], dy);
            norm_row_backward(norm, incoming, &half, at, x, dy);
            for (uint32_t i = 0; i < OCTET_HALVES; i++)
                dy[i] = half.times[i] * dy[i] - (means.times[i] * x[i] + means.plus[i]);
            octet_store(gradients->ret_dx + at * norm->shape.channels + channel, dy);
        }
    }
}

#endif
