#include "worker/engine/onednn/kernels/set.h"

/* (image, block) of a map, in lanes. */
KERNEL_INLINE size_t plane_at(const struct kernel_map *map, uint32_t image, uint32_t block)
{
    return ((size_t)image * map->blocks + block) * map->pixels;
}

/* The factor of one image. */
KERNEL_INLINE lanes branch_at(const float *branch, uint32_t image)
{
    return all(branch ? branch[image] : 1.0f);
}

/* Sums over one plane; several accumulators hide the latency of the additions. */
KERNEL_INLINE void plane_sums(const mapped *z, size_t pixels, lanes pivot, lanes ret_sums[2])
{
    lanes s[4] = {{0}}, q[4] = {{0}};
    size_t p = 0;
    for (; p + 4 <= pixels; p += 4)
        for (unsigned u = 0; u < 4; u++) {
            const lanes off = load_map(z, p + u) - pivot;
            s[u] += off;
            q[u] += off * off;
        }
    for (; p < pixels; p++) {
        const lanes off = load_map(z, p) - pivot;
        s[0] += off;
        q[0] += off * off;
    }
    ret_sums[0] = (s[0] + s[1]) + (s[2] + s[3]);
    ret_sums[1] = (q[0] + q[1]) + (q[2] + q[3]);
}

void KERNEL(norm_pivot)(const struct kernel_map *map, const void *z, float *ret_pivot)
{
    for (uint32_t b = 0; b < map->blocks; b++)
        store(ret_pivot, b, load_map(z, plane_at(map, 0, b)));
}

void KERNEL(norm_sums)(const struct kernel_map *map, const void *z, const float *pivot, double *sum,
                       double *squares)
{
    const mapped *zs = z;
    for (uint32_t n = 0; n < map->images; n++)
        for (uint32_t b = 0; b < map->blocks; b++) {
            lanes sums[2];
            plane_sums(zs + plane_at(map, n, b) * KERNEL_LANES, map->pixels, load(pivot, b), sums);
            add_to_doubles(sum + (size_t)b * KERNEL_LANES, sums[0]);
            add_to_doubles(squares + (size_t)b * KERNEL_LANES, sums[1]);
        }
}

/* What varies between the loops of norm_apply, fixed in each of them. */
struct apply_kind {
    bool silu, residual, slope;
};

KERNEL_INLINE void apply_all(const struct kernel_map *map, const struct norm_apply *apply,
                             const struct apply_kind kind)
{
    const mapped *z = apply->z, *residual = apply->residual;
    mapped *y = apply->y, *act_slope = apply->act_slope;
    for (uint32_t n = 0; n < map->images; n++)
        for (uint32_t b = 0; b < map->blocks; b++) {
            const lanes slope = load(apply->slope, b), offset = load(apply->offset, b);
            const lanes branch = branch_at(apply->branch, n);
            const size_t at = plane_at(map, n, b), end = at + map->pixels;
            for (size_t p = at; p < end; p++) {
                const lanes pre = load_map(z, p) * slope + offset;
                lanes out = pre;
                if (kind.silu) {
                    const lanes s = sigmoid_mapped(pre);
                    out = pre * s;
                    if (kind.slope)
                        store_map(act_slope, p, s + out * (1.0f - s));
                }
                if (kind.residual)
                    out = out * branch + load_map(residual, p);
                store_map(y, p, out);
            }
        }
}

void KERNEL(norm_apply)(const struct kernel_map *map, const struct norm_apply *apply)
{
    if (apply->silu && apply->residual && apply->act_slope)
        apply_all(map, apply, (struct apply_kind){true, true, true});
    else if (apply->silu && apply->residual)
        apply_all(map, apply, (struct apply_kind){true, true, false});
    else if (apply->silu && apply->act_slope)
        apply_all(map, apply, (struct apply_kind){true, false, true});
    else if (apply->silu)
        apply_all(map, apply, (struct apply_kind){true, false, false});
    else if (apply->residual)
        apply_all(map, apply, (struct apply_kind){false, true, false});
    else
        apply_all(map, apply, (struct apply_kind){false, false, false});
}

