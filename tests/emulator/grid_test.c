#include "kernels/device.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/probe.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BLOCKS = 5, COUNT = BLOCKS * PROBE_THREADS, BYTES = COUNT * sizeof(uint32_t) };

static struct error error;

static void good(int result)
{
    if (result < 0)
        fail_msg("%d: %s", result, error.message);
}

static uint32_t *buffer_new(size_t bytes)
{
    void *buffer = NULL;
    good(device_buffer_new(bytes, &buffer, &error));
    return buffer;
}

/* What a launch makes of 0, 1, 2, ... in one order. */
static void counted(enum emulator_order order, int (*launch)(uint32_t *values),
                    uint32_t *ret_values)
{
    uint32_t *values = buffer_new(BYTES);
    for (uint32_t i = 0; i < COUNT; i++)
        ret_values[i] = i;
    emulator_set_order(order);
    good(device_write(values, ret_values, BYTES, &error));
    good(launch(values));
    good(device_read(ret_values, values, BYTES, &error));
    device_buffer_free(values);
    emulator_set_order(EMULATOR_ASCENDING);
}

/* Whether all three orders give the same; that of the last one. */
static bool orders_agree(int (*launch)(uint32_t *values), uint32_t *ret_values)
{
    uint32_t first[COUNT];
    bool agree = true;
    counted(EMULATOR_ASCENDING, launch, first);
    for (unsigned order = 1; order < EMULATOR_ORDERS; order++) {
        counted((enum emulator_order)order, launch, ret_values);
        agree = agree && memcmp(first, ret_values, sizeof first) == 0;
    }
    return agree;
}

static int count(uint32_t *values)
{
    return probe_count_launch(values, BLOCKS, NULL);
}

static int reverse(uint32_t *values)
{
    return probe_reverse_launch(values, BLOCKS, 1, NULL);
}

static int reverse_carelessly(uint32_t *values)
{
    return probe_reverse_launch(values, BLOCKS, 0, NULL);
}

static int reverse_dynamically(uint32_t *values)
{
    return probe_reverse_dynamic_launch(values, BLOCKS, PROBE_THREADS * sizeof *values, NULL);
}

static int follow(uint32_t *values)
{
    return probe_follow_launch(values, BLOCKS, NULL);
}

static int copy_async(uint32_t *values)
{
    return probe_copy_async_launch(values, 0, NULL);
}

static int copy_async_but_one(uint32_t *values)
{
    return probe_copy_async_launch(values, 1, NULL);
}

static int copy_async_carelessly(uint32_t *values)
{
    return probe_copy_async_launch(values, 2, NULL);
}

static int ring(uint32_t *values)
{
    return probe_ring_launch(values, BLOCKS, 7, NULL);
}

static void test_threads_know_their_places(void **state)
{
    (void)state;
    enum { X = 3, Y = 2, THREADS = 24 };
    uint32_t got[X * Y * THREADS];
    uint32_t *values = buffer_new(sizeof got);
    good(probe_places_launch(values, NULL));
    good(device_read(got, values, sizeof got, &error));
    for (uint32_t i = 0; i < X * Y * THREADS; i++) {
        const uint32_t block = i / THREADS, thread = i % THREADS;
        const uint32_t blocks = block / X * 100000 + block % X * 10000;
        assert_int_equal(got[i], blocks + thread / 12 * 1000 + thread / 4 % 3 * 100 + thread % 4);
    }
    device_buffer_free(values);
}

static void test_a_kernel_without_barriers_runs_all_threads_once(void **state)
{
    (void)state;
    uint32_t got[COUNT];
    assert_true(orders_agree(count, got));
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(got[i], i);
}

static void test_barriers_hold_in_every_order(void **state)
{
    (void)state;
    int (*const launches[])(uint32_t *) = {reverse, reverse_dynamically};
    for (size_t l = 0; l < ARRAY_LENGTH(launches); l++) {
        uint32_t got[COUNT];
        assert_true(orders_agree(launches[l], got));
        for (uint32_t i = 0; i < COUNT; i++)
            assert_int_equal(got[i], i / PROBE_THREADS * PROBE_THREADS +
                                         (PROBE_THREADS - 1 - i % PROBE_THREADS));
    }
}

static void test_a_missing_barrier_is_found(void **state)
{
    (void)state;
    uint32_t got[COUNT];
    assert_false(orders_agree(reverse_carelessly, got));
}

static void test_a_copy_that_is_not_waited_for_is_found(void **state)
{
    (void)state;
    uint32_t right[COUNT], got[COUNT];
    assert_true(orders_agree(copy_async, right));
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(right[4 * i + 1], 4 * (i / 32 * 32 + 31 - i % 32));
    assert_false(orders_agree(copy_async_but_one, got));
    assert_memory_equal(got, right, 32 * 4 * sizeof *got); /* the first group was waited for */
    assert_int_equal(got[32 * 4 + 1], UINT16_MAX);
    assert_false(orders_agree(copy_async_carelessly, got));
    assert_int_equal(got[1], UINT16_MAX);
}

