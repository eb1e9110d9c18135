/* Vectors for the kernels. Each kernel file is compiled for several instruction sets with KERNEL_SET (baseline, avx2,
 * avx512) and KERNEL_LANES (8 or 16) given by the build; KERNEL(name) tells the copies apart. */
#ifndef WORKER_ENGINE_ONEDNN_KERNELS_LANES_H
#define WORKER_ENGINE_ONEDNN_KERNELS_LANES_H

#include "worker/engine/onednn/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

/* The smaller of two, the larger, the nearest integer, the reciprocal. NaN in `value` stays NaN. */
#if defined(__AVX512F__) && KERNEL_LANES == 16

KERNEL_INLINE lanes at_most(lanes value, lanes bound)
{
    return (lanes)_mm512_min_ps((__m512)bound, (__m512)value);
}

KERNEL_INLINE lanes at_least(lanes value, lanes bound)
{
    return (lanes)_mm512_max_ps((__m512)bound, (__m512)value);
}

KERNEL_INLINE lanes nearest(lanes value)
{
    return (lanes)_mm512_roundscale_ps((__m512)value,
                                       _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* 1 / value to 2^-23: a step of Newton's after the instruction's 2^-14; a division takes several times as long. */
KERNEL_INLINE lanes reciprocal(lanes value)
{
    const lanes near = (lanes)_mm512_rcp14_ps((__m512)value);
    return near * (2.0f - value * near);
}

#elif defined(__AVX__) && KERNEL_LANES == 8

KERNEL_INLINE lanes reciprocal(lanes value)
{
    return 1.0f / value;
}

KERNEL_INLINE lanes at_most(lanes value, lanes bound)
{
    return (lanes)_mm256_min_ps((__m256)bound, (__m256)value);
}

KERNEL_INLINE lanes at_least(lanes value, lanes bound)
{
    return (lanes)_mm256_max_ps((__m256)bound, (__m256)value);
}

KERNEL_INLINE lanes nearest(lanes value)
{
    return (lanes)_mm256_round_ps((__m256)value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

#else

KERNEL_INLINE lanes reciprocal(lanes value)
{
    return 1.0f / value;
}

KERNEL_INLINE lanes choose(int_lanes mask, lanes yes, lanes no)
{
    return (lanes)((mask & (int_lanes)yes) | (~mask & (int_lanes)no));
}

KERNEL_INLINE lanes at_most(lanes value, lanes bound)
{
    return choose(value > bound, bound, value);
}

KERNEL_INLINE lanes at_least(lanes value, lanes bound)
{
    return choose(value < bound, bound, value);
}

/* Exact below 2^22: adding 1.5 * 2^23 leaves no room for a fraction. */
KERNEL_INLINE lanes nearest(lanes value)
{
    const lanes round = all(12582912.0f);
    return (value + round) - round;
}

#endif

/* 1 / (1 + exp(-x)), relative error below 3e-7 + 1e-7 |x|; NaN stays NaN. With t = -x / log 2 and n the nearest integer,
 * exp(-x) = 2^n p(t - n), p the minimax polynomial of 2^f on [-1/2, 1/2]. */
KERNEL_INLINE lanes sigmoid_lanes(lanes x)
{
    const lanes bounded = at_least(at_most(x, all(86.0f)), all(-86.0f));
    const lanes n = nearest(bounded * -1.44269504f), f = bounded * -1.44269504f - n;
    lanes p = all(1.327647245e-3f);
    p = p * f + 9.675540961e-3f;
    p = p * f + 5.550713092e-2f;
    p = p * f + 2.402212024e-1f;
    p = p * f + 6.931469440e-1f;
    p = p * f + 1.000000119f;
    const lanes power = (lanes)((int_lanes)p + (__builtin_convertvector(n, int_lanes) << 23));
    return reciprocal(1.0f + power);
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
