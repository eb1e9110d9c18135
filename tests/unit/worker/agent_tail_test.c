#include "worker/agent_tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct heard {
    int count;
    char last[TAIL_LINE_SIZE];
};

static void on_line(void *context, const char *line)
{
    struct heard *heard = context;
    heard->count++;
    snprintf(heard->last, sizeof heard->last, "%s", line);
}

static void feed(struct tail *tail, const char *text, struct heard *heard)
{
    tail_feed(tail, text, strlen(text), on_line, heard);
}

static void test_pieces_become_lines(void **state)
{
    (void)state;
    struct tail tail;
    struct heard heard = {.count = 0};
    tail_init(&tail);
    feed(&tail, "first li", &heard);
    assert_int_equal(heard.count, 0);
    feed(&tail, "ne\nsecond\n\nthi", &heard);
    assert_int_equal(heard.count, 2);
    assert_string_equal(heard.last, "second");
    tail_end(&tail, on_line, &heard);
    assert_int_equal(heard.count, 3);
    assert_string_equal(heard.last, "thi");
    tail_end(&tail, on_line, &heard);
    assert_int_equal(heard.count, 3);
}

static void test_the_last_lines_are_kept_in_order(void **state)
{
    (void)state;
    struct tail tail;
    struct heard heard = {.count = 0};
    char text[256];
    tail_init(&tail);
    tail_text(&tail, text, sizeof text);
    assert_string_equal(text, "");
    feed(&tail, "one\ntwo\n", &heard);
    tail_text(&tail, text, sizeof text);
    assert_string_equal(text, "one | two");
    feed(&tail, "three\nfour\nfive\nsix\n", &heard);
    tail_text(&tail, text, sizeof text);
    assert_string_equal(text, "three | four | five | six");
    tail_text(&tail, text, 11);
    assert_string_equal(text, "five | six");
}

static void test_a_line_without_end_is_cut_and_stays_within_its_bounds(void **state)
{
    (void)state;
    struct tail tail;
    struct heard heard = {.count = 0};
    static char endless[100 * TAIL_LINE_SIZE];
    memset(endless, 'e', sizeof endless - 1);
    tail_init(&tail);
    feed(&tail, endless, &heard);
    assert_int_equal(heard.count, (sizeof endless - 2) / (TAIL_LINE_SIZE - 1));
    assert_int_equal(strlen(heard.last), TAIL_LINE_SIZE - 1);
    char text[4096];
    tail_text(&tail, text, sizeof text);
    assert_int_equal(strlen(text), TAIL_LINES_MAX * (TAIL_LINE_SIZE - 1) + 3 * 3);
}

static void test_bytes_that_are_no_text_become_question_marks(void **state)
{
    (void)state;
    struct tail tail;
    struct heard heard = {.count = 0};
    tail_init(&tail);
    tail_feed(&tail, "\xff\x1b[31mred\0!\n", 12, on_line, &heard);
    assert_string_equal(heard.last, "??[31mred");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_become_lines),
        cmocka_unit_test(test_the_last_lines_are_kept_in_order),
        cmocka_unit_test(test_a_line_without_end_is_cut_and_stays_within_its_bounds),
        cmocka_unit_test(test_bytes_that_are_no_text_become_question_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
