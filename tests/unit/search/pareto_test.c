/* The incremental front against brute force, hypervolume against inclusion and exclusion. */
#include "search/pareto.h"
#include "search/pareto_tree.h"
#include "search/random.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { POINTS_MAX = 2000 };

static const enum objective three[] = {OBJECTIVE_ACCURACY, OBJECTIVE_STEP_TIME, OBJECTIVE_PARAMS};

/* How random points are spread: apart, on a coarse grid (many ties), or on a surface where none
 * dominates another. */
enum spread { SPREAD_UNIFORM, SPREAD_GRID, SPREAD_SURFACE, SPREAD_EQUAL, SPREAD_COUNT };

static struct pareto_point random_point(struct random_stream *random, uint64_t candidate,
                                        enum spread spread)
{
    struct pareto_point point = {.candidate = candidate};
    double sum = 0;
    for (size_t i = 0; i < PARETO_OBJECTIVES_MAX; i++) {
        point.value[i] = (double)random_below(random, spread == SPREAD_GRID ? 5 : 1000);
        sum += i == 0 ? 0 : point.value[i];
    }
    if (spread == SPREAD_SURFACE)
        point.value[0] = sum;
    if (spread == SPREAD_EQUAL)
        point.value[0] = point.value[1] = point.value[2] = 7;
    return point;
}

static bool brute_dominates(const struct pareto_point *a, const struct pareto_point *b,
                            size_t objective_count)
{
    bool better = false;
    for (size_t i = 0; i < objective_count; i++) {
        double difference = objective_sign(three[i]) * (a->value[i] - b->value[i]);
        if (difference < 0)
            return false;
        better = better || difference > 0;
    }
    return better;
}

static bool brute_on_front(const struct pareto_point *points, size_t count, size_t index,
                           size_t objective_count)
{
    for (size_t i = 0; i < count; i++) {
        if (brute_dominates(&points[i], &points[index], objective_count))
            return false;
    }
    return true;
}

static void assert_front_is_exact(const struct pareto *pareto, const struct pareto_point *points,
                                  size_t count, size_t objective_count)
{
    bool listed[POINTS_MAX] = {false};
    const struct pareto_point *front = pareto_points(pareto);
    for (size_t i = 0; i < pareto_count(pareto); i++) {
        assert_true(front[i].candidate < count);
        assert_false(listed[front[i].candidate]);
        listed[front[i].candidate] = true;
        assert_true(i == 0 || front[i - 1].value[0] >= front[i].value[0]);
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(listed[i], brute_on_front(points, count, i, objective_count));
}

static void check_random_front(uint64_t seed, size_t objective_count, enum spread spread)
{
    static struct pareto_point points[POINTS_MAX];
    struct random_stream random = random_stream_of(seed, (uint64_t)spread, RANDOM_PROPOSAL);
    size_t count = 1 + random_below(&random, seed % 10 == 0 ? POINTS_MAX : 200);
    struct pareto *pareto = NULL;
    assert_int_equal(pareto_new(three, objective_count, &pareto), 0);
    for (size_t i = 0; i < count; i++) {
        points[i] = random_point(&random, i, spread);
        int r = pareto_add(pareto, &points[i]);
        assert_int_equal(r, brute_on_front(points, i, i, objective_count) &&
                                    brute_on_front(points, i + 1, i, objective_count)
                                ? PARETO_JOINED
                                : PARETO_DOMINATED);
    }
    assert_front_is_exact(pareto, points, count, objective_count);
    pareto_free(pareto);
}

static void test_front_equals_brute_force_for_every_spread(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        for (size_t objective_count = 1; objective_count <= 3; objective_count++) {
            for (int spread = 0; spread < SPREAD_COUNT; spread++)
                check_random_front(seed, objective_count, (enum spread)spread);
        }
    }
}

/* Points that keep getting better: every one removes all before it, and the tree must not fill with
 * empty leaves. */
static void test_front_that_moves_on_stays_exact(void **state)
{
    (void)state;
    struct pareto *pareto = NULL;
    assert_int_equal(pareto_new(three, 3, &pareto), 0);
    struct random_stream random = random_stream_of(1, 0, RANDOM_PROPOSAL);
    for (uint64_t i = 0; i < 200; i++) {
        for (uint64_t j = 0; j < 100; j++) {
            struct pareto_point point = random_point(&random, i * 100 + j, SPREAD_SURFACE);
            point.value[0] += (double)i * 10000;
            point.value[1] -= (double)i * 10000;
            point.value[2] -= (double)i * 10000;
            assert_int_equal(pareto_add(pareto, &point), PARETO_JOINED);
        }
        assert_int_equal(pareto_count(pareto), 100);
        assert_int_equal(pareto_points(pareto)[0].candidate / 100, i);
    }
    pareto_free(pareto);
}

