#include "kernels/depthwise.h"
#include "tests/unit/kernels/array.h"
#include "tests/unit/kernels/device_array.h"
#include "worker/engine/reference/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What is before the convolution: nothing, a normalisation, a normalisation and SiLU. */
enum before { BEFORE_NOTHING, BEFORE_NORM, BEFORE_SILU };

/* Parts of the incoming gradient that there are. */
enum { WITH_MAP = 1, WITH_BRANCH = 2, WITH_GATE = 4, WITH_ADDED = 8, WITH_FEATURES = 16 };

struct maps {
    size_t in, out, taps; /* elements */
};

static struct maps maps_of(const struct depthwise_shape *shape)
{
    const size_t map = (size_t)shape->images * shape->channels;
    return (struct maps){map * shape->in_size * shape->in_size,
                         map * shape->out_size * shape->out_size,
                         (size_t)shape->kernel * shape->kernel * shape->channels};
}

static struct depthwise_shape shape_of(uint32_t images, uint32_t channels, uint32_t size,
                                       uint32_t kernel, uint32_t stride)
{
    return (struct depthwise_shape){images, channels, size, (size + stride - 1) / stride,
                                    kernel, stride};
}

static struct conv_shape conv_shape_of(const struct depthwise_shape *shape)
{
    return (struct conv_shape){shape->images,   shape->in_size, shape->channels, shape->out_size,
                               shape->channels, shape->kernel,  shape->stride};
}

static uint16_t *map_new(size_t count, uint64_t stream)
{
    float *values = array_normal(count, stream);
    uint16_t *halves = array_new(count * sizeof *halves);
    for (size_t i = 0; i < count; i++)
        halves[i] = bfloat_of(0.25f + values[i]);
    array_free(values);
    return halves;
}

/* A normalisation of either side, on the host. */
struct norm {
    float *scale, *shift, *mean, *inverse; /* (channels) */
};

static struct norm norm_new(size_t channels, uint64_t stream)
{
    struct norm norm = {array_normal(channels, stream), array_normal(channels, stream + 1),
                        array_normal(channels, stream + 2), array_normal(channels, stream + 3)};
    for (size_t c = 0; c < channels; c++)
        norm.inverse[c] = 0.5f + fabsf(norm.inverse[c]);
    return norm;
}

static void norm_free(const struct norm *norm)
{
    array_free(norm->scale);
    array_free(norm->shift);
    array_free(norm->mean);
    array_free(norm->inverse);
}

static double normal_of(const struct norm *norm, size_t channel, uint16_t x)
{
    return ((double)float_of_bfloat(x) - (double)norm->mean[channel]) *
           (double)norm->inverse[channel];
}

static double affine_of(const struct norm *norm, size_t channel, uint16_t x)
{
    return normal_of(norm, channel, x) * (double)norm->scale[channel] +
           (double)norm->shift[channel];
}

static double slope_of(double z)
{
    const double s = 1 / (1 + exp(-z));
    return s + z * s * (1 - s);
}

/* A convolution with what is before it. */
struct layer {
    struct depthwise_shape shape;
    struct maps maps;
    enum before before;
    struct norm norm;
    uint16_t *x;
    float *weights;       /* (kernel, kernel, channels) */
    float *turned;        /* (channels, kernel, kernel) */
    float *input, *slope; /* of the convolution, and its slope in the normalisation's output */
};

/* from (rows, columns) */
static float *turned(const float *from, size_t rows, size_t columns)
{
    float *to = array_zeros(rows * columns);
    for (size_t i = 0; i < rows * columns; i++)
        to[i % columns * rows + i / columns] = from[i];
    return to;
}

static void layer_input_make(struct layer *layer)
{
    for (size_t i = 0; i < layer->maps.in; i++) {
        const size_t c = i % layer->shape.channels;
        const double z = layer->before == BEFORE_NOTHING ? (double)float_of_bfloat(layer->x[i])
                                                         : affine_of(&layer->norm, c, layer->x[i]);
        const bool silu = layer->before == BEFORE_SILU;
        layer->input[i] = (float)(silu ? z / (1 + exp(-z)) : z);
        layer->slope[i] = silu ? (float)slope_of(z) : 1.0f;
    }
}

