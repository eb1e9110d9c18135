/* tuning.h for work of a device: every candidate is recorded in a graph, several times in a row, and
 * the graph is timed by events. What the host needs to start a kernel, longer than many of them
 * take, is left out that way, as it is in a recorded step. */
#ifndef WORKER_ENGINE_CUDA_TUNING_DEVICE_H
#define WORKER_ENGINE_CUDA_TUNING_DEVICE_H

#include "search/error.h"

#include <stddef.h>

struct CUstream_st;

enum { TUNING_DEVICE_RUNS = 8 }; /* of a candidate, in its graph */

struct tuning_device {
    size_t count;              /* of candidates, 1 to TUNING_CANDIDATES_MAX */
    struct CUstream_st *after; /* is waited for first */
    void *context;
    /* Puts a candidate's work onto the stream: once to be run, then while the stream is being
     * recorded. Any error: it cannot be run, as one that cannot be recorded. */
    int (*enqueue)(void *context, size_t candidate, struct CUstream_st *stream);
};

/* Work runs on a stream of its own. -ENOTSUP where no candidate could be run; -ENOMEM, -EIO. */
int tuning_device_run(const struct tuning_device *tuning, size_t *ret_winner,
                      struct error *error) MUST_USE;

#endif
