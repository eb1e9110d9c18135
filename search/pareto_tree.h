/* Non-dominated points in a k-d tree, for pareto.c only: insertions and dominance queries take a
 * few microseconds even where a hundred thousand points dominate none of each other.
 *
 * Keys are signed so that larger is better in every dimension; a dimension that a front does not use
 * is 0 everywhere. Inner nodes split space, leaves hold up to TREE_LEAF_POINTS points; both know a
 * bounding box, and a query opens only what can matter. */
#ifndef SEARCH_PARETO_TREE_H
#define SEARCH_PARETO_TREE_H

#include "search/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TREE_DIMENSIONS = 3, TREE_LEAF_POINTS = 64 };

struct tree_point {
    double key[TREE_DIMENSIONS];
    uint64_t candidate;
};

struct tree_leaf {
    double best[TREE_DIMENSIONS],
        worst[TREE_DIMENSIONS]; /* of the points; not set where count is 0 */
    struct tree_point *points;
    uint32_t count, capacity; /* above TREE_LEAF_POINTS only where all points are equal */
};

struct tree_node {
    double split; /* keys below it are in child 0, the others in child 1 */
    uint32_t dimension;
    int32_t children[2]; /* a node, or -1 - leaf */
    double best[TREE_DIMENSIONS],
        worst[TREE_DIMENSIONS]; /* hold all points below, and perhaps more:
                                                             they do not shrink when points go */
};

/* All zeros is an empty tree. */
struct tree {
    struct tree_leaf *leaves;
    struct tree_node *nodes;
    int32_t *stack; /* for walks through the tree: holds any of them */
    size_t leaf_count, leaf_capacity, node_count, node_capacity, stack_capacity;
    size_t empty_leaf_count;
    size_t point_count;
    size_t
        last_dominator; /* the leaf where the last dominating point was found: a good first guess */
    double best[TREE_DIMENSIONS], worst[TREE_DIMENSIONS]; /* of all points ever inserted */
};

void tree_release(struct tree *tree);

/* True where a point is at least as good everywhere and better somewhere. */
bool tree_dominates(struct tree *tree, const double key[TREE_DIMENSIONS]);

/* Inserts a point that nothing in the tree dominates, and removes what it dominates. -ENOMEM leaves
 * the points as they were. */
int tree_insert(struct tree *tree, const struct tree_point *point) MUST_USE;

#endif
