#include "search/climb.h"

#include <math.h>

double climb_value(struct climb *climb, const struct encoding *encoding)
{
    struct architecture architecture;
    if (!proposals_allow(climb->proposals, encoding))
        return -INFINITY;
    space_architecture(climb->proposals->spec->space, encoding, &architecture);
    const uint64_t hash = architecture_hash(&architecture) | 1;
    size_t slot = (hash >> 1) & (CLIMB_MEMO_SIZE - 1);
    while (climb->hashes[slot] != 0 && climb->hashes[slot] != hash)
        slot = (slot + 1) & (CLIMB_MEMO_SIZE - 1);
    if (climb->hashes[slot] == hash)
        return climb->values[slot];
    if (climb->evaluations_left == 0)
        return -INFINITY;
    climb->evaluations_left--;
    climb->hashes[slot] = hash;
    climb->values[slot] = climb->value(climb->context, encoding);
    return climb->values[slot];
}

static uint32_t neighbour_count(const struct climb *climb)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < climb->proposals->stage_count; i++)
        count += space_option_count(climb->proposals->spec->space, i) - 1;
    return count;
}

/* Turns an encoding into one of its neighbours; index is below neighbour_count. */
static void neighbour_take(const struct climb *climb, uint32_t index, struct encoding *encoding)
{
    for (uint32_t i = 0; i < climb->proposals->stage_count; i++) {
        const uint32_t others = space_option_count(climb->proposals->spec->space, i) - 1;
        if (index < others) {
            encoding->choices[i] = (uint16_t)(index + (index >= encoding->choices[i]));
            return;
        }
        index -= others;
    }
}

/* False where no neighbour is better. */
static bool move(struct climb *climb, struct climb_place *place)
{
    const struct encoding from = place->encoding;
    const uint32_t all = neighbour_count(climb);
    const uint32_t looked_at = all < CLIMB_NEIGHBOURS_MAX ? all : CLIMB_NEIGHBOURS_MAX;
    bool moved = false;
    for (uint32_t i = 0; i < looked_at; i++) {
        struct encoding encoding = from;
        const uint32_t index = all > looked_at ? (uint32_t)random_below(climb->random, all) : i;
        neighbour_take(climb, index, &encoding);
        const double value = climb_value(climb, &encoding);
        if (!(value > place->value))
            continue;
        *place = (struct climb_place){value, encoding};
        moved = true;
    }
    return moved;
}

void climb_from(struct climb *climb, struct climb_place *place)
{
    while (move(climb, place) && climb->evaluations_left > 0)
        continue;
}
