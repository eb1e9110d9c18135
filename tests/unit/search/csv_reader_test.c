/* Records and fields of comma-separated values, and what is refused. */
#include "search/csv_reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_SIZE = 4096 };

static char text[TEXT_SIZE];

/* Reads `bytes` and joins its records as "line:[field][field]". Returns what the last csv_reader_next did. */
static int read_all(const char *bytes, size_t length, char *ret_seen, size_t size,
                    struct error *error)
{
    struct csv_reader reader;
    size_t used = 0;
    int r;
    assert_true(length < sizeof text);
    memcpy(text, bytes, length);
    text[length] = '\0';
    ret_seen[0] = '\0';
    csv_reader_init(&reader, text, length);
    while ((r = csv_reader_next(&reader, error)) == 0) {
        used += (size_t)snprintf(ret_seen + used, size - used, "%zu:", reader.line);
        for (size_t i = 0; i < reader.field_count; i++)
            used += (size_t)snprintf(ret_seen + used, size - used, "[%s]", reader.fields[i]);
    }
    return r;
}

static void test_records_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *seen;
    } cases[] = {
        {"", ""},
        {"\n\n \t\n", ""},
        {"a", "1:[a]"},
        {"a,b\nc,d\n", "1:[a][b]2:[c][d]"},
        {"a,b\r\nc,d\r\n", "1:[a][b]2:[c][d]"},
        {"\n\na\n\nb", "3:[a]5:[b]"},
        {" a , b\t,c d \n", "1:[a][b][c d]"},
        {",\n", "1:[][]"},
        {"a,,\n", "1:[a][][]"},
        {"\"a,b\",c", "1:[a,b][c]"},
        {"\"say \"\"no\"\"\" , \"\"\n", "1:[say \"no\"][]"},
        {"\"\"\"\"", "1:[\"]"},
        {"a \"b\" c,d", "1:[a \"b\" c][d]"},
        {"\xef\xbb\xbf"
         "a,b",
         "1:[a][b]"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char seen[256];
        assert_int_equal(read_all(cases[i].bytes, strlen(cases[i].bytes), seen, sizeof seen, NULL),
                         CSV_READER_END);
        assert_string_equal(seen, cases[i].seen);
    }
}

static void test_broken_lines_are_refused_by_number(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *message;
    } cases[] = {
        {"a\n\"b\n", "line 2: a quote is not closed"},
        {"a\n\n\"b\"\"\n", "line 3: a quote is not closed"},
        {"\"a\"b,c", "line 1: field 1 goes on behind its closing quote"},
        {"x,\"a\" \"b\"", "line 1: field 2 goes on"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char seen[256];
        struct error error = {0};
        assert_int_equal(
            read_all(cases[i].bytes, strlen(cases[i].bytes), seen, sizeof seen, &error), -EINVAL);
        assert_non_null(strstr(error.message, cases[i].message));
    }
    char seen[256];
    struct error error = {0};
    assert_int_equal(read_all("a\nb\0c", 5, seen, sizeof seen, &error), -EINVAL);
    assert_non_null(strstr(error.message, "line 2: a byte of value 0"));
}

static void test_fields_have_a_maximum(void **state)
{
    (void)state;
    char bytes[CSV_READER_FIELDS_MAX + 1], seen[TEXT_SIZE];
    struct error error = {0};
    memset(bytes, ',', sizeof bytes);
    assert_int_equal(read_all(bytes, CSV_READER_FIELDS_MAX - 1, seen, sizeof seen, &error),
                     CSV_READER_END);
    assert_int_equal(read_all(bytes, CSV_READER_FIELDS_MAX, seen, sizeof seen, &error), -EINVAL);
    assert_non_null(strstr(error.message, "more than 256 fields"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_are_read),
        cmocka_unit_test(test_broken_lines_are_refused_by_number),
        cmocka_unit_test(test_fields_have_a_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
