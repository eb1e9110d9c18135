/* Runs the blocks and threads of one launch. */
#ifndef TESTS_EMULATOR_GRID_H
#define TESTS_EMULATOR_GRID_H

#include "tests/emulator/cuda_runtime.h"
#include "tests/emulator/emulator.h"

enum { GRID_THREADS_MAX = 1024, WARP_LANES = 32 };

struct grid {
    struct emulator_dim3 blocks, threads;
    unsigned char *shared, *shared_end; /* static; NULL: none */
    size_t dynamic_bytes;
    void (*run)(const void *closure);
    const void *closure;
};

/* NULL, or why it could not end, in words. One at a time. */
const char *grid_run(const struct grid *grid, enum emulator_order order);

#endif
