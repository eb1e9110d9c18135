#include "kernels/widen.h"

#include "kernels/portable.h"
#include "search/random.h"
#include "tests/unit/kernels/array.h"
#include "tests/unit/kernels/device_array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Any bits but those of NaN. */
static uint16_t *random_halves(size_t count, uint64_t stream)
{
    struct random_stream random = random_stream_of(1, stream, RANDOM_WEIGHTS);
    uint16_t *halves = array_new(count * sizeof *halves);
    for (size_t i = 0; i < count; i++)
        halves[i] = bfloat_of((float)random_normal(&random));
    return halves;
}

static void run_widen(const uint16_t *halves, float *values, size_t count, bool add)
{
    uint16_t *from = device_array_mirror(halves);
    float *to = device_array_mirror(values);
    assert_int_equal(widen_launch(from, to, count, add, NULL), 0);
    device_array_bring_back(to, values);
    device_array_free(from);
}

/* Ends within 8 and within 4 values, and more values than one round of the grid. */
static const size_t COUNTS[] = {1, 3, 4, 5, 8, 13, 2047, 2048, 2049, 100001, 2097152 + 2051};

static void test_every_value_is_widened(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(COUNTS); i++) {
        uint16_t *halves = random_halves(COUNTS[i], i);
        float *values = array_new(COUNTS[i] * sizeof *values);
        run_widen(halves, values, COUNTS[i], false);
        for (size_t j = 0; j < COUNTS[i]; j++)
            assert_true(bits_of(values[j]) == (uint32_t)halves[j] << 16);
        array_free(values);
        array_free(halves);
    }
}

static void test_every_value_is_added(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(COUNTS); i++) {
        uint16_t *halves = random_halves(COUNTS[i], i);
        float *values = array_normal(COUNTS[i], i + 100), *before = array_copy(values, COUNTS[i]);
        run_widen(halves, values, COUNTS[i], true);
        for (size_t j = 0; j < COUNTS[i]; j++)
            assert_true(values[j] == before[j] + float_of_bfloat(halves[j]));
        array_free(before);
        array_free(values);
        array_free(halves);
    }
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_value_is_widened),
        cmocka_unit_test(test_every_value_is_added),
    };
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