static void test_blocks_that_depend_on_each_other_are_found(void **state)
{
    (void)state;
    uint32_t got[COUNT];
    assert_false(orders_agree(follow, got));
}

static void test_many_barriers_in_a_loop_hold(void **state)
{
    (void)state;
    uint32_t got[COUNT], expected[COUNT], next[PROBE_THREADS];
    assert_true(orders_agree(ring, got));
    for (uint32_t i = 0; i < COUNT; i++)
        expected[i] = i;
    for (int round = 0; round < 7 * BLOCKS; round++) {
        uint32_t *block = expected + round % BLOCKS * PROBE_THREADS;
        for (int t = 0; t < PROBE_THREADS; t++)
            next[t] = block[t] + block[(t + 1) % PROBE_THREADS];
        memcpy(block, next, sizeof next);
    }
    assert_memory_equal(got, expected, sizeof got);
}

static void test_shared_memory_is_poisoned_before_every_block(void **state)
{
    (void)state;
    uint32_t got[2 * PROBE_THREADS];
    uint32_t *values = buffer_new(sizeof got);
    for (int launch = 0; launch < 2; launch++) {
        good(probe_shared_launch(values, NULL));
        good(device_read(got, values, sizeof got, &error));
        for (size_t i = 0; i < 2 * PROBE_THREADS; i++)
            assert_int_equal(got[i], UINT32_MAX);
    }
    device_buffer_free(values);
}

static void test_dynamic_shared_memory_ends_where_a_multiprocessors_does(void **state)
{
    (void)state;
    uint32_t *values = buffer_new(BYTES);
    good(device_write(values, (uint32_t[COUNT]){0}, BYTES, &error));
    good(probe_reverse_dynamic_launch(values, BLOCKS, 99 << 10, NULL));
    assert_int_equal(probe_reverse_dynamic_launch(values, BLOCKS, (99 << 10) + 1, NULL), -EIO);
    assert_int_equal(probe_count_launch(values, 0, NULL), -EIO);
    device_buffer_free(values);
}

static void test_lanes_get_what_they_shuffle_for(void **state)
{
    (void)state;
    uint32_t got[PROBE_SHUFFLES][32];
    uint32_t *values = buffer_new(sizeof got);
    for (unsigned order = 0; order < EMULATOR_ORDERS; order++) {
        emulator_set_order((enum emulator_order)order);
        good(probe_shuffle_launch(values, NULL));
        good(device_read(got, values, sizeof got, &error));
        for (uint32_t lane = 0; lane < 32; lane++) {
            const uint32_t mine = 100 + lane;
            assert_int_equal(got[PROBE_SHUFFLE_INDEX][lane], 105);
            assert_int_equal(got[PROBE_SHUFFLE_UP][lane], lane < 3 ? mine : mine - 3);
            assert_int_equal(got[PROBE_SHUFFLE_DOWN][lane], lane % 8 < 5 ? mine + 3 : mine);
            assert_int_equal(got[PROBE_SHUFFLE_XOR][lane], 100 + (lane ^ 1));
            assert_int_equal(got[PROBE_SHUFFLE_DOUBLE][lane], 248);
            assert_int_equal(got[PROBE_BALLOT][lane], 0xaaaaaaaa);
            assert_int_equal(got[PROBE_ANY][lane], 0);
            assert_int_equal(got[PROBE_HALVES][lane],
                             (lane < 16 ? 0x0000ffffu : 0x11110000u) ^ 0x80000000u);
        }
    }
    emulator_set_order(EMULATOR_ASCENDING);
    device_buffer_free(values);
}

static void test_threads_that_never_meet_break_the_device(void **state)
{
    (void)state;
    uint32_t got[COUNT], *values = buffer_new(BYTES);
    for (int round = 0; round < 3; round++) {
        good(probe_stuck_launch(values, NULL));
        assert_int_equal(device_read(got, values, BYTES, &error), -EIO);
        assert_non_null(strstr(emulator_complaint(), "wait for each other"));
        emulator_mend();
        assert_string_equal(emulator_complaint(), "");
    }
    assert_true(orders_agree(reverse, got));
    device_buffer_free(values);
}

/* As every device since Volta has it. */
static void test_a_barrier_does_not_wait_for_threads_that_have_ended(void **state)
{
    (void)state;
    uint32_t got[PROBE_THREADS], *values = buffer_new(sizeof got);
    good(probe_early_launch(values, NULL));
    good(device_read(got, values, sizeof got, &error));
    for (uint32_t i = 0; i < PROBE_THREADS; i += 2)
        assert_int_equal(got[i], PROBE_THREADS - 2 - i);
    device_buffer_free(values);
}

