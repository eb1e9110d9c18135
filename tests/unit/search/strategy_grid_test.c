/* "grid": all of a space, and evenly from the start. */
#include "search/strategy.h"
#include "tests/unit/search/specs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ENDS "\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 16}"

static const char *const spaces[] = {
    "{\"preset\": \"efficientnetv2-small-images\"}", "{\"preset\": \"efficientnetv2-b0\"}",
    "{\"preset\": \"efficientnetv2-s\"}",
    /* eight stages of three options */
    "{" ENDS ", \"stages\": ["
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3], \"channels\": 8},"
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3], \"channels\": 9},"
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3], \"channels\": 10},"
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3], \"channels\": 11},"
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3], \"channels\": 12},"
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3], \"channels\": 13},"
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3], \"channels\": 14},"
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3], \"channels\": 15}]}"};

static const char grid[] = ", \"strategy\": {\"name\": \"grid\"}";

/* Any number of proposals takes each option of each stage nearly equally often. */
static void test_options_are_taken_evenly(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(spaces); i++) {
        struct spec *spec = specs_with(spaces[i], grid);
        struct strategy *strategy = NULL;
        static uint32_t taken[ARCHITECTURE_STAGES_MAX][SPACE_OPTIONS_MAX];
        memset(taken, 0, sizeof taken);
        assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
        for (uint64_t k = 0; k < 1000; k++) {
            struct encoding encoding;
            assert_int_equal(strategy_ask(strategy, k, &encoding), 0);
            for (uint32_t j = 0; j < space_stage_count(spec->space); j++) {
                uint32_t options = space_option_count(spec->space, j);
                uint32_t count = ++taken[j][encoding.choices[j]];
                if (count > 1.5 * (double)(k + 1) / options + 3)
                    fail_msg("space %zu, stage %u: %u of %llu", i, j, count,
                             (unsigned long long)k + 1);
            }
        }
        for (uint32_t j = 0; j < space_stage_count(spec->space); j++)
            for (uint32_t option = 0; option < space_option_count(spec->space, j); option++)
                assert_true(taken[j][option] > 0);
        strategy_free(strategy);
        spec_free(spec);
    }
}

static void test_nothing_but_the_space_and_its_limits_matters(void **state)
{
    (void)state;
    struct spec *one = specs_with(spaces[0], ", \"strategy\": {\"name\": \"grid\"}, \"seed\": 1");
    struct spec *two = specs_with(spaces[0], ", \"strategy\": {\"name\": \"grid\"}, \"seed\": 2,"
                                             " \"budget\": {\"candidates\": 9999}");
    struct strategy *a = NULL, *b = NULL;
    assert_int_equal(strategy_new(one, &a, NULL), 0);
    assert_int_equal(strategy_new(two, &b, NULL), 0);
    for (uint64_t k = 0; k < 50; k++) {
        struct encoding x, y;
        assert_int_equal(strategy_ask(a, k, &x), 0);
        assert_int_equal(strategy_ask(b, k, &y), 0);
        assert_memory_equal(&x, &y, sizeof x);
        assert_int_equal(strategy_tell(a, &(struct observation){k, true, (double)k, {{0}}}), 0);
    }
    strategy_free(a);
    strategy_free(b);
    spec_free(one);
    spec_free(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_are_taken_evenly),
        cmocka_unit_test(test_nothing_but_the_space_and_its_limits_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
