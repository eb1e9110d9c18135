/* Our own kernels one by one, every set that this processor runs, against plain loops. Where maps are bfloat16, what goes in
 * can be written so exactly, and what comes out is rounded to it. */
#include "tests/ops/support.h"
#include "worker/engine/onednn/kernels.h"
#include "worker/engine/reference/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 16 lanes for a processor that has 8, and bfloat16 for one that has no instructions for it. */
extern const struct kernels kernels_wide, kernels_wide_bf16;

/* Sets that this processor runs; NULL past the end. */
static const struct kernels *set_at(size_t index)
{
    const struct kernels *sets[KERNELS_SETS_MAX + 4] = {NULL};
    size_t count = 0;
    while (kernels_at(count)) {
        sets[count] = kernels_at(count);
        count++;
    }
    if (!WIDE_NEEDS_AVX2 || count > 1) {
        sets[count++] = &kernels_wide;
        sets[count++] = &kernels_wide_bf16;
    }
    if (kernels_bfloat())
        sets[count++] = kernels_bfloat();
    return sets[index];
}

static bool is_bfloat(const struct kernels *set)
{
    return set->map_bytes == 2;
}

/* Of the largest output. */
static double tolerance_of(const struct kernels *set)
{
    return is_bfloat(set) ? 4e-3 : 1e-5;
}

/* Cuts off what a bfloat16 would not hold. */
static void values_cut(const struct kernels *set, float *values, size_t count)
{
    for (size_t i = 0; is_bfloat(set) && i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits &= 0xffff0000;
        memcpy(&values[i], &bits, sizeof bits);
    }
}

/* The values as a map of the set's, to be freed. */
static void *map_of(const struct kernels *set, const float *values, size_t count)
{
    const size_t bytes = (count * set->map_bytes + 63) / 64 * 64;
    unsigned char *map = aligned_alloc(64, bytes);
    assert_non_null(map);
    for (size_t i = 0; i < count; i++) /* the upper half of a little-endian float */
        memcpy(map + i * set->map_bytes,
               (const unsigned char *)&values[i] + sizeof *values - set->map_bytes, set->map_bytes);
    return map;
}

/* And back, to be freed. */
static float *values_of(const struct kernels *set, const void *map, size_t count)
{
    float *values = zero_values(count);
    for (size_t i = 0; i < count; i++)
        memcpy((unsigned char *)&values[i] + sizeof *values - set->map_bytes,
               (const unsigned char *)map + i * set->map_bytes, set->map_bytes);
    return values;
}

/* `count` random floats on a cache line. */
static float *aligned_random(size_t count, uint64_t seed)
{
    const size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
    float *values = aligned_alloc(64, bytes), *random = random_values(count, seed);
    assert_non_null(values);
    memcpy(values, random, count * sizeof *values);
    free(random);
    return values;
}

/* The same, such that a map holds them. */
static float *map_random(const struct kernels *set, size_t count, uint64_t seed)
{
    float *values = aligned_random(count, seed);
    values_cut(set, values, count);
    return values;
}

/* Blocked (images, blocks, pixels, lanes) -> (images, pixels, channels). */
static float *unblocked(const struct kernel_map *map, uint32_t lanes, const float *blocked)
{
    float *plain = zero_values((size_t)map->images * map->blocks * map->pixels * lanes);
    size_t at = 0;
    for (size_t n = 0; n < map->images; n++)
        for (size_t b = 0; b < map->blocks; b++)
            for (size_t p = 0; p < map->pixels; p++)
                for (size_t l = 0; l < lanes; l++)
                    plain[((n * map->pixels + p) * map->blocks + b) * lanes + l] = blocked[at++];
    return plain;
}

/* (blocks, k, k, lanes) -> (channels, 1, k, k) */
static float *unblocked_filter(const struct depthwise_shape *shape, uint32_t lanes,
                               const float *blocked)
{
    const size_t taps = (size_t)shape->kernel * shape->kernel;
    float *plain = zero_values(shape->blocks * taps * lanes);
    size_t at = 0;
    for (size_t b = 0; b < shape->blocks; b++)
        for (size_t t = 0; t < taps; t++)
            for (size_t l = 0; l < lanes; l++)
                plain[(b * lanes + l) * taps + t] = blocked[at++];
    return plain;
}

