#include "kernels/gradient_norm.h"
#include "kernels/optimizer.h"
#include "tests/unit/kernels/array.h"
#include "tests/unit/kernels/device_array.h"
#include "worker/engine/optimizer.h"

#include "kernels/portable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STEPS = 3 };

static const struct sizes {
    size_t total, count, decayed;
} SIZES[] = {{1, 1, 1},          {3, 2, 1},          {7, 7, 0},          {8, 8, 8},
             {1031, 1030, 1029}, {5003, 4098, 3001}, {5000, 4096, 4096}, {70001, 66666, 50002}};

/* Leaves it as control's clip. */
static void run_gradient_norm(const struct gradient_norm *norm, struct step_control *control)
{
    struct gradient_norm there = *norm;
    float *gradients = device_array_mirror(norm->gradients);
    struct step_control *device_control = device_array_of(control, sizeof *control);
    there.gradients = gradients;
    there.partials = device_array_new(GRADIENT_NORM_BLOCKS_MAX * sizeof *there.partials);
    assert_int_equal(gradient_norm_launch(&there, device_control, NULL), 0);
    device_array_read(device_control, control, sizeof *control);
    device_array_free(device_control);
    device_array_free(there.partials);
    device_array_free(gradients);
}

static void run_optimizer(enum optimizer_kind kind, const struct optimizer_arena *arena,
                          const struct optimizer_constants *constants,
                          const struct step_control *control)
{
    struct optimizer_arena there = *arena;
    float *gradients = device_array_mirror(arena->gradients);
    struct step_control *device_control = device_array_of(control, sizeof *control);
    there.values = device_array_mirror(arena->values);
    there.gradients = gradients;
    there.states[0] = device_array_mirror(arena->states[0]);
    there.states[1] = device_array_mirror(arena->states[1]);
    there.averages = device_array_mirror(arena->averages);
    there.halves = device_array_mirror(arena->halves);
    assert_int_equal(optimizer_launch(kind, &there, constants, device_control, NULL), 0);
    device_array_bring_back(there.values, arena->values);
    device_array_bring_back(there.states[0], arena->states[0]);
    device_array_bring_back(there.states[1], arena->states[1]);
    device_array_bring_back(there.averages, arena->averages);
    device_array_bring_back(there.halves, arena->halves);
    device_array_free(gradients);
    device_array_free(device_control);
}

static void run_halves(const float *values, uint16_t *ret_halves, size_t count)
{
    float *there = device_array_mirror(values);
    uint16_t *halves = device_array_mirror(ret_halves);
    assert_int_equal(halves_launch(there, halves, count, NULL), 0);
    device_array_bring_back(halves, ret_halves);
    device_array_free(there);
}

/* Values, states and averages of one side. */
struct side {
    float *values, *states[2], *averages;
};

static struct side side_new(enum optimizer_kind kind, const struct sizes *sizes, bool averaged)
{
    const bool two = optimizer_state_count(kind) == 2;
    struct side side = {.values = array_normal(sizes->total, 1),
                        .states = {array_new(sizes->count * sizeof(float)),
                                   two ? array_new(sizes->count * sizeof(float)) : NULL}};
    const struct optimizer_slabs slabs = {.states = {side.states[0], side.states[1]},
                                          .count = sizes->count};
    optimizer_init(kind, &slabs);
    if (averaged)
        side.averages = array_copy(side.values, sizes->total);
    return side;
}

static void side_free(const struct side *side)
{
    array_free(side->values);
    array_free(side->states[0]);
    array_free(side->states[1]);
    array_free(side->averages);
}

static struct recipe recipe_of(enum optimizer_kind kind)
{
    return (struct recipe){.optimizer = kind,
                           .momentum = 0.9,
                           .decay = kind == OPTIMIZER_ADAMW ? 0.999 : 0.9,
                           .epsilon = kind == OPTIMIZER_ADAMW ? 1e-8 : 1e-3,
                           .weight_decay = 1e-2,
                           .clip_norm = 3.0,
                           .ema_decay = 0.9999};
}

static struct optimizer_constants constants_of(const struct recipe *recipe)
{
    return (struct optimizer_constants){(float)recipe->momentum, (float)recipe->decay,
                                        (float)recipe->epsilon, (float)recipe->weight_decay};
}

static struct optimizer_arena arena_of(const struct side *side, const float *gradients,
                                       uint16_t *halves, const struct sizes *sizes)
{
    return (struct optimizer_arena){.values = side->values,
                                    .gradients = gradients,
                                    .states = {side->states[0], side->states[1]},
                                    .averages = side->averages,
                                    .halves = halves,
                                    .total = sizes->total,
                                    .count = sizes->count,
                                    .decayed = sizes->decayed};
}

