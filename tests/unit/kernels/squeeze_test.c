#include "kernels/squeeze.h"
#include "tests/unit/kernels/array.h"
#include "tests/unit/kernels/device_array.h"
#include "tests/unit/kernels/squeeze_plain.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* One of everything; odd numbers of images; more channels than a block has threads; more squeezed than a warp has lanes; tiles
 * of every width; more pixels than a block has rows. */
static const struct plain_shape SHAPES[] = {
    {1, 1, 8, 1, true, 1e-3},      {2, 9, 16, 4, true, 1e-3},   {3, 5, 24, 3, true, 1e-3},
    {5, 13, 104, 17, true, 1e-3},  {2, 49, 264, 8, true, 1e-3}, {1, 25, 520, 33, true, 1e-3},
    {3, 4, 1032, 70, true, 1e-3},  {33, 6, 40, 10, true, 1e-3}, {2, 300, 32, 2, true, 1e-3},
    {300, 1, 272, 12, true, 1e-3}, {4, 11, 48, 12, false, 1e-3}};

/* The same in double, in float and on the device. */
struct model {
    struct plain_shape shape;
    double *plain[PLAIN_INPUTS];
    void *device[PLAIN_INPUTS]; /* x and g in bfloat16 */
    struct plain_forward forward;
    struct batch_norm norm;
    struct squeeze squeeze;
    float *sums;
};

static bool is_map(int input)
{
    return input == PLAIN_X || input == PLAIN_G;
}

/* What scales the inputs, so that the gates are neither 0 nor 1. */
static float deviation_of(const struct plain_shape *shape, int input)
{
    if (input == PLAIN_REDUCE)
        return 2.0f / sqrtf((float)shape->channels);
    return input == PLAIN_EXPAND ? 1.0f / sqrtf((float)shape->squeezed) : 1.0f;
}

static void input_new(struct model *model, int input)
{
    const size_t count = plain_count(&model->shape, (enum plain_input)input);
    const float deviation = deviation_of(&model->shape, input);
    float *values = array_normal(count, (uint64_t)input + 1);
    uint16_t *halves = array_new(count * sizeof *halves);
    model->plain[input] = malloc(count * sizeof(double));
    assert_non_null(model->plain[input]);
    for (size_t i = 0; i < count; i++) {
        values[i] = (input == PLAIN_X ? 0.5f : 0.0f) + deviation * values[i];
        halves[i] = bfloat_of(values[i]);
        model->plain[input][i] = (double)(is_map(input) ? float_of_bfloat(halves[i]) : values[i]);
    }
    model->device[input] = device_array_mirror(is_map(input) ? (void *)halves : (void *)values);
    array_free(values);
    array_free(halves);
}

static float *device_floats(const double *values, size_t count)
{
    float *narrow = array_new(count * sizeof *narrow);
    for (size_t i = 0; i < count; i++)
        narrow[i] = (float)values[i];
    float *there = device_array_mirror(narrow);
    array_free(narrow);
    return there;
}

static struct model model_new(const struct plain_shape *shape)
{
    struct model model = {.shape = *shape};
    const size_t gates = (size_t)shape->images * shape->channels;
    const size_t reduced = (size_t)shape->images * shape->squeezed;
    for (int i = 0; i < PLAIN_INPUTS; i++)
        input_new(&model, i);
    model.forward = plain_forward_new(shape, model.plain);
    model.norm =
        (struct batch_norm){.shape = {shape->images, shape->pixels, shape->channels},
                            .x = model.device[PLAIN_X],
                            .scale = model.device[PLAIN_SCALE],
                            .shift = model.device[PLAIN_SHIFT],
                            .mean = device_floats(model.forward.mean, shape->channels),
                            .inverse = device_floats(model.forward.inverse, shape->channels),
                            .silu = shape->silu};
    model.squeeze = (struct squeeze){.images = shape->images,
                                     .channels = shape->channels,
                                     .squeezed = shape->squeezed,
                                     .pooled = device_floats(model.forward.pooled, gates),
                                     .reduce = model.device[PLAIN_REDUCE],
                                     .reduce_bias = model.device[PLAIN_REDUCE_BIAS],
                                     .expand = model.device[PLAIN_EXPAND],
                                     .expand_bias = model.device[PLAIN_EXPAND_BIAS],
                                     .reduced = device_array_new(reduced * sizeof(float)),
                                     .active = device_array_new(reduced * sizeof(float)),
                                     .gate = device_array_new(gates * sizeof(float))};
    model.sums = device_array_new(SQUEEZE_SUMS * gates * sizeof(float));
    assert_int_equal(squeeze_forward_launch(&model.squeeze, NULL), 0);
    assert_int_equal(squeeze_sums_launch(&model.norm, model.device[PLAIN_G], model.sums, NULL), 0);
    return model;
}

