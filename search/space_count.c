/* Distinct architectures of a space.
 *
 * An architecture is the sequence of its blocks, and a space is a nondeterministic automaton that writes
 * such sequences: stage by stage it chooses an option and writes that option's blocks, nothing for an
 * identity. Several ways through it can write the same sequence, so the automaton is made deterministic
 * (subset construction), and each state counts the sequences that lead to it.
 *
 * A position of the automaton is (stages chosen so far, block kind being repeated, repetitions left), a
 * state is a set of positions. A position's age, stages x 128 + repetitions done, grows with every block
 * written, so the smallest age in a state grows too: states are processed in that order, and each has
 * its final count before its successors get theirs. */
#include "search/space.h"

#include "search/decimal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    COUNT_WORK_MAX = 1 << 22, /* moves looked at, under a second */
    COUNT_KINDS_MAX = ARCHITECTURE_STAGES_MAX * SPACE_OPTIONS_MAX,
    LEFT_BITS = 8,
    KIND_BITS = 18,
    STATES_CAPACITY_MIN = 64,
    AGE_MAX = (ARCHITECTURE_STAGES_MAX + 1) * ARCHITECTURE_LAYERS_MAX
};

_Static_assert(ARCHITECTURE_LAYERS_MAX < 1 << LEFT_BITS, "repetitions fit");
_Static_assert(COUNT_KINDS_MAX < 1 << KIND_BITS, "kinds fit");
_Static_assert(ARCHITECTURE_STAGES_MAX < 1 << (32 - LEFT_BITS - KIND_BITS), "stages fit");

/* One block that the automaton may write next, and where that leads. */
struct move {
    uint32_t symbol; /* kind x 2 + (stride - 1) */
    uint32_t target; /* position */
};

struct move_list {
    struct move *moves;
    size_t count, capacity;
};

/* An option without its stride and layers, numbered. */
struct kind {
    struct stage stage;
    uint32_t stage_index, option_index;
};

struct state {
    unsigned __int128 sequences;
    uint64_t hash;
    size_t first, count; /* positions, sorted */
    uint32_t next;       /* of the same age: state index + 1, 0 = last */
};

/* All states found so far. */
struct state_list {
    struct state *states;
    size_t state_count, state_capacity;
    uint32_t *positions;
    size_t position_count, position_capacity;
    uint32_t *slots; /* open addressing by hash: state index + 1, 0 = free */
    size_t slot_count;
    uint32_t by_age[AGE_MAX + 1]; /* state index + 1, 0 = none */
};

struct counter {
    const struct space *space;
    uint32_t *kinds[ARCHITECTURE_STAGES_MAX]; /* of each option; kinds[0] owns all */
    struct move_list moves;
    struct state_list found;
    size_t work;
};

static uint32_t position_of(uint32_t stage, uint32_t kind, uint32_t left)
{
    return stage << (LEFT_BITS + KIND_BITS) | (left > 0 ? kind << LEFT_BITS | left : 0);
}

static int grow(void **array, size_t *capacity, size_t wanted, size_t size)
{
    if (wanted <= *capacity)
        return 0;
    size_t grown = *capacity > 0 ? *capacity * 2 : STATES_CAPACITY_MIN;
    while (grown < wanted)
        grown *= 2;
    void *moved = realloc(*array, grown * size);
    if (!moved)
        return -ENOMEM;
    *array = moved;
    *capacity = grown;
    return 0;
}

static int kind_compare(const void *a_void, const void *b_void)
{
    const struct stage *a = &((const struct kind *)a_void)->stage;
    const struct stage *b = &((const struct kind *)b_void)->stage;
    return memcmp(a, b, sizeof *a);
}

