/* Means over maps, gates on them, and the small activations between. */
#include "worker/engine/onednn/kernels/set.h"

static size_t plane_count(const struct kernel_map *map)
{
    return (size_t)map->images * map->blocks;
}

void KERNEL(map_mean)(const struct kernel_map *map, const void *x, float *ret_mean)
{
    const float share = 1.0f / (float)map->pixels;
    for (size_t plane = 0; plane < plane_count(map); plane++) {
        const size_t at = plane * map->pixels;
        lanes sum[2] = {{0}};
        for (size_t p = 0; p < map->pixels; p++)
            sum[p % 2] += load_map(x, at + p);
        store(ret_mean, plane, (sum[0] + sum[1]) * share);
    }
}

void KERNEL(map_fill)(const struct kernel_map *map, const float *addend, void *ret_d)
{
    for (size_t plane = 0; plane < plane_count(map); plane++) {
        const lanes value = load(addend, plane);
        for (size_t p = 0; p < map->pixels; p++)
            store_map(ret_d, plane * map->pixels + p, value);
    }
}

void KERNEL(gate_apply)(const struct kernel_map *map, const void *x, const float *gate, void *ret_y)
{
    for (size_t plane = 0; plane < plane_count(map); plane++) {
        const lanes factor = load(gate, plane);
        for (size_t p = plane * map->pixels; p < (plane + 1) * map->pixels; p++)
            store_map(ret_y, p, load_map(x, p) * factor);
    }
}

void KERNEL(gate_reduce)(const struct kernel_map *map, const void *x, const void *dy,
                         float *ret_dgate)
{
    for (size_t plane = 0; plane < plane_count(map); plane++) {
        const size_t at = plane * map->pixels;
        lanes sum[2] = {{0}};
        for (size_t p = 0; p < map->pixels; p++)
            sum[p % 2] += load_map(x, at + p) * load_map(dy, at + p);
        store(ret_dgate, plane, sum[0] + sum[1]);
    }
}

void KERNEL(gate_spread)(const struct kernel_map *map, const float *gate, const float *addend,
                         void *d)
{
    for (size_t plane = 0; plane < plane_count(map); plane++) {
        const lanes factor = load(gate, plane), value = load(addend, plane);
        for (size_t p = plane * map->pixels; p < (plane + 1) * map->pixels; p++)
            store_map(d, p, load_map(d, p) * factor + value);
    }
}

void KERNEL(silu)(size_t count, const float *x, float *ret_y)
{
    for (size_t i = 0; i < count / KERNEL_LANES; i++)
        store(ret_y, i, load(x, i) * sigmoid_lanes(load(x, i)));
}

void KERNEL(silu_backward)(size_t count, const float *x, const float *dy, float *ret_dx)
{
    for (size_t i = 0; i < count / KERNEL_LANES; i++)
        store(ret_dx, i, load(dy, i) * silu_slope(load(x, i)));
}

void KERNEL(sigmoid)(size_t count, const float *x, float *ret_y)
{
    for (size_t i = 0; i < count / KERNEL_LANES; i++)
        store(ret_y, i, sigmoid_lanes(load(x, i)));
}
