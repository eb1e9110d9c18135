/* The convolver against the reference's convolutions: cuDNN's in tests/gpu, where a device is, and
 * the emulator's double, which has to keep the same promises, everywhere. */
#include "worker/engine/cuda/convolver.h"

#include "kernels/device.h"
#include "kernels/portable.h"
#include "search/random.h"
#include "tests/unit/kernels/array.h"
#include "tests/unit/kernels/device_array.h"
#include "worker/engine/reference/ops.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Odd sizes, an image that a stride does not divide, kernels larger than the image. */
static const struct convolution SHAPES[] = {
    {.batch = 1, .in_channels = 8, .out_channels = 8, .kernel = 1, .stride = 1, .in_size = 1},
    {.batch = 3, .in_channels = 24, .out_channels = 40, .kernel = 1, .stride = 1, .in_size = 7},
    {.batch = 2, .in_channels = 8, .out_channels = 24, .kernel = 3, .stride = 2, .in_size = 33},
    {.batch = 5, .in_channels = 16, .out_channels = 8, .kernel = 3, .stride = 1, .in_size = 9},
    {.batch = 2, .in_channels = 32, .out_channels = 16, .kernel = 5, .stride = 2, .in_size = 8},
    {.batch = 4, .in_channels = 8, .out_channels = 16, .kernel = 7, .stride = 1, .in_size = 3},
    {.batch = 7, .in_channels = 48, .out_channels = 96, .kernel = 1, .stride = 2, .in_size = 5},
};

static struct convolution shape_of(size_t index)
{
    struct convolution shape = SHAPES[index];
    shape.out_size = (shape.in_size + shape.stride - 1) / shape.stride;
    return shape;
}

/* Operands in ordinary memory, and in float what the device makes of them. */
struct operands {
    struct convolution shape;
    size_t x_count, y_count, w_count;
    uint16_t *x, *y, *w;    /* (N, H, W, C), (N, P, Q, K), (K, R, S, C) */
    float *wide_x, *wide_y; /* the same values */
    float *wide_w;          /* (K, C, R, S), as the reference has them */
};

static uint16_t *random_halves(size_t count, uint64_t stream)
{
    struct random_stream random = random_stream_of(3, stream, RANDOM_WEIGHTS);
    uint16_t *halves = array_new(count * sizeof *halves);
    for (size_t i = 0; i < count; i++)
        halves[i] = bfloat_of((float)random_normal(&random));
    return halves;
}

