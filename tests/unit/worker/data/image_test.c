/* Operations on images: against TensorFlow's and Pillow's results (image_golden.table), and small cases by hand. */
#include "worker/data/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    SIZE_MAX_HERE = 23,
    BYTES_MAX = SIZE_MAX_HERE * SIZE_MAX_HERE * 3,
    IMAGES = 8,
    NAME_SIZE = 32
};

static const char GOLDEN[] = "tests/unit/worker/data/image_golden.table";

struct golden_image {
    char name[NAME_SIZE];
    uint32_t size, channels;
    uint8_t pixels[BYTES_MAX];
};

struct golden_row {
    char oracle[NAME_SIZE], op[NAME_SIZE], image[NAME_SIZE];
    double strength;
    uint32_t x, y;
    uint8_t pixels[BYTES_MAX];
};

static void read_hex(const char *hex, uint8_t *ret_bytes, size_t count)
{
    assert_int_equal(strlen(hex), 2 * count);
    for (size_t i = 0; i < count; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
        ret_bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

static void move(struct image *image, struct warp warp, uint8_t *scratch)
{
    image_warp(image, &warp, scratch);
}

static void apply_by_name(const struct golden_row *row, struct image *image, uint8_t *scratch)
{
    const char *op = row->op;
    const double s = row->strength;
    if (strcmp(op, "AutoContrast") == 0)
        image_auto_contrast(image);
    else if (strcmp(op, "Equalize") == 0)
        image_equalize(image);
    else if (strcmp(op, "Invert") == 0)
        image_invert(image);
    else if (strcmp(op, "Rotate") == 0)
        move(image, warp_rotation(s, image->size), scratch);
    else if (strcmp(op, "Posterize") == 0)
        image_posterize(image, 8 - (uint32_t)s);
    else if (strcmp(op, "Solarize") == 0)
        image_solarize(image, (uint32_t)s);
    else if (strcmp(op, "SolarizeAdd") == 0)
        image_solarize_add(image, (uint32_t)s);
    else if (strcmp(op, "Color") == 0)
        image_color(image, (float)s, scratch);
    else if (strcmp(op, "Contrast") == 0)
        image_contrast(image, (float)s);
    else if (strcmp(op, "Brightness") == 0)
        image_brightness(image, (float)s);
    else if (strcmp(op, "Sharpness") == 0)
        image_sharpness(image, (float)s, scratch);
    else if (strcmp(op, "ShearX") == 0)
        move(image, warp_shear_x(s), scratch);
    else if (strcmp(op, "ShearY") == 0)
        move(image, warp_shear_y(s), scratch);
    else if (strcmp(op, "TranslateX") == 0)
        move(image, warp_translation_x(s), scratch);
    else if (strcmp(op, "TranslateY") == 0)
        move(image, warp_translation_y(s), scratch);
    else if (strcmp(op, "Cutout") == 0)
        image_cutout(image, row->x, row->y, (uint32_t)s);
    else
        fail_msg("no operation %s", op);
}

/* How far a value may be from the oracle's. TensorFlow: none, but that its blurred image, summed in floats, falls one short
 * where the sum is a multiple of 13. Pillow rounds where TensorFlow cuts off. */
static int tolerance_of(const struct golden_row *row)
{
    const double past = row->strength > 1 ? row->strength - 1 : 1 - row->strength;
    if (strcmp(row->oracle, "tensorflow") == 0 && strcmp(row->op, "Sharpness") != 0)
        return 0;
    if (strcmp(row->op, "AutoContrast") == 0 || strcmp(row->op, "Brightness") == 0)
        return 1;
    /* The plain image is one off, times what it weighs. */
    if (strcmp(row->op, "Color") == 0 || strcmp(row->op, "Contrast") == 0 ||
        strcmp(row->op, "Sharpness") == 0)
        return 1 + (int)(past + 0.999);
    return 0;
}

static void check_row(const struct golden_row *row, const struct golden_image *original)
{
    uint8_t pixels[BYTES_MAX], scratch[BYTES_MAX];
    struct image image = {pixels, original->size, original->channels};
    const size_t bytes = image_bytes(&image);
    memcpy(pixels, original->pixels, bytes);
    apply_by_name(row, &image, scratch);
    const int tolerance = tolerance_of(row);
    for (size_t i = 0; i < bytes; i++)
        if (abs(pixels[i] - row->pixels[i]) > tolerance)
            fail_msg("%s of %s, strength %g: byte %zu is %d, %s has %d", row->op, row->image,
                     row->strength, i, pixels[i], row->oracle, row->pixels[i]);
}

static const struct golden_image *find_image(const struct golden_image *images, int count,
                                             const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(images[i].name, name) == 0)
            return &images[i];
    fail_msg("no image %s", name);
    return NULL;
}

static void test_results_are_those_of_tensorflow_and_pillow(void **state)
{
    (void)state;
    static struct golden_image images[IMAGES];
    static char line[3 * BYTES_MAX], hex[3 * BYTES_MAX];
    int count = 0, rows = 0;
    FILE *file = fopen(GOLDEN, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        struct golden_image *image = &images[count];
        struct golden_row row;
        if (sscanf(line, "image %31s %u %u %4759s", image->name, &image->size, &image->channels,
                   hex) == 4) {
            assert_in_range(image->size, 1, SIZE_MAX_HERE);
            read_hex(hex, image->pixels, image->size * image->size * image->channels);
            assert_in_range(++count, 1, IMAGES - 1);
            continue;
        }
        assert_int_equal(sscanf(line, "%31s %31s %31s %lf %u %u %4759s", row.oracle, row.op,
                                row.image, &row.strength, &row.x, &row.y, hex),
                         7);
        const struct golden_image *original = find_image(images, count, row.image);
        read_hex(hex, row.pixels, original->size * original->size * original->channels);
        check_row(&row, original);
        rows++;
    }
    fclose(file);
    assert_int_equal(count, 5);
    assert_in_range(rows, 350, 600);
}

/* ---- by hand ---- */

enum { SIDE = 4 };

static void check_grey(const uint8_t *pixels, const uint8_t *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pixels[i] != expected[i])
            fail_msg("pixel %zu is %d, expected %d", i, pixels[i], expected[i]);
}