/* Numbers the options so that two have the same number exactly when their repeated blocks are the same. */
static int number_kinds(struct counter *counter)
{
    const struct space *space = counter->space;
    size_t total = 0, used = 0;
    for (uint32_t i = 0; i < space_stage_count(space); i++)
        total += space_option_count(space, i);
    uint32_t *numbers = calloc(total, sizeof *numbers);
    struct kind *kinds = calloc(total, sizeof *kinds);
    if (!numbers || !kinds) {
        free(numbers);
        free(kinds);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < space_stage_count(space); i++) {
        counter->kinds[i] = numbers + used;
        for (uint32_t j = 0; j < space_option_count(space, i); j++) {
            struct architecture one = *space_ends(space);
            one.stages[0] = *space_option(space, i, j);
            one.stage_count = 1;
            architecture_canonicalize(&one);
            one.stages[0].layers = one.stages[0].stride = 0;
            kinds[used++] = (struct kind){one.stages[0], i, j};
        }
    }
    qsort(kinds, total, sizeof *kinds, kind_compare);
    uint32_t number = 0;
    for (size_t i = 0; i < total; i++) {
        if (i > 0 && kind_compare(&kinds[i - 1], &kinds[i]) != 0)
            number++;
        counter->kinds[kinds[i].stage_index][kinds[i].option_index] = number;
    }
    free(kinds);
    return 0;
}

static int add_move(struct counter *counter, uint32_t symbol, uint32_t target)
{
    struct move_list *list = &counter->moves;
    if (++counter->work > COUNT_WORK_MAX)
        return -E2BIG;
    int r = grow((void **)&list->moves, &list->capacity, list->count + 1, sizeof *list->moves);
    if (r < 0)
        return r;
    list->moves[list->count++] = (struct move){symbol, target};
    return 0;
}

/* Adds the moves of stage `stage`'s options. Returns 1 where one of them is an identity, so that the next stage's moves
 * are possible too. */
static int add_stage_moves(struct counter *counter, uint32_t stage)
{
    int has_identity = 0;
    for (uint32_t i = 0; i < space_option_count(counter->space, stage); i++) {
        const struct stage *option = space_option(counter->space, stage, i);
        if (option->block == BLOCK_IDENTITY) {
            has_identity = 1;
            continue;
        }
        uint32_t kind = counter->kinds[stage][i];
        int r = add_move(counter, kind * 2 + option->stride - 1,
                         position_of(stage + 1, kind, option->layers - 1));
        if (r < 0)
            return r;
    }
    return has_identity;
}

/* Collects the moves out of a position. Returns 1 where the sequence may end there. */
static int add_moves(struct counter *counter, uint32_t position)
{
    uint32_t left = position & ((1u << LEFT_BITS) - 1);
    uint32_t kind = position >> LEFT_BITS & ((1u << KIND_BITS) - 1);
    uint32_t stage = position >> (LEFT_BITS + KIND_BITS);
    if (left > 0)
        return add_move(counter, kind * 2, position_of(stage, kind, left - 1));
    for (; stage < space_stage_count(counter->space); stage++) {
        int r = add_stage_moves(counter, stage);
        if (r <= 0)
            return r;
    }
    return 1;
}

static uint64_t positions_hash(const uint32_t *positions, size_t count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ positions[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash;
}

static int states_rehash(struct state_list *list)
{
    size_t slot_count = list->slot_count > 0 ? list->slot_count * 2 : STATES_CAPACITY_MIN;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < list->state_count; i++) {
        size_t slot = list->states[i].hash & (slot_count - 1);
        while (slots[slot] != 0)
            slot = (slot + 1) & (slot_count - 1);
        slots[slot] = (uint32_t)i + 1;
    }
    free(list->slots);
    list->slots = slots;
    list->slot_count = slot_count;
    return 0;
}

static uint32_t state_age(const uint32_t *positions, size_t count)
{
    uint32_t youngest = AGE_MAX;
    for (size_t i = 0; i < count; i++) {
        uint32_t left = positions[i] & ((1u << LEFT_BITS) - 1);
        uint32_t stage = positions[i] >> (LEFT_BITS + KIND_BITS);
        uint32_t age = stage * ARCHITECTURE_LAYERS_MAX + ARCHITECTURE_LAYERS_MAX - left;
        if (age < youngest)
            youngest = age;
    }
    return youngest;
}

/* Adds `sequences` to the state whose positions are the last `count` of the list: a new state, or one that is there
 * already, in which case the positions are given back. */
