/* RandAugment: strengths as published, draws even, every operation at every magnitude on every size. */
#include "worker/data/randaugment.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAGNITUDES = 5, SIZE = 9, BYTES_MAX = 40 * 40 * 3 };

/* facts/randaugment_ops.csv: index,op,"formula",M=5,M=10,M=15,M=20,M=25. */
static void check_line(const char *line, int index)
{
    char name[32];
    const char *field = strrchr(line, ','); /* formulas hold commas: count from the end */
    double expected[MAGNITUDES] = {0};
    assert_int_equal(sscanf(strchr(line, ',') + 1, "%31[^,]", name), 1);
    assert_string_equal(name, randaugment_op_name((enum randaugment_op)index));
    for (int m = MAGNITUDES - 1; m >= 0; m--) {
        expected[m] = strtod(field + 1, NULL);
        do {
            field--;
        } while (*field != ',');
    }
    for (int m = 0; m < MAGNITUDES; m++) {
        double strength =
            randaugment_strength((enum randaugment_op)index, 5 * (m + 1), RANDAUGMENT_SIZE);
        if (fabs(strength - expected[m]) > 1e-9)
            fail_msg("%s at %d: %g, expected %g", name, 5 * (m + 1), strength, expected[m]);
    }
}

static void test_strengths_are_the_published_ones(void **state)
{
    (void)state;
    const char *shared = getenv("ARCHSCOUT_SHARED");
    char path[512], line[512];
    snprintf(path, sizeof path, "%s/facts/randaugment_ops.csv", shared ? shared : "../shared");
    FILE *file = fopen(path, "r");
    if (!file) {
        print_message("SKIP: %s: %s (set ARCHSCOUT_SHARED)\n", path, strerror(errno));
        skip();
    }
    assert_non_null(fgets(line, sizeof line, file));
    for (int index = 0; index < RANDAUGMENT_OPS; index++) {
        assert_non_null(fgets(line, sizeof line, file));
        check_line(line, index);
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
}

static void test_lengths_go_by_the_image(void **state)
{
    (void)state;
    const uint32_t half = RANDAUGMENT_SIZE / 2;
    assert_true(randaugment_strength(RANDAUGMENT_TRANSLATE_X, 10, half) == 50);
    assert_true(randaugment_strength(RANDAUGMENT_TRANSLATE_Y, 5, 2 * RANDAUGMENT_SIZE) == 100);
    assert_true(randaugment_strength(RANDAUGMENT_CUTOUT, 10, half) == 20);
    assert_true(randaugment_strength(RANDAUGMENT_CUTOUT, 10, 32) == 5); /* 5.7 */
    assert_true(randaugment_strength(RANDAUGMENT_ROTATE, 10, 32) == 30);
    assert_true(randaugment_strength(RANDAUGMENT_SHEAR_X, 10, 32) == 0.3);
    /* Fractions of a magnitude, as the progressive stages have them. */
    assert_true(randaugment_strength(RANDAUGMENT_SOLARIZE, 20.0 / 3, 32) == 170);
}

static void test_draws_are_even(void **state)
{
    (void)state;
    enum { DRAWS = 16000 };
    int ops[RANDAUGMENT_OPS] = {0}, negative = 0, x[SIZE] = {0}, y[SIZE] = {0}, repeats = 0;
    struct random_stream stream = random_stream_of(3, 4, RANDOM_RANDAUGMENT);
    enum randaugment_op last = RANDAUGMENT_OPS;
    for (int i = 0; i < DRAWS; i++) {
        struct randaugment_choice choice = randaugment_draw(&stream, SIZE);
        ops[choice.op]++;
        negative += choice.negative;
        x[choice.x]++;
        y[choice.y]++;
        repeats += choice.op == last;
        last = choice.op;
    }
    for (int op = 0; op < RANDAUGMENT_OPS; op++)
        assert_in_range(ops[op], 850, 1150);
    assert_in_range(negative, 7700, 8300);
    assert_in_range(repeats, 850, 1150); /* with replacement */
    for (int i = 0; i < SIZE; i++) {
        assert_in_range(x[i], 1600, 1960);
        assert_in_range(y[i], 1600, 1960);
    }
}

static void fill_image(struct image *image, uint32_t seed)
{
    struct random_stream stream = random_stream_of(seed, 0, RANDOM_RANDAUGMENT);
    for (size_t i = 0; i < image_bytes(image); i++)
        image->pixels[i] = (uint8_t)random_below(&stream, 256);
}

/* Exact buffers on the heap, so that AddressSanitizer sees a step outside. */
static void check_all_magnitudes(uint32_t size, uint32_t channels, enum randaugment_op op)
{
    const size_t bytes = (size_t)size * size * channels;
    uint8_t *pixels = malloc(bytes), *again = malloc(bytes), *scratch = malloc(bytes);
    assert_true(pixels && again && scratch);
    struct image image = {pixels, size, channels}, other = {again, size, channels};
    for (int magnitude = 0; magnitude <= 30; magnitude++) {
        struct randaugment_choice choice = {op, magnitude % 2 == 0, (uint32_t)magnitude % size,
                                            size - 1};
        fill_image(&image, (uint32_t)magnitude);
        fill_image(&other, (uint32_t)magnitude);
        memset(scratch, 1, bytes);
        randaugment_apply(&choice, magnitude, &image, scratch);
        memset(scratch, 2, bytes);
        randaugment_apply(&choice, magnitude, &other, scratch);
        assert_memory_equal(pixels, again, bytes);
    }
    free(pixels);
    free(again);
    free(scratch);
}

static void test_every_operation_works_at_every_magnitude_and_size(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 5, 17, 32};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int op = 0; op < RANDAUGMENT_OPS; op++) {
            check_all_magnitudes(sizes[s], 1, (enum randaugment_op)op);
            check_all_magnitudes(sizes[s], 3, (enum randaugment_op)op);
        }
}

