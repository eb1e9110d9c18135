#include "daemon/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_pattern_matches_its_paths_alone(void **state)
{
    static const struct {
        const char *pattern, *path, *first, *second;
        bool matches;
    } table[] = {
        {"/v1/searches", "/v1/searches", NULL, NULL, true},
        {"/v1/searches", "/v1/searches/", NULL, NULL, false},
        {"/v1/searches", "/v1/search", NULL, NULL, false},
        {"/v1/searches", "/v1/searchesx", NULL, NULL, false},
        {"/v1/searches/{id}", "/v1/searches/7", "7", NULL, true},
        {"/v1/searches/{id}", "/v1/searches/", NULL, NULL, false},
        {"/v1/searches/{id}", "/v1/searches/7:pause", NULL, NULL, false},
        {"/v1/searches/{id}", "/v1/searches/7/candidates", NULL, NULL, false},
        {"/v1/searches/{id}:pause", "/v1/searches/7:pause", "7", NULL, true},
        {"/v1/searches/{id}:pause", "/v1/searches/7:pauses", NULL, NULL, false},
        {"/v1/searches/{id}:pause", "/v1/searches/:pause", NULL, NULL, false},
        {"/v1/searches/{id}/candidates/{n}", "/v1/searches/7/candidates/12", "7", "12", true},
        {"/v1/searches/{id}/candidates/{n}", "/v1/searches/7/candidates", NULL, NULL, false},
        {"/", "/", NULL, NULL, true},
        {"/", "", NULL, NULL, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct route_parameters parameters = {.count = 9};
        assert_int_equal(route_match(table[i].pattern, table[i].path, &parameters),
                         table[i].matches);
        if (!table[i].matches) {
            assert_int_equal(parameters.count, 9);
            continue;
        }
        assert_int_equal(parameters.count, (table[i].first != NULL) + (table[i].second != NULL));
        if (table[i].first)
            assert_string_equal(parameters.text[0], table[i].first);
        if (table[i].second)
            assert_string_equal(parameters.text[1], table[i].second);
    }
}

static void test_parameter_longer_than_its_limit_does_not_match(void **state)
{
    struct route_parameters parameters;
    char path[2 + ROUTE_PARAMETER_SIZE] = "/";
    (void)state;
    memset(path + 1, 'a', ROUTE_PARAMETER_SIZE - 1);
    assert_true(route_match("/{id}", path, &parameters));
    path[ROUTE_PARAMETER_SIZE] = 'a';
    assert_false(route_match("/{id}", path, &parameters));
}

static void test_numbers_are_plain_decimals(void **state)
{
    static const char *const wrong[] = {
        "", "-1", "+1", "01", "1.0", "0x1", "1 ", " 1", "1e3", "a", "1234567890123456789"};
    uint64_t number = 9;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(route_number(wrong[i], &number));
    assert_int_equal(number, 9);
    assert_true(route_number("0", &number));
    assert_int_equal(number, 0);
    assert_true(route_number("123456789012345678", &number));
    assert_int_equal(number, 123456789012345678);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern_matches_its_paths_alone),
        cmocka_unit_test(test_parameter_longer_than_its_limit_does_not_match),
        cmocka_unit_test(test_numbers_are_plain_decimals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
