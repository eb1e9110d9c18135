/* Every operation of the reference backend against finite differences, and small cases computed by hand. */
#include "tests/ops/support.h"
#include "worker/engine/reference/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- convolutions ---- */

struct conv_case {
    struct conv_shape shape;
    bool depthwise;
    size_t x_count, w_count, y_count;
    float *x, *w, *y, *dy;
};

static double conv_value(void *context)
{
    struct conv_case *c = context;
    (c->depthwise ? depthwise_forward : conv_forward)(&c->shape, c->x, c->w, c->y);
    return weighted_sum(c->dy, c->y, c->y_count);
}

static void check_conv(struct conv_shape shape, bool depthwise)
{
    shape.out_size = (shape.in_size + shape.stride - 1) / shape.stride;
    struct conv_case c = {.shape = shape, .depthwise = depthwise};
    const size_t kernel = (size_t)shape.kernel * shape.kernel;
    c.x_count = (size_t)shape.batch * shape.in_size * shape.in_size * shape.in_channels;
    c.w_count = kernel * shape.out_channels * (depthwise ? 1 : shape.in_channels);
    c.y_count = (size_t)shape.batch * shape.out_size * shape.out_size * shape.out_channels;
    c.x = random_values(c.x_count, 1);
    c.w = random_values(c.w_count, 2);
    c.y = zero_values(c.y_count);
    c.dy = random_values(c.y_count, 3);
    float *dx = zero_values(c.x_count), *dw = zero_values(c.w_count);
    (depthwise ? depthwise_backward : conv_backward)(&shape, c.x, c.w, c.dy, dx, dw);
    assert_gradient("dx", &(struct scalar_function){conv_value, &c, c.x, c.x_count}, dx, 1, 1e-3);
    assert_gradient("dw", &(struct scalar_function){conv_value, &c, c.w, c.w_count}, dw, 1, 1e-3);
    free(c.x);
    free(c.w);
    free(c.y);
    free(c.dy);
    free(dx);
    free(dw);
}

static void test_conv_gradients_equal_finite_differences(void **state)
{
    (void)state;
    static const uint32_t kernels[] = {1, 3, 5, 7};
    for (size_t k = 0; k < ARRAY_LENGTH(kernels); k++)
        for (uint32_t stride = 1; stride <= 2; stride++) {
            check_conv((struct conv_shape){2, 7, 3, 0, 4, kernels[k], stride}, false);
            check_conv((struct conv_shape){1, 6, 2, 0, 3, kernels[k], stride}, false);
        }
}

static void test_depthwise_gradients_equal_finite_differences(void **state)
{
    (void)state;
    static const uint32_t kernels[] = {1, 3, 5, 7};
    for (size_t k = 0; k < ARRAY_LENGTH(kernels); k++)
        for (uint32_t stride = 1; stride <= 2; stride++) {
            check_conv((struct conv_shape){2, 7, 3, 0, 3, kernels[k], stride}, true);
            check_conv((struct conv_shape){1, 4, 2, 0, 2, kernels[k], stride}, true);
        }
}

static void test_conv_pads_half_the_kernel_on_every_side(void **state)
{
    (void)state;
    const float x[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    float w[9] = {0}, y[9];
    w[0] = 1; /* the pixel above and to the left */
    conv_forward(&(struct conv_shape){1, 3, 1, 3, 1, 3, 1}, x, w, y);
    const float want[9] = {0, 0, 0, 0, 1, 2, 0, 4, 5};
    assert_close("y", y, want, 9, 1e-6);
    conv_forward(&(struct conv_shape){1, 3, 1, 2, 1, 3, 2}, x, w, y);
    const float want_strided[4] = {0, 0, 0, 5};
    assert_close("y stride 2", y, want_strided, 4, 1e-6);
}

/* ---- batch normalisation ---- */

struct norm_case {
    struct norm_shape shape;
    size_t count;
    float *x, *scale, *shift, *y, *dy;
};

static double norm_value(void *context)
{
    struct norm_case *c = context;
    float mean[8], variance[8];
    norm_statistics(&c->shape, c->x, mean, variance);
    norm_forward(&c->shape, &(struct norm_parameters){c->scale, c->shift, mean, variance}, c->x,
                 c->y);
    return weighted_sum(c->dy, c->y, c->count);
}

static void test_norm_gradients_equal_finite_differences(void **state)
{
    (void)state;
    struct norm_case c = {.shape = {13, 5, 1e-3}, .count = 13 * 5};
    c.x = random_values(c.count, 1);
    c.scale = random_values(5, 2);
    c.shift = random_values(5, 3);
    c.y = zero_values(c.count);
    c.dy = random_values(c.count, 4);
    float *dx = zero_values(c.count), dscale[5] = {0}, dshift[5] = {0}, mean[5], variance[5];
    norm_statistics(&c.shape, c.x, mean, variance);
    norm_backward(&c.shape, &(struct norm_parameters){c.scale, c.shift, mean, variance}, c.x, c.dy,
                  &(struct norm_gradients){dx, dscale, dshift});
    assert_gradient("dx", &(struct scalar_function){norm_value, &c, c.x, c.count}, dx, 1, 2e-3);
    assert_gradient("dscale", &(struct scalar_function){norm_value, &c, c.scale, 5}, dscale, 1,
                    1e-3);
    assert_gradient("dshift", &(struct scalar_function){norm_value, &c, c.shift, 5}, dshift, 1,
                    1e-3);
    free(c.x);
    free(c.scale);
    free(c.shift);
    free(c.y);
    free(c.dy);
    free(dx);
}

static void test_norm_of_one_pixel_is_its_shift(void **state)
{
    (void)state;
    const struct norm_shape shape = {1, 2, 1e-3};
    const float x[2] = {3, -100}, scale[2] = {2, 2}, shift[2] = {0.5f, -1}, dy[2] = {1, 1};
    float mean[2], variance[2], y[2], dx[2] = {0}, dscale[2] = {0}, dshift[2] = {0};
    norm_statistics(&shape, x, mean, variance);
    const struct norm_parameters parameters = {scale, shift, mean, variance};
    norm_forward(&shape, &parameters, x, y);
    norm_backward(&shape, &parameters, x, dy, &(struct norm_gradients){dx, dscale, dshift});
    assert_close("y", y, shift, 2, 1e-6);
    assert_close("dx", dx, (float[2]){0, 0}, 2, 1e-6);
}

/* ---- pointwise, mean, gate, linear ---- */

enum { SMALL_MAX = 64 };
struct small_case {
    size_t count;
    float x[SMALL_MAX], other[SMALL_MAX], bias[SMALL_MAX], y[SMALL_MAX], dy[SMALL_MAX];
    void (*run)(struct small_case *c);
};

static double small_value(void *context)
{
    struct small_case *c = context;
    c->run(c);
    return weighted_sum(c->dy, c->y, c->count);
}

static void small_fill(struct small_case *c)
{
    float *values[] = {c->x, c->other, c->bias, c->dy};
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        float *random = random_values(SMALL_MAX, i + 1);
        memcpy(values[i], random, SMALL_MAX * sizeof *random);
        free(random);
    }
}