/* The same of norm_reduce. */
struct reduce_kind {
    bool silu, residual, slope, keep_dy;
};

KERNEL_INLINE void reduce_plane(const struct norm_reduce *reduce, const size_t at[2],
                                const uint32_t place[2], const struct reduce_kind kind)
{
    const uint32_t block = place[1];
    const lanes branch = branch_at(reduce->branch, place[0]);
    const lanes slope = load(reduce->slope, block), offset = load(reduce->offset, block);
    const lanes mean = load(reduce->mean, block);
    const mapped *zs = reduce->z, *dys = reduce->dy, *residuals = reduce->residual,
                 *act_slope = reduce->act_slope;
    mapped *gs = reduce->g;
    lanes sum = {0}, product = {0};
    for (size_t p = at[0]; p < at[1]; p++) {
        const lanes z = load_map(zs, p);
        lanes dy = load_map(dys, p);
        if (kind.residual)
            dy += load_map(residuals, p);
        lanes g = dy;
        if (kind.slope)
            g *= load_map(act_slope, p);
        else if (kind.silu)
            g *= silu_slope_mapped(z * slope + offset);
        store_map(gs, p, kind.keep_dy ? dy : g);
        sum += g;
        product += g * (z - mean);
    }
    add_to_doubles(reduce->sum + (size_t)block * KERNEL_LANES, sum * branch);
    add_to_doubles(reduce->product + (size_t)block * KERNEL_LANES, product * branch);
}

KERNEL_INLINE void reduce_all(const struct kernel_map *map, const struct norm_reduce *reduce,
                              const struct reduce_kind kind)
{
    for (uint32_t n = 0; n < map->images; n++)
        for (uint32_t b = 0; b < map->blocks; b++) {
            const size_t at = plane_at(map, n, b);
            reduce_plane(reduce, (const size_t[2]){at, at + map->pixels}, (const uint32_t[2]){n, b},
                         kind);
        }
}

static void reduce_with_silu(const struct kernel_map *map, const struct norm_reduce *reduce)
{
    if (reduce->act_slope && reduce->residual)
        reduce_all(map, reduce, (struct reduce_kind){true, true, true, false});
    else if (reduce->act_slope)
        reduce_all(map, reduce, (struct reduce_kind){true, false, true, false});
    else if (reduce->keep_dy && reduce->residual)
        reduce_all(map, reduce, (struct reduce_kind){true, true, false, true});
    else if (reduce->keep_dy)
        reduce_all(map, reduce, (struct reduce_kind){true, false, false, true});
    else if (reduce->residual)
        reduce_all(map, reduce, (struct reduce_kind){true, true, false, false});
    else
        reduce_all(map, reduce, (struct reduce_kind){true, false, false, false});
}

void KERNEL(norm_reduce)(const struct kernel_map *map, const struct norm_reduce *reduce)
{
    if (reduce->silu)
        reduce_with_silu(map, reduce);
    else if (reduce->residual)
        reduce_all(map, reduce, (struct reduce_kind){false, true, false, false});
    else
        reduce_all(map, reduce, (struct reduce_kind){false, false, false, false});
}

KERNEL_INLINE void dz_all(const struct kernel_map *map, const struct norm_dz *dz,
                          const bool g_is_dy)
{
    const mapped *zs = dz->z, *gs = dz->g;
    mapped *dzs = dz->dz;
    for (uint32_t n = 0; n < map->images; n++)
        for (uint32_t b = 0; b < map->blocks; b++) {
            const lanes by_g = load(dz->by_g, b) * branch_at(dz->branch, n),
                        by_z = load(dz->by_z, b), constant = load(dz->constant, b);
            const lanes slope = load(dz->slope, b), offset = load(dz->offset, b);
            const size_t at = plane_at(map, n, b), end = at + map->pixels;
            for (size_t p = at; p < end; p++) {
                const lanes z = load_map(zs, p);
                lanes g = load_map(gs, p);
                if (g_is_dy)
                    g *= silu_slope_mapped(z * slope + offset);
                store_map(dzs, p, by_g * g + (by_z * z + constant));
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
