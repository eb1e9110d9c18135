/* Bilinear resizing against values worked out by hand. */
#include "worker/data/resize.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void resize(uint32_t in, uint32_t out, uint32_t channels, const uint8_t *image,
                   float *result)
{
    struct resizer *resizer;
    assert_int_equal(resizer_new(in, out, channels, &resizer), 0);
    resizer_run(resizer, image, result);
    resizer_free(resizer);
}

static void assert_near(float value, double expected)
{
    if (fabs(value - expected) > 1e-3)
        fail_msg("%g is not %g", value, expected);
}

static void test_a_flat_image_stays_flat_at_any_size(void **state)
{
    (void)state;
    uint8_t image[9 * 9 * 3];
    for (int i = 0; i < 9 * 9 * 3; i++)
        image[i] = (uint8_t)(40 + 70 * (i % 3));
    for (uint32_t out = 1; out <= 30; out++) {
        float result[30 * 30 * 3];
        resize(9, out, 3, image, result);
        for (uint32_t i = 0; i < out * out * 3; i++)
            assert_near(result[i], 40 + 70 * (i % 3));
    }
}

static void test_doubling_interpolates_between_centres(void **state)
{
    (void)state;
    const uint8_t image[4] = {0, 100, 0, 100};
    float result[16];
    resize(2, 4, 1, image, result);
    const double row[4] = {0, 25, 75, 100};
    for (int i = 0; i < 16; i++)
        assert_near(result[i], row[i % 4]);
}

/* At half the size the triangle reaches over four pixels: weights 1, 3, 3, 1, cut at the edge. */
static void test_halving_weighs_every_pixel(void **state)
{
    (void)state;
    const uint8_t line[4] = {0, 80, 160, 240};
    uint8_t image[16];
    for (int i = 0; i < 16; i++)
        image[i] = line[i / 4];
    float result[4];
    resize(4, 2, 1, image, result);
    const double top = (3 * 0 + 3 * 80 + 160) / 7.0, bottom = (80 + 3 * 160 + 3 * 240) / 7.0;
    assert_near(result[0], top);
    assert_near(result[1], top);
    assert_near(result[2], bottom);
    assert_near(result[3], bottom);
}

static void test_a_slope_stays_a_slope(void **state)
{
    (void)state;
    uint8_t image[20 * 20];
    for (int i = 0; i < 400; i++)
        image[i] = (uint8_t)(10 * (i % 20));
    float result[28 * 28];
    resize(20, 28, 1, image, result);
    for (int x = 2; x < 26; x++)
        assert_near(result[5 * 28 + x], 10 * ((x + 0.5) * 20 / 28 - 0.5));
}

static void test_one_pixel_can_become_many_and_back(void **state)
{
    (void)state;
    const uint8_t image[1] = {77};
    float result[9];
    resize(1, 3, 1, image, result);
    for (int i = 0; i < 9; i++)
        assert_near(result[i], 77);
    const uint8_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    resize(3, 1, 1, nine, result);
    assert_near(result[0], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flat_image_stays_flat_at_any_size),
        cmocka_unit_test(test_doubling_interpolates_between_centres),
        cmocka_unit_test(test_halving_weighs_every_pixel),
        cmocka_unit_test(test_a_slope_stays_a_slope),
        cmocka_unit_test(test_one_pixel_can_become_many_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
