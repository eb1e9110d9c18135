#include "worker/baseline_table.h"

#include <assert.h>

struct baseline_key baseline_key_of(const struct architecture *architecture,
                                    const struct problem *problem, const struct recipe *recipe,
                                    uint32_t micro_batches)
{
    /* steps are timed in the last stage */
    const double dropout =
        recipe->stage_count > 0 ? recipe->stages[recipe->stage_count - 1].dropout : recipe->dropout;
    return (struct baseline_key){.architecture_hash = architecture_hash(architecture),
                                 .problem = *problem,
                                 .optimizer = recipe->optimizer,
                                 .precision = recipe->precision,
                                 .averaged = recipe->ema_decay > 0,
                                 .clipped = recipe->clip_norm > 0,
                                 .drops_blocks = recipe->stochastic_depth > 0,
                                 .drops_features = dropout > 0,
                                 .batch = recipe->batch,
                                 .micro_batches = micro_batches};
}

static bool key_equal(const struct baseline_key *a, const struct baseline_key *b)
{
    return a->architecture_hash == b->architecture_hash &&
           a->problem.image_size == b->problem.image_size &&
           a->problem.image_channels == b->problem.image_channels &&
           a->problem.classes == b->problem.classes && a->optimizer == b->optimizer &&
           a->precision == b->precision && a->averaged == b->averaged && a->clipped == b->clipped &&
           a->drops_blocks == b->drops_blocks && a->drops_features == b->drops_features &&
           a->batch == b->batch && a->micro_batches == b->micro_batches;
}

double baseline_table_find(const struct baseline_table *table, const struct baseline_key *key)
{
    for (uint64_t i = 0; i < table->added && i < BASELINE_TABLE_ENTRIES; i++)
        if (key_equal(&table->entries[i].key, key))
            return table->entries[i].seconds;
    return 0;
}

void baseline_table_add(struct baseline_table *table, const struct baseline_key *key,
                        double seconds)
{
    assert(seconds > 0);
    uint64_t at = table->added++ % BASELINE_TABLE_ENTRIES;
    table->entries[at].key = *key;
    table->entries[at].seconds = seconds;
}
