/* Small matrix products for squeeze-and-excitation and the last layer, in tiles that keep their sums in registers. */
#include "worker/engine/onednn/kernels/set.h"

enum { ROWS = 2, OUTPUTS = 4, COLUMNS = 4 }; /* of a tile; columns are lanes of the wide side */

/* Where a tile begins: in the narrow rows, the wide rows, the matrix, and what is added. */
struct tile {
    const float *narrow, *wide, *w, *b;
    float *ret;
};

KERNEL_INLINE void dot_tile(const struct kernel_linear *shape, const struct tile *tile,
                            const unsigned rows, const unsigned outputs)
{
    const size_t in_lanes = shape->in / KERNEL_LANES;
    lanes sum[ROWS][OUTPUTS] = {{{0}}};
    for (size_t i = 0; i < in_lanes; i++)
        for (unsigned o = 0; o < outputs; o++)
            for (unsigned r = 0; r < rows; r++)
                sum[r][o] += load(tile->wide, r * in_lanes + i) * load(tile->w, o * in_lanes + i);
    for (unsigned r = 0; r < rows; r++)
        for (unsigned o = 0; o < outputs; o++)
            tile->ret[(size_t)r * shape->out + o] =
                (tile->b ? tile->b[o] : 0.0f) + lanes_sum(sum[r][o]);
}

KERNEL_INLINE void dot_outputs(const struct kernel_linear *shape, struct tile tile,
                               const unsigned outputs)
{
    size_t row = 0;
    for (; row + ROWS <= shape->rows; row += ROWS) {
        dot_tile(shape, &tile, ROWS, outputs);
        tile.wide += (size_t)ROWS * shape->in;
        tile.ret += (size_t)ROWS * shape->out;
    }
    if (row < shape->rows)
        dot_tile(shape, &tile, 1, outputs);
}

void KERNEL(linear_dot)(const struct kernel_linear *shape, const float *wide, const float *w,
                        const float *b, float *ret_narrow)
{
    size_t o = 0;
    for (; o + OUTPUTS <= shape->out; o += OUTPUTS)
        dot_outputs(shape,
                    (struct tile){NULL, wide, w + o * shape->in, b ? b + o : NULL, ret_narrow + o},
                    OUTPUTS);
    for (; o < shape->out; o++)
        dot_outputs(shape,
                    (struct tile){NULL, wide, w + o * shape->in, b ? b + o : NULL, ret_narrow + o},
                    1);
}

KERNEL_INLINE void mix_tile(const struct kernel_linear *shape, const struct tile *tile,
                            const unsigned rows, const unsigned columns)
{
    const size_t in_lanes = shape->in / KERNEL_LANES;
    lanes sum[ROWS][COLUMNS] = {{{0}}};
    for (unsigned c = 0; tile->b && c < columns; c++)
        for (unsigned r = 0; r < rows; r++)
            sum[r][c] = load(tile->b, c);
    for (size_t o = 0; o < shape->out; o++)
        for (unsigned c = 0; c < columns; c++)
            for (unsigned r = 0; r < rows; r++)
                sum[r][c] +=
                    tile->narrow[r * (size_t)shape->out + o] * load(tile->w, o * in_lanes + c);
    for (unsigned r = 0; r < rows; r++)
        for (unsigned c = 0; c < columns; c++)
            store(tile->ret, r * in_lanes + c, sum[r][c]);
}

KERNEL_INLINE void mix_columns(const struct kernel_linear *shape, struct tile tile,
                               const unsigned columns)
{
    size_t row = 0;
    for (; row + ROWS <= shape->rows; row += ROWS) {
        mix_tile(shape, &tile, ROWS, columns);
        tile.narrow += (size_t)ROWS * shape->out;
        tile.ret += (size_t)ROWS * shape->in;
    }
    if (row < shape->rows)
        mix_tile(shape, &tile, 1, columns);
}

void KERNEL(linear_mix)(const struct kernel_linear *shape, const float *narrow, const float *w,
                        const float *b, float *ret_wide)
{
    size_t i = 0;
    for (; i + (size_t)COLUMNS * KERNEL_LANES <= shape->in; i += (size_t)COLUMNS * KERNEL_LANES)
        mix_columns(shape, (struct tile){narrow, NULL, w + i, b ? b + i : NULL, ret_wide + i},
                    COLUMNS);
    for (; i < shape->in; i += KERNEL_LANES)
        mix_columns(shape, (struct tile){narrow, NULL, w + i, b ? b + i : NULL, ret_wide + i}, 1);
}

KERNEL_INLINE void outer_tile(const struct kernel_linear *shape, const struct tile *tile,
                              const unsigned outputs, const unsigned columns)
{
    const size_t in_lanes = shape->in / KERNEL_LANES;
    lanes sum[OUTPUTS][COLUMNS] = {{{0}}};
    for (size_t row = 0; row < shape->rows; row++)
        for (unsigned o = 0; o < outputs; o++)
            for (unsigned c = 0; c < columns; c++)
                sum[o][c] +=
                    tile->narrow[row * shape->out + o] * load(tile->wide, row * in_lanes + c);
    for (unsigned o = 0; o < outputs; o++)
        for (unsigned c = 0; c < columns; c++)
            store(tile->ret, o * in_lanes + c, load(tile->ret, o * in_lanes + c) + sum[o][c]);
}

KERNEL_INLINE void outer_outputs(const struct kernel_linear *shape, struct tile tile,
                                 const unsigned outputs)
{
    size_t i = 0;
    for (; i + 2 * KERNEL_LANES <= shape->in; i += 2 * KERNEL_LANES) {
        outer_tile(shape, &tile, outputs, 2);
        tile.wide += 2 * KERNEL_LANES;
        tile.ret += 2 * KERNEL_LANES;
    }
    if (i < shape->in)
        outer_tile(shape, &tile, outputs, 1);
}

void KERNEL(linear_outer)(const struct kernel_linear *shape, const float *narrow, const float *wide,
                          float *dw)
{
    size_t o = 0;
    for (; o + OUTPUTS <= shape->out; o += OUTPUTS)
        outer_outputs(shape, (struct tile){narrow + o, wide, NULL, NULL, dw + o * shape->in},
                      OUTPUTS);
    for (; o < shape->out; o++)
        outer_outputs(shape, (struct tile){narrow + o, wide, NULL, NULL, dw + o * shape->in}, 1);
}

void KERNEL(row_sums)(size_t rows, size_t count, const float *values, float *sums)
{
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < count; i++)
            sums[i] += values[row * count + i];
}
