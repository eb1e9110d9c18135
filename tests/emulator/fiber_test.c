#include "tests/emulator/fiber.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FIBERS = 40, ROUNDS = 25, WORDS = 200 };

/* One number for each fiber that runs, found by its place in the array. */
static struct fiber *fibers[FIBERS];
static double results[FIBERS];

static void all_new(void (*body)(struct fiber *fiber))
{
    for (size_t i = 0; i < FIBERS; i++) {
        fibers[i] = fiber_new(body);
        assert_non_null(fibers[i]);
    }
}

static void all_free(void)
{
    for (size_t i = 0; i < FIBERS; i++)
        fiber_free(fibers[i]);
}

static size_t number_of(const struct fiber *fiber)
{
    size_t i = 0;
    while (fibers[i] != fiber)
        i++;
    return i;
}

static double mixed(const double *words)
{
    double sum = 0;
    for (size_t i = 0; i < WORDS; i++)
        sum += words[i] * sqrt((double)i);
    return sum;
}

/* Keeps numbers in registers and on the stack while others run. */
static void count(struct fiber *fiber)
{
    const size_t number = number_of(fiber);
    double words[WORDS], sum = (double)number;
    for (size_t i = 0; i < WORDS; i++)
        words[i] = (double)(number + i);
    for (;;) {
        sum += mixed(words);
        results[number] = sum;
        fiber_leave(fiber);
    }
}

static double expected_of(size_t number, int rounds)
{
    double words[WORDS], sum = (double)number;
    for (size_t i = 0; i < WORDS; i++)
        words[i] = (double)(number + i);
    for (int round = 0; round < rounds; round++)
        sum += mixed(words);
    return sum;
}

static void test_each_fiber_keeps_its_stack(void **state)
{
    (void)state;
    all_new(count);
    for (int round = 1; round <= ROUNDS; round++)
        for (size_t i = 0; i < FIBERS; i++) {
            const size_t number = i * 7 % FIBERS;
            fiber_enter(fibers[number]);
            assert_true(results[number] == expected_of(number, round));
        }
    all_free();
}

static void test_a_fiber_that_is_reset_begins_again(void **state)
{
    (void)state;
    all_new(count);
    for (int round = 0; round < ROUNDS; round++) {
        fiber_reset(fibers[3]);
        fiber_enter(fibers[3]);
        assert_true(results[3] == expected_of(3, 1));
    }
    fiber_enter(fibers[3]);
    assert_true(results[3] == expected_of(3, 2));
    all_free();
}

/* The first entry of a fiber is made by another one. */
static void nest(struct fiber *fiber)
{
    const size_t number = number_of(fiber);
    for (;;) {
        if (number + 1 < FIBERS)
            fiber_enter(fibers[number + 1]);
        results[number] = number + 1 < FIBERS ? results[number + 1] + 1 : 1;
        fiber_leave(fiber);
    }
}

static void test_fibers_enter_fibers(void **state)
{
    (void)state;
    all_new(nest);
    for (int round = 0; round < 3; round++) {
        memset(results, 0, sizeof results);
        fiber_enter(fibers[0]);
        assert_true(results[0] == FIBERS);
    }
    all_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_fiber_keeps_its_stack),
                                       cmocka_unit_test(test_a_fiber_that_is_reset_begins_again),
                                       cmocka_unit_test(test_fibers_enter_fibers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
