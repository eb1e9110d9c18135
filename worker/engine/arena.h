/* One block of memory that outlives plans: it grows when a plan needs more and is kept, so that the system clears its pages
 * once and not for every candidate. */
#ifndef WORKER_ENGINE_ARENA_H
#define WORKER_ENGINE_ARENA_H

#include "search/attributes.h"

#include <stddef.h>

enum { ARENA_ALIGNMENT = 64 };

struct arena {
    unsigned char *base;
    size_t bytes;
};

/* Makes the arena at least `bytes` long. -ENOMEM, the arena is then empty. What was in it is lost, and not cleared. */
int arena_reserve(struct arena *arena, size_t bytes) MUST_USE;
void arena_release(struct arena *arena);

/* `bytes` rounded up to the alignment. */
size_t arena_round(size_t bytes);

#endif