static struct layer layer_new(const struct depthwise_shape *shape, enum before before)
{
    const size_t channels = shape->channels, window = (size_t)shape->kernel * shape->kernel;
    const struct maps maps = maps_of(shape);
    struct layer layer = {.shape = *shape,
                          .maps = maps,
                          .before = before,
                          .norm = norm_new(channels, 2),
                          .x = map_new(maps.in, 1),
                          .weights = array_normal(maps.taps, 6),
                          .input = array_zeros(maps.in),
                          .slope = array_zeros(maps.in)};
    layer.turned = turned(layer.weights, window, channels);
    layer_input_make(&layer);
    return layer;
}

static void layer_free(const struct layer *layer)
{
    norm_free(&layer->norm);
    array_free(layer->x);
    array_free(layer->weights);
    array_free(layer->turned);
    array_free(layer->input);
    array_free(layer->slope);
}

/* The layer's arrays on the device. */
static struct depthwise_input input_up(const struct layer *layer)
{
    const bool norm = layer->before != BEFORE_NOTHING;
    return (struct depthwise_input){
        device_array_mirror(layer->x),
        norm ? device_array_mirror(layer->norm.scale) : NULL,
        norm ? device_array_mirror(layer->norm.shift) : NULL,
        norm ? device_array_mirror(layer->norm.mean) : NULL,
        norm ? device_array_mirror(layer->norm.inverse) : NULL,
        layer->before == BEFORE_SILU,
    };
}

