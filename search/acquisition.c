#include "search/acquisition.h"

#include "search/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- warping ---- */

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double warp_raw(const struct warp *warp, double goodness)
{
    if (warp->is_log)
        return -log(fmax(-goodness, 1e-300));
    return -log1p(fmax(warp->top - goodness, 0) / warp->spread);
}

struct warp warp_of(const double *goodness, uint32_t count, bool is_log, double *scratch)
{
    struct warp warp = {.is_log = is_log, .spread = 1, .width = 1};
    double sum = 0, squares = 0;
    memcpy(scratch, goodness, count * sizeof *scratch);
    qsort(scratch, count, sizeof *scratch, compare_doubles);
    warp.top = scratch[count - 1];
    const double median = (scratch[(count - 1) / 2] + scratch[count / 2]) / 2;
    if (warp.top > median)
        warp.spread = warp.top - median;
    for (uint32_t i = 0; i < count; i++)
        sum += warp_raw(&warp, goodness[i]);
    warp.middle = sum / count;
    for (uint32_t i = 0; i < count; i++) {
        const double off = warp_raw(&warp, goodness[i]) - warp.middle;
        squares += off * off;
    }
    if (squares > 0)
        warp.width = sqrt(squares / count);
    return warp;
}

double warp_forward(const struct warp *warp, double goodness)
{
    return (warp_raw(warp, goodness) - warp->middle) / warp->width;
}

double warp_back(const struct warp *warp, double value)
{
    const double raw = value * warp->width + warp->middle;
    if (warp->is_log)
        return -exp(-raw);
    return warp->top - warp->spread * (exp(fmin(-raw, 50)) - 1);
}

/* ---- one goodness ---- */

static double normal_density(double z)
{
    return exp(-0.5 * z * z) * 0.3989422804014327;
}

static double normal_below(double z)
{
    return 0.5 * erfc(-z * 0.7071067811865476);
}

double improvement_expected(double mean, double deviation, double best)
{
    const double z = (mean - best) / deviation;
    return deviation * (z * normal_below(z) + normal_density(z));
}

/* ---- several ---- */

static int by_second(const void *a, const void *b)
{
    const double *x = a, *y = b;
    if (x[1] != y[1])
        return x[1] < y[1] ? 1 : -1;
    return (x[0] < y[0]) - (x[0] > y[0]);
}

static double cube(double value)
{
    return value * value * value;
}

/* How far a point reaches along a direction. A hypervolume is an average of the cubes of how far its points do. */
static double reach(const struct front *front, const double *goodness, uint32_t direction)
{
    double least = INFINITY;
    for (uint32_t k = 0; k < front->objectives; k++)
        least = fmin(least, (goodness[k] - front->reference[k]) * front->inverse[k][direction]);
    return fmax(least, 0);
}

static void directions_draw(struct front *front, uint64_t seed)
{
    struct random_stream random = random_stream_of(seed, 0, RANDOM_DIRECTION);
    for (uint32_t d = 0; d < ACQUISITION_DIRECTIONS; d++) {
        double direction[GOODNESS_MAX], squares = 0;
        for (uint32_t k = 0; k < front->objectives; k++) {
            direction[k] = fabs(random_normal(&random)) + 1e-6;
            squares += direction[k] * direction[k];
        }
        for (uint32_t k = 0; k < front->objectives; k++)
            front->inverse[k][d] = sqrt(squares) / (front->range[k] * direction[k]);
        double furthest = 0;
        for (uint32_t i = 0; i < front->count; i++)
            furthest = fmax(furthest, reach(front, front->points[i], d));
        front->reached[d] = cube(furthest);
    }
}

static bool is_above(const double *point, const double *reference, uint32_t objectives)
{
    bool above = true;
    for (uint32_t k = 0; k < objectives; k++)
        above = above && point[k] > reference[k];
    return above;
}

void front_init(struct front *front, const double (*points)[GOODNESS_MAX], uint32_t count,
                const double *reference, uint32_t objectives, uint64_t seed)
{
    const uint32_t step = (count + ACQUISITION_FRONT_MAX - 1) / ACQUISITION_FRONT_MAX;
    front->objectives = objectives;
    front->count = 0;
    for (uint32_t k = 0; k < objectives; k++) {
        front->reference[k] = reference[k];
        front->range[k] = 0;
    }
    for (uint32_t i = 0; i < count; i += step) {
        if (!is_above(points[i], reference, objectives))
            continue;
        memcpy(front->points[front->count++], points[i], sizeof points[i]);
        for (uint32_t k = 0; k < objectives; k++)
            front->range[k] = fmax(front->range[k], points[i][k] - reference[k]);
    }
    for (uint32_t k = 0; k < objectives; k++)
        if (!(front->range[k] > 0))
            front->range[k] = 1;
    qsort(front->points, front->count, sizeof front->points[0], by_second);
    if (objectives > 2)
        directions_draw(front, seed);
}