static void model_free(const struct model *model)
{
    const void *all[] = {model->norm.mean,
                         model->norm.inverse,
                         model->squeeze.pooled,
                         model->squeeze.active,
                         model->squeeze.gate,
                         model->squeeze.reduced,
                         model->sums};
    for (size_t i = 0; i < LENGTH(all); i++)
        device_array_free((void *)(uintptr_t)all[i]);
    for (int i = 0; i < PLAIN_INPUTS; i++) {
        device_array_free(model->device[i]);
        free(model->plain[i]);
    }
    plain_forward_free(&model->forward);
}

/* Reads an array of the device, and compares it with `expected` + `before`. */
static void compare(const float *there, const double *expected, const float *before, size_t count,
                    double tolerance)
{
    float *got = array_new(count * sizeof *got), *want = array_new(count * sizeof *want);
    device_array_read(there, got, count * sizeof *got);
    for (size_t i = 0; i < count; i++)
        want[i] = (float)(expected[i] + (before ? (double)before[i] : 0));
    array_assert_close(got, want, count, tolerance);
    array_free(got);
    array_free(want);
}

/* Errors of single terms add up at random, those of the device's tanh all one way at worst. */
static double tolerance_of(double terms)
{
    return 5e-6 * (1 + sqrt(terms)) + 4 * platform_silu_tolerance() * terms;
}

static void test_forward_equals_plain_c(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(SHAPES); i++) {
        const struct plain_shape *shape = &SHAPES[i];
        const struct model model = model_new(shape);
        const size_t gates = (size_t)shape->images * shape->channels;
        const size_t reduced = (size_t)shape->images * shape->squeezed;
        compare(model.squeeze.reduced, model.forward.reduced, NULL, reduced, 1e-5);
        compare(model.squeeze.active, model.forward.active, NULL, reduced, 1e-5);
        compare(model.squeeze.gate, model.forward.gate, NULL, gates, 1e-5);
        model_free(&model);
    }
}

/* What the backward pass makes, on the device, and what the arrays had before. */
struct result {
    struct squeeze_gradients layers;
    struct batch_norm_gradients norm;
    float *added;
    float *before[PLAIN_INPUTS]; /* NULL where nothing counts */
};

static float *gradient_new(struct result *result, const struct model *model, int input)
{
    const size_t count = plain_count(&model->shape, (enum plain_input)input);
    if (result->layers.first)
        return device_array_new(count * sizeof(float));
    result->before[input] = array_normal(count, (uint64_t)input + 20);
    return device_array_mirror(result->before[input]);
}

static struct result result_new(const struct model *model, bool first)
{
    const size_t channels = model->shape.channels;
    const size_t gates = model->shape.images * channels;
    struct result result = {.layers = {.first = first}, .norm = {.first = first}};
    result.layers.dreduce = gradient_new(&result, model, PLAIN_REDUCE);
    result.layers.dreduce_bias = gradient_new(&result, model, PLAIN_REDUCE_BIAS);
    result.layers.dexpand = gradient_new(&result, model, PLAIN_EXPAND);
    result.layers.dexpand_bias = gradient_new(&result, model, PLAIN_EXPAND_BIAS);
    result.layers.scratch = device_array_new(squeeze_scratch(&model->squeeze) * sizeof(float));
    result.norm.dscale = gradient_new(&result, model, PLAIN_SCALE);
    result.norm.dshift = gradient_new(&result, model, PLAIN_SHIFT);
    result.norm.means = device_array_new(2 * channels * sizeof(float));
    result.norm.ret_dx = device_array_new(plain_count(&model->shape, PLAIN_X) * sizeof(uint16_t));
    result.added = device_array_new(gates * sizeof(float));
    return result;
}

/* As a program calls them. */
static struct result backward_run(const struct model *model, bool first)
{
    struct result result = result_new(model, first);
    const struct squeeze_finish finish = {model->sums, model->squeeze.gate, result.added};
    const struct batch_norm_incoming incoming = {
        .map = model->device[PLAIN_G], .gate = model->squeeze.gate, .added = result.added};
    assert_int_equal(
        squeeze_backward_launch(&model->squeeze, model->sums, &result.layers, result.added, NULL),
        0);
    assert_int_equal(squeeze_finish_launch(&model->norm, &finish, &result.norm, NULL), 0);
    assert_int_equal(batch_norm_backward_apply_launch(&model->norm, &incoming, &result.norm, NULL),
                     0);
    return result;
}

