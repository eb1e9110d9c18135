/* Vectors for the kernels. Each kernel file is compiled for several instruction sets with KERNEL_SET (baseline, avx2,
 * avx512, avx512_bf16) and KERNEL_LANES (8 or 16) given by the build; KERNEL(name) tells the copies apart. With
 * KERNEL_BFLOAT maps are bfloat16. */
#ifndef WORKER_ENGINE_ONEDNN_KERNELS_LANES_H
#define WORKER_ENGINE_ONEDNN_KERNELS_LANES_H

#include "worker/engine/onednn/kernels.h"

#include <string.h>

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

/* ---- maps: elements of type `mapped` ---- */

#ifdef KERNEL_BFLOAT

typedef uint16_t mapped;
typedef uint16_t short_lanes __attribute__((vector_size(KERNEL_LANES * 2), may_alias));
typedef uint32_t uint_lanes __attribute__((vector_size(KERNEL_LANES * 4), may_alias));

KERNEL_INLINE lanes load_map(const mapped *map, size_t i)
{
    return (lanes)(__builtin_convertvector(((const short_lanes *)map)[i], uint_lanes) << 16);
}

#ifdef __AVX512BF16__

KERNEL_INLINE void store_map(mapped *map, size_t i, lanes value)
{
    ((short_lanes *)map)[i] = (short_lanes)_mm512_cvtneps_pbh((__m512)value);
}

#else

/* The instruction's result but for subnormal floats, which it takes for zero. A NaN keeps a bit that says so. */
KERNEL_INLINE void store_map(mapped *map, size_t i, lanes value)
{
    const uint_lanes bits = (uint_lanes)value;
    const uint_lanes is_nan = (uint_lanes)((bits & 0x7fffffff) > 0x7f800000);
    const uint_lanes rounded = bits + 0x7fff + ((bits >> 16) & 1);
    const uint_lanes chosen = (is_nan & (bits | 0x400000)) | (~is_nan & rounded);
    ((short_lanes *)map)[i] = __builtin_convertvector(chosen >> 16, short_lanes);
}

#endif

KERNEL_INLINE mapped mapped_of(float value)
{
    uint32_t bits;
    if (value != value)
        return 0x7fc0;
    memcpy(&bits, &value, sizeof bits);
    return (mapped)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

#else

typedef float mapped;

KERNEL_INLINE lanes load_map(const mapped *map, size_t i)
{
    return load(map, i);
}

KERNEL_INLINE void store_map(mapped *map, size_t i, lanes value)
{
    store(map, i, value);
}

KERNEL_INLINE mapped mapped_of(float value)
{
    return value;
}

#endif

/* ---- arithmetic ---- */

/* 2^f for f in [-1/2, 1/2], minimax polynomials: relative error 7.5e-8, or 7.5e-5 where `rough`. */
KERNEL_INLINE lanes power_of_fraction(lanes f, const bool rough)
{
    if (rough) {
        const lanes p = (all(5.51716685e-2f) * f + 2.42611125e-1f) * f + 6.93260968e-1f;
        return p * f + 9.99928057e-1f;
    }
    lanes p = all(1.327647245e-3f);
    p = p * f + 9.675540961e-3f;
    p = p * f + 5.550713092e-2f;
    p = p * f + 2.402212024e-1f;
    p = p * f + 6.931469440e-1f;
    return p * f + 1.000000119f;
}

/* exp(-x) and 1 / value. With t = -x / log 2 and n the nearest integer, exp(-x) = 2^n 2^(t - n). NaN stays NaN; an x past
 * 86 either way gives something whose sigmoid is 1, or almost 0. */
#if defined(__AVX512F__) && KERNEL_LANES == 16

KERNEL_INLINE lanes exp_of_negative(lanes x, const bool rough)
{
    const __m512 bound = _mm512_set1_ps(-86.0f); /* Newton's step cannot take infinity */
    const lanes t = (lanes)(rough ? (__m512)x : _mm512_max_ps(bound, (__m512)x)) * -1.44269504f;
    const lanes f = (lanes)_mm512_reduce_ps((__m512)t, _MM_FROUND_TO_NEAREST_INT);
    return (lanes)_mm512_scalef_ps((__m512)power_of_fraction(f, rough), (__m512)(t - f));
}

/* The instruction's relative error is 2^-14; a step of Newton's makes that of a division, which takes longer. */
KERNEL_INLINE lanes reciprocal(lanes value, const bool rough)
{
    const lanes near = (lanes)_mm512_rcp14_ps((__m512)value);
    if (rough)
        return near;
    return near * (2.0f - value * near);
}

#else

#if defined(__AVX__) && KERNEL_LANES == 8

KERNEL_INLINE lanes bounded_of(lanes x)
{
    const __m256 most = _mm256_set1_ps(86.0f), least = _mm256_set1_ps(-86.0f);
    return (lanes)_mm256_max_ps(least, _mm256_min_ps(most, (__m256)x));
}

KERNEL_INLINE lanes nearest(lanes value)
{
    return (lanes)_mm256_round_ps((__m256)value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

#else

KERNEL_INLINE lanes choose(int_lanes mask, lanes yes, lanes no)
{
    return (lanes)((mask & (int_lanes)yes) | (~mask & (int_lanes)no));
}

KERNEL_INLINE lanes bounded_of(lanes x)
{
    const lanes below = choose(x > all(86.0f), all(86.0f), x);
    return choose(below < all(-86.0f), all(-86.0f), below);
}

/* Exact below 2^22: adding 1.5 * 2^23 leaves no room for a fraction. */
KERNEL_INLINE lanes nearest(lanes value)
{
    const lanes round = all(12582912.0f);
    return (value + round) - round;
}

#endif

KERNEL_INLINE lanes exp_of_negative(lanes x, const bool rough)
{
    const lanes bounded = bounded_of(x);
    const lanes n = nearest(bounded * -1.44269504f), f = bounded * -1.44269504f - n;
    const int_lanes exponent = __builtin_convertvector(n, int_lanes) << 23;
    return (lanes)((int_lanes)power_of_fraction(f, rough) + exponent);
}

KERNEL_INLINE lanes reciprocal(lanes value, const bool rough)
{
    (void)rough;
    return 1.0f / value;
}

#endif

/* 1 / (1 + exp(-x)), relative error below 3e-7 + 1e-7 |x|. */
KERNEL_INLINE lanes sigmoid_lanes(lanes x)
{
    return reciprocal(1.0f + exp_of_negative(x, false), false);
}

/* The same for values that maps hold: where those are bfloat16, a fortieth of their last place is error enough. */
KERNEL_INLINE lanes sigmoid_mapped(lanes x)
{
    const bool rough = sizeof(mapped) < sizeof(float);
    return reciprocal(1.0f + exp_of_negative(x, rough), rough);
}

/* d silu(x) / dx */
KERNEL_INLINE lanes silu_slope(lanes x)
{
    const lanes s = sigmoid_lanes(x);
    return s + s * x * (1.0f - s);
}

KERNEL_INLINE lanes silu_slope_mapped(lanes x)
{
    const lanes s = sigmoid_mapped(x);
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
