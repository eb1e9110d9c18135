/* What lets a kernel be compiled twice: by nvcc for the device, and by the ordinary compiler for the emulator of tests/emulator,
 * which runs it where there is no device. Headers named *_body.h are written on this. */
#ifndef KERNELS_PORTABLE_H
#define KERNELS_PORTABLE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define KERNEL_BODY __host__ __device__ static inline
#else
#define KERNEL_BODY static inline
#endif

/* Before a loop whose loads should be on their way together. */
#ifdef __CUDA_ARCH__
#define KERNEL_UNROLL _Pragma("unroll 4")
#else
#define KERNEL_UNROLL
#endif

/* Before a loop over an array that has to stay in registers. */
#ifdef __CUDA_ARCH__
#define KERNEL_UNROLL_ALL _Pragma("unroll")
#else
#define KERNEL_UNROLL_ALL
#endif

/* 16 bytes, read and written by one instruction. */
enum { QUAD_FLOATS = 4, OCTET_HALVES = 8 };

struct quad {
    float v[QUAD_FLOATS];
} __attribute__((aligned(16)));

/* Values of bfloat16. */
struct octet {
    uint16_t v[OCTET_HALVES];
} __attribute__((aligned(16)));

struct half_quad {
    uint16_t v[QUAD_FLOATS];
} __attribute__((aligned(8)));

/* Floats first .. first + 3 of an array of `count`, aligned to 16 bytes; 0 for those beyond its end. */
KERNEL_BODY struct quad quad_load(const float *values, size_t first, size_t count)
{
    struct quad quad = {{0, 0, 0, 0}};
    if (first + QUAD_FLOATS <= count)
        return *(const struct quad *)(const void *)(values + first);
    for (size_t i = 0; i < QUAD_FLOATS; i++)
        if (first + i < count)
            quad.v[i] = values[first + i];
    return quad;
}

/* Those beyond `count` are not written. */
KERNEL_BODY void quad_store(float *values, size_t first, size_t count, struct quad quad)
{
    if (first + QUAD_FLOATS <= count) {
        *(struct quad *)(void *)(values + first) = quad;
        return;
    }
    for (size_t i = 0; i < QUAD_FLOATS; i++)
        if (first + i < count)
            values[first + i] = quad.v[i];
}

KERNEL_BODY uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

KERNEL_BODY float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The upper half of a float's bits, rounded to nearest, to even; a NaN stays one. Two of them: the first in the lower half. */
#ifdef __CUDA_ARCH__
__device__ static inline uint32_t bfloats_of(float low, float high)
{
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

__device__ static inline uint16_t bfloat_of(float value)
{
    return (uint16_t)bfloats_of(value, 0.0f);
}
#else
static inline uint16_t bfloat_of(float value)
{
    const uint32_t bits = bits_of(value);
    if (value != value)
        return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline uint32_t bfloats_of(float low, float high)
{
    return bfloat_of(low) | (uint32_t)bfloat_of(high) << 16;
}
#endif

KERNEL_BODY float float_of_bfloat(uint16_t half)
{
    return float_of_bits((uint32_t)half << 16);
}

/* 8 values from an array aligned to 16 bytes. */
KERNEL_BODY void octet_load(const uint16_t *halves, float *ret_values)
{
    const struct octet octet = *(const struct octet *)(const void *)halves;
    for (uint32_t i = 0; i < OCTET_HALVES; i += 2) {
        uint32_t pair;
        memcpy(&pair, octet.v + i, sizeof pair);
        ret_values[i] = float_of_bits(pair << 16);
        ret_values[i + 1] = float_of_bits(pair & 0xffff0000u);
    }
}

KERNEL_BODY void octet_store(uint16_t *halves, const float *values)
{
    struct octet octet;
    for (uint32_t i = 0; i < OCTET_HALVES; i += 2) {
        const uint32_t pair = bfloats_of(values[i], values[i + 1]);
        memcpy(octet.v + i, &pair, sizeof pair);
    }
    *(struct octet *)(void *)halves = octet;
}

/* One operation of the device's special-function unit, relative error 2^-11; exact on the host. */
#ifdef __CUDA_ARCH__
__device__ static inline float tanh_fast(float x)
{
    float y;
    asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
#else
static inline float tanh_fast(float x)
{
    return tanhf(x);
}
#endif

KERNEL_BODY float sigmoid_of(float x)
{
    return 0.5f + 0.5f * tanh_fast(0.5f * x);
}

KERNEL_BODY float silu_of(float x)
{
    return x * sigmoid_of(x);
}

KERNEL_BODY float silu_slope(float x)
{
    const float s = sigmoid_of(x);
    return s + x * s * (1.0f - s);
}

/* Sums of a block are made by a tree: at every level the upper half of `active` values is added to the lower one, by all
 * threads at once, until one is left. Between two levels the block waits. */
KERNEL_BODY uint32_t tree_half(uint32_t active)
{
    return (active + 1) / 2;
}

KERNEL_BODY void tree_level(double *sums, uint32_t thread, uint32_t active)
{
    const uint32_t half = tree_half(active);
    if (thread + half < active)
        sums[thread] += sums[thread + half];
}

#endif
