#include "worker/engine/arena.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

enum { HUGE_PAGE_BYTES = 2 << 20 };

int arena_reserve(struct arena *arena, size_t bytes)
{
    if (bytes <= arena->bytes)
        return 0;
    arena_release(arena);
    if (bytes > SIZE_MAX - HUGE_PAGE_BYTES)
        return -ENOMEM;
    const size_t rounded = (bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    void *base = mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return -ENOMEM;
    /* Fewer misses in the page tables where the system has huge pages; nothing depends on it. */
    (void)madvise(base, rounded, MADV_HUGEPAGE);
    arena->base = base;
    arena->bytes = rounded;
    return 0;
}

void arena_release(struct arena *arena)
{
    if (arena->base)
        munmap(arena->base, arena->bytes);
    *arena = (struct arena){NULL, 0};
}

size_t arena_round(size_t bytes)
{
    return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}