static float *widened(const uint16_t *halves, size_t count)
{
    float *values = array_new(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = float_of_bfloat(halves[i]);
    return values;
}

/* (K, C, R, S) -> (K, R, S, C), or back. */
static void turn_weights(const struct convolution *shape, float *reference, float *device,
                         bool to_device)
{
    const size_t positions = (size_t)shape->kernel * shape->kernel;
    for (size_t k = 0; k < shape->out_channels; k++)
        for (size_t c = 0; c < shape->in_channels; c++)
            for (size_t at = 0; at < positions; at++) {
                float *a = &reference[(k * shape->in_channels + c) * positions + at];
                float *b = &device[(k * positions + at) * shape->in_channels + c];
                *(to_device ? b : a) = *(to_device ? a : b);
            }
}

static struct operands operands_new(const struct convolution *shape)
{
    struct operands operands = {.shape = *shape};
    operands.x_count = (size_t)shape->batch * shape->in_size * shape->in_size * shape->in_channels;
    operands.y_count =
        (size_t)shape->batch * shape->out_size * shape->out_size * shape->out_channels;
    operands.w_count =
        (size_t)shape->out_channels * shape->in_channels * shape->kernel * shape->kernel;
    operands.x = random_halves(operands.x_count, 1);
    operands.y = random_halves(operands.y_count, 2);
    operands.w = random_halves(operands.w_count, 3);
    operands.wide_x = widened(operands.x, operands.x_count);
    operands.wide_y = widened(operands.y, operands.y_count);
    operands.wide_w = array_new(operands.w_count * sizeof(float));
    float *device_w = widened(operands.w, operands.w_count);
    turn_weights(shape, operands.wide_w, device_w, false);
    array_free(device_w);
    return operands;
}

static void operands_free(struct operands *operands)
{
    array_free(operands->x);
    array_free(operands->y);
    array_free(operands->w);
    array_free(operands->wide_x);
    array_free(operands->wide_y);
    array_free(operands->wide_w);
}

static struct conv_shape reference_shape(const struct convolution *shape)
{
    return (struct conv_shape){shape->batch,    shape->in_size,      shape->in_channels,
                               shape->out_size, shape->out_channels, shape->kernel,
                               shape->stride};
}

/* What a pass writes, in the device's order. */
static float *expected_of(const struct operands *operands, enum convolution_pass pass)
{
    const struct conv_shape shape = reference_shape(&operands->shape);
    float *dx = array_zeros(operands->x_count), *dw = array_zeros(operands->w_count);
    if (pass == CONVOLUTION_FORWARD) {
        float *y = array_zeros(operands->y_count);
        conv_forward(&shape, operands->wide_x, operands->wide_w, y);
        array_free(dx);
        array_free(dw);
        return y;
    }
    conv_backward(&shape, operands->wide_x, operands->wide_w, operands->wide_y, dx, dw);
    float *turned = array_zeros(operands->w_count);
    turn_weights(&operands->shape, dw, turned, true);
    array_free(dw);
    array_free(pass == CONVOLUTION_BACKWARD_DATA ? turned : dx);
    return pass == CONVOLUTION_BACKWARD_DATA ? dx : turned;
}

static struct convolver *convolver_open_on(struct CUstream_st *stream, size_t workspace_bytes_max)
{
    const struct convolver_options options = {.stream = stream,
                                              .workspace_bytes_max = workspace_bytes_max};
    struct convolver *convolver;
    struct error error = {0};
    if (convolver_new(&options, &convolver, &error) < 0)
        fail_msg("%s", error.message);
    return convolver;
}

static struct convolver *convolver_open(size_t workspace_bytes_max)
{
    return convolver_open_on(NULL, workspace_bytes_max);
}

static const struct convolver_plan *prepare(struct convolver *convolver,
                                            const struct convolution *shape,
                                            enum convolution_pass pass)
{
    const struct convolver_plan *plan;
    struct error error = {0};
    if (convolver_prepare(convolver, shape, pass, &plan, &error) < 0)
        fail_msg("%s", error.message);
    return plan;
}

/* The operands on the device; the output of the pass full of NaN. */
static struct convolver_tensors tensors_new(const struct operands *operands,
                                            enum convolution_pass pass, size_t workspace_bytes)
{
    const bool forward = pass == CONVOLUTION_FORWARD, data = pass == CONVOLUTION_BACKWARD_DATA;
    struct convolver_tensors tensors = {0};
    tensors.x = data ? device_array_new(operands->x_count * sizeof(uint16_t))
                     : device_array_mirror(operands->x);
    tensors.y = forward ? device_array_new(operands->y_count * sizeof(uint16_t))
                        : device_array_mirror(operands->y);
    if (pass == CONVOLUTION_BACKWARD_FILTER)
        tensors.dweights = device_array_new(operands->w_count * sizeof(float));
    else
        tensors.weights = device_array_mirror(operands->w);
    tensors.workspace = device_array_new(workspace_bytes);
    return tensors;
}

static void tensors_free(const struct convolver_tensors *tensors)
{
    device_array_free(tensors->x);
    device_array_free(tensors->y);
    device_array_free(tensors->weights);
    device_array_free(tensors->dweights);
    device_array_free(tensors->workspace);
}

/* What the pass has written, in float; and that it has written nothing else. */
static float *read_output(const struct operands *operands, enum convolution_pass pass,
                          const struct convolver_tensors *tensors)
{
    const bool forward = pass == CONVOLUTION_FORWARD, filter = pass == CONVOLUTION_BACKWARD_FILTER;
    const size_t count = forward  ? operands->y_count
                         : filter ? operands->w_count
                                  : operands->x_count;
    float *values = array_new(count * sizeof *values);
    uint16_t *halves = array_new(count * sizeof *halves);
    if (filter)
        device_array_read(tensors->dweights, values, count * sizeof *values);
    else
        device_array_read(forward ? tensors->y : tensors->x, halves, count * sizeof *halves);
    for (size_t i = 0; !filter && i < count; i++)
        values[i] = float_of_bfloat(halves[i]);
    array_free(halves);
    return values;
}

/* A sum of products of numbers of about 1, kept in float and rounded to 8 bits at the end. */
static void assert_output(const struct operands *operands, enum convolution_pass pass,
                          const float *got)
{
    float *expected = expected_of(operands, pass);
    array_assert_close(got, expected, array_bytes(expected) / sizeof *expected, 4.5e-3);
    array_free(expected);
}

static void check_pass(struct convolver *convolver, const struct operands *operands,
                       enum convolution_pass pass)
{
    const struct convolver_plan *plan = prepare(convolver, &operands->shape, pass);
    const struct convolver_tensors tensors = tensors_new(operands, pass, convolver_workspace(plan));
    assert_int_equal(convolver_run(convolver, plan, &tensors), 0);
    float *got = read_output(operands, pass, &tensors);
    assert_output(operands, pass, got);
    array_free(got);
    tensors_free(&tensors);
}

static void test_three_passes_equal_the_reference(void **state)
{
    (void)state;
    struct convolver *convolver = convolver_open(0);
    for (size_t i = 0; i < ARRAY_LENGTH(SHAPES); i++) {
        const struct convolution shape = shape_of(i);
        struct operands operands = operands_new(&shape);
        for (int pass = 0; pass < CONVOLUTION_PASSES; pass++)
            check_pass(convolver, &operands, (enum convolution_pass)pass);
        operands_free(&operands);
    }
    convolver_free(convolver);
}

static void test_a_gradient_is_added_to_what_is_there(void **state)
{
    (void)state;
    const struct convolution shape = shape_of(3);
    struct convolver *convolver = convolver_open(0);
    struct operands operands = operands_new(&shape);
    const struct convolver_plan *plan = prepare(convolver, &shape, CONVOLUTION_BACKWARD_FILTER);
    struct convolver_tensors tensors =
        tensors_new(&operands, CONVOLUTION_BACKWARD_FILTER, convolver_workspace(plan));
    assert_int_equal(convolver_run(convolver, plan, &tensors), 0);
    float *once = read_output(&operands, CONVOLUTION_BACKWARD_FILTER, &tensors);
    tensors.add = true;
    assert_int_equal(convolver_run(convolver, plan, &tensors), 0);
    float *twice = read_output(&operands, CONVOLUTION_BACKWARD_FILTER, &tensors);
    for (size_t i = 0; i < operands.w_count; i++)
        assert_true(twice[i] == 2 * once[i]);
    array_free(twice);
    array_free(once);
    tensors_free(&tensors);
    operands_free(&operands);
    convolver_free(convolver);
}

static void test_plans_are_shared_and_fit_the_limit(void **state)
{
    (void)state;
    const struct convolution shape = shape_of(2);
    struct convolution first = shape;
    first.first = true;
    struct convolver *convolver = convolver_open(16 << 10);
    for (int pass = 0; pass < CONVOLUTION_PASSES; pass++) {
        const struct convolver_plan *plan = prepare(convolver, &shape, (enum convolution_pass)pass);
        assert_true(convolver_workspace(plan) <= 16 << 10);
        assert_ptr_equal(prepare(convolver, &shape, (enum convolution_pass)pass), plan);
        assert_ptr_equal(prepare(convolver, &first, (enum convolution_pass)pass), plan);
    }
    convolver_free(convolver);
}

static void test_what_does_not_fit_is_named(void **state)
{
    (void)state;
    const struct convolution shape = shape_of(6);
    const struct convolver_plan *plan;
    struct error error = {0};
    struct convolver *convolver = convolver_open(1024);
    assert_int_equal(
        convolver_prepare(convolver, &shape, CONVOLUTION_BACKWARD_FILTER, &plan, &error), -ENOTSUP);
    assert_non_null(strstr(error.message, "backward-filter of conv1x1/2 batch 7, 48 x 5 px"));
    struct operands operands = operands_new(&shape);
    check_pass(convolver, &operands, CONVOLUTION_FORWARD);
    operands_free(&operands);
    convolver_free(convolver);
}

static void tune_pass(struct convolver *convolver, const struct operands *operands,
                      enum convolution_pass pass)
{
    enum { WORKSPACE_BYTES = 8 << 20 };
    struct error error = {0};
    const struct convolver_tensors tensors = tensors_new(operands, pass, WORKSPACE_BYTES);
    for (int i = 0; i < 2; i++)
        if (convolver_tune(convolver, &operands->shape, pass, &tensors, WORKSPACE_BYTES, &error) <
            0)
            fail_msg("%s", error.message);
    const struct convolver_plan *plan = prepare(convolver, &operands->shape, pass);
    assert_true(convolver_workspace(plan) <= WORKSPACE_BYTES);
    assert_int_equal(convolver_run(convolver, plan, &tensors), 0);
    float *got = read_output(operands, pass, &tensors);
    assert_output(operands, pass, got);
    array_free(got);
    tensors_free(&tensors);
}

static void test_a_tuned_plan_computes_the_same(void **state)
{
    (void)state;
    const struct convolution shape = shape_of(3);
    struct operands operands = operands_new(&shape);
    struct convolver *convolver = convolver_open(0);
    for (int pass = 0; pass < CONVOLUTION_PASSES; pass++)
        tune_pass(convolver, &operands, (enum convolution_pass)pass);
    convolver_free(convolver);
    operands_free(&operands);
}

/* The gradient's part of a workspace is not even there. */
static void test_too_little_workspace_times_nothing(void **state)
{
    (void)state;
    const struct convolution shape = shape_of(3);
    struct operands operands = operands_new(&shape);
    struct convolver *convolver = convolver_open(0);
    struct error error = {0};
    const struct convolver_tensors tensors =
        tensors_new(&operands, CONVOLUTION_BACKWARD_FILTER, 256);
    assert_int_equal(
        convolver_tune(convolver, &shape, CONVOLUTION_BACKWARD_FILTER, &tensors, 256, &error),
        -ENOTSUP);
    assert_non_null(strstr(error.message, "256 bytes"));
    tensors_free(&tensors);
    convolver_free(convolver);
    operands_free(&operands);
}

/* Records the pass, and runs what was recorded on another x. */
static void record_pass(struct CUstream_st *stream, struct convolver *convolver,
                        const struct operands *operands, enum convolution_pass pass)
{
    const struct convolver_plan *plan = prepare(convolver, &operands->shape, pass);
    const struct convolver_tensors tensors = tensors_new(operands, pass, convolver_workspace(plan));
    const bool data = pass == CONVOLUTION_BACKWARD_DATA;
    void *const changed = data ? tensors.y : tensors.x;
    const uint16_t *const wanted = data ? operands->y : operands->x;
    const size_t bytes = (data ? operands->y_count : operands->x_count) * sizeof *wanted;
    struct device_graph *graph;
    assert_int_equal(device_fill_async(changed, 0, bytes, stream, NULL), 0);
    assert_int_equal(device_stream_wait(stream, NULL), 0);
    assert_int_equal(device_recording_begin(stream, NULL), 0);
    assert_int_equal(convolver_run(convolver, plan, &tensors), 0);
    assert_int_equal(device_recording_end(stream, &graph, NULL), 0);
    device_array_write(changed, wanted, bytes);
    for (int i = 0; i < 2; i++)
        assert_int_equal(device_graph_launch(graph, stream, NULL), 0);
    assert_int_equal(device_stream_wait(stream, NULL), 0);
    float *got = read_output(operands, pass, &tensors);
    assert_output(operands, pass, got);
    array_free(got);
    device_graph_free(graph);
    tensors_free(&tensors);
}

static void test_a_pass_can_be_recorded(void **state)
{
    (void)state;
    const struct convolution shape = shape_of(3);
    struct CUstream_st *stream;
    assert_int_equal(device_stream_new(&stream, NULL), 0);
    struct operands operands = operands_new(&shape);
    struct convolver *convolver = convolver_open_on(stream, 0);
    for (int pass = 0; pass < CONVOLUTION_PASSES; pass++)
        record_pass(stream, convolver, &operands, (enum convolution_pass)pass);
    convolver_free(convolver);
    operands_free(&operands);
    device_stream_free(stream);
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_passes_equal_the_reference),
        cmocka_unit_test(test_a_gradient_is_added_to_what_is_there),
        cmocka_unit_test(test_plans_are_shared_and_fit_the_limit),
        cmocka_unit_test(test_what_does_not_fit_is_named),
        cmocka_unit_test(test_a_pass_can_be_recorded),
        cmocka_unit_test(test_a_tuned_plan_computes_the_same),
        cmocka_unit_test(test_too_little_workspace_times_nothing),
    };
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
