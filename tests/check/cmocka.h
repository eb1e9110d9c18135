/* The part of cmocka's interface that the tests of the engine-only build use, for machines where cmocka is not installed
 * (a GPU server with a compiler and nothing else). CMake chooses: cmocka itself where it is there, this otherwise
 * (ARCHSCOUT_CMOCKA). Names, meaning and printed lines are cmocka's 1.1, so tests include <cmocka.h> and do not know.
 *
 * A failed assertion ends its test by longjmp, as in cmocka: what the test holds then stays held. A crash ends the program.
 * One thread. */
#ifndef TESTS_CHECK_CMOCKA_H
#define TESTS_CHECK_CMOCKA_H

#include <stddef.h>
#include <stdint.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    int (*setup)(void **state);    /* NULL: none; other than 0: the test fails */
    int (*teardown)(void **state); /* likewise; runs after a failed test too */
    void *initial_state;
};

#define cmocka_unit_test(f) cmocka_unit_test_setup_teardown(f, NULL, NULL)
#define cmocka_unit_test_setup_teardown(f, setup, teardown)                                        \
    {                                                                                              \
#f, f, setup, teardown, NULL                                                               \
    }
#define cmocka_unit_test_prestate(f, state)                                                        \
    {                                                                                              \
#f, f, NULL, NULL, state                                                                   \
    }

/* How many tests failed. `setup` and `teardown` (NULL: none) are around all of them; what setup leaves in *state each test finds
 * there, unless it has an initial state of its own. Where setup gives something other than 0, no test runs and all have
 * failed; where teardown does, one more has. */
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    cmocka_run_group_tests_name(#tests, tests, setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
    cmocka_check_run(name, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

#define assert_true(c) cmocka_check_true((c) ? 1 : 0, #c, __FILE__, __LINE__)
#define assert_false(c) cmocka_check_true((c) ? 0 : 1, "!(" #c ")", __FILE__, __LINE__)
#define assert_null(c) cmocka_check_true((c) == NULL, #c " == NULL", __FILE__, __LINE__)
#define assert_non_null(c) cmocka_check_true((c) != NULL, #c " != NULL", __FILE__, __LINE__)
#define assert_ptr_equal(a, b)                                                                     \
    cmocka_check_integer((uintmax_t)(uintptr_t)(a), (uintmax_t)(uintptr_t)(b), 1, __FILE__,        \
                         __LINE__)
#define assert_int_equal(a, b)                                                                     \
    cmocka_check_integer((uintmax_t)(a), (uintmax_t)(b), 1, __FILE__, __LINE__)
#define assert_int_not_equal(a, b)                                                                 \
    cmocka_check_integer((uintmax_t)(a), (uintmax_t)(b), 0, __FILE__, __LINE__)
/* Unsigned, both ends belong to it. */
#define assert_in_range(value, minimum, maximum)                                                   \
    cmocka_check_range((uintmax_t)(value), (uintmax_t)(minimum), (uintmax_t)(maximum), __FILE__,   \
                       __LINE__)
#define assert_string_equal(a, b) cmocka_check_string(a, b, 1, __FILE__, __LINE__)
#define assert_string_not_equal(a, b) cmocka_check_string(a, b, 0, __FILE__, __LINE__)
#define assert_memory_equal(a, b, bytes) cmocka_check_memory(a, b, bytes, 1, __FILE__, __LINE__)
#define assert_memory_not_equal(a, b, bytes) cmocka_check_memory(a, b, bytes, 0, __FILE__, __LINE__)
#define fail() cmocka_check_true(0, "fail()", __FILE__, __LINE__)
#define fail_msg(...)                                                                              \
    do {                                                                                           \
        print_message(__VA_ARGS__);                                                                \
        print_message("\n");                                                                       \
        cmocka_check_true(0, "fail_msg()", __FILE__, __LINE__);                                    \
    } while (0)
#define skip() cmocka_check_skip(__FILE__, __LINE__)

void print_message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What the macros call; their names are no test's. */
int cmocka_check_run(const char *group, const struct CMUnitTest *tests, size_t count,
                     int (*setup)(void **state), int (*teardown)(void **state));
void cmocka_check_true(int holds, const char *what, const char *file, int line);
void cmocka_check_integer(uintmax_t a, uintmax_t b, int equal, const char *file, int line);
void cmocka_check_range(uintmax_t value, uintmax_t minimum, uintmax_t maximum, const char *file,
                        int line);
void cmocka_check_string(const char *a, const char *b, int equal, const char *file, int line);
void cmocka_check_memory(const void *a, const void *b, size_t bytes, int equal, const char *file,
                         int line);
void cmocka_check_skip(const char *file, int line);

#endif
