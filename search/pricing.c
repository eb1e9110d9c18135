#include "search/pricing.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct place {
    uint32_t channels, size; /* of the images that arrive */
    size_t offers; /* index of the first of the stage's options; after the last stage not used */
    struct cost least; /* of finishing from here, figure by figure */
};

struct pricing {
    const struct space *space;
    struct problem problem;
    uint32_t stage_count;
    struct cost stem;
    struct place *places; /* of all stages, stage by stage; those after the last stage at the end */
    size_t place_count, place_capacity;
    size_t first_places[ARCHITECTURE_STAGES_MAX + 2]; /* of each stage, of the end, and behind it */
    struct offer *offers;
    size_t offer_count, offer_capacity;
};

static const char *const limit_names[LIMIT_COUNT] = {
    [LIMIT_PARAMS] = "params_max", [LIMIT_MACS] = "macs_max", [LIMIT_MEMORY] = "memory_max"};

const char *limit_name(enum limit limit)
{
    assert(limit < LIMIT_COUNT);
    return limit_names[limit];
}

uint64_t limit_value(const struct constraints *constraints, enum limit limit)
{
    const uint64_t values[LIMIT_COUNT] = {constraints->params_max, constraints->macs_max,
                                          constraints->memory_max};
    return values[limit];
}

uint64_t limit_of_cost(const struct cost *cost, enum limit limit)
{
    const uint64_t values[LIMIT_COUNT] = {cost->params, cost->macs, cost->activation_bytes};
    return values[limit];
}

bool constraints_met(const struct constraints *constraints, const struct cost *cost)
{
    return (constraints->params_max == 0 || cost->params <= constraints->params_max) &&
           (constraints->macs_max == 0 || cost->macs <= constraints->macs_max) &&
           (constraints->memory_max == 0 || cost->activation_bytes <= constraints->memory_max);
}

static int reserve(void **array, size_t *capacity, size_t wanted, size_t size)
{
    if (wanted <= *capacity)
        return 0;
    void *grown = realloc(*array, wanted * 2 * size);
    if (!grown)
        return -ENOMEM;
    *array = grown;
    *capacity = wanted * 2;
    return 0;
}

/* The place of the stage that starts at `first` with these channels and size, added where it is new. */
static int place_find(struct pricing *pricing, size_t first, uint32_t channels, uint32_t size,
                      size_t *ret_place)
{
    for (size_t i = pricing->place_count; i-- > first;) {
        if (pricing->places[i].channels == channels && pricing->places[i].size == size) {
            *ret_place = i;
            return 0;
        }
    }
    int r = reserve((void **)&pricing->places, &pricing->place_capacity, pricing->place_count + 1,
                    sizeof *pricing->places);
    if (r < 0)
        return r;
    *ret_place = pricing->place_count;
    pricing->places[pricing->place_count++] = (struct place){.channels = channels, .size = size};
    return 0;
}

static int offer_add(struct pricing *pricing, const struct place *place, const struct stage *option,
                     size_t next_first)
{
    struct offer offer = {{0}, 0};
    uint32_t channels = place->channels, size = place->size;
    if (option->block != BLOCK_IDENTITY) {
        offer.cost = cost_of_stage(option, channels, size, &size);
        channels = option->channels;
    }
    size_t next = 0;
    int r = place_find(pricing, next_first, channels, size, &next);
    if (r < 0)
        return r;
    offer.next = (uint32_t)next;
    pricing->offers[pricing->offer_count++] = offer;
    return 0;
}

static int stage_price(struct pricing *pricing, uint32_t stage, struct error *error)
{
    size_t first = pricing->first_places[stage], end = pricing->place_count;
    uint32_t options = space_option_count(pricing->space, stage);
    pricing->first_places[stage + 1] = end;
    size_t wanted = pricing->offer_count + (end - first) * options;
    if (wanted > PRICING_OFFERS_MAX) {
        char pointer[32];
        snprintf(pointer, sizeof pointer, "/stages/%" PRIu32, stage);
        return error_set(error, -E2BIG, pointer,
                         "The choices of channels, strides and identities before this stage let it "
                         "stand in %zu places with %" PRIu32
                         " choices each; a space has at most %d "
                         "such pairs, so leave out some.",
                         end - first, options, PRICING_OFFERS_MAX);
    }
    int r = reserve((void **)&pricing->offers, &pricing->offer_capacity, wanted,
                    sizeof *pricing->offers);
    for (size_t i = first; i < end && r == 0; i++) {
        struct place place = pricing->places[i];
        pricing->places[i].offers = pricing->offer_count;
        for (uint32_t j = 0; j < options && r == 0; j++)
            r = offer_add(pricing, &place, space_option(pricing->space, stage, j), end);
    }
    return r < 0 ? error_set(error, r, "", "Out of memory.") : 0;
}

