#include "search/suggest.h"
#include "search/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_text_grows_and_stays_terminated(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 100000);
    assert_string_equal(text_string(&text), "");
    for (int i = 0; i < 5000; i++)
        text_format(&text, "%d,", i % 10);
    text_add(&text, "end");
    assert_int_equal(text_status(&text), 0);
    assert_int_equal(text.length, 10003);
    assert_int_equal(strlen(text_string(&text)), 10003);
    assert_memory_equal(text.data, "0,1,2,3,4,5,6,7,8,9,0,", 22);
    text_release(&text);
    assert_int_equal(text.length, 0);
}

static void test_text_never_exceeds_its_maximum(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 5);
    text_add(&text, "12345");
    assert_int_equal(text_status(&text), 0);
    text_add(&text, "6");
    assert_int_equal(text_status(&text), -E2BIG);
    assert_string_equal(text_string(&text), "12345");
    text_release(&text);
    text_add(&text, "ok");
    assert_int_equal(text_status(&text), 0);
    text_release(&text);
}

static void test_failure_sticks(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 4);
    text_format(&text, "%s", "too long");
    text_add(&text, "ab");
    assert_int_equal(text_status(&text), -E2BIG);
    assert_string_equal(text_string(&text), "");
    text_release(&text);
}

static void test_suggestion_is_the_nearest_word(void **state)
{
    (void)state;
    static const char *const words[] = {"objectives", NULL, "reward", "recipe", "seed"};
    assert_string_equal(suggest("objective", words, 5), "objectives");
    assert_string_equal(suggest("rewrad", words, 5), "reward");
    assert_string_equal(suggest("receipe", words, 5), "recipe");
    assert_string_equal(suggest("sed", words, 5), "seed");
    assert_string_equal(suggest("se", (const char *const[]){"xx", "es"}, 2), "es");
    assert_null(suggest("banana", words, 5));
    assert_null(suggest("", words, 5));
    char longest[200];
    memset(longest, 'a', sizeof longest);
    longest[199] = '\0';
    assert_null(suggest(longest, words, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_grows_and_stays_terminated),
        cmocka_unit_test(test_text_never_exceeds_its_maximum),
        cmocka_unit_test(test_failure_sticks),
        cmocka_unit_test(test_suggestion_is_the_nearest_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