struct depthwise_case {
    struct depthwise_shape shape;
    struct conv_shape plain;
    struct kernel_map in, out;
    float *w, *got, *scratch;
    void *x, *dz; /* maps */
    float *plain_x, *plain_w, *plain_dz;
    size_t in_count, out_count, w_count;
};

static struct depthwise_case depthwise_case_make(const struct kernels *set, uint32_t size,
                                                 uint32_t kernel, uint32_t stride)
{
    const uint32_t out = (size + stride - 1) / stride, lanes = set->lanes;
    struct depthwise_case c = {.shape = {2, 2, size, out, kernel, stride},
                               .plain = {2, size, 2 * lanes, out, 2 * lanes, kernel, stride},
                               .in = {2, 2, (size_t)size * size},
                               .out = {2, 2, (size_t)out * out}};
    c.in_count = 4 * c.in.pixels * lanes;
    c.out_count = 4 * c.out.pixels * lanes;
    c.w_count = (size_t)2 * kernel * kernel * lanes;
    float *x = map_random(set, c.in_count, 1), *dz = map_random(set, c.out_count, 3);
    c.w = aligned_random(c.w_count, 2);
    c.got = aligned_random(c.in_count + c.out_count + c.w_count, 4);
    c.scratch = aligned_random(set->depthwise_scratch(&c.shape), 5);
    c.plain_x = unblocked(&c.in, lanes, x);
    c.plain_w = unblocked_filter(&c.shape, lanes, c.w);
    c.plain_dz = unblocked(&c.out, lanes, dz);
    c.x = map_of(set, x, c.in_count);
    c.dz = map_of(set, dz, c.out_count);
    free(x);
    free(dz);
    return c;
}

static void depthwise_case_free(struct depthwise_case *c)
{
    void *const buffers[] = {c->x,       c->w,       c->dz,      c->got,
                             c->scratch, c->plain_x, c->plain_w, c->plain_dz};
    for (size_t i = 0; i < ARRAY_LENGTH(buffers); i++)
        free(buffers[i]);
}

/* A map as (images, pixels, channels), to be freed. */
static float *plain_of(const struct kernels *set, const struct kernel_map *map, const void *blocked)
{
    float *values =
        values_of(set, blocked, (size_t)map->images * map->blocks * map->pixels * set->lanes);
    float *plain = unblocked(map, set->lanes, values);
    free(values);
    return plain;
}

static void check_depthwise(const struct kernels *set, uint32_t size, uint32_t kernel,
                            uint32_t stride)
{
    struct depthwise_case c = depthwise_case_make(set, size, kernel, stride);
    float *want = zero_values(c.out_count), *dx = zero_values(c.in_count),
          *dw = zero_values(c.w_count);
    depthwise_forward(&c.plain, c.plain_x, c.plain_w, want);
    depthwise_backward(&c.plain, c.plain_x, c.plain_w, c.plain_dz, dx, dw);

    set->depthwise_forward(&c.shape, c.x, c.w, c.got, c.scratch);
    float *got = plain_of(set, &c.out, c.got);
    assert_close("z", got, want, c.out_count, tolerance_of(set));
    free(got);
    set->depthwise_backward_data(&c.shape, c.dz, c.w, c.got, c.scratch);
    got = plain_of(set, &c.in, c.got);
    assert_close("dx", got, dx, c.in_count, tolerance_of(set));
    free(got);
    memset(c.got, 0, c.w_count * sizeof *c.got);
    set->depthwise_backward_weights(&c.shape, c.x, c.dz, c.got, c.scratch);
    set->depthwise_backward_weights(&c.shape, c.x, c.dz, c.got, c.scratch);
    got = unblocked_filter(&c.shape, set->lanes, c.got);
    for (size_t i = 0; i < c.w_count; i++)
        dw[i] *= 2;
    assert_close("dw, added twice", got, dw, c.w_count, 1e-5);
    free(got);
    free(want);
    free(dx);
    free(dw);
    depthwise_case_free(&c);
}

