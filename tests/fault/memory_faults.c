/* Out of memory at every allocation of a whole search, in turn: the tick answers 503, and the search ends as it does
 * without. The linker puts the functions below in the place of malloc and its kin for all of our code; libraries outside
 * keep the real ones. */
#include "tests/fault/search_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

enum { ALLOCATIONS_MIN = 20 }; /* that the sweep must have met */

static struct {
    uint64_t allocations, fail_at, fail_until, failed;
} memory;

static bool is_failing(void)
{
    uint64_t allocation = memory.allocations++;
    bool failing = allocation >= memory.fail_at && allocation < memory.fail_until;
    memory.failed += failing;
    return failing;
}

void *__wrap_malloc(size_t size)
{
    return is_failing() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_failing() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return is_failing() ? NULL : __real_realloc(old, size);
}

static void arm(struct script *script, uint64_t after, uint64_t failures)
{
    (void)script;
    memory.fail_at =
        after > UINT64_MAX - memory.allocations ? UINT64_MAX : memory.allocations + after;
    memory.fail_until =
        memory.fail_at > UINT64_MAX - failures ? UINT64_MAX : memory.fail_at + failures;
    memory.failed = 0;
}

static uint64_t operations(const struct script *script)
{
    (void)script;
    return memory.allocations;
}

static uint64_t failed(const struct script *script)
{
    (void)script;
    return memory.failed;
}

static const struct fault_kind out_of_memory = {arm, operations, failed, false};

static void test_any_allocation_may_fail(void **state)
{
    (void)state;
    struct script *script = test_calloc(1, sizeof(*script));
    memory.fail_at = memory.fail_until = UINT64_MAX;
    rig_init(&script->rig);
    script->kind = &out_of_memory;
    unsigned met = script_sweep(script, 1);
    printf("%u allocations failed in turn\n", met);
    assert_true(met >= ALLOCATIONS_MIN);
    rig_release(&script->rig);
    test_free(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
