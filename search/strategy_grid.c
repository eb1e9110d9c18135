/* All encodings in steps of one size: step k stands on encoding k x size modulo their number, in the order of encodings,
 * last stage fastest. The size shares no factor with the number, so that all are reached. A stage's option then moves
 * through the options by one fraction of them each step, and the size is chosen, among some, so that no stage's fraction
 * is near one with a small denominator: its multiples spread evenly over the options (Knuth, The Art of Computer
 * Programming 3, section 6.4, on the golden section). Where a step stands on what is not allowed, the next that is takes
 * its place. */
#include "search/strategy_kind.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { SIZES_TRIED = 1024, DENOMINATORS_MAX = 24 };

struct grid {
    unsigned __int128 encodings, step;
};

static unsigned __int128 common_factor(unsigned __int128 a, unsigned __int128 b)
{
    while (b != 0) {
        unsigned __int128 rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* How far the multiples of a fraction stay from whole numbers, against how many there are: 0 bad, below 0.5 good. */
static double fraction_spread(double fraction, uint32_t denominators)
{
    double least = 1;
    for (uint32_t multiple = 1; multiple <= denominators; multiple++) {
        double distance = fabs(multiple * fraction - round(multiple * fraction));
        least = fmin(least, multiple * distance);
    }
    return least;
}

/* The spread of the stage that spreads worst. */
static double step_spread(const struct space *space, unsigned __int128 step)
{
    double least = 1;
    unsigned __int128 period = 1; /* encodings after which the stage has gone through its options */
    for (uint32_t i = space_stage_count(space); i-- > 0;) {
        uint32_t options = space_option_count(space, i);
        period *= options;
        if (options == 1)
            continue;
        double fraction = (double)(step % period) / (double)period;
        uint32_t denominators = period > DENOMINATORS_MAX ? DENOMINATORS_MAX : (uint32_t)period - 1;
        least = fmin(least, fraction_spread(fraction, denominators));
    }
    return least;
}

static unsigned __int128 step_choose(const struct space *space, unsigned __int128 encodings)
{
    static const uint64_t golden = 618033989, scale = 1000000000;
    unsigned __int128 best = 1;
    double best_spread = -1;
    for (uint64_t i = 1; i <= SIZES_TRIED; i++) {
        uint64_t share = i * golden % scale;
        unsigned __int128 step = encodings / scale * share + encodings % scale * share / scale;
        while (common_factor(encodings, step) != 1)
            step++;
        double spread = step_spread(space, step);
        if (spread > best_spread) {
            best = step;
            best_spread = spread;
        }
    }
    return best % encodings;
}

static int grid_new(const struct spec *spec, void **ret_state)
{
    struct grid *grid = calloc(1, sizeof *grid);
    if (!grid)
        return -ENOMEM;
    grid->encodings = 1;
    for (uint32_t i = 0; i < space_stage_count(spec->space); i++)
        grid->encodings *= space_option_count(spec->space, i);
    grid->step = step_choose(spec->space, grid->encodings);
    *ret_state = grid;
    return 0;
}

/* a + b modulo the number of encodings, for a and b below it. */
static unsigned __int128 grid_sum(const struct grid *grid, unsigned __int128 a, unsigned __int128 b)
{
    unsigned __int128 room = grid->encodings - b;
    return a >= room ? a - room : a + b;
}

static unsigned __int128 grid_position(const struct grid *grid, uint64_t k)
{
    unsigned __int128 position = 0;
    for (unsigned __int128 step = grid->step; k > 0; k /= 2) {
        if (k % 2 == 1)
            position = grid_sum(grid, position, step);
        step = grid_sum(grid, step, step);
    }
    return position;
}

static int propose(struct strategy *strategy, uint64_t k, struct encoding *ret_encoding)
{
    const struct space *space = strategy->spec->space;
    unsigned __int128 position = grid_position(strategy->state, k);
    struct encoding from = {{0}};
    for (uint32_t i = space_stage_count(space); i-- > 0;) {
        uint32_t options = space_option_count(space, i);
        from.choices[i] = (uint16_t)(position % options);
        position /= options;
    }
    return proposals_next(&strategy->proposals, &from, ret_encoding);
}

const struct strategy_kind strategy_grid = {
    .name = "grid", .state_new = grid_new, .state_free = free, .propose = propose};