static void test_depthwise_equals_the_reference(void **state)
{
    (void)state;
    static const uint32_t kernels[] = {1, 3, 5, 7}, sizes[] = {1, 2, 4, 7, 13};
    for (size_t s = 0; set_at(s); s++)
        for (size_t k = 0; k < ARRAY_LENGTH(kernels); k++)
            for (size_t size = 0; size < ARRAY_LENGTH(sizes); size++)
                for (uint32_t stride = 1; stride <= 2; stride++)
                    check_depthwise(set_at(s), sizes[size], kernels[k], stride);
}

static void test_sigmoid_is_exact_to_seven_digits_and_keeps_nan(void **state)
{
    (void)state;
    enum { COUNT = 2048 };
    static float x[COUNT] __attribute__((aligned(64))), y[COUNT] __attribute__((aligned(64)));
    for (size_t s = 0; set_at(s); s++) {
        for (int i = 0; i < COUNT; i++)
            x[i] = (float)(i - COUNT / 2) / 12.0f;
        set_at(s)->sigmoid(COUNT, x, y);
        for (int i = 0; i < COUNT; i++) {
            const double want = 1 / (1 + exp(-(double)x[i]));
            assert_true(fabs((double)y[i] - want) <= (3e-7 + 1e-7 * fabs((double)x[i])) * want);
        }
        x[0] = NAN;
        x[1] = INFINITY;
        x[2] = -INFINITY;
        x[3] = 1e30f;
        set_at(s)->sigmoid(COUNT, x, y);
        assert_true((bool)isnan(y[0]));
        assert_true(y[1] == 1 && y[3] == 1);
        assert_true(y[2] >= 0 && y[2] < 1e-37f);
        x[1] = 0;
        set_at(s)->silu(COUNT, x, y);
        assert_true(y[1] == 0);
    }
}

/* A channel far from zero: squares about the pivot lose nothing, squares about zero would lose everything. */
static void test_sums_about_a_pivot_survive_a_large_mean(void **state)
{
    (void)state;
    const struct kernel_map map = {3, 1, 50};
    for (size_t s = 0; set_at(s); s++) {
        const uint32_t lanes = set_at(s)->lanes;
        const size_t count = 150 * lanes;
        float *z = aligned_random(count, 7), pivot[KERNELS_LANES_MAX] __attribute__((aligned(64)));
        const float mean = is_bfloat(set_at(s)) ? 128 : 10000; /* and the quarters still fit */
        double sum[KERNELS_LANES_MAX] = {0}, squares[KERNELS_LANES_MAX] = {0};
        for (size_t i = 0; i < count; i++)
            z[i] = mean + 0.25f * roundf(4 * z[i]);
        values_cut(set_at(s), z, count);
        void *zs = map_of(set_at(s), z, count);
        set_at(s)->norm_pivot(&map, zs, pivot);
        assert_memory_equal(pivot, z, lanes * sizeof *pivot);
        set_at(s)->norm_sums(&map, zs, pivot, sum, squares);
        free(zs);
        for (uint32_t l = 0; l < lanes; l++) {
            double want = 0, want_squares = 0;
            for (size_t i = l; i < count; i += lanes) {
                const double off = (double)z[i] - (double)pivot[l];
                want += off;
                want_squares += off * off;
            }
            assert_true(sum[l] == want);
            assert_true(squares[l] == want_squares);
        }
        free(z);
    }
}