static void test_tone_by_hand(void **state)
{
    (void)state;
    uint8_t stretched[] = {10, 60, 110, 10};
    image_auto_contrast(&(struct image){stretched, 2, 1});
    check_grey(stretched, (const uint8_t[]){0, 127, 255, 0}, 4);

    uint8_t flat[] = {7, 7, 7, 7};
    image_auto_contrast(&(struct image){flat, 2, 1});
    image_equalize(&(struct image){flat, 2, 1});
    check_grey(flat, (const uint8_t[]){7, 7, 7, 7}, 4);

    uint8_t solar[] = {0, 127, 128, 255};
    image_solarize(&(struct image){solar, 2, 1}, 128);
    check_grey(solar, (const uint8_t[]){0, 127, 127, 0}, 4);

    uint8_t added[] = {0, 127, 128, 100};
    image_solarize_add(&(struct image){added, 2, 1}, 150);
    check_grey(added, (const uint8_t[]){150, 255, 128, 250}, 4);

    uint8_t poster[] = {255, 129, 127, 63};
    image_posterize(&(struct image){poster, 2, 1}, 6);
    check_grey(poster, (const uint8_t[]){192, 128, 64, 0}, 4);

    /* The mean is 100: at factor 2 each value is twice as far from it. */
    uint8_t contrast[] = {40, 90, 120, 150};
    image_contrast(&(struct image){contrast, 2, 1}, 2);
    check_grey(contrast, (const uint8_t[]){0, 80, 140, 200}, 4);

    uint8_t bright[] = {0, 10, 100, 200};
    image_brightness(&(struct image){bright, 2, 1}, 1.5f);
    check_grey(bright, (const uint8_t[]){0, 15, 150, 255}, 4);
}

