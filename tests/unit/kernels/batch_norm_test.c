#include "kernels/batch_norm.h"
#include "tests/unit/kernels/array.h"
#include "tests/unit/kernels/device_array.h"
#include "worker/engine/reference/ops.h"

#include "kernels/portable.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EPSILON 1e-3

/* One octet, odd numbers of them, one tile and several, fewer rows than a block has and more than the grid. */
static const struct batch_norm_shape SHAPES[] = {{1, 1, 8},    {2, 9, 8},     {3, 49, 24},
                                                 {1, 7, 256},  {5, 13, 264},  {2, 25, 520},
                                                 {7, 121, 48}, {3, 5000, 16}, {40, 4096, 8}};

/* The layer on the device. */
struct norm_mirror {
    struct batch_norm there;
    void *x, *scale, *shift;
};

static struct norm_mirror norm_new(const struct batch_norm *norm)
{
    struct norm_mirror mirrored = {*norm, device_array_mirror(norm->x),
                                   device_array_mirror(norm->scale),
                                   device_array_mirror(norm->shift)};
    mirrored.there.x = mirrored.x;
    mirrored.there.scale = mirrored.scale;
    mirrored.there.shift = mirrored.shift;
    mirrored.there.mean = device_array_mirror(norm->mean);
    mirrored.there.inverse = device_array_mirror(norm->inverse);
    mirrored.there.partials =
        device_array_new(batch_norm_partials(&norm->shape) * sizeof *norm->partials);
    return mirrored;
}

static void norm_free(const struct norm_mirror *mirrored, const struct batch_norm *norm)
{
    device_array_bring_back(mirrored->there.mean, norm->mean);
    device_array_bring_back(mirrored->there.inverse, norm->inverse);
    device_array_free(mirrored->there.partials);
    device_array_free(mirrored->x);
    device_array_free(mirrored->scale);
    device_array_free(mirrored->shift);
}

static void running_run(const struct batch_norm *norm, const struct batch_norm_running *running,
                        int (*launch)(const struct batch_norm *, const struct batch_norm_running *,
                                      struct CUstream_st *))
{
    const struct norm_mirror mirrored = norm_new(norm);
    struct batch_norm_running there = *running;
    there.mean = device_array_mirror(running->mean);
    there.variance = device_array_mirror(running->variance);
    assert_int_equal(launch(&mirrored.there, &there, NULL), 0);
    device_array_bring_back(there.mean, running->mean);
    device_array_bring_back(there.variance, running->variance);
    norm_free(&mirrored, norm);
}

static void run_norm_statistics(const struct batch_norm *norm,
                                const struct batch_norm_running *running)
{
    running_run(norm, running, batch_norm_statistics_launch);
}

static void run_norm_running(const struct batch_norm *norm,
                             const struct batch_norm_running *running)
{
    running_run(norm, running, batch_norm_running_launch);
}

static void run_norm_apply(const struct batch_norm *norm, const struct batch_norm_output *output)
{
    const struct norm_mirror mirrored = norm_new(norm);
    void *branch = device_array_mirror(output->branch),
         *residual = device_array_mirror(output->residual);
    void *gate = device_array_mirror(output->gate);
    const struct batch_norm_output there = {branch, gate, residual,
                                            device_array_mirror(output->ret_y)};
    assert_int_equal(batch_norm_apply_launch(&mirrored.there, &there, NULL), 0);
    device_array_bring_back(there.ret_y, output->ret_y);
    norm_free(&mirrored, norm);
    device_array_free(branch);
    device_array_free(gate);
    device_array_free(residual);
}

static void run_norm_pool(const struct batch_norm *norm, const struct batch_norm_pool *pool)
{
    const struct norm_mirror mirrored = norm_new(norm);
    void *features = device_array_mirror(pool->features);
    const struct batch_norm_pool there = {features, device_array_mirror(pool->ret_pooled)};
    assert_int_equal(batch_norm_pool_launch(&mirrored.there, &there, NULL), 0);
    device_array_bring_back(there.ret_pooled, pool->ret_pooled);
    norm_free(&mirrored, norm);
    device_array_free(features);
}