static int add_state(struct state_list *list, size_t count, unsigned __int128 sequences)
{
    if (list->state_count * 2 >= list->slot_count) {
        int r = states_rehash(list);
        if (r < 0)
            return r;
    }
    size_t first = list->position_count - count;
    const uint32_t *positions = list->positions + first;
    uint64_t hash = positions_hash(positions, count);
    size_t slot = hash & (list->slot_count - 1);
    for (; list->slots[slot] != 0; slot = (slot + 1) & (list->slot_count - 1)) {
        struct state *state = &list->states[list->slots[slot] - 1];
        if (state->hash != hash || state->count != count ||
            memcmp(list->positions + state->first, positions, count * sizeof *positions) != 0)
            continue;
        state->sequences += sequences;
        list->position_count = first;
        return 0;
    }
    int r = grow((void **)&list->states, &list->state_capacity, list->state_count + 1,
                 sizeof *list->states);
    if (r < 0)
        return r;
    uint32_t *bucket = &list->by_age[state_age(positions, count)];
    list->states[list->state_count++] = (struct state){sequences, hash, first, count, *bucket};
    *bucket = list->slots[slot] = (uint32_t)list->state_count;
    return 0;
}

static int move_compare(const void *a_void, const void *b_void)
{
    const struct move *a = a_void, *b = b_void;
    if (a->symbol != b->symbol)
        return a->symbol < b->symbol ? -1 : 1;
    return (a->target > b->target) - (a->target < b->target);
}

/* Groups the collected moves by block: each group's targets are a state. */
static int add_successors(struct counter *counter, unsigned __int128 sequences)
{
    struct move_list *moves = &counter->moves;
    struct state_list *found = &counter->found;
    if (moves->count > 0)
        qsort(moves->moves, moves->count, sizeof *moves->moves, move_compare);
    for (size_t i = 0; i < moves->count;) {
        uint32_t symbol = moves->moves[i].symbol;
        size_t count = 0;
        int r = grow((void **)&found->positions, &found->position_capacity,
                     found->position_count + moves->count, sizeof *found->positions);
        if (r < 0)
            return r;
        for (; i < moves->count && moves->moves[i].symbol == symbol; i++) {
            uint32_t target = moves->moves[i].target;
            if (count > 0 && found->positions[found->position_count - 1] == target)
                continue;
            found->positions[found->position_count++] = target;
            count++;
        }
        r = add_state(found, count, sequences);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Writes one more block to the sequences of a state; adds to *total those that may end where they are. */
static int leave_state(struct counter *counter, size_t index, unsigned __int128 *total)
{
    struct state state = counter->found.states[index];
    bool may_end = false;
    counter->moves.count = 0;
    for (size_t i = 0; i < state.count; i++) {
        int r = add_moves(counter, counter->found.positions[state.first + i]);
        if (r < 0)
            return r;
        may_end = may_end || r > 0;
    }
    if (may_end)
        *total += state.sequences;
    return add_successors(counter, state.sequences);
}

static int count_sequences(struct counter *counter, unsigned __int128 *ret_total)
{
    unsigned __int128 total = 0;
    struct state_list *found = &counter->found;
    int r = number_kinds(counter);
    if (r == 0)
        r = grow((void **)&found->positions, &found->position_capacity, 1,
                 sizeof *found->positions);
    if (r < 0)
        return r;
    found->positions[found->position_count++] = position_of(0, 0, 0);
    r = add_state(found, 1, 1);
    for (size_t age = 0; age <= AGE_MAX; age++) {
        for (uint32_t i = found->by_age[age]; i != 0 && r == 0; i = found->states[i - 1].next)
            r = leave_state(counter, i - 1, &total);
    }
    if (r == 0)
        *ret_total = total;
    return r;
}

int space_count_architectures(const struct space *space, char ret_count[SPACE_COUNT_SIZE])
{
    struct counter counter = {.space = space};
    unsigned __int128 total = 0;
    int r = count_sequences(&counter, &total);
    free(counter.kinds[0]);
    free(counter.moves.moves);
    free(counter.found.states);
    free(counter.found.positions);
    free(counter.found.slots);
    if (r < 0)
        return r;
    decimal_format(total, ret_count);
    return 0;
}