static void result_free(const struct result *result)
{
    void *all[] = {result->layers.dreduce, result->layers.dreduce_bias,
                   result->layers.dexpand, result->layers.dexpand_bias,
                   result->layers.scratch, result->norm.dscale,
                   result->norm.dshift,    result->norm.means,
                   result->norm.ret_dx,    result->added};
    for (size_t i = 0; i < LENGTH(all); i++)
        device_array_free(all[i]);
    for (int i = 0; i < PLAIN_INPUTS; i++)
        array_free(result->before[i]);
}

static const float *gradient_of(const struct result *result, int input)
{
    const float *all[PLAIN_INPUTS] = {NULL,
                                      NULL,
                                      result->norm.dscale,
                                      result->norm.dshift,
                                      result->layers.dreduce,
                                      result->layers.dreduce_bias,
                                      result->layers.dexpand,
                                      result->layers.dexpand_bias};
    return all[input];
}

static void dx_compare(const struct model *model, const struct result *result,
                       const double *expected)
{
    const size_t count = plain_count(&model->shape, PLAIN_X);
    const double rows = (double)model->shape.images * model->shape.pixels;
    const double tolerance = rows > 1 ? 2e-5 + 20 * platform_silu_tolerance() : 1e-3;
    uint16_t *got = array_new(count * sizeof *got);
    device_array_read(result->norm.ret_dx, got, count * sizeof *got);
    for (size_t i = 0; i < count; i++) {
        const double have = (double)float_of_bfloat(got[i]);
        if (!(fabs(have - expected[i]) <= 0x1p-8 * fabs(expected[i]) + tolerance))
            fail_msg("dx %zu of %zu is %g, not %g", i, count, have, expected[i]);
    }
    array_free(got);
}

static void backward_compare(const struct plain_shape *shape, bool first)
{
    const struct model model = model_new(shape);
    const struct plain_backward expected = plain_backward_new(shape, model.plain, &model.forward);
    const struct result result = backward_run(&model, first);
    const size_t gates = (size_t)shape->images * shape->channels;
    const double rows = (double)shape->images * shape->pixels;
    compare(model.sums, expected.sums, NULL, SQUEEZE_SUMS * gates, tolerance_of(shape->pixels));
    compare(result.added, expected.added, NULL, gates, tolerance_of(rows));
    compare(result.norm.means, expected.means, NULL, 2 * shape->channels,
            tolerance_of(rows) / sqrt(rows));
    for (int i = 0; i < PLAIN_INPUTS; i++)
        if (!is_map(i))
            compare(gradient_of(&result, i), expected.of[i], result.before[i],
                    plain_count(shape, (enum plain_input)i), tolerance_of(rows));
    dx_compare(&model, &result, expected.of[PLAIN_X]);
    result_free(&result);
    plain_backward_free(&expected);
    model_free(&model);
}

static void test_backward_equals_plain_c(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(SHAPES); i++) {
        backward_compare(&SHAPES[i], true);
        backward_compare(&SHAPES[i], false);
    }
}

/* (loss(value + step) - loss(value - step)) / 2 step, of one value of an input */
static double difference_of(const struct model *model, int input, size_t i)
{
    const double step = 1e-5, value = model->plain[input][i];
    double losses[2];
    for (int k = 0; k < 2; k++) {
        model->plain[input][i] = value + (k == 0 ? step : -step);
        const struct plain_forward forward = plain_forward_new(&model->shape, model->plain);
        losses[k] = forward.loss;
        plain_forward_free(&forward);
    }
    model->plain[input][i] = value;
    return (losses[0] - losses[1]) / (2 * step);
}

static void differences_compare(const struct plain_shape *shape)
{
    const struct model model = model_new(shape);
    const struct result result = backward_run(&model, true);
    for (int input = 0; input < PLAIN_INPUTS; input++) {
        const size_t count = plain_count(shape, (enum plain_input)input);
        double *expected = calloc(count, sizeof *expected);
        assert_non_null(expected);
        for (size_t i = 0; input != PLAIN_G && i < count; i++)
            expected[i] = difference_of(&model, input, i);
        if (!is_map(input))
            compare(gradient_of(&result, input), expected, NULL, count, tolerance_of(100));
        if (input == PLAIN_X)
            dx_compare(&model, &result, expected);
        free(expected);
    }
    result_free(&result);
    model_free(&model);
}

static void test_backward_equals_finite_differences(void **state)
{
    (void)state;
    differences_compare(&(struct plain_shape){3, 7, 16, 3, true, 1e-3});
    differences_compare(&(struct plain_shape){2, 4, 8, 5, true, 1e-3});
    differences_compare(&(struct plain_shape){5, 2, 8, 1, false, 1e-3});
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forward_equals_plain_c),
                                       cmocka_unit_test(test_backward_equals_plain_c),
                                       cmocka_unit_test(test_backward_equals_finite_differences)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
