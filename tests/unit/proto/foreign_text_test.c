#include "proto/foreign_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_names_are_printable_ascii_of_bounded_length(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } rows[] = {
        {"host-1", 0},   {"a b", 0},       {"1234567", 0},     {"12345678", -EINVAL}, {"", -EINVAL},
        {NULL, -EINVAL}, {"a\n", -EINVAL}, {"a\x7f", -EINVAL}, {"\xc3\xa9", -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char text[8] = "kept";
        struct error error;
        assert_int_equal(foreign_name_copy(rows[i].text, "/name", text, sizeof text, &error),
                         rows[i].code);
        assert_string_equal(text, rows[i].code == 0 ? rows[i].text : "kept");
        if (rows[i].code < 0)
            assert_string_equal(error.pointer, "/name");
    }
}

static void test_messages_keep_utf8_and_lose_the_rest(void **state)
{
    (void)state;
    static const struct {
        const char *text, *copy;
    } rows[] = {
        {NULL, ""},
        {"", ""},
        {"plain\nlines", "plain\nlines"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"tab\tbell\a\x1b[2J\x7f", "tab?bell??[2J?"},
        {"\xff\xfe", "??"},
        {"cut \xe2\x82", "cut ??"},       /* a sequence that ends too early */
        {"\xc0\xaf", "??"},               /* overlong slash */
        {"\xe0\x80\xaf", "???"},          /* overlong slash in three bytes */
        {"\xed\xa0\x80", "???"},          /* surrogate */
        {"\xf4\x90\x80\x80", "????"},     /* beyond U+10FFFF */
        {"\xf0\x8f\xbf\xbf", "????"},     /* overlong in four bytes */
        {"\xef\xbf\xbf", "\xef\xbf\xbf"}, /* U+FFFF is a character to UTF-8 */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char text[64];
        foreign_message_copy(rows[i].text, text, sizeof text);
        assert_string_equal(text, rows[i].copy);
    }
}

static void test_messages_are_cut_between_characters(void **state)
{
    (void)state;
    char text[8];
    foreign_message_copy("12345\xe2\x82\xac", text, sizeof text);
    assert_string_equal(text, "12345");
    foreign_message_copy("1234\xe2\x82\xac", text, sizeof text);
    assert_string_equal(text, "1234\xe2\x82\xac");
    foreign_message_copy("123456789", text, sizeof text);
    assert_string_equal(text, "1234567");
    foreign_message_copy("x", text, 1);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_printable_ascii_of_bounded_length),
        cmocka_unit_test(test_messages_keep_utf8_and_lose_the_rest),
        cmocka_unit_test(test_messages_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
