/* NSGA-II (Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", 2002) over the spec's objectives, one
 * child at a time ("steady state": Durillo et al., 2009), so that no worker waits for a generation.
 *
 * The population has the best results so far: by rank (rank 0 is what nothing else dominates, rank 1 what only rank 0
 * does, and so on) and, within a rank, by crowding (how far apart the neighbours in each objective are). A result that arrives
 * joins it, and the worst of all leaves. A parent is the better of two drawn; a child takes each stage from either parent,
 * and then another option in one stage. Options after which the limits cannot be met are replaced by random ones. */
#include "search/strategy_kind.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHILDREN_MAX = 32 /* made before a random draw */ };

struct member {
    uint64_t candidate;
    double value[PARETO_OBJECTIVES_MAX]; /* more is better */
    uint32_t rank;
    uint32_t dominators; /* that are not ranked yet */
    double crowding;
};

struct nsga2 {
    uint32_t size, used; /* of the population; one more than `size` while one is too many */
    size_t objective_count;
    uint32_t mutable_count;
    uint16_t mutable_stages[ARCHITECTURE_STAGES_MAX]; /* that have a choice */
    struct member **front; /* room for `size` + 1: the members of one rank, being sorted */
    struct member population[];
};

static int nsga2_new(const struct spec *spec, void **ret_state)
{
    uint32_t room = spec->strategy.population + 1;
    struct nsga2 *nsga2 = calloc(1, sizeof *nsga2 + room * sizeof nsga2->population[0]);
    struct member **front = calloc(room, sizeof *front);
    if (!nsga2 || !front) {
        free(nsga2);
        free(front);
        return -ENOMEM;
    }
    nsga2->front = front;
    nsga2->size = spec->strategy.population;
    nsga2->objective_count = spec->objective_count;
    for (uint32_t i = 0; i < space_stage_count(spec->space); i++) {
        if (space_option_count(spec->space, i) > 1)
            nsga2->mutable_stages[nsga2->mutable_count++] = (uint16_t)i;
    }
    *ret_state = nsga2;
    return 0;
}

static void nsga2_free(void *state)
{
    struct nsga2 *nsga2 = state;
    free(nsga2->front);
    free(nsga2);
}

/* ---- ranks and crowding ---- */

static bool dominates(const struct nsga2 *nsga2, const struct member *a, const struct member *b)
{
    bool better = false;
    for (size_t i = 0; i < nsga2->objective_count; i++) {
        if (a->value[i] < b->value[i])
            return false;
        better = better || a->value[i] > b->value[i];
    }
    return better;
}

static void count_dominators(struct nsga2 *nsga2)
{
    for (uint32_t i = 0; i < nsga2->used; i++) {
        struct member *member = &nsga2->population[i];
        member->dominators = 0;
        member->rank = UINT32_MAX;
        for (uint32_t j = 0; j < nsga2->used; j++)
            member->dominators += dominates(nsga2, &nsga2->population[j], member);
    }
}

/* Gathers the members that only ranked ones dominate, and gives them the rank. */
static uint32_t take_front(struct nsga2 *nsga2, uint32_t rank)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < nsga2->used; i++) {
        struct member *member = &nsga2->population[i];
        if (member->rank != UINT32_MAX || member->dominators > 0)
            continue;
        member->rank = rank;
        nsga2->front[count++] = member;
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < nsga2->used; j++)
            nsga2->population[j].dominators -=
                dominates(nsga2, nsga2->front[i], &nsga2->population[j]);
    }
    return count;
}

/* By one objective; insertion keeps the order of equals, and fronts are short and nearly sorted. */
static void sort_front(struct nsga2 *nsga2, uint32_t count, size_t objective)
{
    for (uint32_t i = 1; i < count; i++) {
        struct member *member = nsga2->front[i];
        uint32_t place = i;
        for (; place > 0 && nsga2->front[place - 1]->value[objective] > member->value[objective];
             place--)
            nsga2->front[place] = nsga2->front[place - 1];
        nsga2->front[place] = member;
    }
}

static void crowd_front(struct nsga2 *nsga2, uint32_t count)
{
    struct member **front = nsga2->front;
    for (uint32_t i = 0; i < count; i++)
        front[i]->crowding = 0;
    for (size_t objective = 0; objective < nsga2->objective_count; objective++) {
        sort_front(nsga2, count, objective);
        double low = front[0]->value[objective], high = front[count - 1]->value[objective];
        front[0]->crowding = front[count - 1]->crowding = INFINITY;
        for (uint32_t i = 1; i + 1 < count && high > low; i++)
            front[i]->crowding +=
                (front[i + 1]->value[objective] - front[i - 1]->value[objective]) / (high - low);
    }
}