static void run_norm_backward(const struct batch_norm *norm,
                              const struct batch_norm_incoming *incoming,
                              const struct batch_norm_gradients *gradients)
{
    const struct norm_mirror mirrored = norm_new(norm);
    struct batch_norm_gradients there = *gradients;
    void *map = device_array_mirror(incoming->map), *branch = device_array_mirror(incoming->branch);
    void *gate = device_array_mirror(incoming->gate), *added = device_array_mirror(incoming->added);
    void *features = device_array_mirror(incoming->features);
    const struct batch_norm_incoming read = {map, branch, gate, added, features};
    there.dscale = device_array_mirror(gradients->dscale);
    there.dshift = device_array_mirror(gradients->dshift);
    there.ret_dx = device_array_mirror(gradients->ret_dx);
    there.means = device_array_new((size_t)2 * norm->shape.channels * sizeof(float));
    assert_int_equal(batch_norm_backward_launch(&mirrored.there, &read, &there, NULL), 0);
    device_array_bring_back(there.dscale, gradients->dscale);
    device_array_bring_back(there.dshift, gradients->dshift);
    device_array_bring_back(there.ret_dx, gradients->ret_dx);
    norm_free(&mirrored, norm);
    void *all[] = {there.means, map, branch, gate, added, features};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        device_array_free(all[i]);
}

static size_t rows_of(const struct batch_norm_shape *shape)
{
    return (size_t)shape->images * shape->pixels;
}

static size_t elements_of(const struct batch_norm_shape *shape)
{
    return rows_of(shape) * shape->channels;
}

static float *widened(const uint16_t *halves, size_t count)
{
    float *values = array_new(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = float_of_bfloat(halves[i]);
    return values;
}

/* mean + deviation normal */
static uint16_t *map_new(const struct batch_norm_shape *shape, float mean, float deviation,
                         uint64_t stream)
{
    const size_t count = elements_of(shape);
    float *values = array_normal(count, stream);
    uint16_t *halves = array_new(count * sizeof *halves);
    for (size_t i = 0; i < count; i++)
        halves[i] = bfloat_of(mean + deviation * values[i]);
    array_free(values);
    return halves;
}

/* A layer with its batch's statistics, and the same for the reference. */
struct layer {
    struct batch_norm norm;
    uint16_t *x;
    float *wide, *scale, *shift, *variance, *expected_mean;
    struct norm_shape shape;
    struct norm_parameters reference;
};

static struct layer layer_new(const struct batch_norm_shape *shape, bool silu)
{
    const size_t channels = shape->channels;
    struct layer layer = {.x = map_new(shape, 0.5f, 1.0f, 1),
                          .scale = array_normal(channels, 2),
                          .shift = array_normal(channels, 3),
                          .variance = array_zeros(channels),
                          .expected_mean = array_zeros(channels),
                          .shape = {rows_of(shape), shape->channels, EPSILON}};
    layer.wide = widened(layer.x, elements_of(shape));
    norm_statistics(&layer.shape, layer.wide, layer.expected_mean, layer.variance);
    layer.reference =
        (struct norm_parameters){layer.scale, layer.shift, layer.expected_mean, layer.variance};
    layer.norm = (struct batch_norm){.shape = *shape,
                                     .x = layer.x,
                                     .scale = layer.scale,
                                     .shift = layer.shift,
                                     .mean = array_new(channels * sizeof(float)),
                                     .inverse = array_new(channels * sizeof(float)),
                                     .silu = silu};
    const struct batch_norm_running running = {layer.expected_mean, layer.variance, 0.9, EPSILON,
                                               true};
    run_norm_running(&layer.norm, &running);
    return layer;
}

static void layer_free(const struct layer *layer)
{
    array_free(layer->x);
    array_free(layer->wide);
    array_free(layer->scale);
    array_free(layer->shift);
    array_free(layer->variance);
    array_free(layer->expected_mean);
    array_free(layer->norm.mean);
    array_free(layer->norm.inverse);
}

/* Rounded to bfloat16, which is off by up to 2^-9 of the value, after an error of `tolerance`. */
static void map_compare(const uint16_t *got, const float *expected, size_t count, double tolerance)
{
    for (size_t i = 0; i < count; i++) {
        const double want = (double)expected[i], have = (double)float_of_bfloat(got[i]);
        if (!(fabs(have - want) <= 0x1p-8 * fabs(want) + tolerance))
            fail_msg("value %zu of %zu is %g, not %g", i, count, have, want);
    }
}

/* Running means near the batch's, which is far from 0 beside its deviation; and at 0. */
static void statistics_compare(const struct batch_norm_shape *shape, float running_mean, bool keep)
{
    const size_t channels = shape->channels;
    uint16_t *x = map_new(shape, 3.0f, 0.25f, 7);
    float *wide = widened(x, elements_of(shape));
    float *mean = array_zeros(channels), *variance = array_zeros(channels);
    float *inverse = array_zeros(channels), *moved = array_zeros(channels);
    const struct norm_shape reference = {rows_of(shape), shape->channels, EPSILON};
    norm_statistics(&reference, wide, mean, variance);
    struct batch_norm norm = {.shape = *shape,
                              .x = x,
                              .scale = mean,
                              .shift = mean,
                              .mean = array_new(channels * sizeof(float)),
                              .inverse = array_new(channels * sizeof(float))};
    const struct batch_norm_running running = {array_zeros(channels), array_zeros(channels), 0.9,
                                               EPSILON, keep};
    const double kept = keep ? 1.0 : 0.9;
    for (size_t c = 0; c < channels; c++) {
        running.mean[c] = running_mean;
        running.variance[c] = 1.0f;
        inverse[c] = (float)(1 / sqrt((double)variance[c] + EPSILON));
        moved[c] = (float)(kept * (double)running_mean + (1 - kept) * (double)mean[c]);
        variance[c] = (float)(kept + (1 - kept) * (double)variance[c]);
    }
    run_norm_statistics(&norm, &running);
    array_assert_close(norm.mean, mean, channels, 1e-6);
    array_assert_close(norm.inverse, inverse, channels, running_mean > 0 ? 1e-5 : 1e-3);
    array_assert_close(running.mean, moved, channels, 1e-6);
    array_assert_close(running.variance, variance, channels, 1e-5);
    float *all[] = {wide,      mean,         variance,     inverse,         moved,
                    norm.mean, norm.inverse, running.mean, running.variance};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        array_free(all[i]);
    array_free(x);
}

static void test_statistics_equal_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(SHAPES); i++) {
        statistics_compare(&SHAPES[i], 2.875f, false);
        statistics_compare(&SHAPES[i], 2.875f, true);
        statistics_compare(&SHAPES[i], 0.0f, false);
    }
}

