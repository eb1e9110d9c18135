/* Vectors for the kernels. Each kernel file is compiled for several instruction sets with KERNEL_SET (baseline, avx2,
 * avx512) and KERNEL_LANES (8 or 16) given by the build; KERNEL(name) tells the copies apart. */
#ifndef WORKER_ENGINE_ONEDNN_KERNELS_LANES_H
#define WORKER_ENGINE_ONEDNN_KERNELS_LANES_H

#include "worker/engine/onednn/kernels.h"

#define KERNEL_JOIN(name, set) name##_##set
#define KERNEL_EXPAND(name, set) KERNEL_JOIN(name, set)
#define KERNEL(name) KERNEL_EXPAND(name, KERNEL_SET)

#define KERNEL_INLINE static inline __attribute__((always_inline))

typedef float lanes __attribute__((vector_size(KERNEL_LANES * 4), may_alias));
typedef int32_t int_lanes __attribute__((vector_size(KERNEL_LANES * 4), may_alias));

/* Element i of an array of lanes. */
KERNEL_INLINE lanes load(const float *values, size_t i)
{
    return ((const lanes *)values)[i];
}

KERNEL_INLINE void store(float *values, size_t i, lanes value)
{
    ((lanes *)values)[i] = value;
}

KERNEL_INLINE lanes all(float value)
{
    return value - (lanes){0};
}

/* Where the mask is -1, else 0. */
KERNEL_INLINE lanes choose(int_lanes mask, lanes yes, lanes no)
{
    return (lanes)((mask & (int_lanes)yes) | (~mask & (int_lanes)no));
}

/* 1 / (1 + exp(-x)), relative error below 4e-7; NaN stays NaN. 2^t = 2^n p(t - n) with n the nearest integer. */
KERNEL_INLINE lanes sigmoid_lanes(lanes x)
{
    const lanes round = all(12582912.0f), bound = all(125.0f);
    lanes t = x * -1.44269504f;
    t = choose(t > bound, bound, t);
    t = choose(t < -bound, -bound, t);
    const lanes n = (t + round) - round, f = t - n;
    lanes p = all(1.5403530e-4f);
    p = p * f + 1.3333558e-3f;
    p = p * f + 9.6181291e-3f;
    p = p * f + 5.5504109e-2f;
    p = p * f + 2.4022651e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0f;
    const lanes power = (lanes)((int_lanes)p + (__builtin_convertvector(n, int_lanes) << 23));
    return 1.0f / (1.0f + power);
}

/* d silu(x) / dx */
KERNEL_INLINE lanes silu_slope(lanes x)
{
    const lanes s = sigmoid_lanes(x);
    return s + s * x * (1.0f - s);
}

KERNEL_INLINE float lanes_sum(lanes value)
{
    float sum = 0;
    for (unsigned i = 0; i < KERNEL_LANES; i++)
        sum += value[i];
    return sum;
}

KERNEL_INLINE void add_to_doubles(double *to, lanes value)
{
    for (unsigned i = 0; i < KERNEL_LANES; i++)
        to[i] += (double)value[i];
}

#endif
