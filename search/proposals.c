#include "search/proposals.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNIFORM_DRAWS_MAX = 64,  /* rejected draws before drawing within the limits */
    COUNTED_DRAWS_MAX = 512, /* rejected draws of counted encodings before building some */
    BUILT_DRAWS_MAX = 64,    /* rejected built draws before enumerating */
    ENUMERABLE_COUNTED_MAX =
        1 << 16,              /* counted encodings of a space that is enumerated to its end */
    ENUMERABLE_MAX = 1 << 22, /* encodings of a space that is enumerated to its end */
    ENUMERATION_STEPS_MAX = 1 << 22, /* options looked at in one enumeration of a larger space */
    NEXT_STEPS_MAX = 1 << 12,        /* and from a given encoding on */
    SEEN_SIZE_MIN = 64,
    CAPACITY_MIN = 64
};

void proposals_init(struct proposals *proposals, const struct spec *spec)
{
    *proposals = (struct proposals){.spec = spec, .stage_count = space_stage_count(spec->space)};
    uint64_t encodings = 1;
    for (uint32_t i = 0; i < proposals->stage_count && encodings <= ENUMERABLE_MAX; i++)
        encodings *= space_option_count(spec->space, i);
    proposals->enumerable = encodings <= ENUMERABLE_MAX;
}

void proposals_release(struct proposals *proposals)
{
    free(proposals->choices);
    free(proposals->seen);
    feasible_free(proposals->feasible);
    *proposals = (struct proposals){.spec = NULL};
}

void proposals_get(const struct proposals *proposals, uint64_t k, struct encoding *ret_encoding)
{
    assert(k < proposals->count);
    *ret_encoding = (struct encoding){{0}};
    memcpy(ret_encoding->choices, proposals->choices + k * proposals->stage_count,
           proposals->stage_count * sizeof *proposals->choices);
}

static uint64_t encoding_hash(const struct proposals *proposals, const struct encoding *encoding)
{
    struct architecture architecture;
    space_architecture(proposals->spec->space, encoding, &architecture);
    uint64_t hash = architecture_hash(&architecture);
    return hash != 0 ? hash : 1;
}

/* The slot that holds `hash` or is free for it. */
static size_t seen_slot(const uint64_t *seen, size_t size, uint64_t hash)
{
    size_t slot = hash & (size - 1);
    while (seen[slot] != 0 && seen[slot] != hash)
        slot = (slot + 1) & (size - 1);
    return slot;
}

static int seen_grow(struct proposals *proposals)
{
    size_t size = proposals->seen_size > 0 ? proposals->seen_size * 2 : SEEN_SIZE_MIN;
    uint64_t *seen = calloc(size, sizeof *seen);
    if (!seen)
        return -ENOMEM;
    for (size_t i = 0; i < proposals->seen_size; i++) {
        uint64_t hash = proposals->seen[i];
        if (hash != 0)
            seen[seen_slot(seen, size, hash)] = hash;
    }
    free(proposals->seen);
    proposals->seen = seen;
    proposals->seen_size = size;
    return 0;
}

static int choices_grow(struct proposals *proposals)
{
    uint64_t capacity = proposals->capacity > 0 ? proposals->capacity * 2 : CAPACITY_MIN;
    uint16_t *choices =
        realloc(proposals->choices, capacity * proposals->stage_count * sizeof *choices);
    if (!choices)
        return -ENOMEM;
    proposals->choices = choices;
    proposals->capacity = capacity;
    return 0;
}

int proposals_add(struct proposals *proposals, const struct encoding *encoding)
{
    if (proposals->count * 2 >= proposals->seen_size && seen_grow(proposals) < 0)
        return -ENOMEM;
    if (proposals->count == proposals->capacity && choices_grow(proposals) < 0)
        return -ENOMEM;
    uint64_t hash = encoding_hash(proposals, encoding);
    proposals->seen[seen_slot(proposals->seen, proposals->seen_size, hash)] = hash;
    memcpy(proposals->choices + proposals->count * proposals->stage_count, encoding->choices,
           proposals->stage_count * sizeof *proposals->choices);
    proposals->count++;
    return 0;
}

