#include "search/dataset.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_known_data_sets_are_valid_sorted_and_found(void **state)
{
    (void)state;
    size_t count = 0;
    for (; dataset_known_at(count); count++) {
        const struct dataset *dataset = dataset_known_at(count);
        assert_int_equal(dataset_validate(dataset, NULL), 0);
        assert_ptr_equal(dataset_known(dataset->name), dataset);
        assert_true(count == 0 || strcmp(dataset_known_at(count - 1)->name, dataset->name) < 0);
    }
    assert_int_equal(count, 5);
    assert_null(dataset_known("imagenet"));
    assert_int_equal(dataset_known("fashion-mnist")->image_channels, 1);
    assert_int_equal(dataset_known("cifar100")->classes, 100);
}

static void test_facts_are_all_but_the_name(void **state)
{
    (void)state;
    const struct dataset a = {"a", 8, 3, 5, 100, 10};
    const struct dataset others[] = {
        {"a", 9, 3, 5, 100, 10}, {"a", 8, 1, 5, 100, 10}, {"a", 8, 3, 6, 100, 10},
        {"a", 8, 3, 5, 101, 10}, {"a", 8, 3, 5, 100, 11},
    };
    assert_true(dataset_facts_agree(&a, &(struct dataset){"b", 8, 3, 5, 100, 10}));
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_false(dataset_facts_agree(&a, &others[i]));
}

static void test_names_are_checked_letter_by_letter(void **state)
{
    (void)state;
    static const char *const valid[] = {"a", "9", "my-set_2.1"};
    static const char *const invalid[] = {"", "-a", ".a", "A", "a b", "a/b", "\xc3\xa4"};
    for (size_t i = 0; i < ARRAY_LENGTH(valid); i++)
        assert_true(dataset_name_is_valid(valid[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(invalid); i++)
        assert_false(dataset_name_is_valid(invalid[i]));
    char longest[DATASET_NAME_SIZE + 1];
    memset(longest, 'a', sizeof longest);
    longest[DATASET_NAME_SIZE - 1] = '\0';
    assert_true(dataset_name_is_valid(longest));
    longest[DATASET_NAME_SIZE - 1] = 'a';
    longest[DATASET_NAME_SIZE] = '\0';
    assert_false(dataset_name_is_valid(longest));
}

static void test_wrong_fields_are_named(void **state)
{
    (void)state;
    struct dataset base = *dataset_known("mnist"), wrong[6];
    static const char *const pointers[] = {"/name",    "/image_size",   "/image_channels",
                                           "/classes", "/train_images", "/test_images"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        wrong[i] = base;
    wrong[0].name[0] = '/';
    wrong[1].image_size = 0;
    wrong[2].image_channels = 4;
    wrong[3].classes = 0;
    wrong[4].train_images = 0;
    wrong[5].test_images = UINT64_MAX;
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct error error = {0};
        assert_int_equal(dataset_validate(&wrong[i], &error), -EINVAL);
        assert_string_equal(error.pointer, pointers[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_data_sets_are_valid_sorted_and_found),
        cmocka_unit_test(test_facts_are_all_but_the_name),
        cmocka_unit_test(test_names_are_checked_letter_by_letter),
        cmocka_unit_test(test_wrong_fields_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
