#include "kernels/matrix.h"
#include "tests/unit/kernels/array.h"
#include "tests/unit/kernels/device_array.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* One value, less than a tile and a thread's corner, exactly tiles, odd ones, a deep and a flat one; each of the three tiles. */
static const struct sizes {
    uint32_t rows, columns, depth;
} SIZES[] = {{1, 1, 1},    {3, 5, 7},     {16, 16, 128},  {17, 33, 129}, {65, 10, 1280},
             {2, 301, 64}, {400, 333, 3}, {416, 333, 65}, {720, 721, 1}, {768, 705, 67}};

/* What a product may have. */
enum { TRANSPOSED_A = 1, TRANSPOSED_B = 2, BIAS = 4, ADD = 8, ROW_SUMS = 16, GAP = 32, PARTS = 64 };
enum { GAP_COLUMNS = 3 };

struct work {
    struct sizes sizes;
    unsigned parts;
    struct matrix_product here, there; /* arrays of array.h; of the device */
};

static size_t ret_count(const struct work *work)
{
    return (size_t)work->sizes.rows * work->here.ret_stride;
}

static struct matrix matrix_new(uint32_t rows, uint32_t columns, bool transposed, uint64_t stream)
{
    const float *values = array_normal((size_t)rows * columns, stream);
    return transposed ? (struct matrix){values, 1, rows} : (struct matrix){values, columns, 1};
}

static struct work work_new(const struct sizes *sizes, unsigned parts)
{
    struct work work = {*sizes, parts, {0}, {0}};
    struct matrix_product *here = &work.here;
    here->rows = sizes->rows;
    here->columns = sizes->columns;
    here->depth = sizes->depth;
    here->a = matrix_new(sizes->rows, sizes->depth, parts & TRANSPOSED_A, 1);
    here->b = matrix_new(sizes->depth, sizes->columns, parts & TRANSPOSED_B, 2);
    here->bias = parts & BIAS ? array_normal(sizes->columns, 3) : NULL;
    here->ret_stride = sizes->columns + (parts & GAP ? GAP_COLUMNS : 0);
    here->add = parts & ADD;
    here->ret =
        here->add ? array_normal(ret_count(&work), 4) : array_new(ret_count(&work) * sizeof(float));
    if (parts & ROW_SUMS)
        here->ret_row_sums =
            here->add ? array_normal(sizes->rows, 5) : array_new(sizes->rows * sizeof(float));
    work.there = *here;
    work.there.a.values = device_array_mirror(here->a.values);
    work.there.b.values = device_array_mirror(here->b.values);
    work.there.bias = device_array_mirror(here->bias);
    work.there.ret = device_array_mirror(here->ret);
    work.there.ret_row_sums = device_array_mirror(here->ret_row_sums);
    return work;
}

static double at(const struct matrix *matrix, size_t row, size_t column)
{
    return (double)matrix->values[row * matrix->row_stride + column * matrix->column_stride];
}

static void near(float got, double expected, double tolerance, const char *what, size_t row)
{
    if (!(fabs((double)got - expected) <= tolerance * (1 + fabs(expected))))
        fail_msg("%s of row %zu is %g, not %g", what, row, (double)got, expected);
}

static void row_compare(const struct work *work, const float *before, const float *got, size_t row)
{
    const struct matrix_product *product = &work->here;
    const double tolerance = 1e-6 * (1 + sqrt((double)product->depth));
    for (size_t column = 0; column < product->columns; column++) {
        double sum = product->bias ? (double)product->bias[column] : 0;
        sum += product->add ? (double)before[row * product->ret_stride + column] : 0;
        for (size_t k = 0; k < product->depth; k++)
            sum += at(&product->a, row, k) * at(&product->b, k, column);
        near(got[row * product->ret_stride + column], sum, tolerance, "a value", row);
    }
    for (size_t column = product->columns; column < product->ret_stride; column++)
        assert_memory_equal(got + row * product->ret_stride + column,
                            before + row * product->ret_stride + column, sizeof *got);
}

static void row_sums_compare(const struct work *work, const float *got)
{
    const struct matrix_product *product = &work->here;
    for (size_t row = 0; row < product->rows; row++) {
        double sum = product->add ? (double)product->ret_row_sums[row] : 0;
        for (size_t k = 0; k < product->depth; k++)
            sum += at(&product->a, row, k);
        near(got[row], sum, 1e-6 * (1 + sqrt((double)product->depth)), "the sum", row);
    }
}

/* Also of what should have stayed as it was. */
static void work_finish(struct work *work)
{
    const size_t bytes = ret_count(work) * sizeof(float);
    float *ret = array_new(bytes), *sums = array_new(work->sizes.rows * sizeof(float));
    device_array_read(work->there.ret, ret, bytes);
    for (size_t row = 0; row < work->sizes.rows; row++)
        row_compare(work, work->here.ret, ret, row);
    if (work->here.ret_row_sums) {
        device_array_read(work->there.ret_row_sums, sums, work->sizes.rows * sizeof *sums);
        row_sums_compare(work, sums);
    }
    const void *here[] = {work->here.a.values, work->here.b.values, work->here.bias, work->here.ret,
                          work->here.ret_row_sums};
    const void *there[] = {work->there.a.values, work->there.b.values, work->there.bias,
                           work->there.ret, work->there.ret_row_sums};
    for (size_t i = 0; i < LENGTH(here); i++) {
        array_free((void *)(uintptr_t)here[i]);
        device_array_free((void *)(uintptr_t)there[i]);
    }
    array_free(ret);
    array_free(sums);
}

static void product_compare(const struct sizes *sizes, unsigned parts)
{
    struct work work = work_new(sizes, parts);
    assert_int_equal(matrix_product_launch(&work.there, NULL), 0);
    work_finish(&work);
}

static void test_every_size_equals_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(SIZES); i++) {
        product_compare(&SIZES[i], TRANSPOSED_B | BIAS);
        product_compare(&SIZES[i], TRANSPOSED_A | ROW_SUMS | GAP);
        product_compare(&SIZES[i], ADD);
    }
}

static void test_every_choice_of_parts_equals_the_reference(void **state)
{
    (void)state;
    for (unsigned parts = 0; parts < PARTS; parts++) {
        product_compare(&(struct sizes){19, 21, 130}, parts);
        product_compare(&(struct sizes){33, 2, 9}, parts);
    }
}

/* The linear layer's backward pass: gradients of the weights and of what came in. */
static void test_two_products_of_one_launch_do_not_mix(void **state)
{
    (void)state;
    const struct sizes pairs[][2] = {{{10, 65, 7}, {7, 65, 10}},
                                     {{3, 300, 40}, {300, 3, 5}},
                                     {{512, 520, 9}, {1, 1, 2}},
                                     {{1, 1, 2}, {70, 40, 9}}};
    for (size_t i = 0; i < LENGTH(pairs); i++) {
        struct work first = work_new(&pairs[i][0], TRANSPOSED_A | ROW_SUMS | ADD);
        struct work second = work_new(&pairs[i][1], GAP);
        const struct matrix_product both[] = {first.there, second.there};
        assert_int_equal(matrix_products_launch(both, 2, NULL), 0);
        work_finish(&first);
        work_finish(&second);
    }
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size_equals_the_reference),
        cmocka_unit_test(test_every_choice_of_parts_equals_the_reference),
        cmocka_unit_test(test_two_products_of_one_launch_do_not_mix)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
