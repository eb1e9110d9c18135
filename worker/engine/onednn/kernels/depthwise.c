/* Depthwise convolution of one plane (an image's block of channels) at a time: the plane is copied into a frame with its
 * padding around it, so that the loops know no borders, and all three passes are correlations of short rows.
 *
 * Every correlation is out[j * out_step] = sum over a, b of w[a][b] in[a][j * in_step + b]:
 *   forward                   in_step = stride, out_step = 1
 *   backward data, stride 1   flipped weights, both steps 1
 *   backward data, stride 2   for each parity of row and column the weights that meet it, flipped; out_step = 2 */
#include "worker/engine/onednn/kernels/set.h"

#include <assert.h>
#include <string.h>

/* A plane of size x size pixels inside a frame of width x width, `before` pixels of zeroes above and to the left. */
struct frame {
    uint32_t width, before, size;
};

static struct frame frame_of_input(const struct depthwise_shape *shape)
{
    const uint32_t before = shape->kernel / 2;
    const uint32_t read = (shape->out_size - 1) * shape->stride + shape->kernel;
    const uint32_t held = before + shape->in_size;
    return (struct frame){read > held ? read : held, before, shape->in_size};
}

static struct frame frame_of_gradient(const struct depthwise_shape *shape)
{
    const uint32_t before = shape->kernel / 2;
    return (struct frame){shape->out_size + 2 * before, before, shape->out_size};
}

size_t KERNEL(depthwise_scratch)(const struct depthwise_shape *shape)
{
    const size_t input = frame_of_input(shape).width, gradient = frame_of_gradient(shape).width;
    const size_t width = input > gradient ? input : gradient;
    return width * width * KERNEL_LANES;
}

/* The border is cleared once, the plane copied for every image. */
static void frame_clear(const struct frame *frame, float *pixels)
{
    memset(pixels, 0, (size_t)frame->width * frame->width * KERNEL_LANES * sizeof *pixels);
}

static void frame_fill(const struct frame *frame, const mapped *plane, float *pixels)
{
    for (uint32_t y = 0; y < frame->size; y++) {
        const size_t to = (size_t)(frame->before + y) * frame->width + frame->before;
        for (uint32_t x = 0; x < frame->size; x++)
            store(pixels, to + x, load_map(plane, (size_t)y * frame->size + x));
    }
}

struct correlation {
    const float *in; /* first row and column that count */
    size_t in_row;   /* lanes from row to row */
    const float *w;  /* (rows, columns, lanes) */
    uint32_t rows, columns, in_step;
    mapped *out;
    size_t out_step, count;
};

enum { TILE = 4 };

/* `tile` outputs from j on. */
KERNEL_INLINE void correlate_tile(const struct correlation *c, size_t j, const unsigned tile,
                                  const unsigned columns, const unsigned in_step)
{
    lanes sum[TILE] = {{0}};
    for (uint32_t a = 0; a < c->rows; a++) {
        const float *in = c->in + (a * c->in_row + j * in_step) * KERNEL_LANES;
        const float *w = c->w + (size_t)a * columns * KERNEL_LANES;
        for (unsigned b = 0; b < columns; b++)
            for (unsigned t = 0; t < tile; t++)
                sum[t] += load(w, b) * load(in, t * in_step + b);
    }
    for (unsigned t = 0; t < tile; t++)
        store_map(c->out, (j + t) * c->out_step, sum[t]);
}

KERNEL_INLINE void correlate_row(const struct correlation *c, const unsigned columns,
                                 const unsigned in_step)
{
    size_t j = 0;
    for (; j + TILE <= c->count; j += TILE)
        correlate_tile(c, j, TILE, columns, in_step);
    for (; j < c->count; j++)
        correlate_tile(c, j, 1, columns, in_step);
}

static void correlate_by_one(const struct correlation *c)
{
    switch (c->columns) {
    case 1:
        correlate_row(c, 1, 1);
        return;
    case 2:
        correlate_row(c, 2, 1);
        return;
    case 3:
        correlate_row(c, 3, 1);
        return;
    case 4:
        correlate_row(c, 4, 1);
        return;
    case 5:
        correlate_row(c, 5, 1);
        return;
    default:
        assert(c->columns == 7);
        correlate_row(c, 7, 1);
    }
}

