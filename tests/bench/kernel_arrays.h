/* The arrays of a kernel to be measured, on the device, and as many sets of them as it takes for none to be found in its cache. */
#ifndef TESTS_BENCH_KERNEL_ARRAYS_H
#define TESTS_BENCH_KERNEL_ARRAYS_H

#include "search/error.h"
#include "tests/bench/kernel_case.h"

enum { KERNEL_SETS_MAX = 64 };

struct kernel_arrays {
    size_t set_count, buffer_count;
    void *sets[KERNEL_SETS_MAX][KERNEL_BUFFERS_MAX]; /* NULL: no bytes */
    double bytes; /* that one launch has to move, each array as often as it crosses the bus */
};

/* Sets that together have at least `least_bytes`, unless there are KERNEL_SETS_MAX before. -ENOMEM, -EIO. */
int kernel_arrays_init(struct kernel_arrays *ret_arrays, const struct kernel_case *kernel,
                       const struct kernel_shape *shape, size_t least_bytes,
                       struct error *error) MUST_USE;
void kernel_arrays_release(struct kernel_arrays *arrays);

#endif