static struct cost cost_least(const struct cost *a, const struct cost *b)
{
    struct cost least = *a;
    if (b->params < least.params)
        least.params = b->params;
    if (b->params_with_bn_statistics < least.params_with_bn_statistics)
        least.params_with_bn_statistics = b->params_with_bn_statistics;
    if (b->macs < least.macs)
        least.macs = b->macs;
    if (b->activation_bytes < least.activation_bytes)
        least.activation_bytes = b->activation_bytes;
    return least;
}

/* From the last stage back: the least of each figure over the options and what follows them. */
static void bound_places(struct pricing *pricing)
{
    uint32_t stage = pricing->stage_count;
    for (size_t i = pricing->first_places[stage]; i < pricing->place_count; i++) {
        struct place *place = &pricing->places[i];
        place->least = cost_of_head(space_ends(pricing->space), &pricing->problem, place->channels,
                                    place->size);
    }
    while (stage-- > 0) {
        for (size_t i = pricing->first_places[stage]; i < pricing->first_places[stage + 1]; i++) {
            struct place *place = &pricing->places[i];
            for (uint32_t j = 0; j < space_option_count(pricing->space, stage); j++) {
                const struct offer *offer = &pricing->offers[place->offers + j];
                struct cost whole = cost_add(&offer->cost, &pricing->places[offer->next].least, 1);
                place->least = j == 0 ? whole : cost_least(&place->least, &whole);
            }
        }
    }
}

int pricing_new(const struct space *space, const struct problem *problem,
                struct pricing **ret_pricing, struct error *error)
{
    struct pricing *pricing = calloc(1, sizeof *pricing);
    if (!pricing)
        return error_set(error, -ENOMEM, "", "Out of memory.");
    pricing->space = space;
    pricing->problem = *problem;
    pricing->stage_count = space_stage_count(space);
    uint32_t size = 0;
    size_t place = 0;
    pricing->stem = cost_of_stem(space_ends(space), problem, &size);
    int r = place_find(pricing, 0, space_ends(space)->stem_channels, size, &place);
    if (r < 0)
        error_set(error, r, "", "Out of memory.");
    for (uint32_t i = 0; i < pricing->stage_count && r == 0; i++)
        r = stage_price(pricing, i, error);
    if (r < 0) {
        pricing_free(pricing);
        return r;
    }
    pricing->first_places[pricing->stage_count + 1] = pricing->place_count;
    bound_places(pricing);
    *ret_pricing = pricing;
    return 0;
}

void pricing_free(struct pricing *pricing)
{
    if (!pricing)
        return;
    free(pricing->places);
    free(pricing->offers);
    free(pricing);
}

struct cost pricing_minimum(const struct pricing *pricing)
{
    return cost_add(&pricing->stem, &pricing->places[0].least, 1);
}

const struct space *pricing_space(const struct pricing *pricing)
{
    return pricing->space;
}

size_t pricing_first_place(const struct pricing *pricing, uint32_t stage)
{
    assert(stage <= pricing->stage_count + 1);
    return pricing->first_places[stage];
}

const struct offer *pricing_offer(const struct pricing *pricing, size_t place, uint32_t option)
{
    assert(place < pricing->first_places[pricing->stage_count]);
    return &pricing->offers[pricing->places[place].offers + option];
}

const struct cost *pricing_least(const struct pricing *pricing, size_t place)
{
    assert(place < pricing->place_count);
    return &pricing->places[place].least;
}

static const struct offer *walk_offer(const struct pricing *pricing, const struct walk *walk,
                                      uint32_t option)
{
    assert(walk->stage < pricing->stage_count);
    return pricing_offer(pricing, walk->place, option);
}

struct walk walk_start(const struct pricing *pricing)
{
    return (struct walk){.spent = pricing->stem};
}

void walk_choose(const struct pricing *pricing, struct walk *walk, uint32_t option)
{
    const struct offer *offer = walk_offer(pricing, walk, option);
    walk->spent = cost_add(&walk->spent, &offer->cost, 1);
    walk->place = offer->next;
    walk->stage++;
}