static bool is_new(const struct proposals *proposals, const struct encoding *encoding)
{
    if (proposals->seen_size == 0)
        return true;
    uint64_t hash = encoding_hash(proposals, encoding);
    return proposals->seen[seen_slot(proposals->seen, proposals->seen_size, hash)] == 0;
}

bool proposals_allow(const struct proposals *proposals, const struct encoding *encoding)
{
    struct cost cost = pricing_cost(proposals->spec->pricing, encoding);
    return constraints_met(&proposals->spec->constraints, &cost) && is_new(proposals, encoding);
}

static void draw_uniform(const struct proposals *proposals, struct random_stream *random,
                         struct encoding *ret_encoding)
{
    *ret_encoding = (struct encoding){{0}};
    for (uint32_t i = 0; i < proposals->stage_count; i++)
        ret_encoding->choices[i] =
            (uint16_t)random_below(random, space_option_count(proposals->spec->space, i));
}

/* A random option after which the limits can still be met, one limit at a time. False where there is none. */
static bool draw_option(const struct proposals *proposals, struct random_stream *random,
                        const struct walk *walk, uint32_t *ret_option)
{
    const struct spec *spec = proposals->spec;
    uint32_t possible = 0;
    for (uint32_t i = 0; i < space_option_count(spec->space, walk->stage); i++) {
        if (!walk_may_choose(spec->pricing, walk, i, &spec->constraints))
            continue;
        possible++;
        if (random_below(random, possible) == 0)
            *ret_option = i;
    }
    return possible > 0;
}

/* Builds an encoding stage by stage out of options after which the limits can still be met: the wished ones where they are
 * and there is a wish, random ones otherwise. False where limits that can be met one by one cannot be met together on
 * this way. */
static bool draw_built(const struct proposals *proposals, struct random_stream *random,
                       const struct encoding *wish, struct encoding *ret_encoding)
{
    const struct spec *spec = proposals->spec;
    struct walk walk = walk_start(spec->pricing);
    *ret_encoding = (struct encoding){{0}};
    while (walk.stage < proposals->stage_count) {
        uint32_t option = wish ? wish->choices[walk.stage] : 0;
        bool as_wished = wish && walk_may_choose(spec->pricing, &walk, option, &spec->constraints);
        if (!as_wished && !draw_option(proposals, random, &walk, &option))
            return false;
        ret_encoding->choices[walk.stage] = (uint16_t)option;
        walk_choose(spec->pricing, &walk, option);
    }
    return true;
}

/* Counts what may meet the limits, unless that is done. What comes of it depends on the spec only. */
static int count_feasible(struct proposals *proposals)
{
    if (proposals->feasible)
        return 0;
    int r =
        feasible_new(proposals->spec->pricing, &proposals->spec->constraints, &proposals->feasible);
    if (r == 0 && feasible_count(proposals->feasible) <= ENUMERABLE_COUNTED_MAX)
        proposals->enumerable = true;
    return r;
}

/* An odometer over the encodings, last stage fastest, that passes over what cannot meet the limits. */
struct enumeration {
    const struct proposals *proposals;
    struct walk walks[ARCHITECTURE_STAGES_MAX + 1]; /* before each stage, along `encoding` */
    struct encoding encoding;
    uint32_t depth; /* stages of `encoding` that are chosen */
    size_t steps, steps_max;
};

static bool enumeration_may_choose(const struct enumeration *enumeration)
{
    const struct proposals *proposals = enumeration->proposals;
    const struct walk *walk = &enumeration->walks[enumeration->depth];
    uint32_t option = enumeration->encoding.choices[enumeration->depth];
    return proposals->feasible ? feasible_may_choose(proposals->feasible, walk, option)
                               : walk_may_choose(proposals->spec->pricing, walk, option,
                                                 &proposals->spec->constraints);
}

/* Completes the encoding with the first options that fit; moves on where there are none. False at the end of the space or
 * of the steps. */
