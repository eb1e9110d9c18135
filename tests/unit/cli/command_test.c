/* The command line as its tables describe it. */
#include "cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct command sample = {
    "sample",
    "ID N",
    "a sample",
    NULL,
    {{"limit", "N", "rows"}, {"watch", NULL, "stay"}, {"also", "NAME...", "more"}},
    NULL};

static struct cli cli;
static struct arguments arguments;

static enum command_parse parse(const char *const *words)
{
    cli = (struct cli){.server = "default"};
    return command_parse(&sample, &cli, (char *const *)words, &arguments);
}

static void test_operands_and_options_come_in_any_order(void **state)
{
    (void)state;
    assert_int_equal(parse((const char *[]){"--limit", "-5", "7", "--watch", "9", NULL}),
                     COMMAND_PARSE_RUN);
    assert_string_equal(arguments.operands[0], "7");
    assert_string_equal(arguments.operands[1], "9");
    assert_string_equal(arguments.values[0], "-5");
    assert_string_equal(arguments.values[1], "");
    assert_int_equal(parse((const char *[]){"7", "9", "--limit=3", NULL}), COMMAND_PARSE_RUN);
    assert_string_equal(arguments.values[0], "3");
    assert_null(arguments.values[1]);
}

static void test_an_option_that_may_be_repeated_keeps_every_value(void **state)
{
    (void)state;
    assert_int_equal(parse((const char *[]){"7", "--also", "x", "9", "--also=y", "--limit=1",
                                            "--limit=2", NULL}),
                     COMMAND_PARSE_RUN);
    assert_int_equal(arguments.repeated_count, 2);
    assert_string_equal(arguments.repeated[0], "x");
    assert_string_equal(arguments.repeated[1], "y");
    assert_string_equal(arguments.values[0], "2");
    const char *words[COMMAND_REPEATS_MAX + 4] = {"7", "9"};
    for (size_t i = 0; i <= COMMAND_REPEATS_MAX; i++)
        words[2 + i] = "--also=z";
    assert_int_equal(parse(words), COMMAND_PARSE_WRONG);
    words[2 + COMMAND_REPEATS_MAX] = NULL;
    assert_int_equal(parse(words), COMMAND_PARSE_RUN);
    assert_int_equal(arguments.repeated_count, COMMAND_REPEATS_MAX);
}

static void test_common_options_are_known_everywhere(void **state)
{
    (void)state;
    assert_int_equal(parse((const char *[]){"a", "b", "--json", "--server", "http://x", NULL}),
                     COMMAND_PARSE_RUN);
    assert_true(cli.json);
    assert_string_equal(cli.server, "http://x");
    assert_int_equal(parse((const char *[]){"a", "--help", NULL}), COMMAND_PARSE_HELP);
    assert_int_equal(parse((const char *[]){"-h", NULL}), COMMAND_PARSE_HELP);
}

static void test_a_lone_dash_is_an_operand_and_two_end_the_options(void **state)
{
    (void)state;
    assert_int_equal(parse((const char *[]){"-", "--", "--limit", NULL}), COMMAND_PARSE_RUN);
    assert_string_equal(arguments.operands[0], "-");
    assert_string_equal(arguments.operands[1], "--limit");
}

static void test_wrong_lines_are_refused(void **state)
{
    (void)state;
    static const char *const lines[][5] = {
        {"a", NULL},
        {"a", "b", "c", NULL},
        {"a", "b", "--unknown", NULL},
        {"a", "b", "-x", NULL},
        {"a", "b", "--limit", NULL},
        {"a", "b", "--watch=1", NULL},
        {"a", "b", "--limi", "3", NULL},
        {"a", "b", "--limits", "3", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++)
        assert_int_equal(parse(lines[i]), COMMAND_PARSE_WRONG);
}

static void test_each_command_is_found_by_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_count(); i++)
        assert_ptr_equal(command_find(commands[i]->name), commands[i]);
    assert_true(command_count() >= 19);
    assert_null(command_find("nothing"));
    assert_null(command_find(""));
}

/* docs/cli.md; the tests run in the root of the source tree. */
static char *manual(void)
{
    FILE *file = fopen("docs/cli.md", "re");
    assert_non_null(file);
    char *text = calloc(1, 1 << 16);
    assert_non_null(text);
    size_t length = fread(text, 1, (1 << 16) - 1, file);
    assert_true(length > 0 && length < (1 << 16) - 1);
    fclose(file);
    return text;
}

static void test_the_manual_names_every_command_and_option(void **state)
{
    (void)state;
    char *text = manual(), name[64];
    for (size_t i = 0; i < command_count(); i++) {
        snprintf(name, sizeof name, "`archscout %s%s%s`", commands[i]->name,
                 commands[i]->operands[0] ? " " : "", commands[i]->operands);
        if (!strstr(text, name))
            fail_msg("docs/cli.md does not know %s", name);
        for (size_t j = 0; j < COMMAND_OPTIONS_MAX && commands[i]->options[j].name; j++) {
            snprintf(name, sizeof name, "`--%s", commands[i]->options[j].name);
            if (!strstr(text, name))
                fail_msg("docs/cli.md does not know %s of %s", name, commands[i]->name);
        }
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operands_and_options_come_in_any_order),
        cmocka_unit_test(test_an_option_that_may_be_repeated_keeps_every_value),
        cmocka_unit_test(test_common_options_are_known_everywhere),
        cmocka_unit_test(test_a_lone_dash_is_an_operand_and_two_end_the_options),
        cmocka_unit_test(test_wrong_lines_are_refused),
        cmocka_unit_test(test_each_command_is_found_by_its_name),
        cmocka_unit_test(test_the_manual_names_every_command_and_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
