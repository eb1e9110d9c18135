#include "worker/engine/memory_plan.h"

#include "worker/engine/arena.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static bool meet(const struct memory_buffer *a, const struct memory_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Larger first; equal ones as they came, so that the plan is the same everywhere. */
static int compare_bytes(const void *a, const void *b)
{
    const struct memory_buffer *const *x = a, *const *y = b;
    if ((*x)->bytes != (*y)->bytes)
        return (*x)->bytes < (*y)->bytes ? 1 : -1;
    return (*x > *y) - (*x < *y);
}

/* The placed buffers are kept sorted by offset: the first gap among those that live at the same time is taken. */
static size_t place_of(const struct memory_buffer *buffer, struct memory_buffer *const *placed,
                       size_t placed_count)
{
    size_t at = 0;
    for (size_t i = 0; i < placed_count; i++) {
        if (!meet(buffer, placed[i]))
            continue;
        if (placed[i]->offset >= at + buffer->bytes)
            break;
        const size_t end = placed[i]->offset + arena_round(placed[i]->bytes);
        at = end > at ? end : at;
    }
    return at;
}

static void insert_by_offset(struct memory_buffer **placed, size_t placed_count,
                             struct memory_buffer *buffer)
{
    size_t i = placed_count;
    for (; i > 0 && placed[i - 1]->offset > buffer->offset; i--)
        placed[i] = placed[i - 1];
    placed[i] = buffer;
}

int memory_plan(struct memory_buffer *buffers, size_t count, size_t *ret_bytes)
{
    struct memory_buffer **order = calloc(2 * count + 1, sizeof(struct memory_buffer *));
    if (!order)
        return -ENOMEM;
    struct memory_buffer **placed = order + count;
    for (size_t i = 0; i < count; i++)
        order[i] = &buffers[i];
    qsort(order, count, sizeof(struct memory_buffer *), compare_bytes);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        order[i]->offset = place_of(order[i], placed, i);
        insert_by_offset(placed, i, order[i]);
        const size_t end = order[i]->offset + arena_round(order[i]->bytes);
        bytes = end > bytes ? end : bytes;
    }
    free(order);
    *ret_bytes = bytes;
    return 0;
}
