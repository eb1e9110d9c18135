#include "kernels/masks.h"

#include "kernels/philox.h"
#include "search/random.h"
#include "search/recipe.h"
#include "tests/unit/kernels/array.h"
#include "tests/unit/kernels/device_array.h"
#include "worker/engine/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_any_word_of_a_stream_is_the_generators(void **state)
{
    (void)state;
    const uint64_t seed = UINT64_C(0xFEDCBA9876543210), number = UINT64_C(0x0123456789ABCDEF);
    struct random_stream random = random_stream_of(seed, number, RANDOM_DROPOUT);
    for (uint64_t block = 0; block < 5; block++) {
        const struct philox_block got = philox_block_of(seed, number, RANDOM_DROPOUT, block);
        for (size_t i = 0; i < PHILOX_WORDS; i++)
            assert_int_equal(got.words[i], random_u32(&random));
    }
    random.counter = UINT64_C(0x00AABBCC00000001); /* beyond 32 bits */
    random.used = RANDOM_BLOCK_WORDS;
    const struct philox_block far = philox_block_of(seed, number, RANDOM_DROPOUT, random.counter);
    for (size_t i = 0; i < PHILOX_WORDS; i++)
        assert_int_equal(far.words[i], random_u32(&random));
}

struct shape {
    uint32_t images, blocks, features, stride, first;
    double branch_rate, feature_rate;
    uint64_t seed, step;
};

/* Sizes within and beyond one thread's four values and one block of threads. */
static const struct shape SHAPES[] = {
    {1, 1, 1, 8, 0, 0.2, 0.2, 1, 0},
    {3, 5, 24, 24, 0, 0.5, 0.5, 0, 1},
    {7, 40, 1280, 1280, 64, 0.2, 0.4, UINT64_C(0x9E3779B97F4A7C15), 12345678901},
    {130, 4, 513, 520, 4096 - 130, 0.999, 0.001, ~UINT64_C(0), 99},
    {2, 600, 10, 16, 5, 0.1, 0.9, 7, UINT64_C(1) << 40},
    {4, 9, 12, 16, 0, 0, 0, 7, 3},
};

static void expect(const struct shape *shape, struct masks *ret_masks)
{
    const struct mask_key key = {shape->seed, shape->step, shape->first};
    assert_int_equal(masks_init(ret_masks, shape->images, shape->blocks, shape->features), 0);
    masks_draw_branches(ret_masks, &key, shape->branch_rate);
    masks_draw_features(ret_masks, &key, shape->feature_rate);
}

static struct masks_draw draw_of(const struct shape *shape, float *branches, float *features)
{
    return (struct masks_draw){.seed = shape->seed,
                               .first = shape->first,
                               .images = shape->images,
                               .blocks = shape->blocks,
                               .features = shape->features,
                               .stride = shape->stride,
                               .branch_rate = shape->branch_rate,
                               .feature_rate = shape->feature_rate,
                               .ret_branches = branches,
                               .ret_features = features};
}

/* The arrays may be NULL. */
static void draw_on_device(const struct shape *shape, float *branches, float *features)
{
    float *there[2] = {device_array_mirror(branches), device_array_mirror(features)};
    const struct masks_draw draw = draw_of(shape, there[0], there[1]);
    const struct step_rates rates = {.step = shape->step};
    const struct step_control control = step_control_of(&rates);
    struct step_control *device_control = device_array_of(&control, sizeof control);
    assert_int_equal(masks_launch(&draw, device_control, NULL), 0);
    device_array_bring_back(there[0], branches);
    device_array_bring_back(there[1], features);
    device_array_free(device_control);
}

static void check_features(const struct shape *shape, const float *got, const float *expected)
{
    for (size_t n = 0; n < shape->images; n++) {
        assert_memory_equal(got + n * shape->stride, expected + n * shape->features,
                            shape->features * sizeof *got);
        for (size_t c = shape->features; c < shape->stride; c++)
            assert_true(got[n * shape->stride + c] == 0);
    }
}

static void test_factors_equal_the_cpus(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(SHAPES); i++) {
        const struct shape *shape = &SHAPES[i];
        struct masks masks;
        expect(shape, &masks);
        const size_t branch_bytes = (size_t)shape->images * shape->blocks * sizeof(float);
        float *branches = array_new(branch_bytes);
        float *features = array_new((size_t)shape->images * shape->stride * sizeof *features);
        draw_on_device(shape, branches, features);
        assert_memory_equal(branches, masks.branches, branch_bytes);
        check_features(shape, features, masks.features);
        array_free(features);
        array_free(branches);
        masks_release(&masks);
    }
}

static void test_what_is_not_wanted_is_not_drawn(void **state)
{
    (void)state;
    struct shape shape = SHAPES[1];
    struct masks masks;
    expect(&shape, &masks);
    float *features = array_new((size_t)shape.images * shape.stride * sizeof *features);
    draw_on_device(&shape, NULL, features);
    check_features(&shape, features, masks.features);
    const size_t branch_bytes = (size_t)shape.images * shape.blocks * sizeof(float);
    float *branches = array_new(branch_bytes);
    draw_on_device(&shape, branches, NULL);
    assert_memory_equal(branches, masks.branches, branch_bytes);
    shape.blocks = 0;
    draw_on_device(&shape, branches, features);
    assert_memory_equal(branches, masks.branches, branch_bytes);
    array_free(branches);
    array_free(features);
    masks_release(&masks);
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_word_of_a_stream_is_the_generators),
        cmocka_unit_test(test_factors_equal_the_cpus),
        cmocka_unit_test(test_what_is_not_wanted_is_not_drawn),
    };
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
