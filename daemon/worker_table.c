#include "daemon/worker_table.h"

#include <assert.h>
#include <errno.h>

/* FNV-1a: names are compared only where it agrees. */
static uint64_t hash_of(const char *name)
{
    uint64_t hash = 14695981039346656037u;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 1099511628211u;
    return hash;
}

void worker_table_release(struct worker_table *table)
{
    for (uint32_t i = 0; i < table->count; i++)
        free(table->items[i].slots);
    free(table->items);
    *table = (struct worker_table){NULL, 0};
}

int worker_table_find(const struct worker_table *table, const char *name)
{
    uint64_t hash = hash_of(name);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct worker *worker = &table->items[i];
        if (worker->used && worker->name_hash == hash && strcmp(worker->name, name) == 0)
            return (int)i;
    }
    return -ENOENT;
}

int worker_table_add(struct worker_table *table, uint32_t handle, const char *name)
{
    assert(handle <= table->count && strlen(name) < WORKER_NAME_SIZE);
    if (handle == table->count) {
        struct worker *items = realloc(table->items, (handle + 1) * sizeof(items[0]));
        if (!items)
            return -ENOMEM;
        table->items = items;
        table->count++;
        items[handle].used = false;
        items[handle].slots = NULL;
    }
    struct worker *worker = &table->items[handle];
    assert(!worker->used);
    *worker = (struct worker){.used = true, .name_hash = hash_of(name)};
    snprintf(worker->name, sizeof(worker->name), "%s", name);
    return 0;
}

void worker_table_remove(struct worker_table *table, uint32_t handle)
{
    assert(handle < table->count);
    free(table->items[handle].slots);
    table->items[handle] = (struct worker){.used = false};
}

int worker_reserve_slots(struct worker *worker, uint32_t slot_count)
{
    assert(slot_count <= WORKER_SLOTS_MAX);
    if (slot_count <= worker->slot_capacity)
        return 0;
    struct worker_slot *slots = realloc(worker->slots, slot_count * sizeof(slots[0]));
    if (!slots)
        return -ENOMEM;
    memset(&slots[worker->slot_capacity], 0,
           (slot_count - worker->slot_capacity) * sizeof(slots[0]));
    worker->slots = slots;
    worker->slot_capacity = slot_count;
    return 0;
}

bool worker_has_dataset(const struct worker *worker, uint32_t dataset)
{
    return worker->datasets.bits[dataset / 64] >> (dataset % 64) & 1;
}