/* Some images are dropped. */
static float *branch_new(const struct batch_norm_shape *shape)
{
    float *branch = array_zeros(shape->images);
    for (uint32_t n = 0; n < shape->images; n++)
        branch[n] = n % 3 == 1 ? 0.0f : 1.25f;
    return branch;
}

/* Of squeeze-and-excitation, between 0 and 1. */
static float *gate_new(const struct batch_norm_shape *shape)
{
    const size_t count = (size_t)shape->images * shape->channels;
    float *gate = array_zeros(count);
    for (size_t i = 0; i < count; i++)
        gate[i] = (float)(i % 7 + 1) / 8.0f;
    return gate;
}

/* Factors of dropout. */
static float *features_new(const struct batch_norm_shape *shape)
{
    const size_t count = (size_t)shape->images * shape->channels;
    float *features = array_zeros(count);
    for (size_t i = 0; i < count; i++)
        features[i] = i % 5 == 2 ? 0.0f : 1.25f;
    return features;
}

/* Where a value of a map lies in (images, channels). */
static size_t image_place(const struct batch_norm_shape *shape, size_t i)
{
    const size_t an_image = (size_t)shape->pixels * shape->channels;
    return i / an_image * shape->channels + i % shape->channels;
}

static void multiply(const struct batch_norm_shape *shape, const float *branch, const float *gate,
                     float *values)
{
    const size_t an_image = (size_t)shape->pixels * shape->channels;
    for (size_t i = 0; branch && i < elements_of(shape); i++)
        values[i] *= branch[i / an_image];
    for (size_t i = 0; gate && i < elements_of(shape); i++)
        values[i] *= gate[image_place(shape, i)];
}

