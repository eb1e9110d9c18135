/* The line at the foot of a terminal. */
#include "cli/progress.h"

#include "cli/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct progress half = {.name = "first-light",
                                     .state = "running",
                                     .budget = 24,
                                     .finished = 12,
                                     .running = 2,
                                     .eta_s = 130,
                                     .best_known = true,
                                     .best = 7,
                                     .best_accuracy = 0.8612};

static void test_a_wide_terminal_shows_everything(void **state)
{
    (void)state;
    char line[PROGRESS_SIZE];
    progress_line(&half, 200, line);
    assert_string_equal(line, "first-light [====================>                   ] 12/24, "
                              "2 running, 2 min 10 s left, best 86.12 % (#7)");
}

static void test_no_line_is_wider_than_the_terminal(void **state)
{
    (void)state;
    for (size_t width = 20; width < 300; width++) {
        char line[PROGRESS_SIZE];
        progress_line(&half, width, line);
        assert_true(terminal_columns(line) <= width);
        assert_non_null(strstr(line, "12/24"));
    }
}

static void test_eighty_columns_keep_a_bar(void **state)
{
    (void)state;
    char line[PROGRESS_SIZE];
    progress_line(&half, 80, line);
    assert_non_null(strstr(line, "[==="));
    assert_non_null(strstr(line, "best 86.12 % (#7)"));
}

static void test_running_candidates_move_the_bar(void **state)
{
    (void)state;
    struct progress progress = half;
    char without[PROGRESS_SIZE], with[PROGRESS_SIZE];
    progress_line(&progress, 200, without);
    progress.part_done = 1.9;
    progress_line(&progress, 200, with);
    assert_string_not_equal(without, with);
}

static void test_unknown_figures_are_left_out(void **state)
{
    (void)state;
    struct progress progress = {.name = "", .state = "paused", .budget = 0, .eta_s = -1};
    char line[PROGRESS_SIZE];
    progress_line(&progress, 60, line);
    assert_string_equal(line, "[>                                       ] 0/0, paused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wide_terminal_shows_everything),
        cmocka_unit_test(test_no_line_is_wider_than_the_terminal),
        cmocka_unit_test(test_eighty_columns_keep_a_bar),
        cmocka_unit_test(test_running_candidates_move_the_bar),
        cmocka_unit_test(test_unknown_figures_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
