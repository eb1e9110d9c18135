#include "tests/ops/support.h"
#include "worker/engine/optimizer.h"

#include <errno.h>
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

/* Step `number`, from 0. */
static void step_run(const struct recipe *recipe, double rate, uint64_t number,
                     const struct optimizer_slabs *slabs)
{
    const struct optimizer_update update = {rate, number};
    assert_int_equal(optimizer_step(recipe, &update, slabs), 0);
}

static void test_sgd_equals_nesterov_by_hand(void **state)
{
    (void)state;
    struct two two = {.values = {1, 1}, .gradients = {0.5f, 0.5f}};
    const struct optimizer_slabs slabs = slabs_of(&two);
    const struct recipe recipe = {.optimizer = OPTIMIZER_SGD, .momentum = 0.9, .weight_decay = 0.1};
    optimizer_init(recipe.optimizer, &slabs);
    step_run(&recipe, 0.1, 0, &slabs);
    /* g = 0.5 + 0.1 = 0.6, v = 0.6, w = 1 - 0.1 (0.6 + 0.54); without decay 1 - 0.1 (0.5 + 0.45) */
    assert_close("first step", two.values, (float[2]){0.886f, 0.905f}, 2, 1e-6);
    step_run(&recipe, 0.1, 1, &slabs);
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
        step_run(&recipe, 0.016, (uint64_t)step, &slabs);
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
    step_run(&recipe, 0.016, 0, &other);
    assert_true(fabs((double)again.values[1] - 0.9719449) < 1e-6);
}

static const struct recipe ADAMW = {.optimizer = OPTIMIZER_ADAMW,
                                    .momentum = 0.9,
                                    .decay = 0.99,
                                    .epsilon = 1e-3,
                                    .weight_decay = 0.1};

/* Written as torch.optim.AdamW writes it: decay first, then the step. */
static void test_adamw_equals_its_formula_in_doubles(void **state)
{
    (void)state;
    struct two two = {.values = {1, -2}, .gradients = {0.5f, 2}};
    const struct optimizer_slabs slabs = slabs_of(&two);
    optimizer_init(OPTIMIZER_ADAMW, &slabs);
    double w[2] = {1, -2}, m[2] = {0, 0}, s[2] = {0, 0};
    for (int step = 0; step < 5; step++) {
        two.gradients[0] = 0.5f - 0.3f * (float)step;
        step_run(&ADAMW, 0.1, (uint64_t)step, &slabs);
        for (int i = 0; i < 2; i++) {
            const double g = (double)two.gradients[i], t = step + 1;
            w[i] *= i == 0 ? 1 - 0.1 * 0.1 : 1;
            m[i] += (1 - 0.9) * (g - m[i]);
            s[i] = 0.99 * s[i] + (1 - 0.99) * g * g;
            w[i] -= 0.1 / (1 - pow(0.9, t)) * m[i] / (sqrt(s[i]) / sqrt(1 - pow(0.99, t)) + 1e-3);
        }
        assert_close("step", two.values, (float[2]){(float)w[0], (float)w[1]}, 2, 2e-6);
    }
}

/* The bias corrections make it so: m / (1 - b) = g and s / (1 - b) = g g. */
static void test_adamws_first_step_has_the_length_of_the_rate(void **state)
{
    (void)state;
    struct two two = {.values = {0, 0}, .gradients = {3, -0.002f}};
    const struct optimizer_slabs slabs = slabs_of(&two);
    optimizer_init(OPTIMIZER_ADAMW, &slabs);
    step_run(&ADAMW, 0.1, 0, &slabs);
    /* 0.1 * 3 / (3 + 0.001), 0.1 * 0.002 / (0.002 + 0.001) */
    assert_close("step", two.values, (float[2]){-0.09996668f, 0.06666667f}, 2, 1e-6);
}

/* Norm 5: with clip_norm 1 gradients are a fifth, with 10 as they are. Weight decay is not part of it. */
static void test_gradients_above_the_norm_are_scaled_to_it(void **state)
{
    (void)state;
    static const double norms[] = {1, 10, 0};
    static const float want[][2] = {{1 - 0.6f - 0.1f, 1 - 0.8f}, {1 - 3.1f, -3}, {1 - 3.1f, -3}};
    for (size_t n = 0; n < ARRAY_LENGTH(norms); n++) {
        struct two two = {.values = {1, 1}, .gradients = {3, 4}};
        const struct optimizer_slabs slabs = slabs_of(&two);
        const struct recipe recipe = {
            .optimizer = OPTIMIZER_SGD, .weight_decay = 0.1, .clip_norm = norms[n]};
        optimizer_init(OPTIMIZER_SGD, &slabs);
        step_run(&recipe, 1, 0, &slabs);
        assert_close("clipped", two.values, want[n], 2, 1e-6);
    }
}

