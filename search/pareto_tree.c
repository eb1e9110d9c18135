#include "search/pareto_tree.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Empty leaves that are worth a rebuild. */
enum { TREE_EMPTY_LEAVES_MIN = 64, TREE_CAPACITY_MIN = 16 };

static bool at_least(const double a[TREE_DIMENSIONS], const double b[TREE_DIMENSIONS])
{
    return a[0] >= b[0] && a[1] >= b[1] && a[2] >= b[2];
}

static bool equal(const double a[TREE_DIMENSIONS], const double b[TREE_DIMENSIONS])
{
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

static bool dominates(const double a[TREE_DIMENSIONS], const double b[TREE_DIMENSIONS])
{
    return at_least(a, b) && !equal(a, b);
}

static void box_extend(double best[TREE_DIMENSIONS], double worst[TREE_DIMENSIONS],
                       const double key[TREE_DIMENSIONS])
{
    for (size_t d = 0; d < TREE_DIMENSIONS; d++) {
        if (key[d] > best[d])
            best[d] = key[d];
        if (key[d] < worst[d])
            worst[d] = key[d];
    }
}

static void leaf_measure(struct tree_leaf *leaf)
{
    if (leaf->count == 0)
        return;
    memcpy(leaf->best, leaf->points[0].key, sizeof leaf->best);
    memcpy(leaf->worst, leaf->points[0].key, sizeof leaf->worst);
    for (uint32_t i = 1; i < leaf->count; i++)
        box_extend(leaf->best, leaf->worst, leaf->points[i].key);
}

void tree_release(struct tree *tree)
{
    for (size_t i = 0; i < tree->leaf_count; i++)
        free(tree->leaves[i].points);
    free(tree->leaves);
    free(tree->nodes);
    free(tree->stack);
    *tree = (struct tree){0};
}

static bool leaf_dominates(const struct tree_leaf *leaf, const double key[TREE_DIMENSIONS])
{
    if (leaf->count == 0 || !at_least(leaf->best, key))
        return false;
    if (dominates(leaf->worst, key))
        return true;
    if (equal(leaf->best, leaf->worst))
        return false;
    for (uint32_t i = 0; i < leaf->count; i++) {
        if (dominates(leaf->points[i].key, key))
            return true;
    }
    return false;
}

/* The child code of the root: node 0, or the only leaf. */
static int32_t tree_root(const struct tree *tree)
{
    return tree->node_count > 0 ? 0 : -1;
}

bool tree_dominates(struct tree *tree, const double key[TREE_DIMENSIONS])
{
    if (tree->leaf_count == 0)
        return false;
    if (leaf_dominates(&tree->leaves[tree->last_dominator], key))
        return true;
    size_t depth = 0;
    for (int32_t child = tree_root(tree);; child = tree->stack[--depth]) {
        if (child < 0) {
            if (leaf_dominates(&tree->leaves[-1 - child], key)) {
                tree->last_dominator = (size_t)(-1 - child);
                return true;
            }
        } else if (at_least(tree->nodes[child].best, key)) {
            /* The better half is looked at first. */
            tree->stack[depth++] = tree->nodes[child].children[0];
            tree->stack[depth++] = tree->nodes[child].children[1];
        }
        if (depth == 0)
            return false;
    }
}

static void leaf_remove_dominated(struct tree *tree, struct tree_leaf *leaf,
                                  const double key[TREE_DIMENSIONS])
{
    uint32_t kept = 0;
    if (!dominates(key, leaf->best)) {
        for (uint32_t i = 0; i < leaf->count; i++) {
            if (!dominates(key, leaf->points[i].key))
                leaf->points[kept++] = leaf->points[i];
        }
    }
    if (kept == leaf->count)
        return;
    tree->point_count -= leaf->count - kept;
    leaf->count = kept;
    leaf_measure(leaf);
    tree->empty_leaf_count += kept == 0;
}

static void tree_remove_dominated(struct tree *tree, const double key[TREE_DIMENSIONS])
{
    size_t depth = 0;
    for (int32_t child = tree_root(tree);; child = tree->stack[--depth]) {
        if (child < 0) {
            struct tree_leaf *leaf = &tree->leaves[-1 - child];
            if (leaf->count > 0 && dominates(key, leaf->worst))
                leaf_remove_dominated(tree, leaf, key);
        } else if (dominates(key, tree->nodes[child].worst)) {
            tree->stack[depth++] = tree->nodes[child].children[0];
            tree->stack[depth++] = tree->nodes[child].children[1];
        }
        if (depth == 0)
            return;
    }
}

/* Doubles an array's capacity where it is full. */
static int reserve_one(void **array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return 0;
    size_t wanted = *capacity > 0 ? *capacity * 2 : TREE_CAPACITY_MIN;
    void *grown = realloc(*array, wanted * size);
    if (!grown)
        return -ENOMEM;
    *array = grown;
    *capacity = wanted;
    return 0;
}

static int tree_add_leaf(struct tree *tree)
{
    int r = reserve_one((void **)&tree->leaves, &tree->leaf_capacity, tree->leaf_count,
                        sizeof *tree->leaves);
    if (r < 0)
        return r;
    struct tree_point *points = malloc(TREE_LEAF_POINTS * sizeof *points);
    if (!points)
        return -ENOMEM;
    tree->leaves[tree->leaf_count++] =
        (struct tree_leaf){.points = points, .capacity = TREE_LEAF_POINTS};
    tree->empty_leaf_count++;
    return 0;
}

/* The child slot that leads to the leaf in which `key` belongs; NULL where the only leaf is the
 * root. */
static int32_t *tree_descend(struct tree *tree, const double key[TREE_DIMENSIONS])
{
    if (tree->node_count == 0)
        return NULL;
    int32_t index = 0;
    for (;;) {
        struct tree_node *node = &tree->nodes[index];
        int32_t *child = &node->children[key[node->dimension] >= node->split];
        if (*child < 0)
            return child;
        index = *child;
    }
}

/* Chooses the plane: the middle of the dimension in which leaf and key are spread widest, relative
 * to all points. False where they are all equal. */
static bool choose_split(const struct tree *tree, const struct tree_leaf *leaf,
                         const double key[TREE_DIMENSIONS], struct tree_node *ret_node)
{
    double best[TREE_DIMENSIONS], worst[TREE_DIMENSIONS], widest = 0;
    memcpy(best, leaf->best, sizeof best);
    memcpy(worst, leaf->worst, sizeof worst);
    box_extend(best, worst, key);
    for (size_t d = 0; d < TREE_DIMENSIONS; d++) {
        if (!(worst[d] < best[d]))
            continue;
        double spread = (best[d] / 2 - worst[d] / 2) / (tree->best[d] / 2 - tree->worst[d] / 2);
        if (spread <= widest)
            continue;
        widest = spread;
        double middle = best[d] / 2 + worst[d] / 2;
        ret_node->dimension = (uint32_t)d;
        ret_node->split = middle > worst[d] ? middle : best[d];
    }
    return widest > 0;
}

/* Splits the full leaf behind `slot` (NULL: the root), so that `key` finds more room. -ENOMEM
 * changes nothing. */
static int leaf_split(struct tree *tree, int32_t *slot, struct tree_node node)
{
    size_t slot_offset = slot ? (size_t)((char *)slot - (char *)tree->nodes) : 0;
    int r = reserve_one((void **)&tree->nodes, &tree->node_capacity, tree->node_count,
                        sizeof *tree->nodes);
    /* A walk leaves one child of each node on its way waiting, and has two of the last. */
    if (r == 0)
        r = reserve_one((void **)&tree->stack, &tree->stack_capacity, tree->node_count + 1,
                        sizeof *tree->stack);
    if (r == 0)
        r = tree_add_leaf(tree);
    if (r < 0)
        return r;
    if (slot)
        slot = (int32_t *)((char *)tree->nodes + slot_offset);
    int32_t low = slot ? -1 - *slot : 0;
    int32_t high = (int32_t)tree->leaf_count - 1;
    node.children[0] = -1 - low;
    node.children[1] = -1 - high;
    memcpy(node.best, tree->leaves[low].best, sizeof node.best);
    memcpy(node.worst, tree->leaves[low].worst, sizeof node.worst);
    if (slot)
        *slot = (int32_t)tree->node_count;
    tree->nodes[tree->node_count++] = node;
    struct tree_leaf *below = &tree->leaves[low], *above = &tree->leaves[high];
    uint32_t kept = 0;
    if (below->worst[node.dimension] >= node.split) {
        /* All points go up: the leaves change places, whatever their capacities. */
        struct tree_leaf all = *below;
        *below = *above;
        *above = all;
        return 0;
    }
    if (below->best[node.dimension] < node.split)
        return 0;
    for (uint32_t i = 0; i < below->count; i++) {
        const struct tree_point *point = &below->points[i];
        if (point->key[node.dimension] >= node.split)
            above->points[above->count++] = *point;
        else
            below->points[kept++] = *point;
    }
    below->count = kept;
    leaf_measure(below);
    leaf_measure(above);
    tree->empty_leaf_count--;
    return 0;
}

/* Makes sure that the leaf of `key` has room for one more point. */
static int tree_make_room(struct tree *tree, const double key[TREE_DIMENSIONS])
{
    if (tree->leaf_count == 0) {
        memcpy(tree->best, key, sizeof tree->best);
        memcpy(tree->worst, key, sizeof tree->worst);
        return tree_add_leaf(tree);
    }
    box_extend(tree->best, tree->worst, key);
    for (;;) {
        int32_t *slot = tree_descend(tree, key);
        struct tree_leaf *leaf = &tree->leaves[slot ? -1 - *slot : 0];
        if (leaf->count < TREE_LEAF_POINTS)
            return 0;
        struct tree_node node = {0};
        int r;
        if (choose_split(tree, leaf, key, &node)) {
            r = leaf_split(tree, slot, node);
        } else if (leaf->count < leaf->capacity) {
            return 0;
        } else {
            size_t capacity = leaf->capacity;
            r = reserve_one((void **)&leaf->points, &capacity, leaf->count, sizeof *leaf->points);
            leaf->capacity = (uint32_t)capacity;
        }
        if (r < 0)
            return r;
    }
}

static void tree_place(struct tree *tree, const struct tree_point *point)
{
    int32_t child = tree_root(tree);
    while (child >= 0) {
        struct tree_node *node = &tree->nodes[child];
        box_extend(node->best, node->worst, point->key);
        child = node->children[point->key[node->dimension] >= node->split];
    }
    struct tree_leaf *leaf = &tree->leaves[-1 - child];
    assert(leaf->count < leaf->capacity);
    tree->empty_leaf_count -= leaf->count == 0;
    leaf->points[leaf->count++] = *point;
    tree->point_count++;
    if (leaf->count == 1)
        leaf_measure(leaf);
    else
        box_extend(leaf->best, leaf->worst, point->key);
}

/* Builds the tree anew without its empty leaves; where memory is short it stays as it is. */
static void tree_rebuild(struct tree *tree)
{
    struct tree built = {0};
    for (size_t i = 0; i < tree->leaf_count; i++) {
        const struct tree_leaf *leaf = &tree->leaves[i];
        for (uint32_t j = 0; j < leaf->count; j++) {
            if (tree_make_room(&built, leaf->points[j].key) < 0) {
                tree_release(&built);
                return;
            }
            tree_place(&built, &leaf->points[j]);
        }
    }
    tree_release(tree);
    *tree = built;
}

int tree_insert(struct tree *tree, const struct tree_point *point)
{
    if (tree->empty_leaf_count > TREE_EMPTY_LEAVES_MIN &&
        tree->empty_leaf_count > tree->leaf_count / 2)
        tree_rebuild(tree);
    int r = tree_make_room(tree, point->key);
    if (r < 0)
        return r;
    tree_remove_dominated(tree, point->key);
    tree_place(tree, point);
    return 0;
}
