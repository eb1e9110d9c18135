#include "worker/engine/onednn/kernels/set.h"

/* (image, block) of a map, in lanes. */
KERNEL_INLINE size_t plane_at(const struct kernel_map *map, uint32_t image, uint32_t block)
{
    return ((size_t)image * map->blocks + block) * map->pixels;
}

/* Sums of one block over all images; several accumulators hide the latency of the additions. */
KERNEL_INLINE void block_sums(const struct kernel_map *map, const float *z, uint32_t block,
                              lanes pivot, lanes ret_sums[2])
{
    lanes s[4] = {{0}}, q[4] = {{0}};
    for (uint32_t n = 0; n < map->images; n++) {
        const size_t at = plane_at(map, n, block);
        size_t p = 0;
        for (; p + 4 <= map->pixels; p += 4)
            for (unsigned u = 0; u < 4; u++) {
                const lanes off = load(z, at + p + u) - pivot;
                s[u] += off;
                q[u] += off * off;
            }
        for (; p < map->pixels; p++) {
            const lanes off = load(z, at + p) - pivot;
            s[0] += off;
            q[0] += off * off;
        }
    }
    ret_sums[0] = (s[0] + s[1]) + (s[2] + s[3]);
    ret_sums[1] = (q[0] + q[1]) + (q[2] + q[3]);
}

void KERNEL(norm_sums)(const struct kernel_map *map, const float *z, const float *pivot,
                       double *sum, double *squares)
{
    for (uint32_t b = 0; b < map->blocks; b++) {
        lanes sums[2];
        block_sums(map, z, b, load(pivot, b), sums);
        add_to_doubles(sum + (size_t)b * KERNEL_LANES, sums[0]);
        add_to_doubles(squares + (size_t)b * KERNEL_LANES, sums[1]);
    }
}

KERNEL_INLINE void apply_all(const struct kernel_map *map, const struct norm_apply *apply,
                             const bool silu, const bool residual)
{
    for (uint32_t n = 0; n < map->images; n++)
        for (uint32_t b = 0; b < map->blocks; b++) {
            const lanes slope = load(apply->slope, b), offset = load(apply->offset, b);
            const size_t at = plane_at(map, n, b), end = at + map->pixels;
            for (size_t p = at; p < end; p++) {
                lanes y = load(apply->z, p) * slope + offset;
                if (silu)
                    y *= sigmoid_lanes(y);
                if (residual)
                    y += load(apply->residual, p);
                store(apply->y, p, y);
            }
        }
}

void KERNEL(norm_apply)(const struct kernel_map *map, const struct norm_apply *apply)
{
    if (apply->silu && apply->residual)
        apply_all(map, apply, true, true);
    else if (apply->silu)
        apply_all(map, apply, true, false);
    else if (apply->residual)
        apply_all(map, apply, false, true);
    else
        apply_all(map, apply, false, false);
}

/* What varies between the loops of norm_reduce, fixed in each of them. */
struct reduce_kind {
    bool silu, residual, keep_dy;
};

KERNEL_INLINE void reduce_block(const struct kernel_map *map, const struct norm_reduce *reduce,
                                uint32_t block, const struct reduce_kind kind)
{
    const lanes slope = load(reduce->slope, block), offset = load(reduce->offset, block);
    const lanes mean = load(reduce->mean, block);
    lanes sum[2] = {{0}}, product[2] = {{0}};
    for (uint32_t n = 0; n < map->images; n++) {
        const size_t at = plane_at(map, n, block);
        for (size_t p = 0; p < map->pixels; p++) {
            const lanes z = load(reduce->z, at + p);
            lanes dy = load(reduce->dy, at + p);
            if (kind.residual)
                dy += load(reduce->residual, at + p);
            lanes g = dy;
            if (kind.silu)
                g *= silu_slope(z * slope + offset);
            store(reduce->g, at + p, kind.keep_dy ? dy : g);
            sum[p % 2] += g;
            product[p % 2] += g * (z - mean);
        }
    }
    add_to_doubles(reduce->sum + (size_t)block * KERNEL_LANES, sum[0] + sum[1]);
    add_to_doubles(reduce->product + (size_t)block * KERNEL_LANES, product[0] + product[1]);
}

KERNEL_INLINE void reduce_all(const struct kernel_map *map, const struct norm_reduce *reduce,
                              const struct reduce_kind kind)
{
    for (uint32_t b = 0; b < map->blocks; b++)
        reduce_block(map, reduce, b, kind);
}

void KERNEL(norm_reduce)(const struct kernel_map *map, const struct norm_reduce *reduce)
{
    const bool keep = reduce->silu && reduce->keep_dy;
    if (keep && reduce->residual)
        reduce_all(map, reduce, (struct reduce_kind){true, true, true});
    else if (keep)
        reduce_all(map, reduce, (struct reduce_kind){true, false, true});
    else if (reduce->silu && reduce->residual)
        reduce_all(map, reduce, (struct reduce_kind){true, true, false});
    else if (reduce->silu)
        reduce_all(map, reduce, (struct reduce_kind){true, false, false});
    else if (reduce->residual)
        reduce_all(map, reduce, (struct reduce_kind){false, true, false});
    else
        reduce_all(map, reduce, (struct reduce_kind){false, false, false});
}

KERNEL_INLINE void dz_all(const struct kernel_map *map, const struct norm_dz *dz,
                          const bool g_is_dy)
{
    for (uint32_t n = 0; n < map->images; n++)
        for (uint32_t b = 0; b < map->blocks; b++) {
            const lanes by_g = load(dz->by_g, b), by_z = load(dz->by_z, b),
                        constant = load(dz->constant, b);
            const lanes slope = load(dz->slope, b), offset = load(dz->offset, b);
            const size_t at = plane_at(map, n, b), end = at + map->pixels;
            for (size_t p = at; p < end; p++) {
                const lanes z = load(dz->z, p);
                lanes g = load(dz->g, p);
                if (g_is_dy)
                    g *= silu_slope(z * slope + offset);
                store(dz->dz, p, by_g * g + (by_z * z + constant));
            }
        }
}

void KERNEL(norm_dz)(const struct kernel_map *map, const struct norm_dz *dz)
{
    if (dz->g_is_dy)
        dz_all(map, dz, true);
    else
        dz_all(map, dz, false);
}
