/* What a machine has: the smallest limit counts, and what cannot be read limits nothing. */
#include "worker/machine.h"

#include "tests/unit/worker/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void write_text(const struct fixture *fixture, const char *name, const char *text)
{
    char path[FILE_PATH_SIZE];
    fixture_path(fixture, name, path);
    fixture_write(path, text, strlen(text));
}

static size_t memory_of(const struct fixture *fixture)
{
    char proc[FILE_PATH_SIZE], groups[FILE_PATH_SIZE];
    fixture_path(fixture, "cgroup", proc);
    fixture_path(fixture, "groups", groups);
    return machine_memory_bytes(proc, groups);
}

static void test_the_smallest_limit_of_the_groups_counts(void **state)
{
    const size_t without = memory_of(*state);
    assert_true(without > 100 << 20);
    fixture_make_directory(*state, "groups");
    fixture_make_directory(*state, "groups/a");
    fixture_make_directory(*state, "groups/a/b");
    write_text(*state, "cgroup", "0::/a/b\n");
    assert_int_equal(memory_of(*state), without);
    write_text(*state, "groups/a/b/memory.max", "max\n");
    assert_int_equal(memory_of(*state), without);
    write_text(*state, "groups/a/memory.max", "67108864\n");
    assert_int_equal(memory_of(*state), 64 << 20);
    write_text(*state, "groups/a/b/memory.max", "33554432\n");
    assert_int_equal(memory_of(*state), 32 << 20);
}

static void test_what_cannot_be_read_limits_nothing(void **state)
{
    const size_t without = memory_of(*state);
    fixture_make_directory(*state, "groups");
    fixture_make_directory(*state, "groups/a");
    write_text(*state, "groups/a/memory.max", "12 apples\n");
    write_text(*state, "cgroup", "0::/a\n");
    assert_int_equal(memory_of(*state), without);
    write_text(*state, "cgroup", "12:memory:/a\n");
    assert_int_equal(memory_of(*state), without);
    write_text(*state, "cgroup", "0::/\n");
    assert_int_equal(memory_of(*state), without);
}

static void test_there_is_a_processor(void **state)
{
    (void)state;
    assert_true(machine_processors() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_the_smallest_limit_of_the_groups_counts),
        FIXTURE_TEST(test_what_cannot_be_read_limits_nothing),
        cmocka_unit_test(test_there_is_a_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
