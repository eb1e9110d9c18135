#include "kernels/map.h"
#include "tests/unit/kernels/array.h"
#include "tests/unit/kernels/device_array.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Less than a block, exactly one, and more. */
static const size_t COUNTS[] = {8, 24, 8192, 8200, 30008};

static uint16_t *halves_new(size_t count, uint64_t stream)
{
    float *values = array_normal(count, stream);
    uint16_t *halves = array_new(count * sizeof *halves);
    for (size_t i = 0; i < count; i++)
        halves[i] = bfloat_of(values[i]);
    array_free(values);
    return halves;
}

static void test_sums_are_rounded_once(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof COUNTS / sizeof *COUNTS; k++) {
        const size_t count = COUNTS[k];
        uint16_t *to = halves_new(count, 1), *from = halves_new(count, 2);
        uint16_t *got = array_new(count * sizeof *got);
        void *device_to = device_array_mirror(to), *device_from = device_array_mirror(from);
        assert_int_equal(map_add_launch(device_to, device_from, count, NULL), 0);
        device_array_bring_back(device_to, got);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(got[i], bfloat_of(float_of_bfloat(to[i]) + float_of_bfloat(from[i])));
        device_array_free(device_from);
        array_free(to);
        array_free(from);
        array_free(got);
    }
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums_are_rounded_once)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
