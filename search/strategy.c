#include "search/strategy.h"

#include "search/strategy_kind.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sorted by name. */
static const struct strategy_kind *const kinds[] = {
    &strategy_evolution, &strategy_grid,  &strategy_list,   &strategy_local,
    &strategy_model,     &strategy_nsga2, &strategy_policy, &strategy_random};

const char *strategy_name(size_t index)
{
    return index < ARRAY_LENGTH(kinds) ? kinds[index]->name : NULL;
}

static const struct strategy_kind *kind_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    }
    return NULL;
}

int strategy_new(const struct spec *spec, struct strategy **ret_strategy, struct error *error)
{
    const struct strategy_kind *kind = kind_find(spec->strategy.name);
    if (!kind)
        return error_set(error, -EINVAL, "/strategy/name", "There is no strategy \"%s\".",
                         spec->strategy.name);
    struct strategy *strategy = calloc(1, sizeof *strategy);
    if (!strategy)
        return error_set(error, -ENOMEM, "", "Out of memory.");
    strategy->kind = kind;
    strategy->spec = spec;
    strategy->parent = STRATEGY_NO_PARENT;
    if (kind->state_new && kind->state_new(spec, &strategy->state) < 0) {
        free(strategy);
        return error_set(error, -ENOMEM, "", "Out of memory.");
    }
    proposals_init(&strategy->proposals, spec);
    *ret_strategy = strategy;
    return 0;
}

void strategy_free(struct strategy *strategy)
{
    if (!strategy)
        return;
    if (strategy->kind->state_free)
        strategy->kind->state_free(strategy->state);
    proposals_release(&strategy->proposals);
    free(strategy);
}

static int record(struct strategy *strategy, uint64_t k, const struct encoding *encoding)
{
    int r = strategy->kind->reserve ? strategy->kind->reserve(strategy, k) : 0;
    if (r == 0)
        r = proposals_add(&strategy->proposals, encoding);
    if (r == 0 && strategy->kind->added)
        strategy->kind->added(strategy, k);
    return r;
}

int strategy_ask(struct strategy *strategy, uint64_t k, struct encoding *ret_encoding)
{
    if (k != strategy->proposals.count)
        return -EINVAL;
    struct encoding encoding;
    strategy->parent = STRATEGY_NO_PARENT;
    int r = strategy->kind->propose(strategy, k, &encoding);
    if (r != 0)
        return r == PROPOSALS_NONE ? STRATEGY_EXHAUSTED : r;
    r = record(strategy, k, &encoding);
    if (r < 0)
        return r;
    *ret_encoding = encoding;
    return 0;
}

int strategy_replay(struct strategy *strategy, uint64_t k, const struct encoding *encoding)
{
    if (k != strategy->proposals.count || !space_contains(strategy->spec->space, encoding))
        return -EINVAL;
    return record(strategy, k, encoding);
}

static void note_best(struct strategy *strategy, const struct observation *observation)
{
    if (!observation->usable || !isfinite(observation->reward) ||
        (strategy->best_known && observation->reward <= strategy->best_reward))
        return;
    strategy->best_known = true;
    strategy->best = observation->candidate;
    strategy->best_reward = observation->reward;
}

int strategy_tell(struct strategy *strategy, const struct observation *observation)
{
    if (observation->candidate >= strategy->proposals.count)
        return -EINVAL;
    int r = strategy->kind->learn ? strategy->kind->learn(strategy, observation) : 0;
    if (r == 0)
        note_best(strategy, observation);
    return r;
}

int strategy_recommend(struct strategy *strategy, uint64_t *ret_candidate)
{
    if (!strategy->best_known)
        return -ENOENT;
    if (strategy->kind->recommend)
        return strategy->kind->recommend(strategy, ret_candidate);
    *ret_candidate = strategy->best;
    return 0;
}

uint64_t strategy_parent(const struct strategy *strategy)
{
    return strategy->parent;
}
