/* Local search (White, Nolen and Savani, "Exploring the Loss Landscape in Neural Architecture Search", 2021; first posted in
 * 2020 as "Local search is state of the art for neural architecture search"), made asynchronous.
 *
 * A climb starts from a random architecture. Its centre is its best result so far; the neighbours of the centre, which
 * differ from it in one stage, are proposed in random order, and the first better one becomes the centre. Where all
 * neighbours were proposed and none is better, the climb is over. Proposals go to the oldest climb that has a neighbour
 * left; where none has, a new climb starts. So one worker climbs to the top before it starts again, and many workers share
 * the neighbours of one centre. */
#include "search/strategy_kind.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { DRAWS_MAX = 32, CAPACITY_MIN = 64 };

struct climb {
    bool has_centre;
    /* Nothing beside the centre is left to propose, or the start failed. Proposals stay, so this stays true until the
     * centre moves: it spares looking again, and changes no answer. */
    bool surrounded;
    double reward; /* of the centre */
    uint64_t centre;
};

struct local {
    uint32_t neighbours; /* of any encoding, whether allowed or not */
    struct climb *climbs;
    uint32_t climb_count;
    uint32_t first_open; /* climbs before it are surrounded */
    uint32_t *climb_of;  /* a candidate */
    uint64_t capacity;   /* of both: there are at most as many climbs as candidates */
};

static int local_new(const struct spec *spec, void **ret_state)
{
    struct local *local = calloc(1, sizeof *local);
    if (!local)
        return -ENOMEM;
    for (uint32_t i = 0; i < space_stage_count(spec->space); i++)
        local->neighbours += space_option_count(spec->space, i) - 1;
    *ret_state = local;
    return 0;
}

static void local_free(void *state)
{
    struct local *local = state;
    free(local->climbs);
    free(local->climb_of);
    free(local);
}

static int reserve(struct strategy *strategy, uint64_t k)
{
    struct local *local = strategy->state;
    if (k < local->capacity)
        return 0;
    uint64_t capacity = local->capacity > 0 ? local->capacity * 2 : CAPACITY_MIN;
    struct climb *climbs = realloc(local->climbs, capacity * sizeof *climbs);
    if (!climbs)
        return -ENOMEM;
    local->climbs = climbs;
    uint32_t *climb_of = realloc(local->climb_of, capacity * sizeof *climb_of);
    if (!climb_of)
        return -ENOMEM;
    local->climb_of = climb_of;
    local->capacity = capacity;
    return 0;
}

/* Gives one stage of the centre another option; `index` counts the pairs of stage and option. */
static void neighbour_of(const struct space *space, uint64_t index, struct encoding *encoding)
{
    uint32_t stage = 0;
    for (; index >= space_option_count(space, stage) - 1; stage++)
        index -= space_option_count(space, stage) - 1;
    encoding->choices[stage] = (uint16_t)(index + (index >= encoding->choices[stage]));
}

/* Some allowed neighbour of a climb's centre: by chance, then by going through all from a random one on. */
static bool draw_neighbour(const struct strategy *strategy, const struct climb *climb,
                           struct random_stream *random, struct encoding *ret_encoding)
{
    const struct local *local = strategy->state;
    struct encoding centre;
    if (local->neighbours == 0)
        return false;
    proposals_get(&strategy->proposals, climb->centre, &centre);
    uint64_t index = 0;
    for (uint32_t i = 0; i < DRAWS_MAX + local->neighbours; i++) {
        index = i <= DRAWS_MAX ? random_below(random, local->neighbours)
                               : (index + 1) % local->neighbours;
        *ret_encoding = centre;
        neighbour_of(strategy->spec->space, index, ret_encoding);
        if (proposals_allow(&strategy->proposals, ret_encoding))
            return true;
    }
    return false;
}

static int propose(struct strategy *strategy, uint64_t k, struct encoding *ret_encoding)
{
    struct local *local = strategy->state;
    while (local->first_open < local->climb_count && local->climbs[local->first_open].surrounded)
        local->first_open++;
    for (uint32_t i = local->first_open; i < local->climb_count; i++) {
        struct climb *climb = &local->climbs[i];
        if (!climb->has_centre || climb->surrounded)
            continue;
        /* for each climb afresh, so that looking in vain leaves no trace */
        struct random_stream random = random_stream_of(strategy->spec->seed, k, RANDOM_MUTATION);
        if (draw_neighbour(strategy, climb, &random, ret_encoding)) {
            strategy->parent = climb->centre;
            return 0;
        }
        climb->surrounded = true;
    }
    struct random_stream random = random_stream_of(strategy->spec->seed, k, RANDOM_PROPOSAL);
    return proposals_draw(&strategy->proposals, &random, ret_encoding);
}

static bool are_neighbours(const struct strategy *strategy, uint64_t a, uint64_t b)
{
    struct encoding x, y;
    uint32_t different = 0;
    proposals_get(&strategy->proposals, a, &x);
    proposals_get(&strategy->proposals, b, &y);
    for (uint32_t i = 0; i < strategy->proposals.stage_count; i++)
        different += x.choices[i] != y.choices[i];
    return different == 1;
}

/* Finds out which climb a proposal belongs to: the first whose centre it stands beside, which is the one that `propose` took,
 * for a centre that is passed over has nothing new beside it. */
static void added(struct strategy *strategy, uint64_t k)
{
    struct local *local = strategy->state;
    for (uint32_t i = local->first_open; i < local->climb_count; i++) {
        const struct climb *climb = &local->climbs[i];
        if (climb->has_centre && are_neighbours(strategy, climb->centre, k)) {
            local->climb_of[k] = i;
            return;
        }
    }
    local->climb_of[k] = local->climb_count;
    local->climbs[local->climb_count++] = (struct climb){.has_centre = false};
}

static int learn(struct strategy *strategy, const struct observation *observation)
{
    struct local *local = strategy->state;
    uint32_t index = local->climb_of[observation->candidate];
    struct climb *climb = &local->climbs[index];
    if (!observation->usable || !isfinite(observation->reward)) {
        climb->surrounded = climb->surrounded || !climb->has_centre;
        return 0;
    }
    if (climb->has_centre && observation->reward <= climb->reward)
        return 0;
    *climb = (struct climb){
        .has_centre = true, .reward = observation->reward, .centre = observation->candidate};
    if (index < local->first_open)
        local->first_open = index;
    return 0;
}

const struct strategy_kind strategy_local = {.name = "local",
                                             .state_new = local_new,
                                             .state_free = local_free,
                                             .propose = propose,
                                             .reserve = reserve,
                                             .added = added,
                                             .learn = learn};