static void input_free(const struct depthwise_input *input)
{
    device_array_free((void *)input->x);
    device_array_free((void *)input->scale);
    device_array_free((void *)input->shift);
    device_array_free((void *)input->mean);
    device_array_free((void *)input->inverse);
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

/* Two kinds of sums over a map, of each channel. */
struct sums {
    double *first, *second, *size; /* (channels); size: of the terms, which rounding goes by */
};

static struct sums sums_new(size_t channels)
{
    double *all = calloc(3 * channels, sizeof *all);
    assert_non_null(all);
    return (struct sums){all, all + channels, all + 2 * channels};
}

static void sums_add(struct sums *sums, size_t channel, double first, double second)
{
    sums->first[channel] += first;
    sums->second[channel] += second;
    sums->size[channel] += fabs(first) + fabs(second);
}

/* partials (slices, 2, channels) on the device, which it frees. */
static void partials_compare(float *device_partials, size_t slices, size_t channels,
                             const struct sums *expected)
{
    float *partials = array_new(2 * slices * channels * sizeof *partials);
    device_array_bring_back(device_partials, partials);
    for (size_t c = 0; c < channels; c++) {
        double first = 0, second = 0;
        for (size_t s = 0; s < slices; s++) {
            first += (double)partials[2 * s * channels + c];
            second += (double)partials[(2 * s + 1) * channels + c];
        }
        const double tolerance = 1e-5 * (1 + expected->size[c]);
        if (!(fabs(first - expected->first[c]) <= tolerance &&
              fabs(second - expected->second[c]) <= tolerance))
            fail_msg("channel %zu: sums are %g, %g, not %g, %g", c, first, second,
                     expected->first[c], expected->second[c]);
    }
    array_free(partials);
}

static void forward_sums_compare(const struct layer *layer, const uint16_t *y, const float *pivot,
                                 float *device_partials)
{
    const size_t channels = layer->shape.channels;
    struct sums sums = sums_new(channels);
    for (size_t i = 0; i < layer->maps.out; i++) {
        const double off = (double)(float_of_bfloat(y[i]) - pivot[i % channels]);
        sums_add(&sums, i % channels, off, off * off);
    }
    partials_compare(device_partials, depthwise_forward_slices(&layer->shape), channels, &sums);
    free(sums.first);
}

static void forward_compare(const struct depthwise_shape *shape, enum before before, bool sums)
{
    const struct layer layer = layer_new(shape, before);
    const struct conv_shape conv = conv_shape_of(shape);
    const size_t slices = depthwise_forward_slices(shape), channels = shape->channels;
    float *pivot = sums ? array_normal(channels, 7) : NULL;
    float *expected = array_zeros(layer.maps.out);
    uint16_t *y = array_new(layer.maps.out * sizeof *y);
    const struct depthwise_forward forward = {
        .shape = *shape,
        .input = input_up(&layer),
        .weights = device_array_mirror(layer.weights),
        .pivot = device_array_mirror(pivot),
        .ret_y = device_array_new(layer.maps.out * sizeof *y),
        .ret_partials = sums ? device_array_new(2 * slices * channels * sizeof *pivot) : NULL};
    assert_int_equal(depthwise_forward_launch(&forward, NULL), 0);
    device_array_bring_back(forward.ret_y, y);
    depthwise_forward(&conv, layer.input, layer.turned, expected);
    map_compare(y, expected, layer.maps.out, 2e-5 + 4 * shape->kernel * platform_silu_tolerance());
    if (sums)
        forward_sums_compare(&layer, y, pivot, forward.ret_partials);
    input_free(&forward.input);
    device_array_free((void *)forward.weights);
    device_array_free((void *)forward.pivot);
    array_free(y);
    array_free(expected);
    array_free(pivot);
    layer_free(&layer);
}

/* The output's side, on the host. */
struct after {
    struct norm norm;
    uint16_t *y, *map; /* map: of the incoming gradient; parts that there are not are NULL */
    float *branch, *gate, *added, *features;
    float *means; /* (2, channels) */
};

static struct after after_new(const struct layer *layer, uint32_t parts)
{
    const size_t channels = layer->shape.channels, images = layer->shape.images;
    struct after after = {.norm = norm_new(channels, 12),
                          .y = map_new(layer->maps.out, 11),
                          .map = parts & WITH_MAP ? map_new(layer->maps.out, 16) : NULL,
                          .branch = parts & WITH_BRANCH ? array_normal(images, 17) : NULL,
                          .gate = parts & WITH_GATE ? array_normal(images * channels, 18) : NULL,
                          .added = parts & WITH_ADDED ? array_normal(images * channels, 19) : NULL,
                          .features =
                              parts & WITH_FEATURES ? array_normal(images * channels, 20) : NULL,
                          .means = array_normal(2 * channels, 21)};
    return after;
}

static void after_free(const struct after *after)
{
    float *all[] = {after->branch, after->gate, after->added, after->features, after->means};
    norm_free(&after->norm);
    array_free(after->y);
    array_free(after->map);
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        array_free(all[i]);
}

static double optional(const float *values, size_t at, double otherwise)
{
    return values ? (double)values[at] : otherwise;
}

/* The gradient of y, by the letter. */
static float *after_gradient(const struct layer *layer, const struct after *after, bool silu)
{
    const size_t channels = layer->shape.channels;
    const size_t pixels = (size_t)layer->shape.out_size * layer->shape.out_size;
    float *dy = array_zeros(layer->maps.out);
    for (size_t i = 0; i < layer->maps.out; i++) {
        const size_t c = i % channels, n = i / channels / pixels, at = n * channels + c;
        const double map = after->map ? (double)float_of_bfloat(after->map[i]) : 0;
        double d =
            optional(after->branch, n, 1) * optional(after->gate, at, 1) * map +
            optional(after->features, at, 1) * optional(after->added, at, 0) / (double)pixels;
        if (silu)
            d *= slope_of(affine_of(&after->norm, c, after->y[i]));
        d -= (double)after->means[c] +
             normal_of(&after->norm, c, after->y[i]) * (double)after->means[channels + c];
        dy[i] = (float)((double)after->norm.scale[c] * (double)after->norm.inverse[c] * d);
    }
    return dy;
}

static struct batch_norm after_up(const struct layer *layer, const struct after *after, bool silu)
{
    const struct depthwise_shape *shape = &layer->shape;
    return (struct batch_norm){
        .shape = {shape->images, shape->out_size * shape->out_size, shape->channels},
        .x = device_array_mirror(after->y),
        .scale = device_array_mirror(after->norm.scale),
        .shift = device_array_mirror(after->norm.shift),
        .mean = device_array_mirror(after->norm.mean),
        .inverse = device_array_mirror(after->norm.inverse),
        .silu = silu};
}

static struct depthwise_backward backward_up(const struct layer *layer, const struct after *after,
                                             const struct batch_norm *norm, const float *dweights)
{
    const size_t slices = depthwise_backward_slices(&layer->shape);
    const size_t channels = layer->shape.channels;
    return (struct depthwise_backward){
        .shape = layer->shape,
        .input = input_up(layer),
        .weights = device_array_mirror(layer->weights),
        .after = norm,
        .incoming = {device_array_mirror(after->map), device_array_mirror(after->branch),
                     device_array_mirror(after->gate), device_array_mirror(after->added),
                     device_array_mirror(after->features)},
        .means = device_array_mirror(after->means),
        .ret_dx = device_array_new(layer->maps.in * sizeof(uint16_t)),
        .ret_partials = layer->before == BEFORE_NOTHING
                            ? NULL
                            : device_array_new(2 * slices * channels * sizeof(float)),
        .weight_partials = device_array_new(slices * layer->maps.taps * sizeof(float)),
        .dweights = dweights ? device_array_mirror(dweights)
                             : device_array_new(layer->maps.taps * sizeof(float)),
        .first = !dweights};
}

/* All but what has been brought back. */
static void backward_free(const struct depthwise_backward *backward)
{
    const struct batch_norm *after = backward->after;
    const void *all[] = {backward->weights,
                         backward->means,
                         backward->weight_partials,
                         backward->incoming.map,
                         backward->incoming.branch,
                         backward->incoming.gate,
                         backward->incoming.added,
                         backward->incoming.features,
                         after->x,
                         after->scale,
                         after->shift,
                         after->mean,
                         after->inverse};
    input_free(&backward->input);
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        device_array_free((void *)all[i]);
}

static void backward_sums_compare(const struct layer *layer, const uint16_t *dx,
                                  float *device_partials)
{
    const size_t channels = layer->shape.channels;
    struct sums sums = sums_new(channels);
    for (size_t i = 0; i < layer->maps.in; i++) {
        const double d = (double)float_of_bfloat(dx[i]);
        sums_add(&sums, i % channels, d, d * normal_of(&layer->norm, i % channels, layer->x[i]));
    }
    partials_compare(device_partials, depthwise_backward_slices(&layer->shape), channels, &sums);
    free(sums.first);
}

/* dy is the gradient of y; dweights what the launch adds to. */
static void backward_check(const struct layer *layer, const float *dy, const float *dweights,
                           const struct depthwise_backward *backward)
{
    const struct conv_shape conv = conv_shape_of(&layer->shape);
    const struct maps *maps = &layer->maps;
    const size_t window = (size_t)layer->shape.kernel * layer->shape.kernel;
    const double rows = (double)(maps->out / layer->shape.channels);
    const double silu_off = platform_silu_tolerance();
    float *dinput = array_zeros(maps->in), *dturned = array_zeros(maps->taps);
    float *got = array_new(maps->taps * sizeof *got);
    uint16_t *dx = array_new(maps->in * sizeof *dx);
    depthwise_backward(&conv, layer->input, layer->turned, dy, dinput, dturned);
    for (size_t i = 0; i < maps->in; i++)
        dinput[i] *= layer->slope[i];
    float *expected = turned(dturned, layer->shape.channels, window);
    for (size_t i = 0; dweights && i < maps->taps; i++)
        expected[i] += dweights[i];
    device_array_bring_back(backward->ret_dx, dx);
    device_array_bring_back(backward->dweights, got);
    /* products of values of up to 5 in three factors, added at random */
    map_compare(dx, dinput, maps->in, 1e-4 + 50 * layer->shape.kernel * silu_off);
    array_assert_close(got, expected, maps->taps, 5e-5 * sqrt(rows) + 4 * silu_off * rows);
    if (backward->ret_partials)
        backward_sums_compare(layer, dx, backward->ret_partials);
    array_free(dinput);
    array_free(dturned);
    array_free(expected);
    array_free(got);
    array_free(dx);
}

/* silu: of the normalisation after the convolution. */
static void backward_compare(const struct depthwise_shape *shape, enum before before,
                             uint32_t parts, bool silu, bool first)
{
    const struct layer layer = layer_new(shape, before);
    const struct after after = after_new(&layer, parts);
    const struct batch_norm norm = after_up(&layer, &after, silu);
    float *dweights = first ? NULL : array_normal(layer.maps.taps, 22);
    float *dy = after_gradient(&layer, &after, silu);
    const struct depthwise_backward backward = backward_up(&layer, &after, &norm, dweights);
    assert_int_equal(depthwise_backward_launch(&backward, NULL), 0);
    backward_check(&layer, dy, dweights, &backward);
    backward_free(&backward);
    array_free(dweights);
    array_free(dy);
    after_free(&after);
    layer_free(&layer);
}

static const uint32_t KERNELS[] = {1, 3, 5, 7}, STRIDES[] = {1, 2};

/* Smaller than the kernel, odd and even, one thread's columns and more; then several tiles of columns and of rows. */
static const struct {
    uint32_t images, channels, size;
} MAPS[] = {{1, 8, 1},   {3, 8, 2},   {1, 24, 3},  {3, 40, 4},  {1, 264, 5}, {3, 8, 7},
            {1, 24, 13}, {1, 264, 6}, {3, 24, 21}, {1, 40, 33}, {1, 64, 38}};

static void for_all_shapes(void (*compare)(const struct depthwise_shape *shape, size_t number))
{
    for (size_t i = 0; i < ARRAY_LENGTH(MAPS) * ARRAY_LENGTH(KERNELS) * ARRAY_LENGTH(STRIDES);
         i++) {
        const size_t map = i / ARRAY_LENGTH(STRIDES) / ARRAY_LENGTH(KERNELS);
        const struct depthwise_shape shape =
            shape_of(MAPS[map].images, MAPS[map].channels, MAPS[map].size,
                     KERNELS[i / ARRAY_LENGTH(STRIDES) % ARRAY_LENGTH(KERNELS)],
                     STRIDES[i % ARRAY_LENGTH(STRIDES)]);
        compare(&shape, i);
    }
}

static void forward_compare_all(const struct depthwise_shape *shape, size_t number)
{
    (void)number;
    forward_compare(shape, BEFORE_SILU, true);
}

static void test_forward_equals_the_reference(void **state)
{
    (void)state;
    for_all_shapes(forward_compare_all);
}

static void test_forward_takes_any_input_with_and_without_sums(void **state)
{
    (void)state;
    const struct depthwise_shape shapes[] = {shape_of(2, 24, 9, 3, 1), shape_of(2, 24, 9, 5, 2)};
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
        forward_compare(&shapes[i], BEFORE_NOTHING, true);
        forward_compare(&shapes[i], BEFORE_NOTHING, false);
        forward_compare(&shapes[i], BEFORE_NORM, true);
        forward_compare(&shapes[i], BEFORE_SILU, false);
    }
}

