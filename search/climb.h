/* Looks for the encoding of the largest value among those that may be proposed, by going from neighbour to neighbour; a
 * neighbour differs in one stage. Used by strategies. */
#ifndef SEARCH_CLIMB_H
#define SEARCH_CLIMB_H

#include "search/proposals.h"

enum { CLIMB_MEMO_SIZE = 2048, CLIMB_NEIGHBOURS_MAX = 48 };

struct climb {
    const struct proposals *proposals;
    struct random_stream
        *random; /* draws neighbours where there are more than CLIMB_NEIGHBOURS_MAX */
    double (*value)(void *context, const struct encoding *encoding);
    void *context;
    uint32_t evaluations_left; /* of `value`; at most CLIMB_MEMO_SIZE / 2 */
    /* The values of architectures that were looked at, by hash; 0 = free. */
    uint64_t hashes[CLIMB_MEMO_SIZE];
    double values[CLIMB_MEMO_SIZE];
};

/* A place with its value; -INFINITY where it may not be proposed. */
struct climb_place {
    double value;
    struct encoding encoding;
};

/* The value of an encoding: from memory, or by climb.value. -INFINITY where it may not be proposed or no evaluation is
 * left. */
double climb_value(struct climb *climb, const struct encoding *encoding);
/* Moves to the best neighbour until none is better or no evaluation is left. */
void climb_from(struct climb *climb, struct climb_place *place);

#endif
