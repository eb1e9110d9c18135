#include "search/model_results.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void model_results_release(struct model_results *results)
{
    free(results->items);
    free(results->told);
    *results = (struct model_results){.items = NULL};
}

static int told_grow(struct model_results *results, uint64_t candidate)
{
    if (candidate < results->told_capacity)
        return 0;
    const uint64_t capacity = 2 * candidate + 64;
    uint8_t *told = realloc(results->told, capacity);
    if (!told)
        return -ENOMEM;
    memset(told + results->told_capacity, 0, capacity - results->told_capacity);
    results->told = told;
    results->told_capacity = capacity;
    return 0;
}

static int items_grow(struct model_results *results)
{
    if (results->count < results->capacity)
        return 0;
    const uint32_t capacity = 2 * results->capacity + 64;
    struct model_result *items = realloc(results->items, capacity * sizeof *items);
    if (!items)
        return -ENOMEM;
    results->items = items;
    results->capacity = capacity;
    return 0;
}

int model_results_reserve(struct model_results *results, uint64_t candidate)
{
    int r = told_grow(results, candidate);
    return r < 0 ? r : items_grow(results);
}

void model_results_add(struct model_results *results, uint64_t candidate, const double *goodness)
{
    assert(candidate < results->told_capacity && results->count < results->capacity);
    results->told[candidate] = 1;
    if (!goodness)
        return;
    struct model_result *result = &results->items[results->count++];
    result->candidate = candidate;
    memcpy(result->goodness, goodness, sizeof result->goodness);
}

bool model_results_told(const struct model_results *results, uint64_t candidate)
{
    return candidate < results->told_capacity && results->told[candidate] != 0;
}

struct ranked {
    double goodness;
    uint32_t index;
};

static int by_goodness(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->goodness != y->goodness)
        return x->goodness < y->goodness ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

/* Marks the best; equal shares for the quantities. */
static void choose_best(const struct model_results *results, uint32_t count, uint32_t quantities,
                        uint32_t wanted, struct ranked *ranked, bool *chosen)
{
    for (uint32_t q = 0; q < quantities; q++) {
        for (uint32_t i = 0; i < count; i++)
            ranked[i] = (struct ranked){results->items[i].goodness[q], i};
        qsort(ranked, count, sizeof *ranked, by_goodness);
        for (uint32_t i = 0; i < wanted / quantities; i++)
            chosen[ranked[i].index] = true;
    }
}

/* Marks the latest of those that are not marked, until there are `wanted`. */
static void choose_latest(uint32_t count, uint32_t wanted, bool *chosen)
{
    uint32_t marked = 0;
    for (uint32_t i = 0; i < count; i++)
        marked += chosen[i];
    for (uint32_t i = count; i-- > 0 && marked < wanted;) {
        marked += !chosen[i];
        chosen[i] = true;
    }
}

int model_results_best(const struct model_results *results, uint32_t wanted,
                       struct model_selection *ret_selection)
{
    assert(wanted <= SURROGATE_POINTS_MAX);
    struct ranked *ranked = calloc(results->count + 1, sizeof *ranked);
    if (!ranked)
        return -ENOMEM;
    for (uint32_t i = 0; i < results->count; i++)
        ranked[i] = (struct ranked){results->items[i].goodness[0], i};
    qsort(ranked, results->count, sizeof *ranked, by_goodness);
    ret_selection->count = results->count < wanted ? results->count : wanted;
    for (uint32_t i = 0; i < ret_selection->count; i++)
        ret_selection->items[i] = ranked[i].index;
    free(ranked);
    return 0;
}

int model_results_select(const struct model_results *results, uint32_t count, uint32_t quantities,
                         uint32_t wanted, struct model_selection *ret_selection)
{
    assert(wanted <= SURROGATE_POINTS_MAX && count <= results->count);
    bool *chosen = calloc(count + 1, sizeof *chosen);
    struct ranked *ranked = calloc(count + 1, sizeof *ranked);
    if (!chosen || !ranked) {
        free(chosen);
        free(ranked);
        return -ENOMEM;
    }
    if (count > wanted)
        choose_best(results, count, quantities, wanted / 2, ranked, chosen);
    choose_latest(count, wanted, chosen);
    ret_selection->count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (chosen[i])
            ret_selection->items[ret_selection->count++] = i;
    free(chosen);
    free(ranked);
    return 0;
}