static void correlate_by_two(const struct correlation *c)
{
    switch (c->columns) {
    case 1:
        correlate_row(c, 1, 2);
        return;
    case 3:
        correlate_row(c, 3, 2);
        return;
    case 5:
        correlate_row(c, 5, 2);
        return;
    default:
        assert(c->columns == 7);
        correlate_row(c, 7, 2);
    }
}

static void correlate(const struct correlation *c)
{
    if (c->in_step == 1)
        correlate_by_one(c);
    else
        correlate_by_two(c);
}

static size_t plane_size(uint32_t size)
{
    return (size_t)size * size * KERNEL_LANES;
}

void KERNEL(depthwise_forward)(const struct depthwise_shape *shape, const void *x, const float *w,
                               void *z, float *scratch)
{
    const mapped *xs = x;
    mapped *zs = z;
    const struct frame frame = frame_of_input(shape);
    const size_t filter = (size_t)shape->kernel * shape->kernel * KERNEL_LANES;
    frame_clear(&frame, scratch);
    for (size_t plane = 0; plane < (size_t)shape->images * shape->blocks; plane++) {
        frame_fill(&frame, xs + plane * plane_size(shape->in_size), scratch);
        struct correlation c = {.in_row = frame.width,
                                .w = w + plane % shape->blocks * filter,
                                .rows = shape->kernel,
                                .columns = shape->kernel,
                                .in_step = shape->stride,
                                .out_step = 1,
                                .count = shape->out_size};
        for (uint32_t y = 0; y < shape->out_size; y++) {
            c.in = scratch + (size_t)y * shape->stride * frame.width * KERNEL_LANES;
            c.out = zs + plane * plane_size(shape->out_size) +
                    (size_t)y * shape->out_size * KERNEL_LANES;
            correlate(&c);
        }
    }
}

/* Along one axis: the kernel positions that reach pixels of one parity (stride 2) or all (stride 1), last first. */
struct taps {
    uint32_t count, last, step;
};

static struct taps taps_of(const struct depthwise_shape *shape, uint32_t pixel)
{
    const uint32_t first = (pixel + shape->kernel / 2) % shape->stride;
    if (first >= shape->kernel)
        return (struct taps){0, 0, shape->stride};
    const uint32_t count = (shape->kernel - first + shape->stride - 1) / shape->stride;
    return (struct taps){count, first + (count - 1) * shape->stride, shape->stride};
}

/* First row or column of the gradient's frame that reaches `pixel`. */
static uint32_t reach_of(const struct depthwise_shape *shape, const struct taps *taps,
                         uint32_t pixel)
{
    const uint32_t before = shape->kernel / 2;
    return (pixel + before + before * shape->stride - taps->last) / shape->stride;
}

static void weights_flip(const struct depthwise_shape *shape, const struct taps *rows,
                         const struct taps *columns, const float *w, float *ret_flipped)
{
    for (uint32_t a = 0; a < rows->count; a++)
        for (uint32_t b = 0; b < columns->count; b++) {
            const uint32_t i = rows->last - a * rows->step, j = columns->last - b * columns->step;
            store(ret_flipped, a * columns->count + b, load(w, i * shape->kernel + j));
        }
}

/* One plane's gradient at the rows and columns of one parity; the frame holds dz. */
static void gradient_of_parity(const struct depthwise_shape *shape, const float *frame,
                               const float *w, const uint32_t parity[2], mapped *dx)
{
    const struct taps rows = taps_of(shape, parity[0]), columns = taps_of(shape, parity[1]);
    const size_t width = frame_of_gradient(shape).width, step = shape->stride;
    float flipped[KERNELS_KERNEL_MAX * KERNELS_KERNEL_MAX * KERNEL_LANES]
        __attribute__((aligned(64)));
    weights_flip(shape, &rows, &columns, w, flipped);
    struct correlation c = {.in_row = width,
                            .w = flipped,
                            .rows = rows.count,
                            .columns = columns.count,
                            .in_step = 1,
                            .out_step = step,
                            .count = (shape->in_size - parity[1] + step - 1) / step};
    for (uint32_t y = parity[0]; y < shape->in_size; y += shape->stride) {
        const size_t in = reach_of(shape, &rows, y) * width + reach_of(shape, &columns, parity[1]);
        c.out = dx + ((size_t)y * shape->in_size + parity[1]) * KERNEL_LANES;
        c.in = frame + in * KERNEL_LANES;
        for (size_t j = 0; columns.count == 0 && j < c.count; j++)
            store_map(c.out, j * step, all(0));
        if (columns.count > 0)
            correlate(&c);
    }
}