enum { NODES = 9, FEW_NODES = 5 };

/* Gauss-Hermite for the standard normal. */
static const double nodes[NODES][2] = {{-4.512745863399783, 2.2345844007746584e-05},
                                       {-3.20542900285647, 0.0027891413212317694},
                                       {-2.0768479786778302, 0.04991640676521782},
                                       {-1.0232556637891326, 0.2440975028949394},
                                       {0, 0.40634920634920635},
                                       {1.0232556637891326, 0.2440975028949394},
                                       {2.0768479786778302, 0.04991640676521782},
                                       {3.20542900285647, 0.0027891413212317694},
                                       {4.512745863399783, 2.2345844007746584e-05}};
static const double few_nodes[FEW_NODES][2] = {{-2.8569700138728056, 0.011257411327720691},
                                               {-1.355626179974266, 0.22207592200561266},
                                               {0, 0.5333333333333333},
                                               {1.355626179974266, 0.22207592200561266},
                                               {2.8569700138728056, 0.011257411327720691}};

/* What a point adds to the area: the strips of the staircase that it reaches above. */
static double area_gained(const struct front *front, double first, double second)
{
    double level = front->reference[0], low = second, sum = 0;
    if (second <= front->reference[1])
        return 0;
    for (uint32_t i = 0; i < front->count && first > level; i++) {
        const double *point = front->points[i];
        if (point[1] < low) {
            sum += (low - point[1]) * (first - level);
            low = point[1];
        }
        level = fmax(level, point[0]);
    }
    if (first > level)
        sum += (low - front->reference[1]) * (first - level);
    return sum / (front->range[0] * front->range[1]);
}

static double goodness_at(const struct warp *warp, const struct outlook *outlook, uint32_t k,
                          double z)
{
    if (outlook->deviation[k] <= 0)
        return outlook->mean[k];
    return warp_back(warp + k, outlook->mean[k] + outlook->deviation[k] * z);
}

static double two_improvement(const struct front *front, const struct warp *warps,
                              const struct outlook *outlook)
{
    const bool exact = outlook->deviation[1] <= 0;
    double sum = 0;
    for (int j = 0; j < (exact ? 1 : FEW_NODES); j++) {
        const double second = goodness_at(warps, outlook, 1, exact ? 0 : few_nodes[j][0]);
        double along = 0;
        for (int i = 0; i < NODES; i++)
            along += nodes[i][1] *
                     area_gained(front, goodness_at(warps, outlook, 0, nodes[i][0]), second);
        sum += along * (exact ? 1 : few_nodes[j][1]);
    }
    return sum;
}

/* The mean over the directions of what a point adds: its first goodness gives `first`, the others reach as far as `others`
 * along each direction. 0.5236 is the volume of an octant of the unit ball. */
static double three_gain(const struct front *front, double first, const double *others)
{
    double sum = 0;
    for (uint32_t d = 0; d < ACQUISITION_DIRECTIONS; d++) {
        const double along = first * front->inverse[0][d];
        const double far = along < others[d] ? along : others[d];
        const double gain = far * far * far - front->reached[d];
        sum += gain > 0 ? gain : 0;
    }
    return sum * (0.5235987755982988 / ACQUISITION_DIRECTIONS);
}

static double three_improvement(const struct front *front, const struct warp *warps,
                                const struct outlook *outlook)
{
    const bool exact = outlook->deviation[1] <= 0;
    double sum = 0;
    for (int j = 0; j < (exact ? 1 : FEW_NODES); j++) {
        const double z = exact ? 0 : few_nodes[j][0];
        const double second = goodness_at(warps, outlook, 1, z) - front->reference[1];
        const double third = goodness_at(warps, outlook, 2, z) - front->reference[2];
        double others[ACQUISITION_DIRECTIONS];
        for (uint32_t d = 0; d < ACQUISITION_DIRECTIONS; d++) {
            const double a = second * front->inverse[1][d], b = third * front->inverse[2][d];
            others[d] = a < b ? a : b;
        }
        for (int i = 0; i < FEW_NODES; i++) {
            const double first = goodness_at(warps, outlook, 0, few_nodes[i][0]);
            sum += (exact ? 1 : few_nodes[j][1]) * few_nodes[i][1] *
                   three_gain(front, first - front->reference[0], others);
        }
    }
    return sum;
}

double front_improvement(const struct front *front, const struct warp *warps,
                         const struct outlook *outlook)
{
    return front->objectives == 2 ? two_improvement(front, warps, outlook)
                                  : three_improvement(front, warps, outlook);
}
