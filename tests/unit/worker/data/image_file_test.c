/* Image files: what was written comes back, and whatever is damaged or cannot be used is refused by its name. */
#include "tests/unit/worker/data/picture.h"
#include "tests/unit/worker/fixture.h"
#include "worker/data/image_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WIDTH = 40, HEIGHT = 24 };

/* Compares with the picture of seed 3. JPEG is not exact. */
static void expect_picture(const struct decoded_image *image, uint32_t channels, int tolerance)
{
    assert_int_equal(image->shape.width, WIDTH);
    assert_int_equal(image->shape.height, HEIGHT);
    assert_int_equal(image->shape.channels, channels);
    for (uint32_t y = 0; y < HEIGHT; y++)
        for (uint32_t x = 0; x < WIDTH; x++)
            for (uint32_t c = 0; c < channels; c++) {
                int found = image->pixels[(y * WIDTH + x) * channels + c];
                if (abs(found - picture_value(x, y, c, 3)) > tolerance)
                    fail_msg("(%u, %u, %u) is %d, not %d", x, y, c, found,
                             picture_value(x, y, c, 3));
            }
}

static void test_pictures_come_back(void **state)
{
    static const struct {
        enum picture_kind kind;
        uint32_t channels;
        int tolerance;
    } cases[] = {
        {PICTURE_JPEG_GREY, 1, 6}, {PICTURE_JPEG_RGB, 3, 6}, {PICTURE_PNG_GREY, 1, 0},
        {PICTURE_PNG_RGB, 3, 0},   {PICTURE_PNG_RGBA, 3, 0}, {PICTURE_PNG_INTERLACED, 3, 0},
    };
    char path[FILE_PATH_SIZE];
    struct decoded_image image = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct error error = {0};
        struct image_shape shape;
        fixture_path(*state, "picture", path);
        picture_write(path, cases[i].kind, WIDTH, HEIGHT, 3);
        if (image_file_look(path, &shape, &error) < 0 ||
            image_file_decode(path, 1000, &image, &error) < 0)
            fail_msg("case %zu: %s", i, error.message);
        assert_int_equal(shape.width, WIDTH);
        assert_int_equal(shape.height, HEIGHT);
        assert_int_equal(shape.channels, cases[i].channels);
        expect_picture(&image, cases[i].channels, cases[i].tolerance);
    }
    image_file_release(&image);
}

static void test_palettes_are_colours(void **state)
{
    char path[FILE_PATH_SIZE];
    struct decoded_image image = {0};
    fixture_path(*state, "palette.png", path);
    picture_write(path, PICTURE_PNG_PALETTE, WIDTH, HEIGHT, 0);
    assert_int_equal(image_file_decode(path, 1, &image, NULL), 0);
    assert_int_equal(image.shape.channels, 3);
    uint8_t index = picture_value(7, 5, 0, 0) / 64;
    const uint8_t *pixel = image.pixels + (5 * WIDTH + 7) * 3;
    assert_int_equal(pixel[0], index);
    assert_int_equal(pixel[1], 10 * index);
    assert_int_equal(pixel[2], 20 * index);
    image_file_release(&image);
}

static void test_a_large_jpeg_comes_out_smaller_but_not_too_small(void **state)
{
    static const struct {
        uint32_t side_min, width, height;
    } cases[] = {{200, 320, 200}, {101, 320, 200}, {100, 160, 100}, {51, 160, 100},
                 {50, 80, 50},    {25, 40, 25},    {1, 40, 25}};
    char path[FILE_PATH_SIZE];
    struct decoded_image image = {0};
    fixture_path(*state, "large.jpg", path);
    picture_write(path, PICTURE_JPEG_RGB, 320, 200, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(image_file_decode(path, cases[i].side_min, &image, NULL), 0);
        assert_int_equal(image.shape.width, cases[i].width);
        assert_int_equal(image.shape.height, cases[i].height);
    }
    image_file_release(&image);
}

/* Expects -EBADMSG with the file's name and a reason, from looking where the header tells, and from decoding. */
static void expect_refusal(const char *path, const char *reason, bool at_once)
{
    struct decoded_image image = {0};
    struct image_shape shape;
    struct error error = {0};
    assert_int_equal(image_file_decode(path, 1000, &image, &error), -EBADMSG);
    if (strncmp(error.message, path, strlen(path)) != 0 || !strstr(error.message, reason))
        fail_msg("\"%s\" does not name %s and \"%s\"", error.message, path, reason);
    if (at_once)
        assert_int_equal(image_file_look(path, &shape, &error), -EBADMSG);
    image_file_release(&image);
}

static void test_what_cannot_be_used_is_refused(void **state)
{
    static const struct {
        enum picture_kind kind;
        uint32_t width, height;
        const char *reason;
        bool at_once;
    } cases[] = {
        {PICTURE_JPEG_CMYK, 16, 16, "CMYK", true},
        {PICTURE_PNG_16_BIT, 16, 16, "16 bits", true},
        {PICTURE_PNG_CLEAR, 16, 16, "transparent", false},
        {PICTURE_JPEG_RGB, 1, 1, "1 x 1", true},
        {PICTURE_PNG_GREY, 1, 1, "1 x 1", true},
        {PICTURE_PNG_RGB, 100, 7, "100 x 7", true},
    };
    char path[FILE_PATH_SIZE];
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        fixture_path(*state, "picture", path);
        picture_write(path, cases[i].kind, cases[i].width, cases[i].height, 1);
        expect_refusal(path, cases[i].reason, cases[i].at_once);
    }
}

/* Each file is cut at many places; none of what is left may pass for an image. */
static void test_files_that_are_cut_short_are_refused(void **state)
{
    static const enum picture_kind kinds[] = {PICTURE_JPEG_RGB, PICTURE_PNG_RGB,
                                              PICTURE_PNG_INTERLACED};
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "picture", path);
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        picture_write(path, kinds[i], WIDTH, HEIGHT, 1);
        size_t length;
        uint8_t *bytes = fixture_read(path, &length);
        for (size_t cut = 0; cut < length; cut += 1 + length / 97) {
            fixture_write(path, bytes, cut);
            expect_refusal(path, "", false);
        }
        fixture_write(path, bytes, length - 1);
        expect_refusal(path, "damaged", false);
        free(bytes);
    }
}

static void test_damaged_content_is_refused(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "picture.png", path);
    picture_write(path, PICTURE_PNG_RGB, WIDTH, HEIGHT, 1);
    fixture_flip_byte(path, 60);
    expect_refusal(path, "damaged PNG", false);
    fixture_write(path, "GIF89a and so on", 16);
    expect_refusal(path, "neither a JPEG nor a PNG", true);
    fixture_write(path, "", 0);
    expect_refusal(path, "is empty", true);
}

static void test_a_file_that_is_not_there_is_named(void **state)
{
    char path[FILE_PATH_SIZE];
    struct error error = {0};
    struct image_shape shape;
    fixture_path(*state, "nothing.jpg", path);
    assert_int_equal(image_file_look(path, &shape, &error), -ENOENT);
    assert_non_null(strstr(error.message, "nothing.jpg"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_pictures_come_back),
        FIXTURE_TEST(test_palettes_are_colours),
        FIXTURE_TEST(test_a_large_jpeg_comes_out_smaller_but_not_too_small),
        FIXTURE_TEST(test_what_cannot_be_used_is_refused),
        FIXTURE_TEST(test_files_that_are_cut_short_are_refused),
        FIXTURE_TEST(test_damaged_content_is_refused),
        FIXTURE_TEST(test_a_file_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
