#include "search/feasible.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Bins of each limit; those that are not limited have one. */
struct bins {
    uint32_t of[LIMIT_COUNT];
};

struct feasible {
    const struct pricing *pricing;
    struct constraints constraints;
    uint32_t stage_count;
    bool none;                    /* a limit is below the least of its figure */
    uint64_t widths[LIMIT_COUNT]; /* of a bin; 0 = not limited */
    struct bins all;              /* how many there are */
    size_t cells;                 /* their product */
    /* (places, bins of the first limit, of the second, of the third): ways to choose the stages from a place on that take
     * at most so many bins of each */
    double *counts;
};

static uint32_t bins_of(uint64_t figure, uint64_t width)
{
    return width == 0 ? 0 : (uint32_t)(figure / width);
}

static size_t cell_of(const struct feasible *feasible, const struct bins *bins)
{
    return ((size_t)bins->of[0] * feasible->all.of[1] + bins->of[1]) * feasible->all.of[2] +
           bins->of[2];
}

/* What an option at a place has over the least from there on, in bins. False where that is more than `left`. */
static bool share_of(const struct feasible *feasible, size_t place, const struct offer *offer,
                     const struct bins *left, struct bins *ret_share)
{
    struct cost whole = cost_add(&offer->cost, pricing_least(feasible->pricing, offer->next), 1);
    const struct cost *least = pricing_least(feasible->pricing, place);
    for (int i = 0; i < LIMIT_COUNT; i++) {
        ret_share->of[i] = 0;
        if (feasible->widths[i] == 0)
            continue;
        uint64_t over = limit_of_cost(&whole, (enum limit)i) - limit_of_cost(least, (enum limit)i);
        if (over / feasible->widths[i] > left->of[i])
            return false;
        ret_share->of[i] = bins_of(over, feasible->widths[i]);
    }
    return true;
}

/* Bins for each limited figure, as wide as what the limit leaves over the least asks for. */
static void choose_bins(struct feasible *feasible, size_t offers)
{
    struct cost least = pricing_minimum(feasible->pricing);
    uint32_t limited = 0;
    for (int i = 0; i < LIMIT_COUNT; i++)
        limited += limit_value(&feasible->constraints, (enum limit)i) != 0;
    size_t cells = FEASIBLE_ADDITIONS_MAX / (offers + 1);
    cells = cells < FEASIBLE_BINS_MAX ? cells : FEASIBLE_BINS_MAX;
    size_t places = pricing_first_place(feasible->pricing, feasible->stage_count + 1);
    cells = cells < FEASIBLE_CELLS_MAX / places ? cells : FEASIBLE_CELLS_MAX / places;
    uint64_t bins = 1;
    while (limited > 0 && pow((double)bins + 1, limited) <= (double)cells)
        bins++;
    feasible->cells = 1;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        uint64_t limit = limit_value(&feasible->constraints, (enum limit)i);
        uint64_t reached = limit_of_cost(&least, (enum limit)i);
        feasible->all.of[i] = 1;
        if (limit == 0)
            continue;
        feasible->none = feasible->none || limit < reached;
        uint64_t over = limit < reached ? 0 : limit - reached;
        feasible->widths[i] = over / bins + 1;
        feasible->all.of[i] = bins_of(over, feasible->widths[i]) + 1;
        feasible->cells *= feasible->all.of[i];
    }
}

/* Adds, for every number of bins left from `share` on, the ways from `next` on with `share` bins fewer. */
static void add_ways(const struct feasible *feasible, const struct bins *share,
                     const double *next /* (cells) */, double *counts /* (cells) */)
{
    const struct bins *all = &feasible->all;
    uint32_t run = all->of[2] - share->of[2];
    struct bins left = *share;
    for (; left.of[0] < all->of[0]; left.of[0]++) {
        for (left.of[1] = share->of[1]; left.of[1] < all->of[1]; left.of[1]++) {
            struct bins rest = {{left.of[0] - share->of[0], left.of[1] - share->of[1], 0}};
            const double *from = next + cell_of(feasible, &rest);
            double *to = counts + cell_of(feasible, &left);
            for (uint32_t i = 0; i < run; i++)
                to[i] += from[i];
        }
    }
}

static void count_stage(struct feasible *feasible, uint32_t stage)
{
    const struct pricing *pricing = feasible->pricing;
    uint32_t options = space_option_count(pricing_space(pricing), stage);
    struct bins most;
    for (int i = 0; i < LIMIT_COUNT; i++)
        most.of[i] = feasible->all.of[i] - 1;
    size_t end = pricing_first_place(pricing, stage + 1);
    for (size_t place = pricing_first_place(pricing, stage); place < end; place++) {
        for (uint32_t j = 0; j < options; j++) {
            const struct offer *offer = pricing_offer(pricing, place, j);
            struct bins share;
            if (share_of(feasible, place, offer, &most, &share))
                add_ways(feasible, &share, feasible->counts + offer->next * feasible->cells,
                         feasible->counts + place * feasible->cells);
        }
    }
}

