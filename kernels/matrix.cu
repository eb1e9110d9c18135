#include "kernels/launch.cuh"
#include "kernels/matrix.h"

#include <assert.h>
#include <errno.h>

enum {
    THREADS = 256,
    LOADS = 8, /* values of either factor that a thread brings at a time */
    SIDE = 4   /* a thread's results are SIDE by SIDE */
};

/* A block has TILE by TILE results. LANES by LANES threads suffice for that, and GROUPS of so many share the DEPTH of what lies
 * in shared memory: group g has g, g + GROUPS, ... Lines in shared memory are padded to STRIDE, which keeps them aligned and
 * spreads 8 of one index over the banks. */
template <uint32_t TILE> struct tiling {
    static constexpr uint32_t DEPTH = THREADS * LOADS / TILE;
    static constexpr uint32_t STRIDE = TILE + SIDE;
    static constexpr uint32_t LANES = TILE / SIDE;
    static constexpr uint32_t GROUPS = THREADS / (LANES * LANES);
    static constexpr uint32_t SHARED =
        2 * DEPTH * STRIDE; /* floats; as many as the groups' results, or more */
    static_assert(SHARED >= GROUPS * TILE * TILE, "the groups' results take the factors' place");
};

struct products {
    struct matrix_product of[MATRIX_PRODUCTS_MAX];
};

/* a, or b transposed: what a block needs is lines first .. first + TILE - 1 of it. */
struct side {
    const float *values;
    uint32_t line_stride, depth_stride, lines, depth, first;
};

/* The i-th value that a thread brings: neighbours lie beside each other in memory. */
template <uint32_t TILE>
__device__ static void place_of(const struct side *side, uint32_t i, uint32_t *ret_line,
                                uint32_t *ret_k)
{
    const uint32_t at = i * THREADS + threadIdx.x;
    if (side->depth_stride == 1) {
        *ret_k = at % LOADS + at / (LOADS * TILE) * LOADS;
        *ret_line = at / LOADS % TILE;
        return;
    }
    *ret_k = at / TILE;
    *ret_line = at % TILE;
}

/* 0 beyond the matrix */
template <uint32_t TILE>
__device__ static void side_load(const struct side *side, uint32_t first_k, float *ret_values)
{
    for (uint32_t i = 0; i < LOADS; i++) {
        uint32_t line, k;
        place_of<TILE>(side, i, &line, &k);
        line += side->first;
        k += first_k;
        ret_values[i] =
            line < side->lines && k < side->depth
                ? side->values[(size_t)line * side->line_stride + (size_t)k * side->depth_stride]
                : 0.0f;
    }
}

/* -> (DEPTH, STRIDE) */
template <uint32_t TILE>
__device__ static void side_put(const struct side *side, const float *values, float *ret_shared)
{
    for (uint32_t i = 0; i < LOADS; i++) {
        uint32_t line, k;
        place_of<TILE>(side, i, &line, &k);
        ret_shared[k * tiling<TILE>::STRIDE + line] = values[i];
    }
}

/* What a thread has of the results, and where. */
struct corner {
    uint32_t group, row, column;
    float v[SIDE][SIDE];
};

template <uint32_t TILE> __device__ static struct corner corner_of(void)
{
    const uint32_t lanes = tiling<TILE>::LANES, lane = threadIdx.x % (lanes * lanes);
    struct corner corner = {
        threadIdx.x / (lanes * lanes), lane / lanes * SIDE, lane % lanes * SIDE, {{0}}};
    return corner;
}

/* a, b (DEPTH, STRIDE) */
template <uint32_t TILE>
__device__ static void corner_add(const float *a, const float *b, struct corner *corner)
{
    const uint32_t stride = tiling<TILE>::STRIDE;
    for (uint32_t k = corner->group; k < tiling<TILE>::DEPTH; k += tiling<TILE>::GROUPS) {
        const float *at_a = a + k * stride + corner->row, *at_b = b + k * stride + corner->column;
        const struct quad of_a = *(const struct quad *)(const void *)at_a;
        const struct quad of_b = *(const struct quad *)(const void *)at_b;
        for (uint32_t i = 0; i < SIDE; i++)
            for (uint32_t j = 0; j < SIDE; j++)
                corner->v[i][j] += of_a.v[i] * of_b.v[j];
    }
}

/* -> (GROUPS, TILE, TILE) */
template <uint32_t TILE>
__device__ static void corner_put(const struct corner *corner, float *ret_shared)
{
    float *at = ret_shared + (corner->group * TILE + corner->row) * TILE + corner->column;
    for (uint32_t i = 0; i < SIDE; i++) {
        struct quad quad;
        for (uint32_t j = 0; j < SIDE; j++)
            quad.v[j] = corner->v[i][j];
        *(struct quad *)(void *)(at + i * TILE) = quad;
    }
}

/* groups (GROUPS, TILE, TILE) -> ret */
template <uint32_t TILE>
__device__ static void results_write(const struct matrix_product *product, const float *groups,
                                     uint32_t first_row, uint32_t first_column)
{
    for (uint32_t at = threadIdx.x; at < TILE * TILE; at += THREADS) {
        const uint32_t row = first_row + at / TILE, column = first_column + at % TILE;
        if (row >= product->rows || column >= product->columns)
            continue;
        float *ret = product->ret + (size_t)row * product->ret_stride + column;
        float sum = product->bias ? product->bias[column] : 0.0f;
        for (uint32_t group = 0; group < tiling<TILE>::GROUPS; group++)
            sum += groups[group * TILE * TILE + at];
        *ret = product->add ? *ret + sum : sum;
    }
}

