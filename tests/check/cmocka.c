#include "tests/check/cmocka.h"

#include <assert.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum outcome { OUTCOME_PASSED, OUTCOME_FAILED, OUTCOME_SKIPPED };

/* Where a failed or skipped test goes on; assertions carry no context, so it is here. Only valid while `running`. */
static jmp_buf resume;
static int running;

void print_message(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    fflush(stdout);
}

static void leave(enum outcome outcome)
{
    assert(running);
    longjmp(resume, (int)outcome);
}

void cmocka_check_true(int holds, const char *what, const char *file, int line)
{
    if (holds)
        return;
    print_message("%s\n[   LINE   ] --- %s:%d: error: Failure!\n", what, file, line);
    leave(OUTCOME_FAILED);
}

void cmocka_check_integer(uintmax_t a, uintmax_t b, int equal, const char *file, int line)
{
    if ((a == b) == (equal != 0))
        return;
    print_message("%#" PRIxMAX " %s %#" PRIxMAX "\n", a, equal ? "!=" : "==", b);
    cmocka_check_true(0, "integers", file, line);
}

void cmocka_check_range(uintmax_t value, uintmax_t minimum, uintmax_t maximum, const char *file,
                        int line)
{
    if (value >= minimum && value <= maximum)
        return;
    print_message("%" PRIuMAX " is not within %" PRIuMAX "-%" PRIuMAX "\n", value, minimum,
                  maximum);
    cmocka_check_true(0, "range", file, line);
}

void cmocka_check_string(const char *a, const char *b, int equal, const char *file, int line)
{
    if ((strcmp(a, b) == 0) == (equal != 0))
        return;
    print_message("\"%s\" %s \"%s\"\n", a, equal ? "!=" : "==", b);
    cmocka_check_true(0, "strings", file, line);
}

void cmocka_check_memory(const void *a, const void *b, size_t bytes, int equal, const char *file,
                         int line)
{
    const unsigned char *left = a, *right = b;
    size_t i = 0;
    while (i < bytes && left[i] == right[i])
        i++;
    if ((i == bytes) == (equal != 0))
        return;
    if (equal)
        print_message("difference at offset %zu 0x%02x 0x%02x\n", i, left[i], right[i]);
    cmocka_check_true(0, equal ? "memory differs" : "memory is the same", file, line);
}

void cmocka_check_skip(const char *file, int line)
{
    print_message("SKIP at %s:%d\n", file, line);
    leave(OUTCOME_SKIPPED);
}

/* The outcome of one step of a test: its set-up, itself, its teardown. */
static enum outcome run_guarded(const struct CMUnitTest *test, int (*step)(void **state),
                                void **state)
{
    const int jumped = setjmp(resume);
    if (jumped != 0) {
        running = 0;
        return (enum outcome)jumped;
    }
    running = 1;
    int r = 0;
    if (step)
        r = step(state);
    else
        test->test(state);
    running = 0;
    return r == 0 ? OUTCOME_PASSED : OUTCOME_FAILED;
}

static enum outcome run_test(const struct CMUnitTest *test, void *group_state)
{
    void *state = test->initial_state ? test->initial_state : group_state;
    enum outcome outcome = test->setup ? run_guarded(test, test->setup, &state) : OUTCOME_PASSED;
    if (outcome != OUTCOME_PASSED)
        return outcome;
    outcome = run_guarded(test, NULL, &state);
    if (test->teardown && run_guarded(test, test->teardown, &state) != OUTCOME_PASSED)
        outcome = OUTCOME_FAILED;
    return outcome;
}

/* The group's set-up or teardown. */
static int run_around(const char *group, int (*step)(void **state), void **state)
{
    const struct CMUnitTest none = {group, NULL, NULL, NULL, NULL};
    if (!step || run_guarded(&none, step, state) == OUTCOME_PASSED)
        return 0;
    print_message("[  FAILED  ] %s: before or after its tests\n", group);
    return -1;
}

int cmocka_check_run(const char *group, const struct CMUnitTest *tests, size_t count,
                     int (*setup)(void **state), int (*teardown)(void **state))
{
    static const char *const lines[] = {[OUTCOME_PASSED] = "[       OK ]",
                                        [OUTCOME_FAILED] = "[  FAILED  ]",
                                        [OUTCOME_SKIPPED] = "[  SKIPPED ]"};
    int counts[3] = {0};
    void *state = NULL;
    print_message("[==========] %s: Running %zu test(s).\n", group, count);
    const int ready = run_around(group, setup, &state);
    if (ready < 0)
        counts[OUTCOME_FAILED] = (int)count;
    for (size_t i = 0; ready == 0 && i < count; i++) {
        print_message("[ RUN      ] %s\n", tests[i].name);
        const enum outcome outcome = run_test(&tests[i], state);
        print_message("%s %s\n", lines[outcome], tests[i].name);
        counts[outcome]++;
    }
    if (ready == 0 && run_around(group, teardown, &state) < 0)
        counts[OUTCOME_FAILED]++;
    print_message("[==========] %s: %zu test(s) run.\n[  PASSED  ] %d test(s).\n", group, count,
                  counts[OUTCOME_PASSED]);
    if (counts[OUTCOME_SKIPPED])
        print_message("[  SKIPPED ] %d test(s).\n", counts[OUTCOME_SKIPPED]);
    if (counts[OUTCOME_FAILED])
        print_message("[  FAILED  ] %d test(s).\n", counts[OUTCOME_FAILED]);
    return counts[OUTCOME_FAILED];
}
