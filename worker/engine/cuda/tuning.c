#include "worker/engine/cuda/tuning.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const double TIE = 1.02;

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The lower one of the two in the middle, where there are two. */
static double median(const struct tuning_times *times)
{
    double sorted[TUNING_ROUNDS];
    memcpy(sorted, times->seconds, times->count * sizeof *sorted);
    qsort(sorted, times->count, sizeof *sorted, compare);
    return sorted[(times->count - 1) / 2];
}

int tuning_choose(const struct tuning_times *times, size_t count, size_t *ret_winner)
{
    double least = INFINITY;
    for (size_t i = 0; i < count; i++)
        if (times[i].count > 0)
            least = fmin(least, median(&times[i]));
    for (size_t i = 0; i < count; i++)
        if (times[i].count > 0 && median(&times[i]) <= least * TIE) {
            *ret_winner = i;
            return 0;
        }
    return -ENOTSUP;
}

/* Runs every candidate that can be run once. */
static int run_round(const struct tuning *tuning, bool counts, bool *able,
                     struct tuning_times *times)
{
    for (size_t i = 0; i < tuning->count; i++) {
        double seconds;
        if (!able[i])
            continue;
        int r = tuning->run(tuning->context, i, &seconds);
        if (r == -ENOTSUP) {
            able[i] = false;
            times[i].count = 0;
        } else if (r < 0) {
            return r;
        } else if (counts) {
            times[i].seconds[times[i].count++] = seconds;
        }
    }
    return 0;
}

int tuning_run(const struct tuning *tuning, size_t *ret_winner)
{
    assert(tuning->count > 0 && tuning->count <= TUNING_CANDIDATES_MAX);
    struct tuning_times times[TUNING_CANDIDATES_MAX] = {0};
    bool able[TUNING_CANDIDATES_MAX];
    for (size_t i = 0; i < tuning->count; i++)
        able[i] = true;
    int r = run_round(tuning, false, able, times);
    for (int round = 0; r == 0 && round < TUNING_ROUNDS; round++)
        r = run_round(tuning, true, able, times);
    return r < 0 ? r : tuning_choose(times, tuning->count, ret_winner);
}