static void assert_small_gradient(const char *what, struct small_case *c, float *inputs,
                                  size_t count, const float *gradient)
{
    assert_gradient(what, &(struct scalar_function){small_value, c, inputs, count}, gradient, 1,
                    1e-3);
}

static void run_silu(struct small_case *c)
{
    silu_forward(c->count, c->x, c->y);
}

static void run_sigmoid(struct small_case *c)
{
    sigmoid_forward(c->count, c->x, c->y);
}

static void test_silu_and_sigmoid_gradients_equal_finite_differences(void **state)
{
    (void)state;
    struct small_case c = {.count = SMALL_MAX, .run = run_silu};
    small_fill(&c);
    float dx[SMALL_MAX] = {0}, ds[SMALL_MAX] = {0};
    silu_backward(c.count, c.x, c.dy, dx);
    assert_small_gradient("silu", &c, c.x, c.count, dx);
    c.run = run_sigmoid;
    run_sigmoid(&c);
    sigmoid_backward(c.count, c.y, c.dy, ds);
    assert_small_gradient("sigmoid", &c, c.x, c.count, ds);
}

static const struct map_shape MAP = {2, 3, 4};

static void run_mean(struct small_case *c)
{
    mean_forward(&MAP, c->x, c->y);
}

static void run_gate(struct small_case *c)
{
    gate_forward(&MAP, c->x, c->other, c->y);
}

static void test_mean_and_gate_gradients_equal_finite_differences(void **state)
{
    (void)state;
    struct small_case c = {.count = 2 * 3, .run = run_mean};
    small_fill(&c);
    float dx[24] = {0}, dgated[24] = {0}, dgate[6] = {0};
    mean_backward(&MAP, c.dy, dx);
    assert_small_gradient("mean", &c, c.x, 24, dx);
    c.run = run_gate;
    c.count = 24;
    gate_backward(&MAP, c.x, c.other, c.dy, dgated, dgate);
    assert_small_gradient("gated", &c, c.x, 24, dgated);
    assert_small_gradient("gate", &c, c.other, 6, dgate);
}

static const struct linear_shape LINEAR = {3, 4, 5};

static void run_linear(struct small_case *c)
{
    linear_forward(&LINEAR, c->x, c->other, c->bias, c->y);
}

static void test_linear_gradients_equal_finite_differences(void **state)
{
    (void)state;
    struct small_case c = {.count = 15, .run = run_linear};
    small_fill(&c);
    float dx[12] = {0}, dw[20] = {0}, db[5] = {0};
    linear_backward(&LINEAR, c.x, c.other, c.dy, &(struct linear_gradients){dx, dw, db});
    assert_small_gradient("dx", &c, c.x, 12, dx);
    assert_small_gradient("dw", &c, c.other, 20, dw);
    assert_small_gradient("db", &c, c.bias, 5, db);
}

static void test_backward_adds_to_what_is_there(void **state)
{
    (void)state;
    const float dy[2] = {1, 2};
    float dx[2] = {10, 20};
    silu_backward(2, (float[2]){0, 0}, dy, dx);
    assert_close("dx", dx, (float[2]){10.5f, 21}, 2, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_gradients_equal_finite_differences),
        cmocka_unit_test(test_depthwise_gradients_equal_finite_differences),
        cmocka_unit_test(test_conv_pads_half_the_kernel_on_every_side),
        cmocka_unit_test(test_norm_gradients_equal_finite_differences),
        cmocka_unit_test(test_norm_of_one_pixel_is_its_shift),
        cmocka_unit_test(test_silu_and_sigmoid_gradients_equal_finite_differences),
        cmocka_unit_test(test_mean_and_gate_gradients_equal_finite_differences),
        cmocka_unit_test(test_linear_gradients_equal_finite_differences),
        cmocka_unit_test(test_backward_adds_to_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
