/* The data sets that specs may name: the well-known ones and those that workers have announced.
 *
 * Layer: may be used by coordinator*.c. A data set's index is stable until dataset_table_release. */
#ifndef DAEMON_DATASET_TABLE_H
#define DAEMON_DATASET_TABLE_H

#include "daemon/scheduler.h"
#include "search/dataset.h"

struct dataset_table {
    struct dataset items[SCHEDULER_DATASETS_MAX];
    uint32_t count, well_known_count; /* the well-known ones come first */
};

void dataset_table_init(struct dataset_table *table);
/* The index, or -ENOENT. */
int dataset_table_find(const struct dataset_table *table, const char *name) MUST_USE;
bool dataset_table_is_well_known(const struct dataset_table *table, uint32_t index);
/* The index; the data set is appended where its name is new, else its facts take the place of those known. -EINVAL where its
 * facts are impossible, or its name is well known with others, -ENOSPC where the table is full; *error is filled. */
int dataset_table_put(struct dataset_table *table, const struct dataset *dataset,
                      struct error *error) MUST_USE;

#endif
