/* What is known of workers beside what the scheduler needs: names, devices, progress. Indexed by the scheduler's handles.
 *
 * Layer: may be used by coordinator*.c. Nothing of it is stored: workers register again after a restart. */
#ifndef DAEMON_WORKER_TABLE_H
#define DAEMON_WORKER_TABLE_H

#include "daemon/attempt.h"
#include "daemon/scheduler.h"

struct worker_slot {
    char device[WORKER_TEXT_SIZE];
    double baseline_s;
    /* of the running attempt */
    uint64_t attempt;
    uint64_t steps_done, steps_total;
    uint32_t epochs_reported;  /* the highest number */
    uint64_t checkpoint_steps; /* of the newest checkpoint */
};

struct worker {
    bool used;
    bool connected; /* false: only known as the holder of a lease from before a restart */
    uint64_t name_hash;
    char name[WORKER_NAME_SIZE], host[WORKER_TEXT_SIZE], version[WORKER_TEXT_SIZE];
    int64_t registered_us;
    uint64_t seen_ms, results;
    struct dataset_set datasets;
    struct worker_slot *slots;
    uint32_t slot_count;    /* that it registered */
    uint32_t slot_capacity; /* of the array: leases of before may be in higher ones */
};

struct worker_table {
    struct worker *items;
    uint32_t count;
};

void worker_table_release(struct worker_table *table);
/* The worker's handle, or -ENOENT. */
int worker_table_find(const struct worker_table *table, const char *name) MUST_USE;
/* Makes the entry for a handle that the scheduler has just given. -ENOMEM. */
int worker_table_add(struct worker_table *table, uint32_t handle, const char *name) MUST_USE;
void worker_table_remove(struct worker_table *table, uint32_t handle);
/* Room for slots 0 .. slot_count - 1; those that are new are empty. -ENOMEM. */
int worker_reserve_slots(struct worker *worker, uint32_t slot_count) MUST_USE;
bool worker_has_dataset(const struct worker *worker, uint32_t dataset);

#endif
