/* tests/check counts what passes, fails and is skipped: every assertion is made to fail once. A plain program, since it can't
 * be judged by itself. What tests print is left out unless an argument asks for it: whoever counts outcomes in a log would
 * count these. */
#include "tests/check/cmocka.h"

#include <stdbool.h>
#include <stdio.h>

static int teardowns;

/* ---- each of these fails ---- */

static void true_is_refused(void **state)
{
    (void)state;
    assert_true(1 + 1 == 3);
}

static void false_is_refused(void **state)
{
    (void)state;
    assert_false(1 + 1 == 2);
}

static void null_is_refused(void **state)
{
    assert_null(state);
}

static void non_null_is_refused(void **state)
{
    (void)state;
    assert_non_null(NULL);
}

static void pointers_differ(void **state)
{
    assert_ptr_equal(state, NULL);
}

static void integers_differ(void **state)
{
    (void)state;
    assert_int_equal(-1, 1);
}

static void integers_agree(void **state)
{
    (void)state;
    assert_int_not_equal(-1, -1);
}

static void value_is_below(void **state)
{
    (void)state;
    assert_in_range(2, 3, 5);
}

static void value_is_above(void **state)
{
    (void)state;
    assert_in_range(6, 3, 5);
}

static void strings_differ(void **state)
{
    (void)state;
    assert_string_equal("depthwise", "depth");
}

static void strings_agree(void **state)
{
    (void)state;
    assert_string_not_equal("depth", "depth");
}

static void memory_differs_in_its_last_byte(void **state)
{
    (void)state;
    assert_memory_equal("abc", "abd", 3);
}

static void memory_agrees(void **state)
{
    (void)state;
    assert_memory_not_equal("abc", "abd", 2);
}

static void message_is_said(void **state)
{
    (void)state;
    fail_msg("said with %d", 1);
}

static void nothing_is_said(void **state)
{
    (void)state;
    fail();
}

static void never_reached(void **state)
{
    (void)state;
    teardowns += 100;
}

static int refusing_step(void **state)
{
    (void)state;
    return -1;
}

static int asserting_step(void **state)
{
    (void)state;
    assert_int_equal(1, 2);
    return 0;
}

static int counting_step(void **state)
{
    (void)state;
    teardowns++;
    return 0;
}

static const struct CMUnitTest failing[] = {
    cmocka_unit_test(true_is_refused),
    cmocka_unit_test(false_is_refused),
    cmocka_unit_test(null_is_refused),
    cmocka_unit_test(non_null_is_refused),
    cmocka_unit_test(pointers_differ),
    cmocka_unit_test(integers_differ),
    cmocka_unit_test(integers_agree),
    cmocka_unit_test(value_is_below),
    cmocka_unit_test(value_is_above),
    cmocka_unit_test(strings_differ),
    cmocka_unit_test(strings_agree),
    cmocka_unit_test(memory_differs_in_its_last_byte),
    cmocka_unit_test(memory_agrees),
    cmocka_unit_test(message_is_said),
    cmocka_unit_test_setup_teardown(nothing_is_said, NULL, counting_step),
    cmocka_unit_test_setup_teardown(never_reached, refusing_step, NULL),
    cmocka_unit_test_setup_teardown(never_reached, asserting_step, NULL),
};

/* ---- each of these passes ---- */

static void everything_holds(void **state)
{
    (void)state;
    const int left = -3, right = -3;
    assert_true(true);
    assert_false(false);
    assert_null(NULL);
    assert_non_null(&left);
    assert_ptr_equal(&left, &left);
    assert_int_equal(left, right);
    assert_int_not_equal(left, 3);
    assert_in_range(3, 3, 5);
    assert_in_range(5, 3, 5);
    assert_string_equal("depth", "depth");
    assert_string_not_equal("depth", "depthwise");
    assert_memory_equal("abc", "abd", 2);
    assert_memory_not_equal("abc", "abd", 3);
}

static void state_is_handed_over(void **state)
{
    assert_ptr_equal(*state, failing);
}

static const struct CMUnitTest passing[] = {
    cmocka_unit_test(everything_holds),
    cmocka_unit_test_prestate(state_is_handed_over, (void *)failing),
    cmocka_unit_test_setup_teardown(everything_holds, counting_step, counting_step),
};

/* ---- this is skipped ---- */

static void skipped_before_it_fails(void **state)
{
    (void)state;
    skip();
    fail();
}

static const struct CMUnitTest skipping[] = {cmocka_unit_test(skipped_before_it_fails)};

/* ---- around a group ---- */

static int state_setup(void **state)
{
    *state = (void *)passing;
    return 0;
}

static void state_of_the_group_is_there(void **state)
{
    assert_ptr_equal(*state, passing);
}

static const struct CMUnitTest grouped[] = {cmocka_unit_test(state_of_the_group_is_there),
                                            cmocka_unit_test(everything_holds)};

/* Groups with set-up and teardown fail as often as they should. */
static bool groups_are_right(void)
{
    return cmocka_run_group_tests(grouped, state_setup, counting_step) == 0 &&
           cmocka_run_group_tests(grouped, refusing_step, counting_step) == 2 &&
           cmocka_run_group_tests(grouped, asserting_step, counting_step) == 2 &&
           cmocka_run_group_tests(grouped, state_setup, refusing_step) == 1;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 1 && !freopen("/dev/null", "w", stdout))
        return 1;
    const int expected = (int)(sizeof failing / sizeof failing[0]);
    const int failed = cmocka_run_group_tests(failing, NULL, NULL);
    const int passed = cmocka_run_group_tests(passing, NULL, NULL);
    const int skipped = cmocka_run_group_tests_name("skipping", skipping, NULL, NULL);
    const bool good =
        failed == expected && passed == 0 && skipped == 0 && groups_are_right() && teardowns == 4;
    fprintf(stderr,
            "%s: %d of %d assertions failed as they should, %d and %d failed that should not, "
            "%d of 4 steps around tests ran\n",
            good ? "good" : "BAD", failed, expected, passed, skipped, teardowns);
    return good ? 0 : 1;
}
