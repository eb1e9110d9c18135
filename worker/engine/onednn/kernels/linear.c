/* Small matrix products for squeeze-and-excitation and the last layer. */
#include "worker/engine/onednn/kernels/set.h"

enum { OUTPUTS = 4 }; /* rows of w at a time */

/* y of `outputs` neighbouring outputs of one row. */
KERNEL_INLINE void dot(size_t in_lanes, const float *x, const float *w, float *ret_y,
                       const unsigned outputs)
{
    lanes sum[OUTPUTS] = {{0}};
    for (size_t i = 0; i < in_lanes; i++)
        for (unsigned o = 0; o < outputs; o++)
            sum[o] += load(x, i) * load(w, o * in_lanes + i);
    for (unsigned o = 0; o < outputs; o++)
        ret_y[o] += lanes_sum(sum[o]);
}

void KERNEL(linear_forward)(const struct kernel_linear *shape, const float *x, const float *w,
                            const float *b, float *ret_y)
{
    const size_t in_lanes = shape->in / KERNEL_LANES;
    for (size_t row = 0; row < shape->rows; row++) {
        const float *from = x + row * shape->in;
        float *y = ret_y + row * shape->out;
        uint32_t o = 0;
        for (uint32_t i = 0; i < shape->out; i++)
            y[i] = b[i];
        for (; o + OUTPUTS <= shape->out; o += OUTPUTS)
            dot(in_lanes, from, w + (size_t)o * shape->in, y + o, OUTPUTS);
        for (; o < shape->out; o++)
            dot(in_lanes, from, w + (size_t)o * shape->in, y + o, 1);
    }
}

enum { COLUMNS = 4 }; /* lanes of dx at a time */

/* `columns` lanes of one row's dx from lane `first` on. */
KERNEL_INLINE void dx_columns(const struct kernel_linear *shape, const float *w, const float *dy,
                              float *dx, size_t first, const unsigned columns)
{
    const size_t in_lanes = shape->in / KERNEL_LANES;
    lanes sum[COLUMNS] = {{0}};
    for (uint32_t o = 0; o < shape->out; o++)
        for (unsigned c = 0; c < columns; c++)
            sum[c] += dy[o] * load(w, o * in_lanes + first + c);
    for (unsigned c = 0; c < columns; c++)
        store(dx, first + c, sum[c]);
}

void KERNEL(linear_backward_data)(const struct kernel_linear *shape, const float *w,
                                  const float *dy, float *ret_dx)
{
    const size_t in_lanes = shape->in / KERNEL_LANES;
    for (size_t row = 0; row < shape->rows; row++) {
        size_t i = 0;
        for (; i + COLUMNS <= in_lanes; i += COLUMNS)
            dx_columns(shape, w, dy + row * shape->out, ret_dx + row * shape->in, i, COLUMNS);
        for (; i < in_lanes; i++)
            dx_columns(shape, w, dy + row * shape->out, ret_dx + row * shape->in, i, 1);
    }
}

/* dw += of `outputs` neighbouring outputs. */
KERNEL_INLINE void dw_outputs(const struct kernel_linear *shape, const float *x, const float *dy,
                              float *dw, uint32_t first, const unsigned outputs)
{
    const size_t in_lanes = shape->in / KERNEL_LANES;
    for (size_t i = 0; i < in_lanes; i++) {
        lanes sum[OUTPUTS] = {{0}};
        for (size_t row = 0; row < shape->rows; row++)
            for (unsigned o = 0; o < outputs; o++)
                sum[o] += dy[row * shape->out + first + o] * load(x, row * in_lanes + i);
        for (unsigned o = 0; o < outputs; o++) {
            const size_t at = (first + o) * in_lanes + i;
            store(dw, at, load(dw, at) + sum[o]);
        }
    }
}

void KERNEL(linear_backward_weights)(const struct kernel_linear *shape, const float *x,
                                     const float *dy, float *dw, float *db)
{
    uint32_t o = 0;
    for (; o + OUTPUTS <= shape->out; o += OUTPUTS)
        dw_outputs(shape, x, dy, dw, o, OUTPUTS);
    for (; o < shape->out; o++)
        dw_outputs(shape, x, dy, dw, o, 1);
    for (size_t row = 0; row < shape->rows; row++)
        for (uint32_t i = 0; i < shape->out; i++)
            db[i] += dy[row * shape->out + i];
}
