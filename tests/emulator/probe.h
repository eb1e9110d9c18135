/* Kernels that show what the emulator does: some right, some wrong on purpose. Launchers as in kernels/: 0 or -EIO. Blocks of
 * PROBE_THREADS threads unless said otherwise; values (blocks, PROBE_THREADS) in device memory. */
#ifndef TESTS_EMULATOR_PROBE_H
#define TESTS_EMULATOR_PROBE_H

#include "search/attributes.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct CUstream_st;

enum { PROBE_THREADS = 96 };

/* values[i] = i, no barrier. */
int probe_count_launch(uint32_t *values, unsigned blocks, struct CUstream_st *stream) MUST_USE;
/* Of each block the values reversed, through static shared memory; without `barrier`, before they are all there. */
int probe_reverse_launch(uint32_t *values, unsigned blocks, int barrier,
                         struct CUstream_st *stream) MUST_USE;
/* The same through dynamic shared memory of `bytes`. */
int probe_reverse_dynamic_launch(uint32_t *values, unsigned blocks, size_t bytes,
                                 struct CUstream_st *stream) MUST_USE;
/* Of each 4 values the first, through asynchronous copies; `pending` is how many of
 * the two groups need not be there: 0 is right. */
int probe_copy_async_launch(uint32_t *values, unsigned pending,
                            struct CUstream_st *stream) MUST_USE;
/* values[block] = value of the block before it: right only where blocks run in ascending order. */
int probe_follow_launch(uint32_t *values, unsigned blocks, struct CUstream_st *stream) MUST_USE;
/* values[index] = 1 in one thread. */
int probe_poke_launch(uint32_t *values, ptrdiff_t index, struct CUstream_st *stream) MUST_USE;
/* The static shared memory that one block finds, then leaves full of 7; 2 blocks. */
int probe_shared_launch(uint32_t *values, struct CUstream_st *stream) MUST_USE;
/* A read or write one beyond the end of static shared memory. */
int probe_shared_beyond_launch(uint32_t *values, struct CUstream_st *stream) MUST_USE;
/* A barrier in a loop, `rounds` times, after which every thread adds its neighbour's value. */
int probe_ring_launch(uint32_t *values, unsigned blocks, unsigned rounds,
                      struct CUstream_st *stream) MUST_USE;
/* The first thread shuffles with a whole warp that goes to a barrier. */
int probe_stuck_launch(uint32_t *values, struct CUstream_st *stream) MUST_USE;
/* Some threads end before the barrier that the others meet at. */
int probe_early_launch(uint32_t *values, struct CUstream_st *stream) MUST_USE;

/* One warp; what each lane gets: values (PROBE_SHUFFLES, 32). */
enum {
    PROBE_SHUFFLE_INDEX,  /* of lane 5 */
    PROBE_SHUFFLE_UP,     /* by 3 */
    PROBE_SHUFFLE_DOWN,   /* by 3, in groups of 8 */
    PROBE_SHUFFLE_XOR,    /* by 1 */
    PROBE_SHUFFLE_DOUBLE, /* the sum of all lanes' halves, as a tree of doubles */
    PROBE_BALLOT,         /* of odd lanes */
    PROBE_ANY,            /* whether some lane is the 40th */
    PROBE_HALVES,         /* the ballot of each half for itself, then both together */
    PROBE_SHUFFLES
};
int probe_shuffle_launch(uint32_t *values, struct CUstream_st *stream) MUST_USE;
/* threads (x, y, z) of blocks (x, y): (blocks, threads) numbers made of all of threadIdx, blockIdx and the sizes */
int probe_places_launch(uint32_t *values, struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
