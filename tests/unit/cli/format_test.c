/* Numbers as a person reads them. */
#include "cli/format.h"

#include "search/attributes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_counts_have_three_digits_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        uint64_t count;
        const char *text;
    } cases[] = {{0, "0"},          {999, "999"},     {1000, "1.00k"},     {9994, "9.99k"},
                 {9995, "10.0k"},   {99949, "99.9k"}, {99950, "100k"},     {999499, "999k"},
                 {999500, "1.00M"}, {353418, "353k"}, {118515272, "119M"}, {UINT64_MAX, "18.4E"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[FORMAT_SIZE];
        format_count(cases[i].count, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_grouped_counts_have_commas_at_thousands(void **state)
{
    (void)state;
    char text[FORMAT_SIZE];
    format_grouped(0, text);
    assert_string_equal(text, "0");
    format_grouped(999, text);
    assert_string_equal(text, "999");
    format_grouped(5288548, text);
    assert_string_equal(text, "5,288,548");
    format_grouped(UINT64_MAX, text);
    assert_string_equal(text, "18,446,744,073,709,551,615");
}

static void test_step_times_choose_their_unit(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0.000850, "850 us"},
                 {0.00123, "1.23 ms"},
                 {0.0999, "99.9 ms"},
                 {0.9996, "1.00 s"},
                 {12.34, "12.3 s"},
                 {0, "-"},
                 {-1, "-"},
                 {NAN, "-"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[FORMAT_SIZE];
        format_step_time(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_durations_have_at_most_two_parts(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0 s"},
                 {59.4, "59 s"},
                 {59.6, "1 min 00 s"},
                 {200, "3 min 20 s"},
                 {3599.6, "1 h 00 min"},
                 {7500, "2 h 05 min"},
                 {273600, "3 d 4 h"},
                 {-1, "?"},
                 {NAN, "?"},
                 {INFINITY, "?"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[FORMAT_SIZE];
        format_duration(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_percentages_have_two_decimals(void **state)
{
    (void)state;
    char text[FORMAT_SIZE];
    format_percent(0.87214, text);
    assert_string_equal(text, "87.21 %");
    format_percent(NAN, text);
    assert_string_equal(text, "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_have_three_digits_and_a_unit),
        cmocka_unit_test(test_grouped_counts_have_commas_at_thousands),
        cmocka_unit_test(test_step_times_choose_their_unit),
        cmocka_unit_test(test_durations_have_at_most_two_parts),
        cmocka_unit_test(test_percentages_have_two_decimals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