static bool inside(const double key[TREE_DIMENSIONS], const double best[TREE_DIMENSIONS],
                   const double worst[TREE_DIMENSIONS])
{
    bool is_inside = true;
    for (size_t d = 0; d < TREE_DIMENSIONS; d++)
        is_inside = is_inside && key[d] <= best[d] && key[d] >= worst[d];
    return is_inside;
}

/* Walks down to where `key` belongs; every box on the way must hold it. Returns the leaf. */
static size_t leaf_of(const struct tree *tree, const double key[TREE_DIMENSIONS])
{
    int32_t child = tree->node_count > 0 ? 0 : -1;
    while (child >= 0) {
        const struct tree_node *node = &tree->nodes[child];
        assert_true(inside(key, node->best, node->worst));
        child = node->children[key[node->dimension] >= node->split];
    }
    return (size_t)(-1 - child);
}

static void assert_tree_is_sound(const struct tree *tree)
{
    size_t points = 0, empty = 0;
    for (size_t i = 0; i < tree->leaf_count; i++) {
        const struct tree_leaf *leaf = &tree->leaves[i];
        points += leaf->count;
        empty += leaf->count == 0;
        for (uint32_t j = 0; j < leaf->count; j++) {
            assert_true(inside(leaf->points[j].key, leaf->best, leaf->worst));
            assert_int_equal(leaf_of(tree, leaf->points[j].key), i);
        }
    }
    assert_int_equal(points, tree->point_count);
    assert_int_equal(empty, tree->empty_leaf_count);
}

/* Fronts that grow and are then dominated by one point leave empty leaves behind, which must not pile up. */
static void test_tree_counts_and_drops_its_empty_leaves(void **state)
{
    (void)state;
    struct tree tree = {0};
    struct random_stream random = random_stream_of(4, 0, RANDOM_PROPOSAL);
    size_t most_leaves = 0;
    for (int round = 0; round < 30; round++) {
        for (uint64_t i = 0; i < 2000; i++) {
            double x = random_unit(&random), y = random_unit(&random), up = round * 10;
            struct tree_point point = {{up + x, up + y, up - x - y}, i};
            if (!tree_dominates(&tree, point.key))
                assert_int_equal(tree_insert(&tree, &point), 0);
            if (i % 50 == 0)
                assert_tree_is_sound(&tree);
        }
        assert_int_equal(tree.point_count, 2000);
        most_leaves = tree.leaf_count > most_leaves ? tree.leaf_count : most_leaves;
    }
    assert_in_range(most_leaves, 30, 400);
    tree_release(&tree);
}

/* A full leaf is split between its points and one far away on either side: all its points stay together. */
static void test_full_leaf_is_split_from_points_far_away(void **state)
{
    (void)state;
    static const double far[] = {-1000, 1000};
    for (size_t i = 0; i < ARRAY_LENGTH(far); i++) {
        struct tree tree = {0};
        for (uint64_t j = 0; j < TREE_LEAF_POINTS; j++) {
            struct tree_point point = {{(double)j, -(double)j, 0}, j};
            assert_int_equal(tree_insert(&tree, &point), 0);
        }
        struct tree_point outlier = {{far[i], -far[i], 0}, 99};
        assert_int_equal(tree_insert(&tree, &outlier), 0);
        assert_tree_is_sound(&tree);
        assert_int_equal(tree.leaf_count, 2);
        assert_int_equal(tree.point_count, TREE_LEAF_POINTS + 1);
        tree_release(&tree);
    }
}

static void test_order_of_points_does_not_depend_on_the_order_of_insertion(void **state)
{
    (void)state;
    struct random_stream random = random_stream_of(3, 0, RANDOM_PROPOSAL);
    struct pareto_point points[500];
    struct pareto *forward = NULL, *backward = NULL;
    assert_int_equal(pareto_new(three, 3, &forward), 0);
    assert_int_equal(pareto_new(three, 3, &backward), 0);
    for (size_t i = 0; i < 500; i++)
        points[i] = random_point(&random, i, SPREAD_GRID);
    for (size_t i = 0; i < 500; i++) {
        assert_true(pareto_add(forward, &points[i]) > 0);
        assert_true(pareto_add(backward, &points[499 - i]) > 0);
    }
    assert_int_equal(pareto_count(forward), pareto_count(backward));
    for (size_t i = 0; i < pareto_count(forward); i++)
        assert_int_equal(pareto_points(forward)[i].candidate, pareto_points(backward)[i].candidate);
    pareto_free(forward);
    pareto_free(backward);
}

/* Volume of the union of boxes by inclusion and exclusion over all subsets. */
static double inclusion_exclusion(double boxes[][PARETO_OBJECTIVES_MAX], size_t count,
                                  size_t objective_count)
{
    double sum = 0;
    for (size_t subset = 1; subset < (size_t)1 << count; subset++) {
        double volume = 1;
        for (size_t j = 0; j < objective_count; j++) {
            double side = INFINITY;
            for (size_t i = 0; i < count; i++) {
                if (subset >> i & 1)
                    side = fmin(side, fmax(0, boxes[i][j]));
            }
            volume *= side;
        }
        sum += __builtin_popcountll(subset) % 2 == 1 ? volume : -volume;
    }
    return sum;
}