/* One step on both sides, the kernel's with the clip that its own norm gives. */
static void both_step(const struct recipe *recipe, uint64_t step,
                      const struct optimizer_arena *arena, const struct side *expected)
{
    const double rate = 0.05 / (double)(step + 1);
    const struct step_rates rates = {rate, recipe->momentum, recipe->decay, recipe->ema_decay,
                                     step};
    const struct optimizer_constants constants = constants_of(recipe);
    const struct gradient_norm norm = {
        .gradients = arena->gradients, .count = arena->count, .clip_norm = recipe->clip_norm};
    struct step_control control = step_control_of(&rates);
    run_gradient_norm(&norm, &control);
    run_optimizer(recipe->optimizer, arena, &constants, &control);
    const struct optimizer_update update = {rate, step};
    const struct optimizer_slabs slabs = {.values = expected->values,
                                          .gradients = arena->gradients,
                                          .states = {expected->states[0], expected->states[1]},
                                          .averages = expected->averages,
                                          .total = arena->total,
                                          .count = arena->count,
                                          .decayed = arena->decayed};
    assert_int_equal(optimizer_step(recipe, &update, &slabs), 0);
}

/* Multiplications may be fused into additions on one side and not on the other: a few units in the last place. */
static void sides_compare(const struct side *got, const struct side *expected,
                          const struct sizes *sizes)
{
    const double tolerance = 2e-6;
    array_assert_close(got->values, expected->values, sizes->total, tolerance);
    for (int s = 0; s < 2 && got->states[s]; s++)
        array_assert_close(got->states[s], expected->states[s], sizes->count, tolerance);
    if (got->averages)
        array_assert_close(got->averages, expected->averages, sizes->total, tolerance);
}

static void steps_compare(enum optimizer_kind kind, const struct sizes *sizes, bool averaged)
{
    const struct recipe recipe = recipe_of(kind);
    const struct side got = side_new(kind, sizes, averaged),
                      expected = side_new(kind, sizes, averaged);
    uint16_t *halves = array_new(sizes->decayed * sizeof *halves);
    for (uint64_t step = 0; step < STEPS; step++) {
        float *gradients = array_normal(sizes->count, 2 + step);
        const struct optimizer_arena arena = arena_of(&got, gradients, halves, sizes);
        both_step(&recipe, step, &arena, &expected);
        array_free(gradients);
    }
    sides_compare(&got, &expected, sizes);
    for (size_t i = 0; i < sizes->decayed; i++)
        assert_int_equal(halves[i], bfloat_of(got.values[i]));
    array_free(halves);
    side_free(&got);
    side_free(&expected);
}

static void test_steps_equal_the_reference(void **state)
{
    (void)state;
    static const enum optimizer_kind kinds[] = {OPTIMIZER_SGD, OPTIMIZER_RMSPROP, OPTIMIZER_ADAMW};
    for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++)
        for (size_t i = 0; i < ARRAY_LENGTH(SIZES); i++) {
            steps_compare(kinds[k], &SIZES[i], true);
            steps_compare(kinds[k], &SIZES[i], false);
        }
}

static void test_a_refused_step_changes_nothing(void **state)
{
    (void)state;
    const struct sizes sizes = {1003, 999, 500};
    const struct recipe recipe = recipe_of(OPTIMIZER_ADAMW);
    const struct optimizer_constants constants = constants_of(&recipe);
    const struct side got = side_new(OPTIMIZER_ADAMW, &sizes, true),
                      expected = side_new(OPTIMIZER_ADAMW, &sizes, true);
    float *gradients = array_normal(sizes.count, 2);
    const struct optimizer_arena arena = arena_of(&got, gradients, NULL, &sizes);
    const struct step_rates rates = {0.05, 0.9, 0.999, 0.9999, 0};
    struct step_control control = step_control_of(&rates);
    control.refused = STEP_LOSS_NOT_FINITE;
    run_optimizer(OPTIMIZER_ADAMW, &arena, &constants, &control);
    assert_memory_equal(got.values, expected.values, sizes.total * sizeof(float));
    assert_memory_equal(got.states[0], expected.states[0], sizes.count * sizeof(float));
    assert_memory_equal(got.states[1], expected.states[1], sizes.count * sizeof(float));
    assert_memory_equal(got.averages, expected.averages, sizes.total * sizeof(float));
    array_free(gradients);
    side_free(&got);
    side_free(&expected);
}

/* Ties go to the even neighbour; what is too large becomes infinite; NaN stays NaN. */
static void test_halves_are_rounded_to_nearest_even(void **state)
{
    (void)state;
    const struct {
        uint32_t bits;
        uint16_t half;
    } cases[] = {{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82},
                 {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80}, {0xbf808001, 0xbf81},
                 {0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80}, {0x7f800001, 0x7fc0},
                 {0xff800000, 0xff80}, {0x00000000, 0x0000}, {0x80000000, 0x8000},
                 {0x00008001, 0x0001}};
    float *values = array_new(ARRAY_LENGTH(cases) * sizeof *values);
    uint16_t *halves = array_new(ARRAY_LENGTH(cases) * sizeof *halves);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        values[i] = float_of_bits(cases[i].bits);
    run_halves(values, halves, ARRAY_LENGTH(cases));
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_int_equal(halves[i], cases[i].half);
    array_free(halves);
    array_free(values);
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps_equal_the_reference),
                                       cmocka_unit_test(test_a_refused_step_changes_nothing),
                                       cmocka_unit_test(test_halves_are_rounded_to_nearest_even)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
