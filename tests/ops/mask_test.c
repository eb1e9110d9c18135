#include "search/attributes.h"
#include "worker/engine/mask.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 64, BLOCKS = 5, FEATURES = 40, STEPS = 200 };

static struct masks masks_make(uint32_t images)
{
    struct masks masks;
    assert_int_equal(masks_init(&masks, images, BLOCKS, FEATURES), 0);
    return masks;
}

/* Of 12800 draws a share lies within 0.02 of its probability: more than four deviations. */
static void test_block_i_of_n_survives_with_one_minus_rate_i_over_n(void **state)
{
    (void)state;
    struct masks masks = masks_make(IMAGES);
    double kept[BLOCKS] = {0};
    for (uint64_t step = 0; step < STEPS; step++) {
        masks_draw_branches(&masks, &(struct mask_key){7, step, 0}, 0.5);
        for (size_t b = 0; b < BLOCKS; b++)
            for (size_t n = 0; n < IMAGES; n++) {
                const float got = masks.branches[b * IMAGES + n];
                const float scaled = (float)(1.0 / (1.0 - 0.5 * (double)(b + 1) / BLOCKS));
                assert_true(got == 0 || got == scaled);
                kept[b] += got != 0;
            }
    }
    for (size_t b = 0; b < BLOCKS; b++)
        assert_true(fabs(kept[b] / (IMAGES * STEPS) - (1 - 0.1 * (double)(b + 1))) < 0.02);
    masks_release(&masks);
}

static void test_features_survive_with_one_minus_rate(void **state)
{
    (void)state;
    struct masks masks = masks_make(IMAGES);
    double kept = 0;
    for (uint64_t step = 0; step < 10; step++) {
        masks_draw_features(&masks, &(struct mask_key){7, step, 0}, 0.3);
        for (size_t i = 0; i < IMAGES * FEATURES; i++) {
            assert_true(masks.features[i] == 0 || masks.features[i] == (float)(1 / 0.7));
            kept += masks.features[i] != 0;
        }
    }
    assert_true(fabs(kept / (10.0 * IMAGES * FEATURES) - 0.7) < 0.02);
    masks_release(&masks);
}

/* Without correlation two masks of 2560 values agree in about 0.58 of them (0.7^2 + 0.3^2). */
static void test_steps_seeds_and_images_draw_different_numbers(void **state)
{
    (void)state;
    static const struct mask_key keys[] = {{7, 0, 0}, {7, 1, 0}, {8, 0, 0}, {7, 0, IMAGES}};
    struct masks a = masks_make(IMAGES), b = masks_make(IMAGES);
    masks_draw_features(&a, &keys[0], 0.3);
    for (size_t k = 1; k < ARRAY_LENGTH(keys); k++) {
        double same = 0;
        masks_draw_features(&b, &keys[k], 0.3);
        for (size_t i = 0; i < IMAGES * FEATURES; i++)
            same += a.features[i] == b.features[i];
        assert_true(fabs(same / (IMAGES * FEATURES) - 0.58) < 0.05);
    }
    masks_release(&a);
    masks_release(&b);
}

static void test_parts_of_a_batch_get_what_the_whole_batch_gets(void **state)
{
    (void)state;
    struct masks whole = masks_make(IMAGES), part = masks_make(IMAGES / 4);
    masks_draw_branches(&whole, &(struct mask_key){7, 3, 0}, 0.5);
    masks_draw_features(&whole, &(struct mask_key){7, 3, 0}, 0.5);
    for (uint32_t first = 0; first < IMAGES; first += IMAGES / 4) {
        masks_draw_branches(&part, &(struct mask_key){7, 3, first}, 0.5);
        masks_draw_features(&part, &(struct mask_key){7, 3, first}, 0.5);
        for (size_t b = 0; b < BLOCKS; b++)
            assert_memory_equal(part.branches + b * IMAGES / 4, whole.branches + b * IMAGES + first,
                                IMAGES / 4 * sizeof(float));
        assert_memory_equal(part.features, whole.features + (size_t)first * FEATURES,
                            (size_t)IMAGES / 4 * FEATURES * sizeof(float));
    }
    masks_release(&whole);
    masks_release(&part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block_i_of_n_survives_with_one_minus_rate_i_over_n),
        cmocka_unit_test(test_features_survive_with_one_minus_rate),
        cmocka_unit_test(test_steps_seeds_and_images_draw_different_numbers),
        cmocka_unit_test(test_parts_of_a_batch_get_what_the_whole_batch_gets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
