#include "proto/buffer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_bytes_are_kept_in_order(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buffer_append(&buffer, &(uint8_t){(uint8_t)i}, 1), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buffer.data[i], (uint8_t)i);
    buffer_release(&buffer);
}

static void test_growing_beyond_the_maximum_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 10);
    assert_int_equal(buffer_append(&buffer, "0123456", 7), 0);
    assert_int_equal(buffer_append(&buffer, "0123", 4), -EMSGSIZE);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), -EMSGSIZE);
    assert_int_equal(buffer.length, 7);
    assert_int_equal(buffer_append(&buffer, "789", 3), 0);
    assert_memory_equal(buffer.data, "0123456789", 10);
    assert_true(buffer.capacity <= 10);
    buffer_release(&buffer);
}

static void test_bytes_are_taken_off_the_front(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 10);
    assert_int_equal(buffer_append(&buffer, "abcdef", 6), 0);
    buffer_consume(&buffer, 2);
    assert_int_equal(buffer.length, 4);
    assert_memory_equal(buffer.data, "cdef", 4);
    buffer_consume(&buffer, 4);
    assert_int_equal(buffer.length, 0);
    buffer_release(&buffer);
}

static void test_a_released_buffer_can_be_used_again(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_release(NULL);
    buffer_init(&buffer, 4);
    buffer_release(&buffer);
    assert_int_equal(buffer_append(&buffer, "abcd", 4), 0);
    buffer_release(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.max, 4);
    assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
    buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_kept_in_order),
        cmocka_unit_test(test_growing_beyond_the_maximum_is_refused_and_changes_nothing),
        cmocka_unit_test(test_bytes_are_taken_off_the_front),
        cmocka_unit_test(test_a_released_buffer_can_be_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
