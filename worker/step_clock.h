/* Step times: collects the durations of training steps and sums them up as the median over blocks of steps, with the
 * median absolute deviation of the blocks as the spread.
 *
 * The first steps are a warm-up and not counted. Steps are put together in groups of at least a given time, 0 makes each its own:
 * a device's steps can be too short to be told apart by themselves. The last STEP_CLOCK_GROUPS groups are kept. A block is a run
 * of consecutive groups, counted by the mean of its steps; there are at most STEP_CLOCK_BLOCKS blocks, of as many groups each, and
 * what is left over at the oldest end, or is no whole group yet, is not counted. A struct step_clock is a plain value; time comes
 * from outside. */
#ifndef WORKER_STEP_CLOCK_H
#define WORKER_STEP_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum { STEP_CLOCK_GROUPS = 1024, STEP_CLOCK_BLOCKS = 20, STEP_CLOCK_BLOCKS_MIN = 5 };

struct step_group {
    double seconds;
    uint32_t steps;
};

struct step_clock {
    uint64_t warmup_left;
    double group_s; /* a group is whole when it has so many seconds */
    struct step_group growing;
    uint64_t added;                              /* whole groups, after the warm-up */
    struct step_group groups[STEP_CLOCK_GROUPS]; /* a ring: number i is at i % STEP_CLOCK_GROUPS */
};

struct step_summary {
    double median_s, spread_s;
    uint32_t blocks; /* 0: no group was whole, and the times are 0 */
    uint32_t groups; /* that were kept */
};

void step_clock_init(struct step_clock *clock, uint64_t warmup_steps, double group_s);
void step_clock_add(struct step_clock *clock, double seconds);
struct step_summary step_clock_summary(const struct step_clock *clock);

/* True where there are STEP_CLOCK_BLOCKS_MIN blocks and the spread is at most `limit` of the median. */
bool step_summary_is_steady(const struct step_summary *summary, double limit);

#endif
