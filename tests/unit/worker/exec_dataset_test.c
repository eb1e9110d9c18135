#include "worker/exec_dataset.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_known_name_is_enough(void **state)
{
    (void)state;
    struct dataset dataset;
    struct error error;
    assert_int_equal(exec_dataset_read("cifar10", &dataset, &error), 0);
    assert_true(dataset_facts_agree(&dataset, dataset_known("cifar10")));
    assert_string_equal(dataset.name, "cifar10");
}

static void test_others_are_described(void **state)
{
    static const struct {
        const char *text;
        struct dataset expected;
    } cases[] = {
        {"flowers:64x64x3:5:3670", {"flowers", 64, 3, 5, 3670, 0}},
        {"a.b_c-d:1x1x1:2:10:4", {"a.b_c-d", 1, 1, 2, 10, 4}},
        {"cifar10:40x40x3:10:50000:10000", {"cifar10", 40, 3, 10, 50000, 10000}},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct dataset dataset;
        struct error error;
        assert_int_equal(exec_dataset_read(cases[i].text, &dataset, &error), 0);
        assert_string_equal(dataset.name, cases[i].expected.name);
        assert_true(dataset_facts_agree(&dataset, &cases[i].expected));
    }
}

static void test_wrong_ones_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "flowers",
        ":64x64x3:5:3670",
        "flowers:",
        "flowers:64x64x3",
        "flowers:64x32x3:5:3670",
        "flowers:64x64x2:5:3670",
        "flowers:64x64x3:5:0",
        "flowers:64x64x3:5:3670:",
        "flowers:64x64x3:5:3670:1:2",
        "flowers:64x64x3:5:-1",
        "flowers:64x64x3: 5:3670",
        "flowers:64x64x3:5:3670x",
        "flowers:4294967360x4294967360x3:5:3670",
        "flowers:64x64x3:5:99999999999999999999999",
        "Flowers:64x64x3:5:3670",
        "a name:64x64x3:5:3670",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:64x64x3:5:3670",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct dataset dataset;
        struct error error;
        if (exec_dataset_read(texts[i], &dataset, &error) != -EINVAL)
            fail_msg("%s", texts[i]);
        assert_non_null(strstr(error.message, "--exec-dataset"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_name_is_enough),
        cmocka_unit_test(test_others_are_described),
        cmocka_unit_test(test_wrong_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
