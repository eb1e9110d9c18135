/* What this machine's core can do at most, measured through the library that the engine uses: what a training step is
 * compared with. Processor time of the calling thread counts, so that other work on the machine disturbs little. */
#ifndef TESTS_BENCH_MACHINE_H
#define TESTS_BENCH_MACHINE_H

#include <stddef.h>
#include <time.h>

/* Seconds of a clock, e.g. CLOCK_THREAD_CPUTIME_ID. */
double machine_clock_s(clockid_t clock);
/* Sorts the values. */
double machine_median(double *values, size_t count);

/* GB/s read and written by copying what no cache holds. */
double machine_copy_rate(void);

/* GFLOP/s of a matrix product in float; 0 where memory is short, or the build has no oneDNN. */
double machine_float_product(void);
/* The same in bfloat16, as a convolution of 1 x 1; 0 also where the library has no fast one for this processor. */
double machine_bfloat_product(void);
/* oneDNN's, "-" without it. */
const char *machine_library_version(void);

#endif
