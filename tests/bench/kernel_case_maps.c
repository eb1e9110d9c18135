#include "kernels/batch_norm.h"
#include "kernels/squeeze.h"
#include "search/attributes.h"
#include "tests/bench/kernel_case.h"

/* Arrays that every case here has, in this order. */
enum { X, SCALE, SHIFT, MEAN, INVERSE, PARTIALS, COMMON };

static const struct kernel_shape shapes[] = {
    {"V2-S 300 px, stage 4", 256, 19, 512, 0, 0}, {"V2-S 300 px, stage 6", 256, 10, 1536, 0, 0},
    {"V2-S 300 px, stage 2", 256, 75, 192, 0, 0}, {"B0 224 px, stage 2", 256, 56, 144, 0, 0},
    {"32 px candidate", 512, 8, 192, 0, 0},
};

static struct batch_norm_shape norm_shape(const struct kernel_shape *shape)
{
    return (struct batch_norm_shape){shape->images, shape->size * shape->size, shape->channels};
}

static struct kernel_buffer map_of(const struct kernel_shape *shape, double crossings)
{
    const size_t elements = (size_t)shape->images * shape->size * shape->size * shape->channels;
    return (struct kernel_buffer){CONTENT_MAP, elements * sizeof(uint16_t), crossings};
}

/* (rows, channels) */
static struct kernel_buffer floats_of(const struct kernel_shape *shape, uint32_t rows,
                                      double crossings)
{
    return (struct kernel_buffer){CONTENT_FLOATS, (size_t)rows * shape->channels * sizeof(float),
                                  crossings};
}

/* COMMON arrays, x crossing the bus so many times. */
static void common_describe(const struct kernel_shape *shape, double crossings,
                            struct kernel_buffer *ret_buffers)
{
    const struct batch_norm_shape norm = norm_shape(shape);
    ret_buffers[X] = map_of(shape, crossings);
    for (size_t i = SCALE; i <= INVERSE; i++)
        ret_buffers[i] = floats_of(shape, 1, 0);
    ret_buffers[PARTIALS] =
        (struct kernel_buffer){CONTENT_FLOATS, batch_norm_partials(&norm) * sizeof(float), 0};
}

static struct batch_norm norm_of(const struct kernel_shape *shape, void *const *buffers)
{
    return (struct batch_norm){.shape = norm_shape(shape),
                               .x = buffers[X],
                               .scale = buffers[SCALE],
                               .shift = buffers[SHIFT],
                               .mean = buffers[MEAN],
                               .inverse = buffers[INVERSE],
                               .partials = buffers[PARTIALS],
                               .silu = true};
}

/* ---- statistics ---- */

static size_t statistics_describe(const struct kernel_shape *shape,
                                  struct kernel_buffer *ret_buffers)
{
    common_describe(shape, 1, ret_buffers);
    ret_buffers[COMMON] = floats_of(shape, 1, 0);
    ret_buffers[COMMON + 1] = floats_of(shape, 1, 0);
    return COMMON + 2;
}

static int statistics_launch(const struct kernel_shape *shape, void *const *buffers,
                             struct CUstream_st *stream)
{
    const struct batch_norm norm = norm_of(shape, buffers);
    const struct batch_norm_running running = {buffers[COMMON], buffers[COMMON + 1], 0.9, 1e-3,
                                               false};
    return batch_norm_statistics_launch(&norm, &running, stream);
}

/* ---- apply: y, then what it is made with ---- */

static size_t apply_describe(const struct kernel_shape *shape, struct kernel_buffer *ret_buffers)
{
    common_describe(shape, 1, ret_buffers);
    ret_buffers[COMMON] = map_of(shape, 1);
    return COMMON + 1;
}

static int apply_launch(const struct kernel_shape *shape, void *const *buffers,
                        struct CUstream_st *stream)
{
    const struct batch_norm norm = norm_of(shape, buffers);
    const struct batch_norm_output output = {.ret_y = buffers[COMMON]};
    return batch_norm_apply_launch(&norm, &output, stream);
}

static size_t apply_residual_describe(const struct kernel_shape *shape,
                                      struct kernel_buffer *ret_buffers)
{
    const size_t count = apply_describe(shape, ret_buffers);
    ret_buffers[count] = map_of(shape, 1);
    return count + 1;
}

static int apply_residual_launch(const struct kernel_shape *shape, void *const *buffers,
                                 struct CUstream_st *stream)
{
    const struct batch_norm norm = norm_of(shape, buffers);
    const struct batch_norm_output output = {.residual = buffers[COMMON + 1],
                                             .ret_y = buffers[COMMON]};
    return batch_norm_apply_launch(&norm, &output, stream);
}