/* Whether dweights are added to alternates. */
static void backward_compare_all(const struct depthwise_shape *shape, size_t number)
{
    backward_compare(shape, BEFORE_SILU, WITH_MAP, true, number % 3 > 0);
}

static void test_backward_equals_the_reference(void **state)
{
    (void)state;
    for_all_shapes(backward_compare_all);
}

static void test_backward_takes_any_incoming_gradient(void **state)
{
    (void)state;
    const struct depthwise_shape shapes[] = {shape_of(3, 24, 9, 3, 1), shape_of(3, 24, 9, 5, 2)};
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++)
        for (uint32_t parts = 1; parts < 32; parts++)
            if (parts & (WITH_MAP | WITH_ADDED))
                backward_compare(&shapes[i], BEFORE_SILU, parts, true, true);
}

static void test_backward_takes_any_normalisations(void **state)
{
    (void)state;
    const struct depthwise_shape shapes[] = {shape_of(2, 24, 9, 3, 1), shape_of(2, 24, 9, 5, 2)};
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
        backward_compare(&shapes[i], BEFORE_NOTHING, WITH_MAP, true, true);
        backward_compare(&shapes[i], BEFORE_NORM, WITH_MAP, false, true);
        backward_compare(&shapes[i], BEFORE_NORM, WITH_MAP, true, false);
        backward_compare(&shapes[i], BEFORE_NOTHING, WITH_MAP, false, false);
    }
}