template <uint32_t TILE> __device__ static float row_sum(const float *a)
{
    float sum = 0;
    for (uint32_t k = 0; k < tiling<TILE>::DEPTH; k++)
        sum += a[k * tiling<TILE>::STRIDE + threadIdx.x];
    return sum;
}

/* A block's tile: a, b -> ret, ret_row_sums. shared has tiling<TILE>::SHARED floats. */
template <uint32_t TILE>
__device__ static void tile_make(const struct matrix_product *product, uint32_t first_row,
                                 uint32_t first_column, float *shared)
{
    const struct side a = {product->a.values, product->a.row_stride, product->a.column_stride,
                           product->rows,     product->depth,        first_row};
    const struct side b = {product->b.values, product->b.column_stride, product->b.row_stride,
                           product->columns,  product->depth,           first_column};
    const bool sums = product->ret_row_sums && first_column == 0 && threadIdx.x < TILE;
    float *shared_b = shared + tiling<TILE>::SHARED / 2;
    float of_a[LOADS], of_b[LOADS], sum = 0;
    struct corner corner = corner_of<TILE>();
    side_load<TILE>(&a, 0, of_a);
    side_load<TILE>(&b, 0, of_b);
    for (uint32_t k = 0; k < product->depth; k += tiling<TILE>::DEPTH) {
        __syncthreads();
        side_put<TILE>(&a, of_a, shared);
        side_put<TILE>(&b, of_b, shared_b);
        __syncthreads();
        side_load<TILE>(&a, k + tiling<TILE>::DEPTH, of_a);
        side_load<TILE>(&b, k + tiling<TILE>::DEPTH, of_b);
        corner_add<TILE>(shared, shared_b, &corner);
        sum += sums ? row_sum<TILE>(shared) : 0.0f;
    }
    __syncthreads();
    corner_put<TILE>(&corner, shared);
    __syncthreads();
    results_write<TILE>(product, shared, first_row, first_column);
    float *ret = product->ret_row_sums + first_row + threadIdx.x;
    if (sums && first_row + threadIdx.x < product->rows)
        *ret = product->add ? *ret + sum : sum;
}

/* Grid (tiles of the product that has most, products) */
template <uint32_t TILE>
__global__ static void __launch_bounds__(THREADS) product_kernel(const struct products products)
{
    KERNEL_SHARED(shared);
    const struct matrix_product *product = &products.of[blockIdx.y];
    const uint32_t across = (product->columns - 1) / TILE + 1;
    const uint32_t row = blockIdx.x / across * TILE, column = blockIdx.x % across * TILE;
    if (row < product->rows)
        tile_make<TILE>(product, row, column, (float *)(void *)shared);
}

static uint32_t parts_of(uint32_t whole, uint32_t part)
{
    return (whole - 1) / part + 1;
}

static uint32_t tiles_of(const struct matrix_product *product, uint32_t tile)
{
    return parts_of(product->rows, tile) * parts_of(product->columns, tile);
}

/* The largest that still keeps the device busy. */
static uint32_t tile_of(const struct matrix_product *products, uint32_t count)
{
    for (uint32_t tile = 64; tile > 16; tile /= 2) {
        uint32_t tiles = 0;
        for (uint32_t i = 0; i < count; i++)
            tiles += tiles_of(&products[i], tile);
        if (tiles >= MATRIX_BLOCKS_WANTED)
            return tile;
    }
    return 16;
}

static void product_check(const struct matrix_product *product)
{
    assert(product->rows > 0 && product->columns > 0 && product->depth > 0);
    assert(product->a.values && product->b.values && product->ret);
    assert(product->ret_stride >= product->columns);
}

int matrix_products_launch(const struct matrix_product *products, uint32_t count,
                           struct CUstream_st *stream)
{
    struct products all;
    assert(count > 0 && count <= MATRIX_PRODUCTS_MAX);
    const uint32_t tile = tile_of(products, count);
    uint32_t tiles = 0;
    for (uint32_t i = 0; i < MATRIX_PRODUCTS_MAX; i++) {
        all.of[i] = products[i < count ? i : 0];
        product_check(&all.of[i]);
        const uint32_t has = tiles_of(&all.of[i], tile);
        tiles = has > tiles ? has : tiles;
    }
    const dim3 grid(tiles, count);
    if (tile == 64)
        return launch(product_kernel<64>, grid, THREADS, tiling<64>::SHARED * sizeof(float), stream,
                      all);
    if (tile == 32)
        return launch(product_kernel<32>, grid, THREADS, tiling<32>::SHARED * sizeof(float), stream,
                      all);
    return launch(product_kernel<16>, grid, THREADS, tiling<16>::SHARED * sizeof(float), stream,
                  all);
}

int matrix_product_launch(const struct matrix_product *product, struct CUstream_st *stream)
{
    return matrix_products_launch(product, 1, stream);
}
