#include "kernels/image.h"
#include "tests/unit/kernels/array.h"
#include "tests/unit/kernels/device_array.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct images_shape SHAPES[] = {{1, 1, 1},  {2, 5, 3},  {3, 28, 1}, {1, 9, 8},
                                             {2, 7, 11}, {5, 32, 3}, {1, 3, 16}, {2, 4, 17}};

static void pack_compare(const struct images_shape *shape)
{
    const size_t pixels = (size_t)shape->images * shape->size * shape->size;
    const size_t padded = (shape->channels + 7) / 8 * 8;
    float *images = array_normal(pixels * shape->channels, 1);
    uint16_t *got = array_new(pixels * padded * sizeof *got);
    void *there = device_array_mirror(images), *map = device_array_mirror(got);
    assert_int_equal(images_pack_launch(there, shape, map, NULL), 0);
    device_array_bring_back(map, got);
    for (size_t i = 0; i < pixels * padded; i++) {
        const size_t pixel = i / padded, channel = i % padded;
        const uint16_t expected =
            channel < shape->channels ? bfloat_of(images[pixel * shape->channels + channel]) : 0;
        assert_int_equal(got[i], expected);
    }
    device_array_free(there);
    array_free(images);
    array_free(got);
}

static void test_images_are_rounded_and_padded_with_zeros(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        pack_compare(&SHAPES[i]);
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_images_are_rounded_and_padded_with_zeros)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
