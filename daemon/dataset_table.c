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

int dataset_table_add(struct dataset_table *table, const struct dataset *dataset, bool *ret_new,
                      struct error *error)
{
    int r = dataset_validate(dataset, error);
    if (r < 0)
        return r;
    int index = dataset_table_find(table, dataset->name);
    if (index >= 0) {
        const struct dataset *known = &table->items[index];
        if (!dataset_facts_agree(known, dataset))
            return error_set(error, -EINVAL, "",
                             "data set %s is known with other facts: %u pixels, %u channels, %u "
                             "classes, %llu + %llu "
                             "images",
                             known->name, known->image_size, known->image_channels, known->classes,
                             (unsigned long long)known->train_images,
                             (unsigned long long)known->test_images);
        *ret_new = false;
        return index;
    }
    if (table->count == SCHEDULER_DATASETS_MAX)
        return error_set(error, -ENOSPC, "", "there are %u data sets already", table->count);
    table->items[table->count] = *dataset;
    *ret_new = true;
    return (int)table->count++;
}
