/* Products of small matrices in float, for what is a vector an image: the last layer and squeeze-and-excitation. A block makes a
 * square tile of the result, its warps sharing the depth where the tiles are small; the tile follows from the sizes alone, and
 * with it the order of additions. */
#ifndef KERNELS_MATRIX_H
#define KERNELS_MATRIX_H

#include "kernels/step.h"
#include "search/attributes.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MATRIX_PRODUCTS_MAX = 2,   /* in one launch */
    MATRIX_BLOCKS_WANTED = 128 /* tiles are made smaller until there are so many blocks */
};

/* Element (i, j) is values[i * row_stride + j * column_stride]; one of the strides should be 1. */
struct matrix {
    const float *values;
    uint32_t row_stride, column_stride;
};

/* ret = a b + bias. Device memory; what is written overlaps nothing else. */
struct matrix_product {
    uint32_t rows, columns, depth; /* all above 0 */
    struct matrix a;               /* (rows, depth) */
    struct matrix b;               /* (depth, columns) */
    const float *bias;             /* (columns); NULL: 0 */
    float *ret;                    /* (rows, columns) */
    uint32_t ret_stride;           /* of a row of ret */
    float *ret_row_sums; /* (rows): sums of a over the depth, a bias's gradient; NULL: not wanted */
    bool add;            /* to ret and ret_row_sums; otherwise they are replaced */
};

/* `count` of them, which do not depend on each other, in one launch. Asynchronous on the stream. -EIO where a launch failed. */
int matrix_products_launch(const struct matrix_product *products, uint32_t count,
                           struct CUstream_st *stream) MUST_USE;
int matrix_product_launch(const struct matrix_product *product,
                          struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
