#include "worker/agent_backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_waits_double_up_to_the_longest(void **state)
{
    (void)state;
    static const uint32_t longest[] = {100, 200, 400, 800, 1000, 1000};
    struct backoff backoff = {.first_ms = 100, .max_ms = 1000};
    for (size_t i = 0; i < sizeof longest / sizeof longest[0]; i++)
        assert_int_equal(backoff_next_ms(&backoff, 0), longest[i]);
    backoff_reset(&backoff);
    assert_int_equal(backoff_next_ms(&backoff, 0), 100);
}

static void test_chance_shortens_a_wait_by_up_to_half(void **state)
{
    (void)state;
    uint32_t least = UINT32_MAX, most = 0;
    for (uint64_t random = 0; random < 1000; random++) {
        struct backoff backoff = {.first_ms = 100, .max_ms = 1000};
        uint32_t wait_ms = backoff_next_ms(&backoff, random * UINT64_C(0x9e3779b97f4a7c15));
        least = wait_ms < least ? wait_ms : least;
        most = wait_ms > most ? wait_ms : most;
    }
    assert_int_equal(least, 50);
    assert_int_equal(most, 100);
}

static void test_the_largest_numbers_do_not_overflow(void **state)
{
    (void)state;
    struct backoff backoff = {.first_ms = UINT32_MAX / 2 + 1, .max_ms = UINT32_MAX};
    for (int i = 0; i < 5; i++)
        assert_true(backoff_next_ms(&backoff, UINT64_MAX) >= UINT32_MAX / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_double_up_to_the_longest),
        cmocka_unit_test(test_chance_shortens_a_wait_by_up_to_half),
        cmocka_unit_test(test_the_largest_numbers_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
