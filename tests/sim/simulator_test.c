/* Some thousand random lives of the daemon. ARCHSCOUT_SIM_SEEDS says how many, ARCHSCOUT_SIM_FIRST where to begin,
 * ARCHSCOUT_SIM_TRACE has what happens printed. */
#include "tests/sim/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#ifdef __SANITIZE_ADDRESS__
enum { SEEDS = 120 };
#else
enum { SEEDS = 1000 };
#endif
enum { STEPS = 80 };

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void test_promises_hold_in_every_random_life(void **state)
{
    (void)state;
    uint64_t first = from_environment("ARCHSCOUT_SIM_FIRST", 1);
    uint64_t count = from_environment("ARCHSCOUT_SIM_SEEDS", SEEDS);
    struct world *world = malloc(sizeof(*world));
    assert_non_null(world);
    world_init(world);
    world->tracing = getenv("ARCHSCOUT_SIM_TRACE") != NULL;
    for (uint64_t seed = first; seed < first + count; seed++)
        world_run(world, seed, STEPS);
    world_release(world);
    free(world);
    printf("%llu lives\n", (unsigned long long)count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_promises_hold_in_every_random_life)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