/* Several images at once, of which the last block has fewer. */
static void test_many_small_images(void **state)
{
    (void)state;
    const struct depthwise_shape shapes[] = {shape_of(1101, 8, 3, 3, 1),
                                             shape_of(1101, 8, 3, 5, 2)};
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
        forward_compare(&shapes[i], BEFORE_SILU, true);
        backward_compare(&shapes[i], BEFORE_SILU, WITH_MAP | WITH_GATE | WITH_ADDED, true, true);
    }
}

/* More strips than blocks: a block goes from one to the next. */
static void test_blocks_of_several_strips(void **state)
{
    (void)state;
    const struct depthwise_shape backward = shape_of(17, 1032, 17, 5, 1);
    const struct depthwise_shape forward = shape_of(17, 2072, 17, 5, 1);
    assert_true(depthwise_forward_slices(&forward) < forward.images);
    assert_true(depthwise_backward_slices(&backward) < backward.images);
    forward_compare(&forward, BEFORE_SILU, true);
    backward_compare(&backward, BEFORE_SILU, WITH_MAP, true, true);
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_equals_the_reference),
        cmocka_unit_test(test_forward_takes_any_input_with_and_without_sums),
        cmocka_unit_test(test_backward_equals_the_reference),
        cmocka_unit_test(test_backward_takes_any_incoming_gradient),
        cmocka_unit_test(test_backward_takes_any_normalisations),
        cmocka_unit_test(test_many_small_images),
        cmocka_unit_test(test_blocks_of_several_strips)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