static bool changes(enum randaugment_op op, double magnitude)
{
    uint8_t pixels[BYTES_MAX], original[BYTES_MAX], scratch[BYTES_MAX];
    struct image image = {pixels, 32, 3};
    struct randaugment_choice choice = {op, false, 16, 16};
    fill_image(&image, 5);
    for (size_t i = 0; i < image_bytes(&image); i++)
        pixels[i] = (uint8_t)(40 + pixels[i] / 2);
    memcpy(original, pixels, image_bytes(&image));
    randaugment_apply(&choice, magnitude, &image, scratch);
    return memcmp(original, pixels, image_bytes(&image)) != 0;
}

static void test_where_an_operation_does_nothing(void **state)
{
    (void)state;
    /* Magnitude 5 is factor 1. */
    for (int op = RANDAUGMENT_COLOR; op <= RANDAUGMENT_SHARPNESS; op++) {
        assert_false(changes((enum randaugment_op)op, 5));
        assert_true(changes((enum randaugment_op)op, 6));
        assert_true(changes((enum randaugment_op)op, 0));
    }
    assert_true(changes(RANDAUGMENT_POSTERIZE, 0));
    assert_true(changes(RANDAUGMENT_POSTERIZE, 19));
    assert_false(changes(RANDAUGMENT_POSTERIZE, 20));
    assert_false(changes(RANDAUGMENT_POSTERIZE, 30));
    assert_true(changes(RANDAUGMENT_SOLARIZE, 5));
    assert_false(changes(RANDAUGMENT_SOLARIZE, 10));
    assert_false(changes(RANDAUGMENT_CUTOUT, 0));
    assert_true(changes(RANDAUGMENT_CUTOUT, 5));
}

static void test_negative_is_the_other_way(void **state)
{
    (void)state;
    static const enum randaugment_op ops[] = {RANDAUGMENT_ROTATE, RANDAUGMENT_SHEAR_X,
                                              RANDAUGMENT_SHEAR_Y, RANDAUGMENT_TRANSLATE_X,
                                              RANDAUGMENT_TRANSLATE_Y};
    uint8_t one[SIZE * SIZE], other[SIZE * SIZE], scratch[SIZE * SIZE];
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct image a = {one, SIZE, 1}, b = {other, SIZE, 1};
        fill_image(&a, 1);
        fill_image(&b, 1);
        randaugment_apply(&(struct randaugment_choice){.op = ops[i]}, 10, &a, scratch);
        randaugment_apply(&(struct randaugment_choice){.op = ops[i], .negative = true}, 10, &b,
                          scratch);
        assert_memory_not_equal(one, other, sizeof one);
    }
    /* Magnitude 5 is 50 * 9 / 224, 2 pixels. */
    struct image image = {one, SIZE, 1};
    fill_image(&image, 1);
    memcpy(other, one, sizeof one);
    const struct randaugment_choice back = {.op = RANDAUGMENT_TRANSLATE_X, .negative = true};
    randaugment_apply(&back, 5, &image, scratch);
    assert_int_equal(one[0], IMAGE_FILL);
    assert_int_equal(one[1], IMAGE_FILL);
    assert_memory_equal(one + 2, other, SIZE - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strengths_are_the_published_ones),
        cmocka_unit_test(test_lengths_go_by_the_image),
        cmocka_unit_test(test_draws_are_even),
        cmocka_unit_test(test_every_operation_works_at_every_magnitude_and_size),
        cmocka_unit_test(test_negative_is_the_other_way),
        cmocka_unit_test(test_where_an_operation_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
