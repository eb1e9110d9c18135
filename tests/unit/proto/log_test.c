#include "proto/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct log_pipe {
    struct log log;
    int read_fd;
};

static void open_log(struct log_pipe *log_pipe)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    log_pipe->read_fd = fds[0];
    log_pipe->log = (struct log){.program = "prog", .level = LOG_WARNING, .fd = fds[1]};
}

/* Everything that was logged; closes both ends. */
static char *close_log(struct log_pipe *log_pipe)
{
    char *text = calloc(1, 4 * LOG_LINE_SIZE);
    assert_non_null(text);
    close(log_pipe->log.fd);
    ssize_t length = read(log_pipe->read_fd, text, 4 * LOG_LINE_SIZE - 1);
    assert_true(length >= 0);
    close(log_pipe->read_fd);
    return text;
}

static void test_a_line_has_time_level_program_and_text(void **state)
{
    (void)state;
    struct log_pipe log_pipe;
    open_log(&log_pipe);
    log_line(&log_pipe.log, LOG_WARNING, "%d of %s", 3, "four");
    char *text = close_log(&log_pipe);
    int year, month, day, hour, minute, second, ms, used = 0;
    assert_int_equal(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour,
                            &minute, &second, &ms, &used),
                     7);
    assert_int_equal(used, 24);
    assert_string_equal(text + 24, " warning prog: 3 of four\n");
    free(text);
}

static void test_lines_above_the_level_are_dropped(void **state)
{
    (void)state;
    struct log_pipe log_pipe;
    open_log(&log_pipe);
    log_line(&log_pipe.log, LOG_INFO, "not this");
    log_line(&log_pipe.log, LOG_ERROR, "but this");
    char *text = close_log(&log_pipe);
    assert_null(strstr(text, "not this"));
    assert_non_null(strstr(text, " error prog: but this\n"));
    free(text);
}

static void test_a_text_cannot_make_a_second_line(void **state)
{
    (void)state;
    struct log_pipe log_pipe;
    open_log(&log_pipe);
    log_line(&log_pipe.log, LOG_ERROR, "a\nb\rc\x1b[31md\x7f");
    char *text = close_log(&log_pipe);
    assert_non_null(strstr(text, "prog: a?b?c?[31md?\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    free(text);
}

static void test_a_long_line_is_cut_and_still_ends(void **state)
{
    (void)state;
    static char longer[2 * LOG_LINE_SIZE];
    struct log_pipe log_pipe;
    memset(longer, 'x', sizeof longer - 1);
    open_log(&log_pipe);
    log_line(&log_pipe.log, LOG_ERROR, "%s", longer);
    char *text = close_log(&log_pipe);
    assert_int_equal(strlen(text), LOG_LINE_SIZE);
    assert_int_equal(text[LOG_LINE_SIZE - 1], '\n');
    free(text);
}

static void test_levels_are_named(void **state)
{
    (void)state;
    for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        enum log_level found;
        assert_int_equal(log_level_from_name(log_level_name((enum log_level)level), &found), 0);
        assert_int_equal(found, level);
    }
    enum log_level found;
    assert_int_equal(log_level_from_name("loud", &found), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_has_time_level_program_and_text),
        cmocka_unit_test(test_lines_above_the_level_are_dropped),
        cmocka_unit_test(test_a_text_cannot_make_a_second_line),
        cmocka_unit_test(test_a_long_line_is_cut_and_still_ends),
        cmocka_unit_test(test_levels_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