static void apply_compare(const struct batch_norm_shape *shape, bool silu, bool whole_block)
{
    const size_t count = elements_of(shape);
    const struct layer layer = layer_new(shape, silu);
    float *branch = whole_block ? branch_new(shape) : NULL;
    float *gate = whole_block && silu ? gate_new(shape) : NULL;
    uint16_t *residual = whole_block ? map_new(shape, 0, 1.0f, 9) : NULL;
    const struct batch_norm_output output = {.branch = branch,
                                             .gate = gate,
                                             .residual = residual,
                                             .ret_y = array_new(count * sizeof *residual)};
    run_norm_apply(&layer.norm, &output);
    float *normal = array_zeros(count), *expected = array_zeros(count);
    norm_forward(&layer.shape, &layer.reference, layer.wide, normal);
    memcpy(expected, normal, count * sizeof *normal);
    if (silu)
        silu_forward(count, normal, expected);
    multiply(shape, branch, gate, expected);
    for (size_t i = 0; residual && i < count; i++)
        expected[i] += float_of_bfloat(residual[i]);
    map_compare(output.ret_y, expected, count, 1e-5 + 4 * platform_silu_tolerance());
    array_free(normal);
    array_free(expected);
    array_free(output.ret_y);
    array_free(residual);
    array_free(branch);
    array_free(gate);
    layer_free(&layer);
}

static void test_apply_equals_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(SHAPES); i++) {
        apply_compare(&SHAPES[i], true, false);
        apply_compare(&SHAPES[i], true, true);
        apply_compare(&SHAPES[i], false, true);
    }
}

/* dy, that of SiLU's output. */
static float *incoming_expect(const struct batch_norm_shape *shape,
                              const struct batch_norm_incoming *incoming)
{
    const size_t count = elements_of(shape);
    float *dy = incoming->map ? widened(incoming->map, count) : array_zeros(count);
    multiply(shape, incoming->branch, incoming->gate, dy);
    for (size_t i = 0; incoming->added && i < count; i++) {
        const size_t at = image_place(shape, i);
        const double factor = incoming->features ? (double)incoming->features[at] : 1.0;
        dy[i] += (float)(factor * (double)incoming->added[at] / shape->pixels);
    }
    return dy;
}

/* What the reference makes of dy; dx, dscale and dshift are added to. */
static void backward_expect(const struct layer *layer, const float *dy,
                            const struct norm_gradients *gradients)
{
    const size_t count = elements_of(&layer->norm.shape);
    float *normal = array_zeros(count), *dnormal = array_zeros(count);
    norm_forward(&layer->shape, &layer->reference, layer->wide, normal);
    if (layer->norm.silu)
        silu_backward(count, normal, dy, dnormal);
    else
        accumulate(count, dy, dnormal);
    norm_backward(&layer->shape, &layer->reference, layer->wide, dnormal, gradients);
    array_free(normal);
    array_free(dnormal);
}

static void backward_check(const struct layer *layer, const struct batch_norm_incoming *incoming,
                           bool first)
{
    const struct batch_norm_shape *shape = &layer->norm.shape;
    const size_t count = elements_of(shape), channels = shape->channels;
    float *before = array_normal(channels, 12), *dy = incoming_expect(shape, incoming);
    const struct batch_norm_gradients got = {.dscale = array_copy(before, channels),
                                             .dshift = array_copy(before, channels),
                                             .ret_dx = array_new(count * sizeof(uint16_t)),
                                             .first = first};
    run_norm_backward(&layer->norm, incoming, &got);
    const struct norm_gradients expected = {
        array_zeros(count), first ? array_zeros(channels) : array_copy(before, channels),
        first ? array_zeros(channels) : array_copy(before, channels)};
    backward_expect(layer, dy, &expected);
    /* errors of single terms add up at random, those of tanh all one way at worst */
    const double rows = (double)rows_of(shape), silu_off = platform_silu_tolerance();
    array_assert_close(got.dscale, expected.dscale, channels,
                       1e-5 * sqrt(rows) + 4 * silu_off * rows);
    array_assert_close(got.dshift, expected.dshift, channels,
                       1e-5 * sqrt(rows) + 4 * silu_off * rows);
    /* a slope of about 3 and a dy of up to 5, or of 1 / sqrt(epsilon) where all rows are one */
    map_compare(got.ret_dx, expected.dx, count, rows > 1 ? 2e-5 + 20 * silu_off : 1e-3);
    float *all[] = {before,         dy, got.dscale, got.dshift, expected.dx, expected.dscale,
                    expected.dshift};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        array_free(all[i]);
    array_free(got.ret_dx);
}

