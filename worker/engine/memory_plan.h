/* Where buffers of one training step lie: buffers that are never alive at the same time share memory. */
#ifndef WORKER_ENGINE_MEMORY_PLAN_H
#define WORKER_ENGINE_MEMORY_PLAN_H

#include "search/attributes.h"

#include <stddef.h>
#include <stdint.h>

struct memory_buffer {
    size_t bytes;         /* 0: takes no room */
    uint32_t first, last; /* moments at which it is written first and read last, both included */
    size_t offset;        /* out; a multiple of ARENA_ALIGNMENT */
};

/* Gives every buffer its offset and *ret_bytes the length of the whole: largest first, each at the lowest place that is
 * free while it lives. -ENOMEM. */
int memory_plan(struct memory_buffer *buffers, size_t count, size_t *ret_bytes) MUST_USE;

#endif
