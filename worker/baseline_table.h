/* Step times of baselines, by everything they depend on besides the device. A plain value: zeroed is empty. The oldest
 * entry goes when the table is full. */
#ifndef WORKER_BASELINE_TABLE_H
#define WORKER_BASELINE_TABLE_H

#include "search/architecture.h"
#include "search/recipe.h"

enum { BASELINE_TABLE_ENTRIES = 64 };

struct baseline_key {
    uint64_t architecture_hash;
    struct problem problem;
    enum optimizer_kind optimizer;
    enum precision precision;
    bool averaged;                              /* moving averages are kept */
    bool clipped, drops_blocks, drops_features; /* passes that other recipes' steps do without */
    uint32_t batch, micro_batches;
};

struct baseline_table {
    uint64_t added;
    struct {
        struct baseline_key key;
        double seconds;
    } entries[BASELINE_TABLE_ENTRIES];
};

struct baseline_key baseline_key_of(const struct architecture *architecture,
                                    const struct problem *problem, const struct recipe *recipe,
                                    uint32_t micro_batches);

/* Seconds a step; 0 where unknown. */
double baseline_table_find(const struct baseline_table *table, const struct baseline_key *key);
void baseline_table_add(struct baseline_table *table, const struct baseline_key *key,
                        double seconds);

#endif