int feasible_new(const struct pricing *pricing, const struct constraints *constraints,
                 struct feasible **ret_feasible)
{
    struct feasible *feasible = calloc(1, sizeof *feasible);
    if (!feasible)
        return -ENOMEM;
    feasible->pricing = pricing;
    feasible->constraints = *constraints;
    feasible->stage_count = space_stage_count(pricing_space(pricing));
    size_t offers = 0;
    for (uint32_t i = 0; i < feasible->stage_count; i++)
        offers += (pricing_first_place(pricing, i + 1) - pricing_first_place(pricing, i)) *
                  space_option_count(pricing_space(pricing), i);
    choose_bins(feasible, offers);
    size_t end = pricing_first_place(pricing, feasible->stage_count + 1);
    feasible->counts = calloc(end * feasible->cells, sizeof *feasible->counts);
    if (!feasible->counts) {
        free(feasible);
        return -ENOMEM;
    }
    size_t last = pricing_first_place(pricing, feasible->stage_count);
    for (size_t i = last * feasible->cells; i < end * feasible->cells; i++)
        feasible->counts[i] = 1;
    for (uint32_t stage = feasible->stage_count; stage-- > 0;)
        count_stage(feasible, stage);
    *ret_feasible = feasible;
    return 0;
}

void feasible_free(struct feasible *feasible)
{
    if (!feasible)
        return;
    free(feasible->counts);
    free(feasible);
}

/* In how many ways it goes on after `option` at `place` with so many bins left; the bins left then. */
static double ways_after(const struct feasible *feasible, size_t place, uint32_t option,
                         const struct bins *left, struct bins *ret_left)
{
    const struct offer *offer = pricing_offer(feasible->pricing, place, option);
    struct bins share;
    if (!share_of(feasible, place, offer, left, &share))
        return 0;
    for (int i = 0; i < LIMIT_COUNT; i++)
        ret_left->of[i] = left->of[i] - share.of[i];
    return feasible->counts[offer->next * feasible->cells + cell_of(feasible, ret_left)];
}

double feasible_count(const struct feasible *feasible)
{
    return feasible->none ? 0 : feasible->counts[feasible->cells - 1];
}

/* The option that `ways` of the ways from here lie before; the last possible one where rounding left none. */
static uint32_t option_at(const struct feasible *feasible, const struct walk *walk, double ways,
                          struct bins *left)
{
    uint32_t chosen = 0;
    struct bins chosen_left = *left;
    uint32_t options = space_option_count(pricing_space(feasible->pricing), walk->stage);
    for (uint32_t i = 0; i < options && ways >= 0; i++) {
        struct bins after;
        double count = ways_after(feasible, walk->place, i, left, &after);
        if (count == 0)
            continue;
        chosen = i;
        chosen_left = after;
        ways -= count;
    }
    *left = chosen_left;
    return chosen;
}

bool feasible_draw(const struct feasible *feasible, struct random_stream *random,
                   struct encoding *ret_encoding)
{
    if (feasible_count(feasible) == 0)
        return false;
    struct walk walk = walk_start(feasible->pricing);
    struct bins left;
    for (int i = 0; i < LIMIT_COUNT; i++)
        left.of[i] = feasible->all.of[i] - 1;
    *ret_encoding = (struct encoding){{0}};
    while (walk.stage < feasible->stage_count) {
        double ways = feasible->counts[walk.place * feasible->cells + cell_of(feasible, &left)];
        uint32_t option = option_at(feasible, &walk, random_unit(random) * ways, &left);
        ret_encoding->choices[walk.stage] = (uint16_t)option;
        walk_choose(feasible->pricing, &walk, option);
    }
    struct cost cost = walk_total(feasible->pricing, &walk);
    return constraints_met(&feasible->constraints, &cost);
}

bool feasible_may_choose(const struct feasible *feasible, const struct walk *walk, uint32_t option)
{
    const struct pricing *pricing = feasible->pricing;
    if (feasible->none || !walk_may_choose(pricing, walk, option, &feasible->constraints))
        return false;
    struct walk after = *walk;
    walk_choose(pricing, &after, option);
    struct cost least = cost_add(&after.spent, pricing_least(pricing, after.place), 1);
    struct bins left = {{0}};
    for (int i = 0; i < LIMIT_COUNT; i++) {
        uint64_t limit = limit_value(&feasible->constraints, (enum limit)i);
        if (limit != 0)
            left.of[i] = bins_of(limit - limit_of_cost(&least, (enum limit)i), feasible->widths[i]);
    }
    return feasible->counts[after.place * feasible->cells + cell_of(feasible, &left)] > 0;
}
