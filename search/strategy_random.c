#include "search/strategy_kind.h"

static int propose(struct strategy *strategy, uint64_t k, struct encoding *ret_encoding)
{
    struct random_stream random = random_stream_of(strategy->spec->seed, k, RANDOM_PROPOSAL);
    return proposals_draw(&strategy->proposals, &random, ret_encoding);
}

const struct strategy_kind strategy_random = {.name = "random", .propose = propose};
