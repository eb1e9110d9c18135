/* Our own CPU kernels: what the library does slowly or not at all (docs/engine.md has the figures).
 *
 * They are plain C on GCC's vector types, compiled once for each instruction set and chosen when the device is opened.
 * Maps are blocked: (images, blocks, pixels, lanes), a block being `lanes` channels; channels past the last are zero in
 * maps and parameters alike, and every kernel keeps them so. Pointers to maps and parameters are aligned to 64 bytes.
 * A set's maps are floats, or bfloat16 (the upper half of a float, rounded to the nearest, to even): pointers to void here.
 * Everything else is float, and so is all arithmetic.
 * Sums that reach over a whole batch are handed over in double; every order of additions is fixed, so that the same inputs
 * give the same bits. */
#ifndef WORKER_ENGINE_ONEDNN_KERNELS_H
#define WORKER_ENGINE_ONEDNN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KERNELS_LANES_MAX = 16, KERNELS_KERNEL_MAX = 7, KERNELS_SETS_MAX = 3 };

struct kernel_map {
    uint32_t images, blocks;
    size_t pixels;
};

/* Normalisation is used as pre = z slope + offset, with one slope and offset a channel. */
struct norm_apply {
    const void *z;
    const float *slope, *offset;
    const void *residual; /* added last; or NULL */
    const float *branch;  /* a factor an image; NULL: 1. Only where there is a residual */
    void *y;              /* branch act(pre) + residual */
    void *act_slope;      /* out: act'(pre), where silu; or NULL */
    bool silu;
};

struct norm_reduce {
    const void *z;
    const float *slope, *offset, *mean;
    const void *dy;
    const void *residual;  /* a second gradient of the same tensor, added to dy; or NULL */
    const void *act_slope; /* act'(pre) as norm_apply left it; or NULL: computed again */
    const float *branch;   /* a factor an image, in the sums but not in what is kept; NULL: 1 */
    void *g;               /* out: dy act'(pre), or the whole dy where keep_dy; may be dy itself */
    double *sum, *product; /* += sum of branch g, of branch g (z - mean); a channel each */
    bool silu, keep_dy;    /* keep_dy needs silu, and act_slope NULL */
};

struct norm_dz {
    const void *z, *g;
    const float *slope, *offset; /* read only where g is a dy that still lacks act'(pre) */
    const float *by_g, *by_z, *constant;
    const float *branch; /* a factor an image; NULL: 1 */
    void *dz;            /* by_g branch g + by_z z + constant */
    bool g_is_dy;
};

/* Padding kernel / 2; weights (blocks, kernel, kernel, lanes). */
struct depthwise_shape {
    uint32_t images, blocks, in_size, out_size, kernel, stride;
};

/* The first convolution: images (images, in_size, in_size, channels), weights (blocks, kernel, kernel, channels, lanes). */
struct stem_shape {
    uint32_t images, channels, blocks, in_size, out_size, kernel, stride;
};

/* A matrix w (out, in) between wide rows (rows, in) and narrow rows (rows, out); in is a multiple of lanes. */
struct kernel_linear {
    uint32_t rows, in, out;
};

struct kernels {
    const char *name;
    uint32_t lanes;
    size_t map_bytes; /* of an element of a map: 4 float, 2 bfloat16 */

    /* The first pixel of every channel of the first image. */
    void (*norm_pivot)(const struct kernel_map *map, const void *z, float *ret_pivot);
    /* sum += z - pivot, squares += (z - pivot)^2; pivot is any value near the channel's mean */
    void (*norm_sums)(const struct kernel_map *map, const void *z, const float *pivot, double *sum,
                      double *squares);
    void (*norm_apply)(const struct kernel_map *map, const struct norm_apply *apply);
    void (*norm_reduce)(const struct kernel_map *map, const struct norm_reduce *reduce);
    void (*norm_dz)(const struct kernel_map *map, const struct norm_dz *dz);

    /* `scratch`: depthwise_scratch floats */
    size_t (*depthwise_scratch)(const struct depthwise_shape *shape);
    void (*depthwise_forward)(const struct depthwise_shape *shape, const void *x, const float *w,
                              void *z, float *scratch);
    void (*depthwise_backward_data)(const struct depthwise_shape *shape, const void *dz,
                                    const float *w, void *dx, float *scratch);
    /* dw += */
    void (*depthwise_backward_weights)(const struct depthwise_shape *shape, const void *x,
                                       const void *dz, float *dw, float *scratch);

    size_t (*stem_scratch)(const struct stem_shape *shape);
    /* The images, floats, as (images, channels, in_size, in_size) in the set's own type. */
    void (*stem_plain)(const struct stem_shape *shape, const float *x, void *ret_plain);
    void (*stem_backward_weights)(const struct stem_shape *shape, const float *x, const void *dz,
                                  float *dw, float *scratch);

    /* means and gates: (images, blocks * lanes) */
    void (*map_mean)(const struct kernel_map *map, const void *x, float *ret_mean);
    void (*gate_apply)(const struct kernel_map *map, const void *x, const float *gate, void *ret_y);
    /* dgate = sum over pixels of dy x */
    void (*gate_reduce)(const struct kernel_map *map, const void *x, const void *dy,
                        float *ret_dgate);
    /* d = d gate + addend */
    void (*gate_spread)(const struct kernel_map *map, const float *gate, const float *addend,
                        void *d);
    /* d = addend */
    void (*map_fill)(const struct kernel_map *map, const float *addend, void *ret_d);

    /* counts are multiples of lanes */
    void (*silu)(size_t count, const float *x, float *ret_y);
    void (*silu_backward)(size_t count, const float *x, const float *dy, float *ret_dx);
    void (*sigmoid)(size_t count, const float *x, float *ret_y);

    /* narrow = wide w' + b; b may be NULL */
    void (*linear_dot)(const struct kernel_linear *shape, const float *wide, const float *w,
                       const float *b, float *ret_narrow);
    /* wide = narrow w + b; b may be NULL */
    void (*linear_mix)(const struct kernel_linear *shape, const float *narrow, const float *w,
                       const float *b, float *ret_wide);
    /* dw += narrow' wide */
    void (*linear_outer)(const struct kernel_linear *shape, const float *narrow, const float *wide,
                         float *dw);
    /* sums += values (rows, count) */
    void (*row_sums)(size_t rows, size_t count, const float *values, float *sums);
};

/* Sets with maps of floats for instruction sets that this processor has, the best first; NULL past the end. */
const struct kernels *kernels_at(size_t index);
/* The set with maps of bfloat16, as many lanes as kernels_at(0)'s; NULL where the processor has no instructions for them. */
const struct kernels *kernels_bfloat(void);

/* The sets themselves, whether the processor has their instructions or not; all but the first on x86-64 only. */
extern const struct kernels kernels_baseline, kernels_avx2, kernels_avx512, kernels_avx512_bf16;

#endif
