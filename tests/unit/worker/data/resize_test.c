/* Bilinear resizing against values worked out by hand. */
#include "worker/data/resize.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GOLDEN_SIZE_MAX = 20, GOLDEN_BYTES_MAX = GOLDEN_SIZE_MAX * GOLDEN_SIZE_MAX * 3 };

static const char GOLDEN[] = "tests/unit/worker/data/resize_golden.table";

static void resize(uint32_t in, uint32_t out, uint32_t channels, const uint8_t *image,
                   uint8_t *result)
{
    struct resizer *resizer;
    const struct crop whole = crop_whole(in);
    assert_int_equal(resizer_new(in, out, channels, &resizer), 0);
    resizer_run(resizer, image, &whole, result);
    resizer_free(resizer);
}

/* Rounded to the nearest byte. */
static void assert_near(uint8_t value, double expected)
{
    if (fabs(value - expected) > 0.501)
        fail_msg("%d is not %g", value, expected);
}

static void test_a_flat_image_stays_flat_at_any_size(void **state)
{
    (void)state;
    uint8_t image[9 * 9 * 3];
    for (int i = 0; i < 9 * 9 * 3; i++)
        image[i] = (uint8_t)(40 + 70 * (i % 3));
    for (uint32_t out = 1; out <= 30; out++) {
        uint8_t result[30 * 30 * 3];
        resize(9, out, 3, image, result);
        for (uint32_t i = 0; i < out * out * 3; i++)
            assert_near(result[i], 40 + 70 * (i % 3));
    }
}

static void test_doubling_interpolates_between_centres(void **state)
{
    (void)state;
    const uint8_t image[4] = {0, 100, 0, 100};
    uint8_t result[16];
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
    uint8_t result[4];
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
    uint8_t result[28 * 28];
    resize(20, 28, 1, image, result);
    for (int x = 2; x < 26; x++)
        assert_near(result[5 * 28 + x], 10 * ((x + 0.5) * 20 / 28 - 0.5));
}

static void test_one_pixel_can_become_many_and_back(void **state)
{
    (void)state;
    const uint8_t image[1] = {77};
    uint8_t result[9];
    resize(1, 3, 1, image, result);
    for (int i = 0; i < 9; i++)
        assert_near(result[i], 77);
    const uint8_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    resize(3, 1, 1, nine, result);
    assert_near(result[0], 1);
}

/* What lies outside a part does not show, and one resizer serves parts of every shape in any order. */
static void test_a_part_equals_the_same_pixels_as_an_image_of_their_own(void **state)
{
    (void)state;
    enum { IN = 12, PART = 5, OUT = 7 };
    uint8_t image[IN * IN * 3], part[PART * PART * 3], expected[OUT * OUT * 3],
        result[OUT * OUT * 3];
    struct resizer *resizer;
    assert_int_equal(resizer_new(IN, OUT, 3, &resizer), 0);
    for (int i = 0; i < IN * IN * 3; i++)
        image[i] = (uint8_t)(i * i * 7 + i);
    for (uint32_t x = 0; x + PART <= IN; x += 3)
        for (uint32_t y = 0; y + PART <= IN; y++) {
            for (uint32_t row = 0; row < PART; row++)
                memcpy(part + row * PART * 3, image + ((y + row) * IN + x) * 3, PART * 3);
            resize(PART, OUT, 3, part, expected);
            const struct crop other = {x, 0, IN - x, IN - y}, same = {x, y, PART, PART};
            resizer_run(resizer, image, &other, result);
            resizer_run(resizer, image, &same, result);
            assert_memory_equal(result, expected, sizeof result);
        }
    resizer_free(resizer);
}

static void read_hex(const char *hex, uint8_t *ret_bytes, size_t count)
{
    assert_int_equal(strlen(hex), 2 * count);
    for (size_t i = 0; i < count; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
        ret_bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

/* Pillow rounds to bytes between the two directions too. */
static void check_part(const uint8_t *image, uint32_t size, uint32_t channels,
                       const struct crop *part, uint32_t out, const char *hex)
{
    uint8_t expected[GOLDEN_BYTES_MAX], result[GOLDEN_BYTES_MAX];
    struct resizer *resizer;
    read_hex(hex, expected, out * out * channels);
    assert_int_equal(resizer_new(size, out, channels, &resizer), 0);
    resizer_run(resizer, image, part, result);
    resizer_free(resizer);
    for (uint32_t i = 0; i < out * out * channels; i++)
        if (abs(result[i] - expected[i]) > 1)
            fail_msg("part %u %u %u %u to %u: byte %u is %d, Pillow has %d", part->x, part->y,
                     part->width, part->height, out, i, result[i], expected[i]);
}

static void test_parts_are_resized_as_pillow_does(void **state)
{
    (void)state;
    static char line[3 * GOLDEN_BYTES_MAX], hex[3 * GOLDEN_BYTES_MAX];
    uint8_t image[GOLDEN_BYTES_MAX];
    uint32_t size = 0, channels = 0, out;
    struct crop part;
    int parts = 0;
    FILE *file = fopen(GOLDEN, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "image %u %u %3599s", &size, &channels, hex) == 3) {
            assert_in_range(size, 1, GOLDEN_SIZE_MAX);
            read_hex(hex, image, size * size * channels);
            continue;
        }
        assert_int_equal(sscanf(line, "part %u %u %u %u %u %3599s", &part.x, &part.y, &part.width,
                                &part.height, &out, hex),
                         6);
        assert_in_range(out, 1, GOLDEN_SIZE_MAX);
        check_part(image, size, channels, &part, out, hex);
        parts++;
    }
    fclose(file);
    assert_int_equal(parts, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flat_image_stays_flat_at_any_size),
        cmocka_unit_test(test_doubling_interpolates_between_centres),
        cmocka_unit_test(test_halving_weighs_every_pixel),
        cmocka_unit_test(test_a_slope_stays_a_slope),
        cmocka_unit_test(test_one_pixel_can_become_many_and_back),
        cmocka_unit_test(test_a_part_equals_the_same_pixels_as_an_image_of_their_own),
        cmocka_unit_test(test_parts_are_resized_as_pillow_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