static void test_hypervolume_equals_inclusion_and_exclusion(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct random_stream random = random_stream_of(seed, 9, RANDOM_PROPOSAL);
        size_t objective_count = 1 + seed % 3, count = 1 + random_below(&random, 10);
        enum spread spread = (enum spread)(seed / 3 % SPREAD_COUNT);
        double reference[] = {spread == SPREAD_GRID ? 1 : 100, spread == SPREAD_GRID ? 4 : 900,
                              950};
        double boxes[10][PARETO_OBJECTIVES_MAX];
        struct pareto *pareto = NULL;
        assert_int_equal(pareto_new(three, objective_count, &pareto), 0);
        for (size_t i = 0; i < count; i++) {
            struct pareto_point point = random_point(&random, i, spread);
            for (size_t j = 0; j < objective_count; j++)
                boxes[i][j] = objective_sign(three[j]) * (point.value[j] - reference[j]);
            assert_true(pareto_add(pareto, &point) > 0);
        }
        /* All figures are whole and below 2^53: both sums are exact. */
        assert_true(pareto_hypervolume(pareto, reference) ==
                    inclusion_exclusion(boxes, count, objective_count));
        pareto_free(pareto);
    }
}

static void test_hypervolume_equals_counted_cells_on_a_grid(void **state)
{
    (void)state;
    enum { SIDE = 12 };
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct random_stream random = random_stream_of(seed, 10, RANDOM_PROPOSAL);
        bool covered[SIDE][SIDE][SIDE] = {{{false}}};
        struct pareto *pareto = NULL;
        assert_int_equal(pareto_new(three, 3, &pareto), 0);
        for (uint64_t i = 0; i < 40; i++) {
            size_t x = random_below(&random, SIDE), y = random_below(&random, SIDE);
            size_t z = random_below(&random, SIDE);
            struct pareto_point point = {i, {(double)x, (double)(SIDE - y), (double)(SIDE - z)}};
            assert_true(pareto_add(pareto, &point) > 0);
            for (size_t cell = 0; cell < x * y * z; cell++)
                covered[cell / y / z][cell / z % y][cell % z] = true;
        }
        size_t cells = 0;
        for (size_t cell = 0; cell < SIDE * SIDE * SIDE; cell++)
            cells += covered[cell / SIDE / SIDE][cell / SIDE % SIDE][cell % SIDE];
        assert_true(pareto_hypervolume(pareto, (double[]){0, SIDE, SIDE}) == (double)cells);
        pareto_free(pareto);
    }
}

static void test_empty_front_has_no_points_and_no_volume(void **state)
{
    (void)state;
    struct pareto *pareto = NULL;
    assert_int_equal(pareto_new(three, 2, &pareto), 0);
    assert_int_equal(pareto_count(pareto), 0);
    assert_true(pareto_hypervolume(pareto, (double[]){0, 0}) == 0);
    pareto_free(pareto);
    pareto_free(NULL);
}

static void test_wrong_objectives_and_values_are_refused(void **state)
{
    (void)state;
    const enum objective twice[] = {OBJECTIVE_PARAMS, OBJECTIVE_PARAMS};
    struct pareto *pareto = NULL;
    assert_int_equal(pareto_new(three, 0, &pareto), -EINVAL);
    assert_int_equal(pareto_new(three, 4, &pareto), -EINVAL);
    assert_int_equal(pareto_new(twice, 2, &pareto), -EINVAL);
    assert_int_equal(pareto_new(three, 2, &pareto), 0);
    assert_int_equal(pareto_add(pareto, &(struct pareto_point){0, {NAN, 1, 0}}), -EINVAL);
    assert_int_equal(pareto_add(pareto, &(struct pareto_point){0, {1, INFINITY, 0}}), -EINVAL);
    assert_int_equal(pareto_count(pareto), 0);
    pareto_free(pareto);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_equals_brute_force_for_every_spread),
        cmocka_unit_test(test_front_that_moves_on_stays_exact),
        cmocka_unit_test(test_tree_counts_and_drops_its_empty_leaves),
        cmocka_unit_test(test_full_leaf_is_split_from_points_far_away),
        cmocka_unit_test(test_order_of_points_does_not_depend_on_the_order_of_insertion),
        cmocka_unit_test(test_hypervolume_equals_inclusion_and_exclusion),
        cmocka_unit_test(test_hypervolume_equals_counted_cells_on_a_grid),
        cmocka_unit_test(test_empty_front_has_no_points_and_no_volume),
        cmocka_unit_test(test_wrong_objectives_and_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
