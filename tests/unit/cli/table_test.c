/* Tables of text, as they come out. */
#include "cli/table.h"

#include "search/attributes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct table_column columns[] = {{"#", true}, {"name", false}, {"stages", false}};

static void assert_printed(const struct table *table, const struct terminal *terminal,
                           const char *expected)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    assert_non_null(file);
    table_print(table, terminal, file);
    fclose(file);
    assert_string_equal(text, expected);
    free(text);
}

static struct table *new_table(void)
{
    struct table *table = NULL;
    assert_int_equal(table_new(columns, ARRAY_LENGTH(columns), &table), 0);
    return table;
}

static void add(struct table *table, enum colour colour, const char *a, const char *b,
                const char *c)
{
    assert_int_equal(table_add(table, colour, (const char *[]){a, b, c}), 0);
}

static void test_columns_are_as_wide_as_their_widest_cell(void **state)
{
    (void)state;
    struct table *table = new_table();
    add(table, COLOUR_NONE, "1", "first-light", "F1 1x16, F4 2x32");
    add(table, COLOUR_NONE, "1000", NULL, "-");
    assert_printed(table, &(struct terminal){0},
                   "   #  name         stages\n"
                   "   1  first-light  F1 1x16, F4 2x32\n"
                   "1000               -\n");
    table_free(table);
}

static void test_characters_count_and_not_bytes(void **state)
{
    (void)state;
    struct table *table = new_table();
    add(table, COLOUR_NONE, "1", "\xc3\xbc\xc3\xb6\xe2\x82\xac", "x");
    add(table, COLOUR_NONE, "2", "abcd", "x");
    assert_printed(table, &(struct terminal){0},
                   "#  name  stages\n"
                   "1  \xc3\xbc\xc3\xb6\xe2\x82\xac   x\n"
                   "2  abcd  x\n");
    table_free(table);
}

static void test_the_last_column_goes_on_below_where_the_terminal_ends(void **state)
{
    (void)state;
    struct table *table = new_table();
    add(table, COLOUR_NONE, "1", "a", "one two three four five six seven");
    add(table, COLOUR_NONE, "2", "a", "0123456789012345678901234567890");
    assert_printed(table, &(struct terminal){.is_terminal = true, .width = 27},
                   "#  name  stages\n"
                   "1  a     one two three four\n"
                   "         five six seven\n"
                   "2  a     012345678901234567\n"
                   "         8901234567890\n");
    table_free(table);
}

static void test_colours_wrap_whole_rows(void **state)
{
    (void)state;
    struct table *table = new_table();
    add(table, COLOUR_GREEN, "1", "a", "x");
    assert_printed(table, &(struct terminal){.is_terminal = true, .width = 80, .colour = true},
                   "\033[2m#  name  stages\033[0m\n"
                   "\033[32m1  a     x\033[0m\n");
    table_free(table);
}

static void test_control_characters_are_not_printed(void **state)
{
    (void)state;
    struct table *table = new_table();
    add(table, COLOUR_NONE, "1", "\033[31mred\a", "a\nb\x7f\xc2\x9b");
    assert_printed(table, &(struct terminal){0},
                   "#  name       stages\n"
                   "1  ?[31mred?  a?b??\n");
    table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(test_characters_count_and_not_bytes),
        cmocka_unit_test(test_the_last_column_goes_on_below_where_the_terminal_ends),
        cmocka_unit_test(test_colours_wrap_whole_rows),
        cmocka_unit_test(test_control_characters_are_not_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
