#include "tests/bench/machine.h"

#include <stdlib.h>
#include <string.h>

enum { RUNS = 9, COPY_BYTES = 128 << 20 };

double machine_clock_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double machine_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

double machine_copy_rate(void)
{
    unsigned char *from = malloc(COPY_BYTES), *to = malloc(COPY_BYTES);
    double rates[RUNS];
    double rate = 0;
    if (from && to) {
        memset(from, 1, COPY_BYTES);
        memset(to, 2, COPY_BYTES);
        for (size_t i = 0; i < RUNS; i++) {
            const double started = machine_clock_s(CLOCK_THREAD_CPUTIME_ID);
            memcpy(to, from, COPY_BYTES);
            rates[i] = 2e-9 * COPY_BYTES / (machine_clock_s(CLOCK_THREAD_CPUTIME_ID) - started);
            from[i] = to[COPY_BYTES - 1 - i];
        }
        rate = machine_median(rates, RUNS);
    }
    free(from);
    free(to);
    return rate;
}