static int poke_inside(uint32_t *values)
{
    return probe_poke_launch(values, COUNT - 1, NULL);
}

static int poke_before(uint32_t *values)
{
    return probe_poke_launch(values, -1, NULL);
}

static int poke_behind(uint32_t *values)
{
    return probe_poke_launch(values, COUNT, NULL);
}

static int poke_host(uint32_t *values)
{
    (void)values;
    static uint32_t here[1];
    return probe_poke_launch(here, 0, NULL);
}

static int touch(uint32_t *values)
{
    values[3] = 1;
    return 0;
}

static int read_beyond(uint32_t *values)
{
    return probe_shared_beyond_launch(values, NULL);
}

static int reverse_in_too_little(uint32_t *values)
{
    return probe_reverse_dynamic_launch(values, 1, PROBE_THREADS * sizeof *values - 1, NULL);
}

static int read_behind(uint32_t *values)
{
    return probe_reverse_launch(values + PROBE_THREADS, BLOCKS, 1, NULL);
}

/* Launches that go wrong, and one that does not, each for a process of its own. */
static const struct accident {
    const char *name;
    int (*launch)(uint32_t *values);
} ACCIDENTS[] = {{"none", poke_inside},
                 {"dynamic memory", reverse_dynamically},
                 {"write before", poke_before},
                 {"write behind", poke_behind},
                 {"write to the host", poke_host},
                 {"host's write", touch},
                 {"read beyond shared memory", read_beyond},
                 {"beyond dynamic memory", reverse_in_too_little},
                 {"read behind", read_behind}};

enum { NO_SUCH_ACCIDENT = 99 };

/* The exit status of that process: 0 where nothing was found. */
static int accident_run(const char *name)
{
    uint32_t got[1], *values = buffer_new(BYTES);
    size_t i = 0;
    while (i < ARRAY_LENGTH(ACCIDENTS) && strcmp(ACCIDENTS[i].name, name) != 0)
        i++;
    if (i == ARRAY_LENGTH(ACCIDENTS))
        return NO_SUCH_ACCIDENT;
    const bool launched = ACCIDENTS[i].launch(values) == 0;
    return launched && device_read(got, values, sizeof got, &error) == 0 ? 0 : 1;
}

/* AddressSanitizer ends the process, or the emulator refuses. */
static bool is_found(const char *name)
{
    char self[] = "/proc/self/exe", argument[64];
    snprintf(argument, sizeof argument, "%s", name);
    char *const arguments[] = {self, argument, NULL};
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        execv(self, arguments);
        _exit(NO_SUCH_ACCIDENT);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == NO_SUCH_ACCIDENT);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void test_a_pointer_into_the_hosts_memory_is_found(void **state)
{
    (void)state;
    assert_true(is_found("write to the host"));
}

static void test_writes_beside_an_array_are_found(void **state)
{
    (void)state;
    assert_false(is_found("none"));
    assert_false(is_found("dynamic memory"));
    assert_true(is_found("write before"));
    assert_true(is_found("write behind"));
}

#ifdef __SANITIZE_ADDRESS__
static void test_addresses_beside_an_array_are_found(void **state)
{
    (void)state;
    assert_true(is_found("host's write"));
    assert_true(is_found("read beyond shared memory"));
    assert_true(is_found("beyond dynamic memory"));
    assert_true(is_found("read behind"));
}
#define TEST_OF_ADDRESSES cmocka_unit_test(test_addresses_beside_an_array_are_found),
#else
#define TEST_OF_ADDRESSES
#endif

int main(int argc, char **argv)
{
    if (argc == 2)
        return accident_run(argv[1]);
    const struct CMUnitTest tests[] = {
        TEST_OF_ADDRESSES cmocka_unit_test(test_threads_know_their_places),
        cmocka_unit_test(test_a_kernel_without_barriers_runs_all_threads_once),
        cmocka_unit_test(test_barriers_hold_in_every_order),
        cmocka_unit_test(test_a_missing_barrier_is_found),
        cmocka_unit_test(test_a_copy_that_is_not_waited_for_is_found),
        cmocka_unit_test(test_blocks_that_depend_on_each_other_are_found),
        cmocka_unit_test(test_many_barriers_in_a_loop_hold),
        cmocka_unit_test(test_shared_memory_is_poisoned_before_every_block),
        cmocka_unit_test(test_dynamic_shared_memory_ends_where_a_multiprocessors_does),
        cmocka_unit_test(test_lanes_get_what_they_shuffle_for),
        cmocka_unit_test(test_threads_that_never_meet_break_the_device),
        cmocka_unit_test(test_a_barrier_does_not_wait_for_threads_that_have_ended),
        cmocka_unit_test(test_a_pointer_into_the_hosts_memory_is_found),
        cmocka_unit_test(test_writes_beside_an_array_are_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
