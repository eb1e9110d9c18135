#include "search/pareto.h"

#include "search/pareto_tree.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A corner of the staircase that hypervolumes are swept with. */
struct stair {
    double y, z;
};

/* What is derived from the tree on demand. Its arrays always have room for the whole front, so
 * deriving cannot fail. */
struct view {
    bool sorted;
    size_t capacity;
    struct pareto_point *points;
    struct stair *stairs;
};

struct pareto {
    size_t objective_count;
    double signs[PARETO_OBJECTIVES_MAX];
    struct tree tree;
    struct view *view;
};

_Static_assert((int)PARETO_OBJECTIVES_MAX == (int)TREE_DIMENSIONS, "one tree dimension each");

static int objectives_check(const enum objective *objectives, size_t count)
{
    if (count < 1 || count > PARETO_OBJECTIVES_MAX)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        if ((size_t)objectives[i] >= OBJECTIVE_COUNT)
            return -EINVAL;
        for (size_t j = 0; j < i; j++) {
            if (objectives[i] == objectives[j])
                return -EINVAL;
        }
    }
    return 0;
}

int pareto_new(const enum objective *objectives, size_t objective_count, struct pareto **ret_pareto)
{
    int r = objectives_check(objectives, objective_count);
    if (r < 0)
        return r;
    struct pareto *pareto = calloc(1, sizeof *pareto);
    struct view *view = calloc(1, sizeof *view);
    if (!pareto || !view) {
        free(pareto);
        free(view);
        return -ENOMEM;
    }
    pareto->objective_count = objective_count;
    for (size_t i = 0; i < objective_count; i++)
        pareto->signs[i] = objective_sign(objectives[i]);
    pareto->view = view;
    *ret_pareto = pareto;
    return 0;
}

void pareto_free(struct pareto *pareto)
{
    if (!pareto)
        return;
    tree_release(&pareto->tree);
    free(pareto->view->points);
    free(pareto->view->stairs);
    free(pareto->view);
    free(pareto);
}

static int view_reserve(struct view *view, size_t count)
{
    if (count <= view->capacity)
        return 0;
    size_t capacity = view->capacity > 0 ? view->capacity * 2 : 64;
    struct pareto_point *points = realloc(view->points, capacity * sizeof *points);
    if (!points)
        return -ENOMEM;
    view->points = points;
    struct stair *stairs = realloc(view->stairs, capacity * sizeof *stairs);
    if (!stairs)
        return -ENOMEM;
    view->stairs = stairs;
    view->capacity = capacity;
    return 0;
}

int pareto_add(struct pareto *pareto, const struct pareto_point *point)
{
    struct tree_point inserted = {.candidate = point->candidate};
    for (size_t i = 0; i < pareto->objective_count; i++) {
        if (!isfinite(point->value[i]))
            return -EINVAL;
        inserted.key[i] = pareto->signs[i] * point->value[i];
    }
    if (tree_dominates(&pareto->tree, inserted.key))
        return PARETO_DOMINATED;
    int r = view_reserve(pareto->view, pareto->tree.point_count + 1);
    if (r == 0)
        r = tree_insert(&pareto->tree, &inserted);
    if (r < 0)
        return r;
    pareto->view->sorted = false;
    return PARETO_JOINED;
}

size_t pareto_count(const struct pareto *pareto)
{
    return pareto->tree.point_count;
}

/* Best first by the first objective, then by the others, then by candidate: the order does not
 * depend on the order of insertion. */
static int point_compare(const void *a_void, const void *b_void, void *pareto_void)
{
    const struct pareto_point *a = a_void, *b = b_void;
    const struct pareto *pareto = pareto_void;
    for (size_t i = 0; i < pareto->objective_count; i++) {
        double difference_sign = (a->value[i] < b->value[i]) - (a->value[i] > b->value[i]);
        if (difference_sign != 0)
            return difference_sign * pareto->signs[i] > 0 ? 1 : -1;
    }
    return (a->candidate > b->candidate) - (a->candidate < b->candidate);
}

const struct pareto_point *pareto_points(const struct pareto *pareto)
{
    struct view *view = pareto->view;
    if (view->sorted)
        return view->points;
    size_t used = 0;
    for (size_t i = 0; i < pareto->tree.leaf_count; i++) {
        const struct tree_leaf *leaf = &pareto->tree.leaves[i];
        for (uint32_t j = 0; j < leaf->count; j++) {
            struct pareto_point point = {.candidate = leaf->points[j].candidate};
            for (size_t k = 0; k < pareto->objective_count; k++)
                point.value[k] = pareto->signs[k] * leaf->points[j].key[k];
            view->points[used++] = point;
        }
    }
    assert(used == pareto->tree.point_count);
    if (used > 0)
        qsort_r(view->points, used, sizeof *view->points, point_compare, (void *)pareto);
    view->sorted = true;
    return view->points;
}

/* The first stair with y at or below `y`; stairs go down in y and up in z. */
static size_t stair_find(const struct stair *stairs, size_t count, double y)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (stairs[middle].y > y)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Adds a corner, in coordinates relative to the reference, and returns the area that it adds to
 * what the stairs cover. */
static double stair_add(struct stair *stairs, size_t *count, struct stair corner)
{
    size_t first = stair_find(stairs, *count, corner.y);
    double lower = first > 0 ? stairs[first - 1].z : 0;
    /* What covers the corner would dominate it, so it is an equal point, or one that rounding made equal. */
    if (lower >= corner.z)
        return 0;
    if (first < *count && stairs[first].y == corner.y && stairs[first].z >= corner.z)
        return 0;
    double gain = 0;
    size_t last = first;
    while (last < *count && stairs[last].z <= corner.z) {
        gain += (stairs[last].z - lower) * (corner.y - stairs[last].y);
        lower = stairs[last].z;
        last++;
    }
    gain += (corner.z - lower) * (corner.y - (last < *count ? stairs[last].y : 0));
    memmove(&stairs[first + 1], &stairs[last], (*count - last) * sizeof *stairs);
    stairs[first] = corner;
    *count = *count - (last - first) + 1;
    return gain;
}

double pareto_hypervolume(const struct pareto *pareto, const double *reference)
{
    const struct pareto_point *points = pareto_points(pareto);
    size_t count = pareto_count(pareto), stair_count = 0;
    double volume = 0, area = 0, x_before = 0;
    for (size_t i = 0; i < count; i++) {
        double relative[PARETO_OBJECTIVES_MAX] = {0, 1, 1};
        bool counts = true;
        for (size_t j = 0; j < pareto->objective_count; j++) {
            relative[j] = pareto->signs[j] * (points[i].value[j] - reference[j]);
            counts = counts && relative[j] > 0;
        }
        if (!counts)
            continue;
        /* Sweep along the first objective, best first: between two points the cross-section is
         * constant. */
        volume += area * (x_before - relative[0]);
        x_before = relative[0];
        area +=
            stair_add(pareto->view->stairs, &stair_count, (struct stair){relative[1], relative[2]});
    }
    return volume + area * x_before;
}
