#include "kernels/batch_norm.h"
#include "tests/unit/kernels/array.h"
#include "tests/unit/kernels/device_array.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define EPSILON 1e-3
#define MOMENTUM 0.9

/* Fewer slices than a block shares out, one more, and more than these launches would ever make. */
static const uint32_t SLICES[] = {1, 7, 8, 9, 517, 3001};
static const struct batch_norm_shape SHAPES[] = {{2, 9, 8}, {3, 50, 40}, {7, 1000, 264}};

/* What another kernel has left, and what the sums of a channel are. */
struct sums {
    struct batch_norm_shape shape;
    uint32_t slices;
    float *partials; /* (slices, 2, channels) */
};

static struct sums sums_new(const struct batch_norm_shape *shape, uint32_t slices)
{
    const struct sums sums = {*shape, slices,
                              array_normal((size_t)slices * 2 * shape->channels, 1)};
    for (size_t i = 0; i < (size_t)slices * 2 * shape->channels; i++)
        if (i / shape->channels % 2 == 1) /* squares are not negative */
            sums.partials[i] = 4 * fabsf(sums.partials[i]);
    return sums;
}

static double sum_of(const struct sums *sums, size_t kind, size_t channel)
{
    double sum = 0;
    for (size_t s = 0; s < sums->slices; s++)
        sum += (double)sums->partials[(2 * s + kind) * sums->shape.channels + channel];
    return sum;
}

/* x is not read. */
static struct batch_norm norm_new(const struct sums *sums)
{
    const size_t bytes = sums->shape.channels * sizeof(float);
    return (struct batch_norm){.shape = sums->shape,
                               .mean = device_array_new(bytes),
                               .inverse = device_array_new(bytes),
                               .partials = device_array_mirror(sums->partials)};
}

static void norm_free(const struct batch_norm *norm)
{
    device_array_free(norm->mean);
    device_array_free(norm->inverse);
    device_array_free(norm->partials);
}

static void compare(const float *there, const float *expected, size_t count)
{
    float *got = array_new(count * sizeof *got);
    device_array_read(there, got, count * sizeof *got);
    array_assert_close(got, expected, count, 1e-6);
    array_free(got);
}

static void statistics_compare(const struct sums *sums, bool keep)
{
    const size_t channels = sums->shape.channels;
    const double rows = (double)sums->shape.images * sums->shape.pixels;
    const struct batch_norm norm = norm_new(sums);
    float *before = array_normal(channels, 2), *mean = array_zeros(channels);
    float *inverse = array_zeros(channels), *moved = array_copy(before, channels);
    float *variance = array_copy(before, channels);
    const struct batch_norm_running running = {
        device_array_mirror(before), device_array_mirror(before), MOMENTUM, EPSILON, keep};
    for (size_t c = 0; c < channels; c++) {
        const double off = sum_of(sums, 0, c) / rows;
        const double spread = fmax(sum_of(sums, 1, c) / rows - off * off, 0);
        mean[c] = (float)((double)before[c] + off);
        inverse[c] = (float)(1 / sqrt(spread + EPSILON));
        if (keep)
            continue;
        moved[c] = (float)((double)before[c] + (1 - MOMENTUM) * off);
        variance[c] = (float)(MOMENTUM * (double)before[c] + (1 - MOMENTUM) * spread);
    }
    assert_int_equal(batch_norm_statistics_finish_launch(&norm, sums->slices, &running, NULL), 0);
    compare(norm.mean, mean, channels);
    compare(norm.inverse, inverse, channels);
    compare(running.mean, moved, channels);
    compare(running.variance, variance, channels);
    device_array_free(running.mean);
    device_array_free(running.variance);
    float *all[] = {before, mean, inverse, moved, variance};
    for (size_t i = 0; i < LENGTH(all); i++)
        array_free(all[i]);
    norm_free(&norm);
}

static void gradients_compare(const struct sums *sums, bool first)
{
    const size_t channels = sums->shape.channels;
    const double rows = (double)sums->shape.images * sums->shape.pixels;
    const struct batch_norm norm = norm_new(sums);
    float *before = array_normal(channels, 3), *means = array_zeros(2 * channels);
    float *dscale = array_zeros(channels), *dshift = array_zeros(channels);
    const struct batch_norm_gradients gradients = {
        .dscale = device_array_mirror(before),
        .dshift = device_array_mirror(before),
        .means = device_array_new(2 * channels * sizeof(float)),
        .first = first};
    for (size_t c = 0; c < channels; c++) {
        const double added_to = first ? 0 : (double)before[c];
        dshift[c] = (float)(added_to + sum_of(sums, 0, c));
        dscale[c] = (float)(added_to + sum_of(sums, 1, c));
        means[c] = (float)(sum_of(sums, 0, c) / rows);
        means[channels + c] = (float)(sum_of(sums, 1, c) / rows);
    }
    assert_int_equal(batch_norm_backward_finish_launch(&norm, sums->slices, &gradients, NULL), 0);
    compare(gradients.dshift, dshift, channels);
    compare(gradients.dscale, dscale, channels);
    compare(gradients.means, means, 2 * channels);
    float *there[] = {gradients.dscale, gradients.dshift, gradients.means};
    for (size_t i = 0; i < LENGTH(there); i++)
        device_array_free(there[i]);
    float *all[] = {before, means, dscale, dshift};
    for (size_t i = 0; i < LENGTH(all); i++)
        array_free(all[i]);
    norm_free(&norm);
}

static void for_all(void (*compare_one)(const struct sums *sums, bool flag))
{
    for (size_t i = 0; i < LENGTH(SHAPES) * LENGTH(SLICES); i++) {
        const struct sums sums = sums_new(&SHAPES[i / LENGTH(SLICES)], SLICES[i % LENGTH(SLICES)]);
        compare_one(&sums, false);
        compare_one(&sums, true);
        array_free(sums.partials);
    }
}

static void test_statistics_come_from_another_kernels_sums(void **state)
{
    (void)state;
    for_all(statistics_compare);
}

static void test_gradients_come_from_another_kernels_sums(void **state)
{
    (void)state;
    for_all(gradients_compare);
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics_come_from_another_kernels_sums),
        cmocka_unit_test(test_gradients_come_from_another_kernels_sums)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
