/* What every strategy keeps: which encodings were proposed, and ways to draw one that is feasible and new. Used by the
 * strategies only. */
#ifndef SEARCH_PROPOSALS_H
#define SEARCH_PROPOSALS_H

#include "search/feasible.h"
#include "search/random.h"
#include "search/spec.h"

struct proposals {
    const struct spec *spec;
    uint32_t stage_count;
    uint16_t *choices; /* stage_count of them a proposal, in order */
    uint64_t count, capacity;
    uint64_t *seen; /* set of architecture hashes, open addressing; 0 = free */
    size_t seen_size;
    bool
        enumerable; /* few enough to go through: all encodings, or those that may meet the limits */
    struct feasible *feasible; /* those that may meet the limits, counted once it is needed */
    /* All encodings before it, in the order of their choices, are infeasible or proposed; it only moves on. Stays at the
     * start where the space is not enumerable. */
    struct encoding first_untried;
    bool all_tried;
};

void proposals_init(struct proposals *proposals, const struct spec *spec);
void proposals_release(struct proposals *proposals);

/* Proposal k, which is below the count. */
void proposals_get(const struct proposals *proposals, uint64_t k, struct encoding *ret_encoding);

/* Records the next proposal. -ENOMEM changes nothing. */
int proposals_add(struct proposals *proposals, const struct encoding *encoding) MUST_USE;

/* True where the encoding meets the limits and its architecture was not proposed. */
bool proposals_allow(const struct proposals *proposals, const struct encoding *encoding);

enum { PROPOSALS_NONE = 1 };
/* Draws an encoding that is allowed, uniformly: out of all encodings where that soon finds one, otherwise out of those that
 * may meet the limits (search/feasible.h). Only where some hundred of those do not find one, because almost all are
 * proposed or several limits exclude each other too finely, is it built stage by stage, which is not uniform, or the
 * first in the order of encodings. 0, PROPOSALS_NONE, -ENOMEM, which changes nothing. */
int proposals_draw(struct proposals *proposals, struct random_stream *random,
                   struct encoding *ret_encoding) MUST_USE;

/* The first allowed encoding from `from` on, in the order of encodings; the first of all where there is none, or none
 * within some thousand steps. 0, PROPOSALS_NONE, -ENOMEM, which changes nothing. */
int proposals_next(struct proposals *proposals, const struct encoding *from,
                   struct encoding *ret_encoding) MUST_USE;

/* `wish` with every option replaced by a random one after which the limits cannot be met. False where that gives nothing
 * that is allowed. */
bool proposals_draw_near(const struct proposals *proposals, struct random_stream *random,
                         const struct encoding *wish, struct encoding *ret_encoding);

#endif
