#include "tests/ops/support.h"
#include "worker/engine/optimizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Two parameters: the first with weight decay, the second without. */
struct two {
    float values[2], gradients[2], first[2], second[2];
};

static struct optimizer_slabs slabs_of(struct two *two)
{
    return (struct optimizer_slabs){.values = two->values,
                                    .gradients = two->gradients,
                                    .states = {two->first, two->second},
                                    .count = 2,
                                    .decayed = 1};
}

static void test_sgd_equals_nesterov_by_hand(void **state)
{
    (void)state;
    struct two two = {.values = {1, 1}, .gradients = {0.5f, 0.5f}};
    const struct optimizer_slabs slabs = slabs_of(&two);
    const struct recipe recipe = {.optimizer = OPTIMIZER_SGD, .momentum = 0.9, .weight_decay = 0.1};
    optimizer_init(recipe.optimizer, &slabs);
    optimizer_step(&recipe, 0.1, &slabs);
    /* g = 0.5 + 0.1 = 0.6, v = 0.6, w = 1 - 0.1 (0.6 + 0.54); without decay 1 - 0.1 (0.5 + 0.45) */
    assert_close("first step", two.values, (float[2]){0.886f, 0.905f}, 2, 1e-6);
    optimizer_step(&recipe, 0.1, &slabs);
    /* g = 0.5886, v = 0.54 + 0.5886 = 1.1286, w = 0.886 - 0.1 (0.5886 + 1.01574) */
    assert_close("second step", two.values, (float[2]){0.725566f, 0.7695f}, 2, 1e-6);
}

static void test_rmsprop_equals_tensorflow_by_hand(void **state)
{
    (void)state;
    struct two two = {.values = {1, 1}, .gradients = {0.5f, 2}};
    const struct optimizer_slabs slabs = slabs_of(&two);
    const struct recipe recipe = {.optimizer = OPTIMIZER_RMSPROP,
                                  .momentum = 0.9,
                                  .decay = 0.9,
                                  .epsilon = 1e-3,
                                  .weight_decay = 0.1};
    optimizer_init(recipe.optimizer, &slabs);
    double w[2] = {1, 1}, s[2] = {1, 1}, m[2] = {0, 0};
    for (int step = 0; step < 3; step++) {
        optimizer_step(&recipe, 0.016, &slabs);
        for (int i = 0; i < 2; i++) {
            const double g = (double)two.gradients[i] + (i == 0 ? 0.1 * w[i] : 0);
            s[i] = 0.9 * s[i] + 0.1 * g * g;
            m[i] = 0.9 * m[i] + 0.016 * g / sqrt(s[i] + 1e-3);
            w[i] -= m[i];
        }
        assert_close("step", two.values, (float[2]){(float)w[0], (float)w[1]}, 2, 1e-6);
    }
    /* and the first step in figures: s = 0.9 + 0.1 * 4 = 1.3, m = 0.032 / sqrt(1.301) */
    struct two again = {.values = {1, 1}, .gradients = {0.5f, 2}};
    const struct optimizer_slabs other = slabs_of(&again);
    optimizer_init(recipe.optimizer, &other);
    optimizer_step(&recipe, 0.016, &other);
    assert_true(fabs((double)again.values[1] - 0.9719449) < 1e-6);
}

static void test_state_count_is_one_for_sgd_and_two_for_rmsprop(void **state)
{
    (void)state;
    assert_int_equal(optimizer_state_count(OPTIMIZER_SGD), 1);
    assert_int_equal(optimizer_state_count(OPTIMIZER_RMSPROP), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sgd_equals_nesterov_by_hand),
        cmocka_unit_test(test_rmsprop_equals_tensorflow_by_hand),
        cmocka_unit_test(test_state_count_is_one_for_sgd_and_two_for_rmsprop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
