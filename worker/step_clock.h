/* Step times: collects the durations of training steps and sums them up as the median over blocks of steps, with the
 * median absolute deviation of the blocks as the spread.
 *
 * The first steps are a warm-up and not counted. The last STEP_CLOCK_STEPS steps are kept. A block is a run of
 * consecutive steps, counted by its mean; there are at most STEP_CLOCK_BLOCKS blocks, of equal length, and what is left
 * over at the oldest end is not counted. A struct step_clock is a plain value; time comes from outside. */
#ifndef WORKER_STEP_CLOCK_H
#define WORKER_STEP_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum { STEP_CLOCK_STEPS = 1024, STEP_CLOCK_BLOCKS = 20, STEP_CLOCK_BLOCKS_MIN = 5 };

struct step_clock {
    uint64_t warmup_left;
    uint64_t added;                   /* after the warm-up */
    double seconds[STEP_CLOCK_STEPS]; /* a ring: number i is at i % STEP_CLOCK_STEPS */
};

struct step_summary {
    double median_s, spread_s;
    uint32_t blocks; /* 0: no step was counted, and the times are 0 */
};

void step_clock_init(struct step_clock *clock, uint64_t warmup_steps);
void step_clock_add(struct step_clock *clock, double seconds);
struct step_summary step_clock_summary(const struct step_clock *clock);

/* True where there are STEP_CLOCK_BLOCKS_MIN blocks and the spread is at most `limit` of the median. */
bool step_summary_is_steady(const struct step_summary *summary, double limit);

#endif
