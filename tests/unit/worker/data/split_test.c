/* The held-out split: disjoint, stratified, a function of the seed. */
#include "worker/data/split.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 1000, CLASSES = 5 };

/* Classes of unequal size: 0 has half of the images, 4 a tenth of a tenth. */
static void make_labels(uint16_t *labels)
{
    for (uint32_t i = 0; i < IMAGES; i++)
        labels[i] = (uint16_t)(i % 2 == 0 ? 0 : i % 100 == 1 ? 4 : 1 + i % 3);
}

static struct split make_split(uint64_t seed, uint64_t train, uint64_t validation)
{
    uint16_t labels[IMAGES];
    make_labels(labels);
    struct split_request request = {labels, IMAGES, CLASSES, seed, train, validation};
    struct split split;
    assert_int_equal(split_init(&split, &request, NULL), 0);
    assert_int_equal(split.train_images, train);
    assert_int_equal(split.validation_images, validation);
    return split;
}

static void test_no_image_is_used_twice(void **state)
{
    (void)state;
    static const uint64_t sizes[][2] = {{1, 1}, {600, 400}, {999, 1}, {1, 999}, {300, 123}};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        struct split split = make_split(7, sizes[i][0], sizes[i][1]);
        bool used[IMAGES] = {false};
        for (uint64_t k = 0; k < split.train_images; k++) {
            assert_true(split.train[k] < IMAGES);
            assert_false(used[split.train[k]]);
            used[split.train[k]] = true;
        }
        for (uint64_t k = 0; k < split.validation_images; k++) {
            assert_true(split.validation[k] < IMAGES);
            assert_false(used[split.validation[k]]);
            used[split.validation[k]] = true;
        }
        split_release(&split);
    }
}

static void assert_shares(const uint32_t *images, uint64_t count, double slack)
{
    uint16_t labels[IMAGES];
    make_labels(labels);
    double whole[CLASSES] = {0}, part[CLASSES] = {0};
    for (uint32_t i = 0; i < IMAGES; i++)
        whole[labels[i]]++;
    for (uint64_t i = 0; i < count; i++)
        part[labels[images[i]]]++;
    for (int c = 0; c < CLASSES; c++) {
        double share = whole[c] * (double)count / IMAGES;
        if (part[c] < share - slack || part[c] > share + slack)
            fail_msg("class %d has %g of %g", c, part[c], share);
    }
}

static void test_each_class_has_its_share(void **state)
{
    (void)state;
    for (uint64_t validation = 1; validation < 300; validation += 7) {
        struct split split = make_split(validation, 500, validation);
        assert_shares(split.validation, validation, 1);
        assert_shares(split.train, 500, 2);
        split_release(&split);
    }
}

static void test_the_seed_decides(void **state)
{
    (void)state;
    struct split a = make_split(3, 500, 200), b = make_split(3, 500, 200),
                 c = make_split(4, 500, 200);
    assert_memory_equal(a.train, b.train, 500 * sizeof *a.train);
    assert_memory_equal(a.validation, b.validation, 200 * sizeof *a.validation);
    assert_memory_not_equal(a.validation, c.validation, 200 * sizeof *a.validation);
    split_release(&a);
    split_release(&b);
    split_release(&c);
}

static void test_held_out_images_do_not_depend_on_the_training_images(void **state)
{
    (void)state;
    struct split small = make_split(3, 100, 200), large = make_split(3, 700, 200);
    assert_memory_equal(small.validation, large.validation, 200 * sizeof *small.validation);
    assert_memory_equal(small.train, large.train, 100 * sizeof *small.train);
    split_release(&small);
    split_release(&large);
}

static void test_images_are_drawn_from_the_whole_class(void **state)
{
    (void)state;
    struct split split = make_split(11, 100, 100);
    uint64_t sum = 0;
    for (int i = 0; i < 100; i++)
        sum += split.validation[i];
    assert_in_range(sum, 100 * 350, 100 * 650);
    split_release(&split);
}

static void test_impossible_counts_are_refused(void **state)
{
    (void)state;
    uint16_t labels[IMAGES];
    make_labels(labels);
    static const uint64_t counts[][2] = {{0, 10},    {10, 0},         {IMAGES, 1},    {1, IMAGES},
                                         {600, 401}, {UINT64_MAX, 2}, {2, UINT64_MAX}};
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        struct split_request request = {labels, IMAGES, CLASSES, 1, counts[i][0], counts[i][1]};
        struct split split;
        struct error error = {0};
        assert_int_equal(split_init(&split, &request, &error), -EINVAL);
        assert_true(error.message[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_image_is_used_twice),
        cmocka_unit_test(test_each_class_has_its_share),
        cmocka_unit_test(test_the_seed_decides),
        cmocka_unit_test(test_held_out_images_do_not_depend_on_the_training_images),
        cmocka_unit_test(test_images_are_drawn_from_the_whole_class),
        cmocka_unit_test(test_impossible_counts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
