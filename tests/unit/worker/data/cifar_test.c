/* CIFAR's binary files, and the real ones where they are. */
#include "tests/unit/worker/fixture.h"
#include "worker/data/cifar.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 3, RECORD_10 = 1 + CIFAR_IMAGE_BYTES, RECORD_100 = 2 + CIFAR_IMAGE_BYTES };

static uint8_t plane_value(size_t image, size_t channel, size_t pixel)
{
    return (uint8_t)(image * 50 + channel * 80 + pixel % 37);
}

/* COUNT records with fine labels 0, 1, 2 and coarse labels 9. */
static uint8_t *records(enum cifar_kind kind, size_t *ret_length)
{
    size_t record = kind == CIFAR_10 ? RECORD_10 : RECORD_100;
    uint8_t *bytes = malloc(COUNT * record);
    assert_non_null(bytes);
    for (size_t i = 0; i < COUNT; i++) {
        uint8_t *at = bytes + i * record;
        if (kind == CIFAR_100)
            *at++ = 9;
        *at++ = (uint8_t)i;
        for (size_t p = 0; p < CIFAR_IMAGE_BYTES; p++)
            at[p] = plane_value(i, p / 1024, p % 1024);
    }
    *ret_length = COUNT * record;
    return bytes;
}

static void test_planes_become_interleaved_pixels(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "batch.bin", path);
    for (int kind = CIFAR_10; kind <= CIFAR_100; kind++) {
        size_t length;
        uint8_t *bytes = records((enum cifar_kind)kind, &length);
        fixture_write(path, bytes, length);
        uint64_t count;
        assert_int_equal(cifar_count((enum cifar_kind)kind, path, length, &count, NULL), 0);
        assert_int_equal(count, COUNT);
        uint8_t pixels[COUNT * CIFAR_IMAGE_BYTES];
        uint16_t labels[COUNT];
        assert_int_equal(cifar_read((enum cifar_kind)kind, path, count, pixels, labels, NULL), 0);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(labels[i], i);
            for (size_t p = 0; p < 1024; p++)
                for (size_t c = 0; c < 3; c++)
                    assert_int_equal(pixels[i * CIFAR_IMAGE_BYTES + p * 3 + c],
                                     plane_value(i, c, p));
        }
        free(bytes);
    }
}

static void test_a_file_of_broken_records_is_refused(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, 1, RECORD_10 - 1, RECORD_10 + 1, 10 * RECORD_10 - 5};
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        uint64_t count;
        struct error error = {0};
        assert_int_equal(cifar_count(CIFAR_10, "some/batch.bin", lengths[i], &count, &error),
                         -EBADMSG);
        assert_non_null(strstr(error.message, "some/batch.bin"));
    }
}

static void test_too_short_too_long_and_impossible_labels_are_refused(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "batch.bin", path);
    size_t length;
    uint8_t *bytes = records(CIFAR_10, &length);
    uint16_t labels[COUNT + 1];
    struct error error = {0};
    fixture_write(path, bytes, length);
    assert_int_equal(cifar_read(CIFAR_10, path, COUNT + 1, NULL, labels, &error), -EBADMSG);
    assert_non_null(strstr(error.message, "ends too early"));
    assert_int_equal(cifar_read(CIFAR_10, path, COUNT - 1, NULL, labels, &error), -EBADMSG);
    assert_non_null(strstr(error.message, "after its last record"));
    bytes[RECORD_10] = 10;
    fixture_write(path, bytes, length);
    assert_int_equal(cifar_read(CIFAR_10, path, COUNT, NULL, labels, &error), -EBADMSG);
    assert_non_null(strstr(error.message, "record 1 has label 10"));
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_planes_become_interleaved_pixels),
        FIXTURE_TEST(test_a_file_of_broken_records_is_refused),
        FIXTURE_TEST(test_too_short_too_long_and_impossible_labels_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
