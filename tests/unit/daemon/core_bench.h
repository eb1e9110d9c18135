/* A started daemon for the tests of the coordinator, and shorthands that fail the test where something goes wrong. */
#ifndef TESTS_UNIT_DAEMON_CORE_BENCH_H
#define TESTS_UNIT_DAEMON_CORE_BENCH_H

#include "daemon/coordinator.h"
#include "tests/sim/rig.h"

enum { TEXT_SIZE = 4096 };

/* cmocka's: *state is a struct rig that is in a tick. */
int bench_set_up(void **state);
int bench_tear_down(void **state);

void next_tick(struct rig *rig, uint64_t passed_ms);
/* Commits, kills the daemon, starts it again. */
void restart(struct rig *rig);
uint64_t submit(struct rig *rig, uint32_t candidates, uint32_t parallel_max, const char *extra);
struct task lease(struct rig *rig, const char *worker, uint32_t slot);
int deliver(struct rig *rig, const char *worker, const struct task *task,
            const struct result *result);
/* A plausible result. */
struct result done(double accuracy);
/* The first `epochs` (up to 4) passes. */
int report(struct rig *rig, const char *worker, const struct task *task, uint32_t epochs);
struct search_view search_view(struct rig *rig, uint64_t search);
struct candidate_view candidate_view(struct rig *rig, uint64_t search, uint64_t number);
/* Runs a search by one slot to its end; candidate i gets accuracy (i + 1) / 100. */
void run_all(struct rig *rig, uint64_t search);

#endif
