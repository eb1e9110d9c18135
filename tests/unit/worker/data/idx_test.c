/* IDX files, plain and gzip, good and damaged. */
#include "tests/unit/worker/fixture.h"
#include "worker/data/idx.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 3, SIZE = 2, IMAGE_FILE_BYTES = 16 + IMAGES * SIZE * SIZE };

static const uint8_t good_images[IMAGE_FILE_BYTES] = {
    0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, 10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, 33};
static const uint8_t good_labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 2};

/* Reads the file as images the way source.c does: header, then content. */
static int read_images(const char *path, uint8_t *ret_pixels, struct error *error)
{
    struct idx_header header;
    int r = idx_images_header(path, &header, error);
    if (r < 0)
        return r;
    assert_int_equal(header.count, IMAGES);
    assert_int_equal(header.image_size, SIZE);
    return idx_images_read(path, &header, ret_pixels, error);
}

static void test_plain_and_gzip_images_give_the_same_pixels(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "images", path);
    for (int gzip = 0; gzip < 2; gzip++) {
        uint8_t pixels[IMAGES * SIZE * SIZE] = {0};
        if (gzip)
            fixture_write_gz(path, good_images, sizeof good_images);
        else
            fixture_write(path, good_images, sizeof good_images);
        assert_int_equal(read_images(path, pixels, NULL), 0);
        assert_memory_equal(pixels, good_images + 16, sizeof pixels);
    }
}

static void test_labels_are_read(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "labels", path);
    fixture_write(path, good_labels, sizeof good_labels);
    struct idx_header header;
    assert_int_equal(idx_labels_header(path, &header, NULL), 0);
    assert_int_equal(header.count, 3);
    uint16_t labels[3];
    assert_int_equal(idx_labels_read(path, &header, labels, NULL), 0);
    assert_int_equal(labels[0], 7);
    assert_int_equal(labels[1], 0);
    assert_int_equal(labels[2], 2);
}

/* The error must blame the file and say `detail`. */
static void assert_refused(const char *path, const char *detail)
{
    uint8_t pixels[IMAGES * SIZE * SIZE];
    struct error error = {0};
    assert_int_equal(read_images(path, pixels, &error), -EBADMSG);
    if (!strstr(error.message, path) || !strstr(error.message, detail))
        fail_msg("message \"%s\" lacks the path or \"%s\"", error.message, detail);
}

static void test_damaged_files_are_refused_by_name(void **state)
{
    static const struct {
        const char *what;
        int offset; /* of the byte changed; -1 = none */
        uint8_t value;
        int length_change;
        const char *detail;
    } cases[] = {
        {"magic of labels", 3, 1, 0, "not IDX"},
        {"wrong type", 2, 9, 0, "not IDX"},
        {"no images", 7, 0, 0, "0 items"},
        {"absurd count", 4, 255, 0, "must be 1 to"},
        {"not square", 11, 3, 0, "square"},
        {"too large", 9, 1, 0, "square"},
        {"one byte short", -1, 0, -1, "ends too early"},
        {"header alone", -1, 0, -(IMAGES * SIZE * SIZE), "ends too early"},
        {"half a header", -1, 0, 10 - IMAGE_FILE_BYTES, "ends too early"},
        {"empty", -1, 0, -IMAGE_FILE_BYTES, "ends too early"},
        {"one byte more", -1, 0, 1, "after its last item"},
    };
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "images", path);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        for (int gzip = 0; gzip < 2; gzip++) {
            uint8_t bytes[IMAGE_FILE_BYTES + 1] = {0};
            memcpy(bytes, good_images, sizeof good_images);
            if (cases[i].offset >= 0)
                bytes[cases[i].offset] = cases[i].value;
            size_t length = (size_t)(IMAGE_FILE_BYTES + cases[i].length_change);
            if (gzip)
                fixture_write_gz(path, bytes, length);
            else
                fixture_write(path, bytes, length);
            assert_refused(path, cases[i].detail);
        }
}

static void test_damaged_gzip_data_is_refused(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "images.gz", path);
    fixture_write_gz(path, good_images, sizeof good_images);
    size_t length;
    uint8_t *bytes = fixture_read(path, &length);

    fixture_write(path, bytes, length - 4); /* cut within the trailer */
    uint8_t pixels[IMAGES * SIZE * SIZE];
    assert_int_equal(read_images(path, pixels, NULL), -EBADMSG);

    bytes[length - 6] ^= 1; /* the checksum */
    fixture_write(path, bytes, length);
    assert_refused(path, "damaged gzip data");
    bytes[length - 6] ^= 1;

    bytes[length / 2] ^= 0xff; /* the compressed data */
    fixture_write(path, bytes, length);
    assert_int_equal(read_images(path, pixels, NULL), -EBADMSG);
    free(bytes);
}

static void test_a_missing_file_is_named(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "nothing", path);
    struct idx_header header;
    struct error error = {0};
    assert_int_equal(idx_images_header(path, &header, &error), -ENOENT);
    assert_non_null(strstr(error.message, path));
}

static void test_a_file_that_changed_since_its_header_was_read_is_refused(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "labels", path);
    fixture_write(path, good_labels, sizeof good_labels);
    struct idx_header header = {.count = 2};
    uint16_t labels[3];
    assert_int_equal(idx_labels_read(path, &header, labels, NULL), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_plain_and_gzip_images_give_the_same_pixels),
        FIXTURE_TEST(test_labels_are_read),
        FIXTURE_TEST(test_damaged_files_are_refused_by_name),
        FIXTURE_TEST(test_damaged_gzip_data_is_refused),
        FIXTURE_TEST(test_a_missing_file_is_named),
        FIXTURE_TEST(test_a_file_that_changed_since_its_header_was_read_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