/* The least that a walk can come to after `option`. */
static struct cost walk_bound(const struct pricing *pricing, const struct walk *walk,
                              uint32_t option)
{
    const struct offer *offer = walk_offer(pricing, walk, option);
    struct cost bound = cost_add(&walk->spent, &offer->cost, 1);
    return cost_add(&bound, &pricing->places[offer->next].least, 1);
}

bool walk_may_choose(const struct pricing *pricing, const struct walk *walk, uint32_t option,
                     const struct constraints *constraints)
{
    struct cost bound = walk_bound(pricing, walk, option);
    return constraints_met(constraints, &bound);
}

struct cost walk_total(const struct pricing *pricing, const struct walk *walk)
{
    assert(walk->stage == pricing->stage_count);
    return cost_add(&walk->spent, &pricing->places[walk->place].least, 1);
}

struct cost pricing_cost(const struct pricing *pricing, const struct encoding *encoding)
{
    struct walk walk = walk_start(pricing);
    while (walk.stage < pricing->stage_count)
        walk_choose(pricing, &walk, encoding->choices[walk.stage]);
    return walk_total(pricing, &walk);
}

/* A branch-and-bound search for the smallest figure, or for the smallest multiple of limits. */
struct minimization {
    const struct pricing *pricing;
    struct constraints constraints; /* without a limit on the figure itself */
    enum limit limit;
    const struct constraints *multiples; /* of these; NULL: the figure */
    bool found;
    struct cost best;
    size_t steps;
};

/* The multiple of their limits that the figures come to. */
static double multiple_of(const struct constraints *constraints, const struct cost *cost)
{
    double multiple = 0;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        uint64_t limit = limit_value(constraints, (enum limit)i);
        if (limit == 0)
            continue;
        double figure = (double)limit_of_cost(cost, (enum limit)i) / (double)limit;
        multiple = figure > multiple ? figure : multiple;
    }
    return multiple;
}

static bool is_smaller(const struct minimization *search, const struct cost *a,
                       const struct cost *b)
{
    if (search->multiples)
        return multiple_of(search->multiples, a) < multiple_of(search->multiples, b);
    return limit_of_cost(a, search->limit) < limit_of_cost(b, search->limit);
}

static bool worth_choosing(struct minimization *search, const struct walk *walk, uint32_t option)
{
    search->steps++;
    struct cost bound = walk_bound(search->pricing, walk, option);
    if (!constraints_met(&search->constraints, &bound))
        return false;
    return !search->found || is_smaller(search, &bound, &search->best);
}

/* Depth first with an own stack of walks: at most one a stage. */
static void minimize(struct minimization *search)
{
    const struct pricing *pricing = search->pricing;
    struct walk walks[ARCHITECTURE_STAGES_MAX];
    uint32_t next_options[ARCHITECTURE_STAGES_MAX] = {0};
    uint32_t depth = 0;
    walks[0] = walk_start(pricing);
    while (search->steps < PRICING_STEPS_MAX) {
        if (next_options[depth] == space_option_count(pricing->space, depth)) {
            if (depth-- == 0)
                return;
            continue;
        }
        uint32_t option = next_options[depth]++;
        if (!worth_choosing(search, &walks[depth], option))
            continue;
        struct walk walk = walks[depth];
        walk_choose(pricing, &walk, option);
        if (walk.stage == pricing->stage_count) {
            search->found = true;
            search->best = walk_total(pricing, &walk);
            continue;
        }
        walks[++depth] = walk;
        next_options[depth] = 0;
    }
}

int pricing_minimize(const struct pricing *pricing, const struct constraints *constraints,
                     enum limit limit, struct cost *ret_cost, bool *ret_exact)
{
    struct minimization search = {.pricing = pricing, .constraints = *constraints, .limit = limit};
    uint64_t *const own[LIMIT_COUNT] = {&search.constraints.params_max,
                                        &search.constraints.macs_max,
                                        &search.constraints.memory_max};
    *own[limit] = 0;
    minimize(&search);
    bool complete = search.steps < PRICING_STEPS_MAX;
    if (!search.found)
        return complete ? PRICING_NONE : PRICING_UNKNOWN;
    *ret_cost = search.best;
    *ret_exact = complete;
    return 0;
}

struct cost pricing_nearest(const struct pricing *pricing, const struct constraints *constraints,
                            bool *ret_exact)
{
    struct minimization search = {.pricing = pricing, .multiples = constraints};
    minimize(&search);
    assert(search.found);
    *ret_exact = search.steps < PRICING_STEPS_MAX;
    return search.best;
}
