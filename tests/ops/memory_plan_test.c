#include "worker/engine/arena.h"
#include "worker/engine/memory_plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "search/random.h"

static bool overlap(const struct memory_buffer *a, const struct memory_buffer *b)
{
    const bool in_time = a->first <= b->last && b->first <= a->last;
    const bool in_room = a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
    return in_time && in_room;
}

static void test_buffers_alive_at_the_same_time_never_overlap(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    struct random_stream random = random_stream_of(1, 0, RANDOM_AUGMENT);
    for (int round = 0; round < 50; round++) {
        struct memory_buffer buffers[COUNT];
        size_t bytes = 0;
        for (size_t i = 0; i < COUNT; i++) {
            const uint32_t first = (uint32_t)random_below(&random, 20);
            buffers[i] = (struct memory_buffer){.bytes = random_below(&random, 1000),
                                                .first = first,
                                                .last = first + (uint32_t)random_below(&random, 6)};
        }
        assert_int_equal(memory_plan(buffers, COUNT, &bytes), 0);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(buffers[i].offset % ARENA_ALIGNMENT, 0);
            assert_true(buffers[i].offset + buffers[i].bytes <= bytes);
            for (size_t j = 0; j < i; j++)
                assert_false(overlap(&buffers[i], &buffers[j]));
        }
    }
}

static void test_buffers_one_after_another_share_their_room(void **state)
{
    (void)state;
    struct memory_buffer buffers[3] = {{.bytes = 640, .first = 0, .last = 1},
                                       {.bytes = 640, .first = 2, .last = 3},
                                       {.bytes = 64, .first = 0, .last = 3}};
    size_t bytes = 0;
    assert_int_equal(memory_plan(buffers, 3, &bytes), 0);
    assert_int_equal(bytes, 704);
}

static void test_arena_grows_and_is_kept(void **state)
{
    (void)state;
    struct arena arena = {0};
    assert_int_equal(arena_reserve(&arena, 1000), 0);
    unsigned char *base = arena.base;
    memset(base, 7, 1000);
    assert_int_equal(arena_reserve(&arena, 10), 0);
    assert_ptr_equal(arena.base, base);
    assert_int_equal(base[999], 7);
    assert_int_equal(arena_reserve(&arena, (size_t)8 << 20), 0);
    memset(arena.base, 7, (size_t)8 << 20);
    assert_int_equal(arena_reserve(&arena, SIZE_MAX - 4096), -ENOMEM);
    assert_null(arena.base);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffers_alive_at_the_same_time_never_overlap),
        cmocka_unit_test(test_buffers_one_after_another_share_their_room),
        cmocka_unit_test(test_arena_grows_and_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
