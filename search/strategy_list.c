#include "search/strategy_kind.h"

#include <errno.h>
#include <stdlib.h>

/* All that stand before `next` were proposed, so it only moves on. */
struct list {
    uint32_t next;
};

static int list_new(const struct spec *spec, void **ret_state)
{
    (void)spec;
    struct list *list = calloc(1, sizeof *list);
    if (!list)
        return -ENOMEM;
    *ret_state = list;
    return 0;
}

static int propose(struct strategy *strategy, uint64_t k, struct encoding *ret_encoding)
{
    (void)k;
    const struct strategy_options *options = &strategy->spec->strategy;
    struct list *list = strategy->state;
    for (; list->next < options->architecture_count; list->next++) {
        const struct encoding *encoding = &options->architectures[list->next];
        if (proposals_allow(&strategy->proposals, encoding)) {
            *ret_encoding = *encoding;
            return 0;
        }
    }
    return PROPOSALS_NONE;
}

const struct strategy_kind strategy_list = {
    .name = "list", .state_new = list_new, .state_free = free, .propose = propose};