/* Halves round to the even neighbour; an infinity, and what is no number, stay what they are. */
static void test_maps_of_bfloat16_are_rounded_to_the_nearest(void **state)
{
    (void)state;
    static const struct {
        uint32_t bits, want;
    } cases[] = {{0x3f800000, 0x3f80}, {0x3f807fff, 0x3f80}, {0x3f808000, 0x3f80},
                 {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, {0xbf818000, 0xbf82},
                 {0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80},
                 {0x00000000, 0x0000}, {0x80000000, 0x8000}};
    for (size_t s = 0; set_at(s); s++) {
        const struct kernel_map map = {1, 1, 1};
        float addend[KERNELS_LANES_MAX] __attribute__((aligned(64))) = {0};
        uint16_t got[KERNELS_LANES_MAX] __attribute__((aligned(64)));
        if (!is_bfloat(set_at(s)))
            continue;
        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
            memcpy(&addend[i], &cases[i].bits, sizeof *addend);
        static const uint32_t widest_nan = 0x7fffffff;
        memcpy(&addend[ARRAY_LENGTH(cases)], &widest_nan, sizeof *addend);
        set_at(s)->map_fill(&map, addend, got);
        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
            assert_int_equal(got[i], cases[i].want);
        assert_true((got[ARRAY_LENGTH(cases)] & 0x7fff) > 0x7f80);
    }
}

/* act(pre) and its slope through maps, which the rough sigmoid of a set for bfloat16 must not be seen in. */
static void test_activation_of_maps_is_exact_to_their_last_digit(void **state)
{
    (void)state;
    enum { PIXELS = 64 };
    for (size_t s = 0; set_at(s); s++) {
        const struct kernels *set = set_at(s);
        const struct kernel_map map = {1, 1, PIXELS};
        const size_t count = PIXELS * set->lanes;
        float ones[KERNELS_LANES_MAX] __attribute__((aligned(64)));
        float zeroes[KERNELS_LANES_MAX] __attribute__((aligned(64))) = {0};
        float *z = zero_values(count);
        for (size_t i = 0; i < count; i++)
            z[i] = 60.0f * ((float)i / (float)count - 0.5f);
        z[0] = 3e38f;
        values_cut(set, z, count);
        for (uint32_t l = 0; l < set->lanes; l++)
            ones[l] = 1;
        void *zs = map_of(set, z, count), *y = map_of(set, z, count),
             *slope = map_of(set, z, count);
        set->norm_apply(&map, &(struct norm_apply){.z = zs,
                                                   .slope = ones,
                                                   .offset = zeroes,
                                                   .y = y,
                                                   .act_slope = slope,
                                                   .silu = true});
        float *got = values_of(set, y, count), *got_slope = values_of(set, slope, count);
        const double relative = is_bfloat(set) ? 4.2e-3 : 4e-6, absolute = 1e-30;
        for (size_t i = 0; i < count; i++) {
            const double x = (double)z[i], sigmoid = 1 / (1 + exp(-x)), want = x * sigmoid;
            assert_true(fabs((double)got[i] - want) <= relative * fabs(want) + absolute);
            const double want_slope = sigmoid + want * (1 - sigmoid);
            assert_true(fabs((double)got_slope[i] - want_slope) <=
                        relative * (fabs(want_slope) + fabs(want * (1 - sigmoid))) + absolute);
        }
        void *const buffers[] = {z, zs, y, slope, got, got_slope};
        for (size_t i = 0; i < ARRAY_LENGTH(buffers); i++)
            free(buffers[i]);
    }
}

struct stem_case {
    uint32_t size, channels, kernel, stride;
};

static void check_stem(const struct kernels *set, const struct stem_case *c)
{
    const uint32_t out = (c->size + c->stride - 1) / c->stride, lanes = set->lanes, k = c->kernel;
    const struct stem_shape shape = {2, c->channels, 2, c->size, out, k, c->stride};
    const struct conv_shape plain = {2, c->size, c->channels, out, 2 * lanes, k, c->stride};
    const struct kernel_map map = {2, 2, (size_t)out * out};
    const size_t w_count = (size_t)2 * lanes * c->channels * k * k;
    float *x = aligned_random((size_t)2 * c->size * c->size * c->channels, 1);
    float *dz = map_random(set, 4 * map.pixels * lanes, 2),
          *scratch = aligned_random(set->stem_scratch(&shape), 3);
    float *dw = aligned_random(w_count, 4), *want = zero_values(w_count), *w = zero_values(w_count);
    float *plain_dz = unblocked(&map, lanes, dz);
    memset(dw, 0, w_count * sizeof *dw);
    void *map_dz = map_of(set, dz, 4 * map.pixels * lanes);
    set->stem_backward_weights(&shape, x, map_dz, dw, scratch);
    free(map_dz);
    conv_backward(&plain, x, w, plain_dz, NULL, want);
    size_t at = 0;
    for (size_t b = 0; b < 2; b++)
        for (size_t tap = 0; tap < (size_t)k * k; tap++)
            for (size_t in = 0; in < c->channels; in++)
                for (size_t l = 0; l < lanes; l++)
                    w[((b * lanes + l) * c->channels + in) * k * k + tap] = dw[at++];
    assert_close("dw", w, want, w_count, 1e-5);
    float *const buffers[] = {x, dz, scratch, dw, want, w, plain_dz};
    for (size_t i = 0; i < ARRAY_LENGTH(buffers); i++)
        free(buffers[i]);
}

static void test_stem_gradient_equals_the_reference(void **state)
{
    (void)state;
    static const struct stem_case cases[] = {{1, 1, 3, 1}, {7, 1, 1, 2}, {8, 1, 3, 2}, {7, 3, 3, 1},
                                             {6, 3, 3, 2}, {9, 1, 5, 1}, {9, 3, 5, 2}, {9, 3, 7, 1},
                                             {9, 1, 7, 2}, {9, 2, 7, 2}};
    for (size_t s = 0; set_at(s); s++)
        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
            check_stem(set_at(s), &cases[i]);
}

static void check_products(const struct kernels *set, uint32_t rows, uint32_t in, uint32_t out)
{
    const struct kernel_linear shape = {rows, in, out};
    float *wide = aligned_random((size_t)rows * in, 1), *w = aligned_random((size_t)out * in, 2);
    float *narrow = aligned_random((size_t)rows * out, 3), *b = aligned_random(in + out, 4);
    float *dot = aligned_random((size_t)rows * out, 5), *mix = aligned_random((size_t)rows * in, 6);
    float *outer = aligned_random((size_t)out * in, 7), *zero = zero_values(in + out);
    float *want = zero_values((size_t)rows * out), *dx = zero_values((size_t)rows * in),
          *db = zero_values(out);
    memset(outer, 0, (size_t)out * in * sizeof *outer);
    set->linear_dot(&shape, wide, w, b, dot);
    set->linear_mix(&shape, narrow, w, NULL, mix);
    set->linear_outer(&shape, narrow, wide, outer);
    set->row_sums(rows, out, narrow, zero);
    float *dw = zero_values((size_t)out * in);
    linear_forward(&(struct linear_shape){rows, in, out}, wide, w, b, want);
    linear_backward(&(struct linear_shape){rows, in, out}, wide, w, narrow,
                    &(struct linear_gradients){dx, dw, db});
    assert_close("dot", dot, want, (size_t)rows * out, 1e-5);
    assert_close("mix", mix, dx, (size_t)rows * in, 1e-5);
    assert_close("outer", outer, dw, (size_t)out * in, 1e-5);
    assert_close("row sums", zero, db, out, 1e-5);
    float *const buffers[] = {wide, w, narrow, b, dot, mix, outer, zero, want, dx, db, dw};
    for (size_t i = 0; i < ARRAY_LENGTH(buffers); i++)
        free(buffers[i]);
}

static void test_products_equal_the_reference(void **state)
{
    (void)state;
    for (size_t s = 0; set_at(s); s++)
        for (uint32_t rows = 1; rows <= 5; rows++)
            for (uint32_t blocks = 1; blocks <= 9; blocks += 4)
                for (uint32_t out = 1; out <= 10; out += 3)
                    check_products(set_at(s), rows, blocks * set_at(s)->lanes, out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depthwise_equals_the_reference),
        cmocka_unit_test(test_sigmoid_is_exact_to_seven_digits_and_keeps_nan),
        cmocka_unit_test(test_sums_about_a_pivot_survive_a_large_mean),
        cmocka_unit_test(test_maps_of_bfloat16_are_rounded_to_the_nearest),
        cmocka_unit_test(test_activation_of_maps_is_exact_to_their_last_digit),
        cmocka_unit_test(test_stem_gradient_equals_the_reference),
        cmocka_unit_test(test_products_equal_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
