#include "daemon/dataset_table.h"

#include <assert.h>
#include <errno.h>

void dataset_table_init(struct dataset_table *table)
{
    table->count = 0;
    const struct dataset *known;
    for (size_t i = 0; (known = dataset_known_at(i)) != NULL; i++) {
        assert(table->count < SCHEDULER_DATASETS_MAX);
        table->items[table->count++] = *known;
    }
    table->well_known_count = table->count;
}

int dataset_table_find(const struct dataset_table *table, const char *name)
{
    for (uint32_t i = 0; i < table->count; i++)
        if (strcmp(table->items[i].name, name) == 0)
            return (int)i;
    return -ENOENT;
}

bool dataset_table_is_well_known(const struct dataset_table *table, uint32_t index)
{
    return index < table->well_known_count;
}

int dataset_table_put(struct dataset_table *table, const struct dataset *dataset,
                      struct error *error)
{
    int r = dataset_validate(dataset, error);
    if (r < 0)
        return r;
    int index = dataset_table_find(table, dataset->name);
    if (index < 0 && table->count == SCHEDULER_DATASETS_MAX)
        return error_set(error, -ENOSPC, "", "there are %u data sets already", table->count);
    if (index < 0)
        index = (int)table->count++;
    else if (dataset_table_is_well_known(table, (uint32_t)index) &&
             !dataset_facts_agree(&table->items[index], dataset))
        return error_set(error, -EINVAL, "", "data set %s is well known with other facts",
                         dataset->name);
    table->items[index] = *dataset;
    return index;
}
