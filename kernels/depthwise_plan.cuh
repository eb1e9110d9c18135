/* How the depthwise kernels split a map, from its shape alone.
 *
 * A block has a tile of channels and slides down H. In every step it stages the next rows of the map that it reads with a halo
 * (forward: x; backward: the output's gradient) and, once its window is full, makes rows of the map that it writes. Both maps are
 * counted in units, pixels of the smaller one (the convolution's output): a step is one unit down.
 *
 * A strip is some images, some units beside each other and some units below each other; a block goes from strip to strip, `slices`
 * apart, without its copies running dry. */
#ifndef KERNELS_DEPTHWISE_PLAN_CUH
#define KERNELS_DEPTHWISE_PLAN_CUH

#include "kernels/depthwise.h"

#include <cuda_runtime.h>

enum depthwise_direction { DEPTHWISE_FORWARD, DEPTHWISE_BACKWARD };

enum {
    DEPTHWISE_THREADS = 256,
    DEPTHWISE_LANES = 32,       /* threads beside each other over the channels, at most */
    DEPTHWISE_BLOCKS = 512,     /* about 4 for each multiprocessor of an H100 */
    DEPTHWISE_ROWS_LEAST = 8,   /* units down that make a strip worth its halo */
    DEPTHWISE_SHARED = 80 << 10 /* bytes that several images at once may take */
};

/* One of a strip's two maps. Unit u begins at pixel u * scale - padding; a step has `scale` rows. */
struct depthwise_side {
    uint32_t size, scale, padding;
    uint32_t columns; /* of a strip */
};

struct depthwise_plan {
    struct depthwise_shape shape;
    struct depthwise_side halo, own;
    uint32_t octets, tiles;         /* octets of channels in a tile */
    uint32_t lanes, groups, images; /* a block's threads: (images, groups, lanes) */
    uint32_t window;                /* steps that make the first row */
    uint32_t units;                 /* of a strip, beside each other */
    uint32_t rows; /* of a strip: units below each other, the last strip may have fewer */
    uint32_t unit_tiles, segments, strips, slices;
    /* Shared memory, in bytes: steps at 0, halo_places, own_places, table, staged, raw, written; `bytes` altogether. */
    uint32_t halo_places, own_places, table, staged, raw, written, bytes;
};

/* Where a step's first pixel lies in a map, outside it in the halo; and which of the step's pixels are within the map: `columns`
 * of them beginning with `first`, rows by their bits in `rows`, and places below `end`. */
struct depthwise_origin {
    int64_t offset; /* in elements, of the tile's first channel */
    uint32_t first, columns, rows, end;
};

/* A step of a block: where it stages, and where it makes pixels if it does. There are none behind the last strip. */
struct alignas(64) depthwise_step {
    struct depthwise_origin halo, own;
    uint32_t image; /* the strip's first */
    bool stages, makes;
};

enum { DEPTHWISE_STEPS = 8 };

/* The steps around the one that is being done, step n at n % DEPTHWISE_STEPS, and which one follows. Uniform over a block, so one
 * thread finds them for all. */
struct depthwise_steps {
    struct depthwise_step at[DEPTHWISE_STEPS];
    struct depthwise_step next;  /* the first that is not in `at` */
    int32_t halo_row, own_row;   /* its first rows */
    uint32_t strip, step, steps; /* it is this one of a strip's steps */
};

/* A pixel of one step of a side, seen from the first pixel of the first image. */
struct depthwise_place {
    uint32_t offset; /* in the map, in elements */
    uint32_t at;     /* column + 2^15 row + 2^16 image */
};

#define PLAN_CONSTANT __host__ __device__ constexpr static inline

PLAN_CONSTANT uint32_t depthwise_parts(uint32_t whole, uint32_t part)
{
    return (whole - 1) / part + 1;
}

PLAN_CONSTANT uint32_t depthwise_least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Channels of a lane: their weights, and their gradients, must stay in registers. */
PLAN_CONSTANT uint32_t lane_channels(uint32_t kernel)
{
    return kernel <= 3 ? 2 : 1;
}

/* Pixels of its own side that a lane makes of a row: whole units. */
PLAN_CONSTANT uint32_t lane_columns(uint32_t stride)
{
    return 4 / stride;
}

/* Steps whose copies are under way beside the one that is staged next. */
PLAN_CONSTANT uint32_t steps_ahead(enum depthwise_direction direction, uint32_t stride)
{
    return direction == DEPTHWISE_FORWARD && stride == 1 ? 3 : 1;
}

/* Slots of the rings in shared memory. What is staged, in float: forward, a step that is made and one that is read; backward, a
 * window and a step that is made. Raw octets belong to the thread that copied them. Rows of the other side: forward, one that is
 * made and one that is stored; backward, x too, from its copy on. */
PLAN_CONSTANT uint32_t staged_slots(enum depthwise_direction direction, uint32_t window)
{
    return direction == DEPTHWISE_FORWARD ? 2 : window + 1;
}

PLAN_CONSTANT uint32_t raw_slots(enum depthwise_direction direction, uint32_t stride)
{
    return steps_ahead(direction, stride) + 1;
}

PLAN_CONSTANT uint32_t written_slots(enum depthwise_direction direction, uint32_t stride)
{
    return direction == DEPTHWISE_FORWARD ? 2 : steps_ahead(direction, stride) + 3;
}

/* Forward: x. Backward: the incoming gradient, y. */
PLAN_CONSTANT uint32_t raw_maps(enum depthwise_direction direction)
{
    return direction == DEPTHWISE_FORWARD ? 1 : 2;
}

/* Floats of a channel that turn what is raw into what is staged. */
PLAN_CONSTANT uint32_t table_kinds(enum depthwise_direction direction)
{
    return direction == DEPTHWISE_FORWARD ? 2 : 4;
}

/* Forward: rows that a unit's output reads, in units. Backward: rows of the output that its input pixels are read by. */
PLAN_CONSTANT uint32_t window_of(enum depthwise_direction direction, uint32_t kernel,
                                 uint32_t stride)
{
    const uint32_t padding = kernel / 2;
    return direction == DEPTHWISE_FORWARD ? (kernel - 1) / stride + 1
                                          : padding / stride + (padding + stride - 1) / stride + 1;
}

/* Columns of the map with the halo under `columns` of the other one. */
PLAN_CONSTANT uint32_t halo_columns(enum depthwise_direction direction, uint32_t kernel,
                                    uint32_t stride, uint32_t columns)
{
    const uint32_t padding = kernel / 2;
    return direction == DEPTHWISE_FORWARD ? (columns - 1) * stride + kernel
                                          : padding / stride + (columns - 1 + padding) / stride + 1;
}

/* Pixels of one step of a side, all images. */
PLAN_CONSTANT uint32_t side_pixels(uint32_t images, const struct depthwise_side &side)
{
    return images * side.scale * side.columns;
}

/* Of a grid (tiles, slices) of blocks of `lanes * groups * images` threads and `bytes` of shared memory. */
struct depthwise_plan depthwise_plan_of(enum depthwise_direction direction,
                                        const struct depthwise_shape *shape);

/* Asserts what a launcher needs of a shape. */
void depthwise_shape_check(const struct depthwise_shape *shape);
bool depthwise_aligned(const void *pointer);
void depthwise_input_check(const struct depthwise_input *input);

#endif
