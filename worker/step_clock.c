#include "worker/step_clock.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

void step_clock_init(struct step_clock *clock, uint64_t warmup_steps, double group_s)
{
    *clock = (struct step_clock){.warmup_left = warmup_steps, .group_s = group_s};
}

void step_clock_add(struct step_clock *clock, double seconds)
{
    if (clock->warmup_left > 0) {
        clock->warmup_left--;
        return;
    }
    clock->growing.seconds += seconds;
    clock->growing.steps++;
    if (clock->growing.seconds < clock->group_s)
        return;
    clock->groups[clock->added++ % STEP_CLOCK_GROUPS] = clock->growing;
    clock->growing = (struct step_group){0};
}

static int compare_doubles(const void *a_pointer, const void *b_pointer)
{
    double a = *(const double *)a_pointer, b = *(const double *)b_pointer;
    return (a > b) - (a < b);
}

/* Sorts `values`. */
static double median_of(double *values, uint32_t count)
{
    assert(count > 0);
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* Mean of the steps of `length` groups from number `first` on. */
static double block_mean(const struct step_clock *clock, uint64_t first, uint64_t length)
{
    struct step_group sum = {0};
    for (uint64_t i = 0; i < length; i++) {
        const struct step_group *group = &clock->groups[(first + i) % STEP_CLOCK_GROUPS];
        sum.seconds += group->seconds;
        sum.steps += group->steps;
    }
    return sum.seconds / sum.steps;
}

struct step_summary step_clock_summary(const struct step_clock *clock)
{
    uint64_t kept = clock->added < STEP_CLOCK_GROUPS ? clock->added : STEP_CLOCK_GROUPS;
    if (kept == 0)
        return (struct step_summary){0};
    uint64_t length = (kept + STEP_CLOCK_BLOCKS - 1) / STEP_CLOCK_BLOCKS;
    uint32_t blocks = (uint32_t)(kept / length);
    uint64_t first = clock->added - blocks * length;
    double means[STEP_CLOCK_BLOCKS] = {0};
    for (uint32_t b = 0; b < blocks; b++)
        means[b] = block_mean(clock, first + b * length, length);
    struct step_summary summary = {.blocks = blocks, .groups = (uint32_t)kept};
    summary.median_s = median_of(means, blocks);
    for (uint32_t b = 0; b < blocks; b++)
        means[b] = fabs(means[b] - summary.median_s);
    summary.spread_s = median_of(means, blocks);
    return summary;
}

bool step_summary_is_steady(const struct step_summary *summary, double limit)
{
    return summary->blocks >= STEP_CLOCK_BLOCKS_MIN &&
           summary->spread_s <= limit * summary->median_s;
}
