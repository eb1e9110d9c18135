/* Promise I9: whatever write, sync or truncation fails, nothing that was acknowledged is lost, nothing is acknowledged
 * that is not there, and the daemon goes on by itself once the disk is well. */
#include "tests/fault/search_script.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { OPERATIONS_MIN = 50 }; /* that the sweeps must have met */

static void arm_io_error(struct script *script, uint64_t after, uint64_t failures)
{
    memory_vfs_fail(script->rig.vfs, after, failures, EIO);
}

static void arm_full_disk(struct script *script, uint64_t after, uint64_t failures)
{
    memory_vfs_fail(script->rig.vfs, after, failures, ENOSPC);
}

static uint64_t operations(const struct script *script)
{
    return memory_vfs_operations(script->rig.vfs);
}

static uint64_t failed(const struct script *script)
{
    return memory_vfs_failed(script->rig.vfs);
}

static const struct fault_kind io_error = {arm_io_error, operations, failed, false};
static const struct fault_kind full_disk = {arm_full_disk, operations, failed, false};
static const struct fault_kind io_error_and_power_failure = {arm_io_error, operations, failed,
                                                             true};

static int set_up(void **state)
{
    struct script *script = calloc(1, sizeof(*script));
    assert_non_null(script);
    rig_init(&script->rig);
    *state = script;
    return 0;
}

static int tear_down(void **state)
{
    struct script *script = *state;
    rig_release(&script->rig);
    free(script);
    return 0;
}

static void sweep(struct script *script, const struct fault_kind *kind, uint64_t failures)
{
    script->kind = kind;
    assert_true(script_sweep(script, failures) > OPERATIONS_MIN);
}

static void test_one_io_error_at_any_operation_is_survived(void **state)
{
    sweep(*state, &io_error, 1);
}

static void test_a_full_disk_for_a_while_is_survived(void **state)
{
    sweep(*state, &full_disk, 12);
}

static void test_io_error_followed_by_a_power_failure_is_survived(void **state)
{
    sweep(*state, &io_error_and_power_failure, 3);
}

/* The sweeps would pass if faults never reached a commit. */
static void test_changes_are_refused_and_views_go_on_until_the_disk_is_well(void **state)
{
    struct script *script = *state;
    script_start(script);
    memory_vfs_fail(script->rig.vfs, 0, UINT64_MAX, ENOSPC);
    for (int i = 0; i < 5; i++) {
        assert_false(script_tick(script));
        /* The later ticks refuse before they change anything. */
        assert_int_equal(script->failed_ticks, 1);
        assert_int_equal(coordinator_ready(script->rig.coordinator), -ENOSPC);
        assert_true(coordinator_deadline_ms(script->rig.coordinator) <=
                    script->rig.now.monotonic_ms + 1000);
    }
    rig_begin(&script->rig, 300);
    struct search_view view;
    assert_int_equal(coordinator_search(script->rig.coordinator, 1, &view), -ENOENT);
    assert_int_equal(rig_register(&script->rig, "w", 1), -ENOSPC);
    assert_int_equal(rig_commit(&script->rig), 0);
    assert_true(coordinator_problem(script->rig.coordinator)[0] != '\0');
    memory_vfs_fail(script->rig.vfs, UINT64_MAX, 0, 0);
    rig_begin(&script->rig, 2000); /* recovers, and fills the reserve again */
    assert_int_equal(rig_commit(&script->rig), 0);
    assert_int_equal(coordinator_ready(script->rig.coordinator), 0);
    assert_true(script_tick(script));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_changes_are_refused_and_views_go_on_until_the_disk_is_well),
        TEST(test_one_io_error_at_any_operation_is_survived),
        TEST(test_a_full_disk_for_a_while_is_survived),
        TEST(test_io_error_followed_by_a_power_failure_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