static void rank_population(struct nsga2 *nsga2)
{
    uint32_t ranked = 0;
    count_dominators(nsga2);
    for (uint32_t rank = 0; ranked < nsga2->used; rank++) {
        uint32_t count = take_front(nsga2, rank);
        crowd_front(nsga2, count);
        ranked += count;
    }
}

/* True where a is better; of equals the later is. */
static bool is_better(const struct member *a, const struct member *b)
{
    if (a->rank != b->rank)
        return a->rank < b->rank;
    if (a->crowding != b->crowding)
        return a->crowding > b->crowding;
    return a > b;
}

static void remove_worst(struct nsga2 *nsga2)
{
    uint32_t worst = 0;
    for (uint32_t i = 1; i < nsga2->used; i++) {
        if (is_better(&nsga2->population[worst], &nsga2->population[i]))
            worst = i;
    }
    nsga2->used--;
    memmove(&nsga2->population[worst], &nsga2->population[worst + 1],
            (nsga2->used - worst) * sizeof nsga2->population[0]);
}

static int learn(struct strategy *strategy, const struct observation *observation)
{
    struct nsga2 *nsga2 = strategy->state;
    struct member member = {.candidate = observation->candidate};
    if (!observation->usable)
        return 0;
    for (size_t i = 0; i < nsga2->objective_count; i++) {
        enum objective objective = strategy->spec->objectives[i];
        member.value[i] = objective_sign(objective) * observation->measures.value[objective];
        if (!isfinite(member.value[i]))
            return 0;
    }
    nsga2->population[nsga2->used++] = member;
    rank_population(nsga2);
    if (nsga2->used > nsga2->size)
        remove_worst(nsga2);
    return 0;
}

/* ---- children ---- */

static const struct member *tournament(const struct nsga2 *nsga2, struct random_stream *random)
{
    const struct member *a = &nsga2->population[random_below(random, nsga2->used)];
    const struct member *b = &nsga2->population[random_below(random, nsga2->used)];
    return is_better(b, a) ? b : a;
}

/* Each stage from either parent, then another option in one stage. */
static void cross(const struct strategy *strategy, struct random_stream *random,
                  const struct encoding *mother, const struct encoding *father,
                  struct encoding *ret_child)
{
    const struct nsga2 *nsga2 = strategy->state;
    *ret_child = *mother;
    for (uint32_t i = 0; i < strategy->proposals.stage_count; i++) {
        if (random_below(random, 2) == 0)
            ret_child->choices[i] = father->choices[i];
    }
    uint32_t stage = nsga2->mutable_stages[random_below(random, nsga2->mutable_count)];
    uint32_t others = space_option_count(strategy->spec->space, stage) - 1;
    uint32_t option = (uint32_t)random_below(random, others);
    ret_child->choices[stage] = (uint16_t)(option + (option >= ret_child->choices[stage]));
}

static int propose(struct strategy *strategy, uint64_t k, struct encoding *ret_encoding)
{
    const struct nsga2 *nsga2 = strategy->state;
    struct random_stream random = random_stream_of(strategy->spec->seed, k, RANDOM_MUTATION);
    bool has_parents = k >= nsga2->size && nsga2->used > 0 && nsga2->mutable_count > 0;
    for (int i = 0; has_parents && i < CHILDREN_MAX; i++) {
        const struct member *parents[] = {tournament(nsga2, &random), tournament(nsga2, &random)};
        struct encoding mother, father, child;
        proposals_get(&strategy->proposals, parents[0]->candidate, &mother);
        proposals_get(&strategy->proposals, parents[1]->candidate, &father);
        cross(strategy, &random, &mother, &father, &child);
        if (proposals_draw_near(&strategy->proposals, &random, &child, ret_encoding)) {
            strategy->parent = parents[0]->candidate;
            return 0;
        }
    }
    random = random_stream_of(strategy->spec->seed, k, RANDOM_PROPOSAL);
    return proposals_draw(&strategy->proposals, &random, ret_encoding);
}

const struct strategy_kind strategy_nsga2 = {.name = "nsga2",
                                             .state_new = nsga2_new,
                                             .state_free = nsga2_free,
                                             .propose = propose,
                                             .learn = learn};
