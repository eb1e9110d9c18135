#include "kernels/depthwise.h"
#include "search/attributes.h"
#include "tests/bench/kernel_case.h"

/* Arrays of both directions; the normalisations on either side share scale, shift, mean and inverse. */
enum { X, Y, WEIGHTS, SCALE, SHIFT, MEAN, INVERSE, PARTIALS, COMMON };
/* Of the backward direction. */
enum { DY = COMMON, DX, GATE, ADDED, MEANS, WEIGHT_PARTIALS, DWEIGHTS, BACKWARD };

/* The size is the input's. */
static const struct kernel_shape shapes[] = {
    {"V2-S 300 px, stage 4", 256, 38, 256, 3, 2},
    {"V2-S 300 px, stage 4", 256, 19, 512, 3, 1},
    {"V2-S 300 px, stage 6", 256, 10, 1536, 3, 1},
    {"B0 224 px, stage 3", 256, 56, 144, 5, 2},
    {"B0 224 px, stage 3", 256, 28, 240, 5, 1},
    {"B0 224 px, stage 1", 256, 112, 32, 3, 1},
    {"32 px candidate, stage 3", 512, 8, 192, 3, 1},
    {"32 px candidate, stage 4", 512, 4, 576, 5, 1},
};

static struct depthwise_shape depthwise_shape(const struct kernel_shape *shape)
{
    return (struct depthwise_shape){.images = shape->images,
                                    .channels = shape->channels,
                                    .in_size = shape->size,
                                    .out_size = (shape->size + shape->stride - 1) / shape->stride,
                                    .kernel = shape->kernel,
                                    .stride = shape->stride};
}

static struct kernel_buffer map_of(const struct kernel_shape *shape, uint32_t size)
{
    return (struct kernel_buffer){
        CONTENT_MAP, (size_t)shape->images * size * size * shape->channels * sizeof(uint16_t), 1};
}

static struct kernel_buffer floats_of(const struct kernel_shape *shape, size_t rows,
                                      enum kernel_content content)
{
    return (struct kernel_buffer){content, rows * shape->channels * sizeof(float), 0};
}

static void common_describe(const struct kernel_shape *shape, struct kernel_buffer *ret_buffers)
{
    const struct depthwise_shape depthwise = depthwise_shape(shape);
    const uint32_t forward = depthwise_forward_slices(&depthwise),
                   backward = depthwise_backward_slices(&depthwise);
    const size_t taps = (size_t)shape->kernel * shape->kernel;
    ret_buffers[X] = map_of(shape, depthwise.in_size);
    ret_buffers[Y] = map_of(shape, depthwise.out_size);
    ret_buffers[WEIGHTS] = floats_of(shape, taps, CONTENT_SMALL);
    for (size_t i = SCALE; i <= INVERSE; i++)
        ret_buffers[i] = floats_of(shape, 1, CONTENT_FLOATS);
    ret_buffers[PARTIALS] =
        floats_of(shape, 2 * (size_t)(forward > backward ? forward : backward), CONTENT_FLOATS);
}

static struct depthwise_input input_of(void *const *buffers)
{
    return (struct depthwise_input){.x = buffers[X],
                                    .scale = buffers[SCALE],
                                    .shift = buffers[SHIFT],
                                    .mean = buffers[MEAN],
                                    .inverse = buffers[INVERSE],
                                    .silu = true};
}

static size_t forward_describe(const struct kernel_shape *shape, struct kernel_buffer *ret_buffers)
{
    common_describe(shape, ret_buffers);
    return COMMON;
}

static int forward_launch(const struct kernel_shape *shape, void *const *buffers,
                          struct CUstream_st *stream)
{
    const struct depthwise_forward forward = {.shape = depthwise_shape(shape),
                                              .input = input_of(buffers),
                                              .weights = buffers[WEIGHTS],
                                              .pivot = buffers[MEAN],
                                              .ret_y = buffers[Y],
                                              .ret_partials = buffers[PARTIALS]};
    return depthwise_forward_launch(&forward, stream);
}

static size_t backward_describe(const struct kernel_shape *shape, struct kernel_buffer *ret_buffers)
{
    const struct depthwise_shape depthwise = depthwise_shape(shape);
    const size_t taps = (size_t)shape->kernel * shape->kernel;
    common_describe(shape, ret_buffers);
    ret_buffers[DY] = map_of(shape, depthwise.out_size);
    ret_buffers[DX] = map_of(shape, depthwise.in_size);
    ret_buffers[GATE] = floats_of(shape, shape->images, CONTENT_FLOATS);
    ret_buffers[ADDED] = floats_of(shape, shape->images, CONTENT_SMALL);
    ret_buffers[GATE].crossings = 1;
    ret_buffers[ADDED].crossings = 1;
    ret_buffers[MEANS] = floats_of(shape, 2, CONTENT_SMALL);
    ret_buffers[WEIGHT_PARTIALS] =
        floats_of(shape, depthwise_backward_slices(&depthwise) * taps, CONTENT_SMALL);
    ret_buffers[DWEIGHTS] = floats_of(shape, taps, CONTENT_SMALL);
    return BACKWARD;
}

static int backward_launch(const struct kernel_shape *shape, void *const *buffers,
                           struct CUstream_st *stream)
{
    const struct depthwise_shape depthwise = depthwise_shape(shape);
    const struct batch_norm after = {
        .shape = {shape->images, depthwise.out_size * depthwise.out_size, shape->channels},
        .x = buffers[Y],
        .scale = buffers[SCALE],
        .shift = buffers[SHIFT],
        .mean = buffers[MEAN],
        .inverse = buffers[INVERSE],
        .silu = true};
    const struct depthwise_backward backward = {
        .shape = depthwise,
        .input = input_of(buffers),
        .weights = buffers[WEIGHTS],
        .after = &after,
        .incoming = {.map = buffers[DY], .gate = buffers[GATE], .added = buffers[ADDED]},
        .means = buffers[MEANS],
        .ret_dx = buffers[DX],
        .ret_partials = buffers[PARTIALS],
        .weight_partials = buffers[WEIGHT_PARTIALS],
        .dweights = buffers[DWEIGHTS],
        .first = true};
    return depthwise_backward_launch(&backward, stream);
}

struct kernel_group kernel_group_depthwise(void)
{
    static const struct kernel_case cases[] = {
        {"depthwise_forward", forward_describe, forward_launch},
        {"depthwise_backward", backward_describe, backward_launch},
    };
    return (struct kernel_group){cases, ARRAY_LENGTH(cases), shapes, ARRAY_LENGTH(shapes)};
}