static size_t apply_gate_describe(const struct kernel_shape *shape,
                                  struct kernel_buffer *ret_buffers)
{
    const size_t count = apply_describe(shape, ret_buffers);
    ret_buffers[count] = floats_of(shape, shape->images, 1);
    return count + 1;
}

static int apply_gate_launch(const struct kernel_shape *shape, void *const *buffers,
                             struct CUstream_st *stream)
{
    const struct batch_norm norm = norm_of(shape, buffers);
    const struct batch_norm_output output = {.gate = buffers[COMMON + 1], .ret_y = buffers[COMMON]};
    return batch_norm_apply_launch(&norm, &output, stream);
}

static size_t pool_describe(const struct kernel_shape *shape, struct kernel_buffer *ret_buffers)
{
    common_describe(shape, 1, ret_buffers);
    ret_buffers[COMMON] = floats_of(shape, shape->images, 1);
    return COMMON + 1;
}

static int pool_launch(const struct kernel_shape *shape, void *const *buffers,
                       struct CUstream_st *stream)
{
    const struct batch_norm norm = norm_of(shape, buffers);
    const struct batch_norm_pool pool = {.ret_pooled = buffers[COMMON]};
    return batch_norm_pool_launch(&norm, &pool, stream);
}

/* ---- backward: the gradient's map, means and, where it is made, dx ---- */

static size_t backward_sums_describe(const struct kernel_shape *shape,
                                     struct kernel_buffer *ret_buffers)
{
    common_describe(shape, 1, ret_buffers);
    ret_buffers[COMMON] = map_of(shape, 1);
    ret_buffers[COMMON + 1] = floats_of(shape, 4, 0);
    return COMMON + 2;
}

static int backward_sums_launch(const struct kernel_shape *shape, void *const *buffers,
                                struct CUstream_st *stream)
{
    const struct batch_norm norm = norm_of(shape, buffers);
    const struct batch_norm_incoming incoming = {.map = buffers[COMMON]};
    return batch_norm_backward_sums_launch(&norm, &incoming, stream);
}

static size_t backward_apply_describe(const struct kernel_shape *shape,
                                      struct kernel_buffer *ret_buffers)
{
    const size_t count = backward_sums_describe(shape, ret_buffers);
    ret_buffers[count] = map_of(shape, 1);
    return count + 1;
}

static int backward_apply_launch(const struct kernel_shape *shape, void *const *buffers,
                                 struct CUstream_st *stream)
{
    const struct batch_norm norm = norm_of(shape, buffers);
    const struct batch_norm_incoming incoming = {.map = buffers[COMMON]};
    float *rows = buffers[COMMON + 1]; /* (4, channels): dscale, dshift, the two means */
    const struct batch_norm_gradients gradients = {.dscale = rows,
                                                   .dshift = rows + shape->channels,
                                                   .means = rows + 2 * (size_t)shape->channels,
                                                   .ret_dx = buffers[COMMON + 2],
                                                   .first = true};
    return batch_norm_backward_apply_launch(&norm, &incoming, &gradients, stream);
}

static size_t squeeze_sums_describe(const struct kernel_shape *shape,
                                    struct kernel_buffer *ret_buffers)
{
    common_describe(shape, 1, ret_buffers);
    ret_buffers[COMMON] = map_of(shape, 1);
    ret_buffers[COMMON + 1] = floats_of(shape, SQUEEZE_SUMS * shape->images, 1);
    return COMMON + 2;
}

static int squeeze_sums_run(const struct kernel_shape *shape, void *const *buffers,
                            struct CUstream_st *stream)
{
    const struct batch_norm norm = norm_of(shape, buffers);
    return squeeze_sums_launch(&norm, buffers[COMMON], buffers[COMMON + 1], stream);
}

struct kernel_group kernel_group_maps(void)
{
    static const struct kernel_case cases[] = {
        {"batch_norm_statistics", statistics_describe, statistics_launch},
        {"batch_norm_apply", apply_describe, apply_launch},
        {"batch_norm_apply + residual", apply_residual_describe, apply_residual_launch},
        {"batch_norm_apply + gate", apply_gate_describe, apply_gate_launch},
        {"batch_norm_pool", pool_describe, pool_launch},
        {"batch_norm_backward_sums", backward_sums_describe, backward_sums_launch},
        {"batch_norm_backward_apply", backward_apply_describe, backward_apply_launch},
        {"squeeze_sums", squeeze_sums_describe, squeeze_sums_run},
    };
    return (struct kernel_group){cases, ARRAY_LENGTH(cases), shapes, ARRAY_LENGTH(shapes)};
}