void KERNEL(depthwise_backward_data)(const struct depthwise_shape *shape, const void *dz,
                                     const float *w, void *dx, float *scratch)
{
    const mapped *dzs = dz;
    mapped *dxs = dx;
    const struct frame frame = frame_of_gradient(shape);
    const size_t filter = (size_t)shape->kernel * shape->kernel * KERNEL_LANES;
    frame_clear(&frame, scratch);
    for (size_t plane = 0; plane < (size_t)shape->images * shape->blocks; plane++) {
        frame_fill(&frame, dzs + plane * plane_size(shape->out_size), scratch);
        for (uint32_t row = 0; row < shape->stride && row < shape->in_size; row++)
            for (uint32_t column = 0; column < shape->stride && column < shape->in_size; column++)
                gradient_of_parity(shape, scratch, w + plane % shape->blocks * filter,
                                   (const uint32_t[2]){row, column},
                                   dxs + plane * plane_size(shape->in_size));
    }
}

struct weight_sums {
    const float *frame;
    const mapped *dz;
    size_t width;
    uint32_t out_size, stride;
};

/* dw += of `rows` x `columns` weights from kernel row `first` on. */
KERNEL_INLINE void sum_weights(const struct weight_sums *s, uint32_t first, float *dw,
                               const unsigned rows, const unsigned columns)
{
    lanes sum[9] = {{0}};
    for (uint32_t y = 0; y < s->out_size; y++) {
        const mapped *dz = s->dz + (size_t)y * s->out_size * KERNEL_LANES;
        const float *in = s->frame + (size_t)(y * s->stride + first) * s->width * KERNEL_LANES;
        for (uint32_t j = 0; j < s->out_size; j++)
            for (unsigned a = 0; a < rows; a++)
                for (unsigned b = 0; b < columns; b++)
                    sum[a * columns + b] +=
                        load_map(dz, j) * load(in, a * s->width + j * s->stride + b);
    }
    for (unsigned i = 0; i < rows * columns; i++)
        store(dw, first * columns + i, load(dw, first * columns + i) + sum[i]);
}

static void sum_plane(const struct weight_sums *s, uint32_t kernel, float *dw)
{
    switch (kernel) {
    case 1:
        sum_weights(s, 0, dw, 1, 1);
        return;
    case 3:
        sum_weights(s, 0, dw, 3, 3);
        return;
    case 5:
        for (uint32_t row = 0; row < 5; row++)
            sum_weights(s, row, dw, 1, 5);
        return;
    default:
        assert(kernel == 7);
        for (uint32_t row = 0; row < 7; row++)
            sum_weights(s, row, dw, 1, 7);
    }
}

void KERNEL(depthwise_backward_weights)(const struct depthwise_shape *shape, const void *x,
                                        const void *dz, float *dw, float *scratch)
{
    const mapped *xs = x, *dzs = dz;
    const struct frame frame = frame_of_input(shape);
    const size_t filter = (size_t)shape->kernel * shape->kernel * KERNEL_LANES;
    frame_clear(&frame, scratch);
    for (size_t plane = 0; plane < (size_t)shape->images * shape->blocks; plane++) {
        frame_fill(&frame, xs + plane * plane_size(shape->in_size), scratch);
        const struct weight_sums sums = {.frame = scratch,
                                         .dz = dzs + plane * plane_size(shape->out_size),
                                         .width = frame.width,
                                         .out_size = shape->out_size,
                                         .stride = shape->stride};
        sum_plane(&sums, shape->kernel, dw + plane % shape->blocks * filter);
    }
}