static bool enumerate_to_feasible(struct enumeration *enumeration)
{
    const struct spec *spec = enumeration->proposals->spec;
    uint16_t *choices = enumeration->encoding.choices;
    while (enumeration->depth < enumeration->proposals->stage_count) {
        uint32_t depth = enumeration->depth;
        if (++enumeration->steps > enumeration->steps_max)
            return false;
        if (choices[depth] >= space_option_count(spec->space, depth)) {
            choices[depth] = 0;
            if (depth == 0)
                return false;
            choices[--enumeration->depth]++;
        } else if (enumeration_may_choose(enumeration)) {
            enumeration->walks[depth + 1] = enumeration->walks[depth];
            walk_choose(spec->pricing, &enumeration->walks[depth + 1], choices[depth]);
            enumeration->depth++;
        } else {
            choices[depth]++;
            memset(&choices[depth + 1], 0,
                   (enumeration->proposals->stage_count - depth - 1) * sizeof *choices);
        }
    }
    return true;
}

/* Finds the first allowed encoding. What is proposed once stays proposed, so an enumerable space is gone through once in
 * all, from first_untried on; a larger one from its start and for a limited number of steps each time. Either way the
 * answer depends on the set of proposals only, not on the enumerations before, and "none" stays true. */
static int enumerate(struct proposals *proposals, struct encoding *ret_encoding)
{
    if (proposals->all_tried)
        return PROPOSALS_NONE;
    int r = count_feasible(proposals);
    if (r < 0)
        return r;
    struct enumeration enumeration = {.proposals = proposals,
                                      .encoding = proposals->first_untried,
                                      .steps_max =
                                          proposals->enumerable ? SIZE_MAX : ENUMERATION_STEPS_MAX};
    enumeration.walks[0] = walk_start(proposals->spec->pricing);
    while (enumerate_to_feasible(&enumeration)) {
        if (is_new(proposals, &enumeration.encoding)) {
            *ret_encoding = enumeration.encoding;
            if (proposals->enumerable)
                proposals->first_untried = enumeration.encoding;
            return 0;
        }
        enumeration.encoding.choices[--enumeration.depth]++;
    }
    proposals->all_tried = true;
    return PROPOSALS_NONE;
}

int proposals_draw(struct proposals *proposals, struct random_stream *random,
                   struct encoding *ret_encoding)
{
    for (int i = 0; i < UNIFORM_DRAWS_MAX; i++) {
        draw_uniform(proposals, random, ret_encoding);
        if (proposals_allow(proposals, ret_encoding))
            return 0;
    }
    int r = count_feasible(proposals);
    if (r < 0)
        return r;
    for (int i = 0; i < COUNTED_DRAWS_MAX; i++) {
        if (feasible_draw(proposals->feasible, random, ret_encoding) &&
            is_new(proposals, ret_encoding))
            return 0;
    }
    for (int i = 0; i < BUILT_DRAWS_MAX; i++) {
        if (draw_built(proposals, random, NULL, ret_encoding) && is_new(proposals, ret_encoding))
            return 0;
    }
    return enumerate(proposals, ret_encoding);
}

int proposals_next(struct proposals *proposals, const struct encoding *from,
                   struct encoding *ret_encoding)
{
    struct enumeration enumeration = {
        .proposals = proposals, .encoding = *from, .steps_max = NEXT_STEPS_MAX};
    enumeration.walks[0] = walk_start(proposals->spec->pricing);
    while (enumerate_to_feasible(&enumeration)) {
        if (is_new(proposals, &enumeration.encoding)) {
            *ret_encoding = enumeration.encoding;
            return 0;
        }
        enumeration.encoding.choices[--enumeration.depth]++;
    }
    return enumerate(proposals, ret_encoding);
}

bool proposals_draw_near(const struct proposals *proposals, struct random_stream *random,
                         const struct encoding *wish, struct encoding *ret_encoding)
{
    return draw_built(proposals, random, wish, ret_encoding) && is_new(proposals, ret_encoding);
}