static void test_norm_that_is_not_finite_is_edom_and_changes_nothing(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const enum optimizer_kind kinds[] = {OPTIMIZER_SGD, OPTIMIZER_RMSPROP, OPTIMIZER_ADAMW};
    for (size_t b = 0; b < ARRAY_LENGTH(bad); b++)
        for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++) {
            struct two two = {.values = {1, 2}, .gradients = {bad[b], 1}};
            const struct optimizer_slabs slabs = slabs_of(&two);
            struct recipe recipe = ADAMW;
            recipe.optimizer = kinds[k];
            recipe.clip_norm = 1;
            optimizer_init(kinds[k], &slabs);
            const struct two before = two;
            const struct optimizer_update update = {0.1, 0};
            assert_int_equal(optimizer_step(&recipe, &update, &slabs), -EDOM);
            assert_memory_equal(&two, &before, sizeof two);
        }
}

static void test_norm_is_the_root_of_the_sum_of_squares(void **state)
{
    (void)state;
    for (size_t count = 0; count < 40; count++) {
        float *values = random_values(count + 1, count);
        double squares = 0;
        for (size_t i = 0; i < count; i++)
            squares += (double)values[i] * (double)values[i];
        assert_true(fabs(slab_norm(values, count) - sqrt(squares)) <= 1e-12 * sqrt(squares));
        free(values);
    }
}

/* Steps 0 and 1 have decays 0.1 and 2 / 11, step 1000 the recipe's 0.9; the statistics, which no optimizer moves, count. */
static void test_averages_move_by_the_decay_of_the_step(void **state)
{
    (void)state;
    float values[3] = {1, 1, 5}, averages[3] = {1, 1, 1};
    const float gradients[2] = {0, 1};
    float velocity[2];
    const struct optimizer_slabs slabs = {.values = values,
                                          .gradients = gradients,
                                          .states = {velocity, NULL},
                                          .averages = averages,
                                          .total = 3,
                                          .count = 2,
                                          .decayed = 1};
    const struct recipe recipe = {.optimizer = OPTIMIZER_SGD, .ema_decay = 0.9};
    optimizer_init(OPTIMIZER_SGD, &slabs);
    static const uint64_t steps[] = {0, 1, 1000};
    static const double decays[] = {0.1, 2.0 / 11.0, 0.9};
    double want[3] = {1, 1, 1};
    for (size_t s = 0; s < ARRAY_LENGTH(steps); s++) {
        step_run(&recipe, 1, steps[s], &slabs);
        assert_true(fabs(average_decay(0.9, steps[s]) - decays[s]) < 1e-12);
        const double now[3] = {1, -(double)s, 5};
        for (int i = 0; i < 3; i++)
            want[i] = decays[s] * want[i] + (1 - decays[s]) * now[i];
        assert_close("averages", averages,
                     (float[3]){(float)want[0], (float)want[1], (float)want[2]}, 3, 1e-6);
    }
}

static void test_state_count_is_one_for_sgd_and_two_for_the_others(void **state)
{
    (void)state;
    assert_int_equal(optimizer_state_count(OPTIMIZER_SGD), 1);
    assert_int_equal(optimizer_state_count(OPTIMIZER_RMSPROP), 2);
    assert_int_equal(optimizer_state_count(OPTIMIZER_ADAMW), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sgd_equals_nesterov_by_hand),
        cmocka_unit_test(test_rmsprop_equals_tensorflow_by_hand),
        cmocka_unit_test(test_adamw_equals_its_formula_in_doubles),
        cmocka_unit_test(test_adamws_first_step_has_the_length_of_the_rate),
        cmocka_unit_test(test_gradients_above_the_norm_are_scaled_to_it),
        cmocka_unit_test(test_norm_that_is_not_finite_is_edom_and_changes_nothing),
        cmocka_unit_test(test_norm_is_the_root_of_the_sum_of_squares),
        cmocka_unit_test(test_averages_move_by_the_decay_of_the_step),
        cmocka_unit_test(test_state_count_is_one_for_sgd_and_two_for_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
