/* Regularized evolution (Real et al., "Regularized Evolution for Image Classifier Architecture Search", 2019, algorithm 1)
 * with asynchronous observations: the population is a window over the observations in the order in which they were
 * accepted, so the oldest dies whenever a new one arrives. */
#include "search/strategy_kind.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { MUTATIONS_MAX = 32 }; /* tournaments and mutations before a random draw */

struct member {
    uint64_t candidate;
    double reward;
};

struct evolution {
    uint32_t size, used; /* of the population, and how much of it is filled */
    uint32_t oldest;     /* where the next member goes once it is full */
    uint32_t mutable_count;
    uint16_t mutable_stages[ARCHITECTURE_STAGES_MAX]; /* that have a choice */
    struct member population[];
};

static int evolution_new(const struct spec *spec, void **ret_state)
{
    uint32_t size = spec->strategy.population;
    struct evolution *evolution =
        calloc(1, sizeof *evolution + size * sizeof evolution->population[0]);
    if (!evolution)
        return -ENOMEM;
    evolution->size = size;
    for (uint32_t i = 0; i < space_stage_count(spec->space); i++) {
        if (space_option_count(spec->space, i) > 1)
            evolution->mutable_stages[evolution->mutable_count++] = (uint16_t)i;
    }
    *ret_state = evolution;
    return 0;
}

static const struct member *tournament(const struct evolution *evolution, uint32_t sample,
                                       struct random_stream *random)
{
    const struct member *best = NULL;
    for (uint32_t i = 0; i < sample; i++) {
        const struct member *drawn = &evolution->population[random_below(random, evolution->used)];
        if (!best || drawn->reward > best->reward)
            best = drawn;
    }
    return best;
}

/* Gives one stage another option. */
static void mutate(const struct strategy *strategy, const struct evolution *evolution,
                   struct random_stream *random, struct encoding *encoding)
{
    uint32_t stage = evolution->mutable_stages[random_below(random, evolution->mutable_count)];
    uint32_t others = space_option_count(strategy->spec->space, stage) - 1;
    uint32_t option = (uint32_t)random_below(random, others);
    encoding->choices[stage] = (uint16_t)(option + (option >= encoding->choices[stage]));
}

static int propose(struct strategy *strategy, uint64_t k, struct encoding *ret_encoding)
{
    const struct evolution *evolution = strategy->state;
    struct random_stream random = random_stream_of(strategy->spec->seed, k, RANDOM_MUTATION);
    bool can_mutate = k >= evolution->size && evolution->used > 0 && evolution->mutable_count > 0;
    for (int i = 0; can_mutate && i < MUTATIONS_MAX; i++) {
        const struct member *parent =
            tournament(evolution, strategy->spec->strategy.sample, &random);
        proposals_get(&strategy->proposals, parent->candidate, ret_encoding);
        mutate(strategy, evolution, &random, ret_encoding);
        if (proposals_allow(&strategy->proposals, ret_encoding)) {
            strategy->parent = parent->candidate;
            return 0;
        }
    }
    random = random_stream_of(strategy->spec->seed, k, RANDOM_PROPOSAL);
    return proposals_draw(&strategy->proposals, &random, ret_encoding);
}

static int learn(struct strategy *strategy, const struct observation *observation)
{
    struct evolution *evolution = strategy->state;
    struct member member = {observation->candidate, observation->reward};
    if (!observation->usable || !isfinite(observation->reward))
        return 0;
    if (evolution->used < evolution->size) {
        evolution->population[evolution->used++] = member;
        return 0;
    }
    evolution->population[evolution->oldest] = member;
    evolution->oldest = (evolution->oldest + 1) % evolution->size;
    return 0;
}

const struct strategy_kind strategy_evolution = {.name = "evolution",
                                                 .state_new = evolution_new,
                                                 .state_free = free,
                                                 .propose = propose,
                                                 .learn = learn};