/* What a gradient may be made of. */
enum {
    INCOMING_MAP = 1,
    INCOMING_BRANCH = 2,
    INCOMING_GATE = 4,
    INCOMING_ADDED = 8,
    INCOMING_FEATURES = 16
};

static void backward_compare(const struct batch_norm_shape *shape, unsigned parts, bool silu,
                             bool first)
{
    const size_t pooled = (size_t)shape->images * shape->channels;
    const struct layer layer = layer_new(shape, silu);
    uint16_t *map = parts & INCOMING_MAP ? map_new(shape, 0.1f, 1.0f, 11) : NULL;
    float *branch = parts & INCOMING_BRANCH ? branch_new(shape) : NULL;
    float *gate = parts & INCOMING_GATE ? gate_new(shape) : NULL;
    float *added = parts & INCOMING_ADDED ? array_normal(pooled, 13) : NULL;
    float *features = parts & INCOMING_FEATURES ? features_new(shape) : NULL;
    for (size_t i = 0; added && i < pooled; i++)
        added[i] *= (float)shape->pixels;
    const struct batch_norm_incoming incoming = {map, branch, gate, added, features};
    backward_check(&layer, &incoming, first);
    array_free(map);
    float *all[] = {branch, gate, added, features};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        array_free(all[i]);
    layer_free(&layer);
}

static void test_backward_equals_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(SHAPES); i++) {
        backward_compare(&SHAPES[i], INCOMING_MAP | INCOMING_BRANCH, true, true);
        backward_compare(&SHAPES[i], INCOMING_MAP, true, false);
        backward_compare(&SHAPES[i], INCOMING_MAP, false, true);
    }
}

static void test_backward_takes_a_gate_and_what_is_added(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(SHAPES); i++) {
        backward_compare(&SHAPES[i], INCOMING_MAP | INCOMING_GATE | INCOMING_ADDED, true, true);
        backward_compare(&SHAPES[i], INCOMING_ADDED | INCOMING_FEATURES, true, false);
        backward_compare(&SHAPES[i], INCOMING_ADDED, false, true);
        backward_compare(&SHAPES[i],
                         INCOMING_MAP | INCOMING_BRANCH | INCOMING_GATE | INCOMING_ADDED |
                             INCOMING_FEATURES,
                         true, true);
    }
}

static struct map_shape map_shape_of(const struct batch_norm_shape *shape)
{
    return (struct map_shape){shape->images, shape->channels, shape->pixels};
}

static void pool_compare(const struct batch_norm_shape *shape, bool dropout)
{
    const size_t count = elements_of(shape), pooled = (size_t)shape->images * shape->channels;
    const struct layer layer = layer_new(shape, true);
    const struct map_shape map = map_shape_of(shape);
    float *features = dropout ? features_new(shape) : NULL;
    float *normal = array_zeros(count), *active = array_zeros(count);
    float *expected = array_zeros(pooled);
    const struct batch_norm_pool pool = {features, array_new(pooled * sizeof(float))};
    run_norm_pool(&layer.norm, &pool);
    norm_forward(&layer.shape, &layer.reference, layer.wide, normal);
    silu_forward(count, normal, active);
    mean_forward(&map, active, expected);
    for (size_t i = 0; features && i < pooled; i++)
        expected[i] *= features[i];
    array_assert_close(pool.ret_pooled, expected, pooled, 5e-6 + 4 * platform_silu_tolerance());
    float *all[] = {features, normal, active, expected, pool.ret_pooled};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        array_free(all[i]);
    layer_free(&layer);
}

static void test_pooling_equals_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(SHAPES); i++) {
        pool_compare(&SHAPES[i], true);
        pool_compare(&SHAPES[i], false);
    }
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics_equal_the_reference),
        cmocka_unit_test(test_apply_equals_the_reference),
        cmocka_unit_test(test_backward_equals_the_reference),
        cmocka_unit_test(test_backward_takes_a_gate_and_what_is_added),
        cmocka_unit_test(test_pooling_equals_the_reference)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