/* 300 pixels of two values and one lighter one: step = 300 / 255 = 1, values go by the pixels below. */
static void test_equalize_by_hand(void **state)
{
    (void)state;
    enum { SIZE = 18, PIXELS = SIZE * SIZE };
    uint8_t pixels[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        pixels[i] = i < 100 ? 20 : i < 300 ? 30 : 40;
    image_equalize(&(struct image){pixels, SIZE, 1});
    for (int i = 0; i < PIXELS; i++)
        assert_int_equal(pixels[i], i < 100 ? 0 : i < 300 ? 100 : 255);
}

static void test_sharpness_leaves_the_border_and_the_factor_one(void **state)
{
    (void)state;
    uint8_t pixels[9] = {0, 0, 0, 0, 130, 0, 0, 0, 0}, scratch[9];
    image_sharpness(&(struct image){pixels, 3, 1}, 1, scratch);
    assert_int_equal(pixels[4], 130);
    image_sharpness(&(struct image){pixels, 3, 1}, 0.5f, scratch);
    check_grey(pixels, (const uint8_t[]){0, 0, 0, 0, 90, 0, 0, 0, 0}, 9); /* 130 * 5 / 13 = 50 */
}

static void test_color_leaves_grey_alone(void **state)
{
    (void)state;
    uint8_t pixels[256 * 3], scratch[256 * 3];
    for (int i = 0; i < 256 * 3; i++)
        pixels[i] = (uint8_t)(i / 3);
    image_color(&(struct image){pixels, 16, 3}, 0.1f, scratch);
    image_color(&(struct image){pixels, 16, 3}, 5.5f, scratch);
    for (int i = 0; i < 256 * 3; i++)
        assert_int_equal(pixels[i], i / 3);
    uint8_t single[4] = {1, 2, 3, 200};
    image_color(&(struct image){single, 2, 1}, 0.1f, scratch);
    check_grey(single, (const uint8_t[]){1, 2, 3, 200}, 4);
}

static void test_moves_by_hand(void **state)
{
    (void)state;
    const uint8_t original[SIDE * SIDE] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    uint8_t pixels[SIDE * SIDE], scratch[SIDE * SIDE];
    struct image image = {pixels, SIDE, 1};
    memcpy(pixels, original, sizeof pixels);
    move(&image, warp_translation_x(1), scratch);
    check_grey(pixels,
               (const uint8_t[]){2, 3, 4, 128, 6, 7, 8, 128, 10, 11, 12, 128, 14, 15, 16, 128}, 16);
    memcpy(pixels, original, sizeof pixels);
    move(&image, warp_translation_y(-2), scratch);
    check_grey(pixels,
               (const uint8_t[]){128, 128, 128, 128, 128, 128, 128, 128, 1, 2, 3, 4, 5, 6, 7, 8},
               16);
    memcpy(pixels, original, sizeof pixels);
    move(&image, warp_shear_x(1), scratch);
    check_grey(pixels,
               (const uint8_t[]){1, 2, 3, 4, 6, 7, 8, 128, 11, 12, 128, 128, 16, 128, 128, 128},
               16);
    memcpy(pixels, original, sizeof pixels);
    move(&image, warp_rotation(90, image.size), scratch);
    check_grey(pixels, (const uint8_t[]){4, 8, 12, 16, 3, 7, 11, 15, 2, 6, 10, 14, 1, 5, 9, 13},
               16);
    memcpy(pixels, original, sizeof pixels);
    image_cutout(&image, 3, 1, 1);
    check_grey(pixels,
               (const uint8_t[]){1, 2, 128, 128, 5, 6, 128, 128, 9, 10, 11, 12, 13, 14, 15, 16},
               16);
}

/* Four turns by a quarter are none. */
static void test_quarter_turns_lose_nothing(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= SIZE_MAX_HERE; size++)
        for (uint32_t channels = 1; channels <= 3; channels += 2) {
            uint8_t original[BYTES_MAX], pixels[BYTES_MAX], scratch[BYTES_MAX];
            struct image image = {pixels, size, channels};
            for (size_t i = 0; i < image_bytes(&image); i++)
                original[i] = (uint8_t)(i * 37 + i / 11);
            memcpy(pixels, original, image_bytes(&image));
            for (int turn = 0; turn < 4; turn++)
                move(&image, warp_rotation(turn % 2 ? 90 : -270, image.size), scratch);
            assert_memory_equal(pixels, original, image_bytes(&image));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_are_those_of_tensorflow_and_pillow),
        cmocka_unit_test(test_tone_by_hand),
        cmocka_unit_test(test_equalize_by_hand),
        cmocka_unit_test(test_sharpness_leaves_the_border_and_the_factor_one),
        cmocka_unit_test(test_color_leaves_grey_alone),
        cmocka_unit_test(test_moves_by_hand),
        cmocka_unit_test(test_quarter_turns_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
