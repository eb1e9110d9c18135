/* The same work for many items on all processors.
 *
 * Items are taken in order, each by one thread. The first error in the order of the items is the one that is reported,
 * whatever the number of threads. */
#ifndef WORKER_DATA_PARALLEL_H
#define WORKER_DATA_PARALLEL_H

#include "search/error.h"

#include <stdint.h>

enum { PARALLEL_THREADS_MAX = 256 };

/* The processors that this process may run on, 1 .. PARALLEL_THREADS_MAX. */
uint32_t parallel_processors(void);

struct parallel {
    uint64_t count;
    uint32_t threads; /* 1 .. PARALLEL_THREADS_MAX */
    void *context;
    /* `thread` is below `threads`; calls with the same one do not overlap. */
    int (*work)(void *context, uint32_t thread, uint64_t index, struct error *error);
    /* Called from the calling thread now and then; not 0 ends the work with -ECANCELED. May be NULL. */
    int (*on_progress)(void *context, uint64_t done, uint64_t total);
    void *progress_context;
};

/* 0, what `work` returned for the first item that failed, -ECANCELED, or -EAGAIN and the like where a thread cannot be
 * started. All threads have ended when it returns. */
int parallel_run(const struct parallel *parallel, struct error *error) MUST_USE;

#endif
