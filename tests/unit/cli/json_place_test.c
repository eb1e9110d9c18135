/* The place of a JSON pointer's value in the text that a person wrote. */
#include "cli/json_place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char spec[] =
    "{\n"
    "  \"name\": \"a \\\"quoted\\\" {name}\",\n"
    "  \"budget\": {\"candidates\": -3,\n"
    "\t\"epochs\" : 2},\n"
    "  \"stages\": [ {\"kernel\": [3, 5]}, [], {\"a/b\": {\"c~d\": true}} ],\n"
    "  \"seed\": 1}\n";

static void assert_place(const char *pointer, size_t line, const char *begins_with)
{
    struct json_place place;
    assert_int_equal(json_place_find(spec, strlen(spec), pointer, &place), 0);
    assert_int_equal(place.line, line);
    assert_memory_equal(spec + place.line_start + place.column - 1, begins_with,
                        strlen(begins_with));
}

static void test_values_are_found_wherever_they_stand(void **state)
{
    (void)state;
    assert_place("", 1, "{");
    assert_place("/name", 2, "\"a ");
    assert_place("/budget", 3, "{\"candidates\"");
    assert_place("/budget/candidates", 3, "-3");
    assert_place("/budget/epochs", 4, "2}");
    assert_place("/stages/0/kernel/1", 5, "5]");
    assert_place("/stages/1", 5, "[]");
    assert_place("/stages/2/a~1b/c~0d", 5, "true");
    assert_place("/seed", 6, "1}");
}

static void test_what_is_missing_gives_what_should_hold_it(void **state)
{
    (void)state;
    assert_place("/budget/images", 3, "{\"candidates\"");
    assert_place("/nothing/at/all", 1, "{");
    assert_place("/stages/7", 5, "[ {");
    assert_place("/stages/1/0", 5, "[]");
    assert_place("/seed/deeper", 6, "1}");
    assert_place("/stages/x", 5, "[ {");
    assert_place("/stages/99999999999999999999", 5, "[ {");
}

static void test_the_line_is_given_without_its_end(void **state)
{
    (void)state;
    struct json_place place;
    assert_int_equal(json_place_find(spec, strlen(spec), "/seed", &place), 0);
    assert_int_equal(place.line_length, strlen("  \"seed\": 1}"));
    assert_int_equal(place.column, 11);
}

/* Every prefix of a text is a broken text; none may be read beyond its end (the sanitizers look
 * on). */
static void test_broken_texts_are_survived(void **state)
{
    (void)state;
    for (size_t length = 0; length < strlen(spec); length++) {
        char *part = malloc(length + 1);
        assert_non_null(part);
        memcpy(part, spec, length);
        struct json_place place = {0};
        int r = json_place_find(part, length, "/stages/2/a~1b/c~0d", &place);
        assert_true(r == 0 || r == -EINVAL);
        assert_int_equal(length == 0, r == -EINVAL);
        free(part);
    }
}

static void test_too_deep_pointers_are_refused(void **state)
{
    (void)state;
    enum { DEPTH = 100 };
    char text[2 * DEPTH + 1], pointer[2 * DEPTH + 1];
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    for (size_t i = 0; i < DEPTH; i++)
        memcpy(pointer + 2 * i, "/0", 2);
    pointer[2 * DEPTH] = '\0';
    struct json_place place;
    assert_int_equal(json_place_find(text, sizeof text - 1, pointer, &place), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_found_wherever_they_stand),
        cmocka_unit_test(test_what_is_missing_gives_what_should_hold_it),
        cmocka_unit_test(test_the_line_is_given_without_its_end),
        cmocka_unit_test(test_broken_texts_are_survived),
        cmocka_unit_test(test_too_deep_pointers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
