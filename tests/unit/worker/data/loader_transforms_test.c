/* Transforms against the float batches of the same loader. */
#include "tests/unit/worker/data/loading.h"
#include "worker/data/preparer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct transformed {
    struct transform transforms[BATCH];
    uint32_t labels[BATCH], partners[BATCH];
    float shares[BATCH];
};

static struct loader_transforms places_of(struct transformed *transformed)
{
    memset(transformed, 0, sizeof *transformed);
    return (struct loader_transforms){transformed->transforms, transformed->labels,
                                      transformed->partners, transformed->shares};
}

static bool box_has(const struct mix_box *box, uint32_t x, uint32_t y)
{
    return x >= box->left && x < box->right && y >= box->top && y < box->bottom;
}

/* The value of a mixed image, as worker/data/mix.c computes it. */
static float mixed_value(const struct mixing *mixing, uint32_t x, uint32_t y, float own,
                         float other)
{
    const float product = mixing->share * own, rest = (1 - mixing->share) * other;
    if (mixing->kind == MIXING_MIXUP)
        return product + rest;
    return mixing->kind == MIXING_CUTMIX && box_has(&mixing->box, x, y) ? other : own;
}

/* A batch out of its transforms alone: bytes, then values, then mixing. */
static void apply_transforms(const struct loading *loading, uint32_t size, uint32_t count,
                             const struct transformed *transformed, float *ret_images)
{
    static float values[BATCH][PIXELS_MAX];
    const struct image_set set = loader_images(loading->loader);
    struct preparer *preparer;
    assert_int_equal(preparer_new(loading->pack, size, &preparer), 0);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *bytes = preparer_apply(preparer, &transformed->transforms[i]);
        for (uint32_t k = 0; k < size * size; k++) {
            const float scaled = (float)bytes[k] * set.scale[0];
            values[i][k] = scaled + set.offset[0];
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct mixing *mixing = &transformed->transforms[i].mixing;
        for (uint32_t k = 0; k < size * size; k++)
            ret_images[i * size * size + k] =
                mixed_value(mixing, k % size, k / size, values[i][k], values[mixing->partner][k]);
    }
    preparer_free(preparer);
}

static void check_filled(const struct filled *expected, const struct filled *images,
                         const struct transformed *transformed)
{
    assert_memory_equal(images->images, expected->images, sizeof expected->images);
    assert_memory_equal(transformed->labels, expected->labels, sizeof expected->labels);
    assert_memory_equal(transformed->partners, expected->partners, sizeof expected->partners);
    assert_memory_equal(transformed->shares, expected->shares, sizeof expected->shares);
}

static void test_transforms_say_all_that_makes_a_batch(void **state)
{
    static const struct {
        double mixup, cutmix;
        uint32_t size;
    } cases[] = {{0.4, 1, LARGE}, {0.4, 0, 4}, {0, 1, SIZE}, {0, 0, 16}};
    static struct filled expected, images;
    static struct transformed transformed;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct recipe recipe = everything;
        struct loading loading;
        recipe.mixup = cases[k].mixup;
        recipe.cutmix = cases[k].cutmix;
        loading_init(state, &loading, &recipe, cases[k].size, 4);
        for (uint32_t epoch = 0; epoch < 3; epoch++) {
            loader_start_epoch(loading.loader, epoch);
            for (uint64_t step = 0; step < STEPS; step++) {
                const struct loader_transforms to = places_of(&transformed);
                fill_train(loading.loader, step, &expected);
                loader_train_transforms(loading.loader, step, &to);
                memset(&images, 0, sizeof images);
                apply_transforms(&loading, cases[k].size, BATCH, &transformed, images.images);
                check_filled(&expected, &images, &transformed);
            }
        }
        loading_release(&loading);
    }
}

static void test_transforms_of_held_out_images_only_resize(void **state)
{
    static struct filled expected, images;
    static struct transformed transformed;
    struct loading loading;
    loading_init(state, &loading, &everything, SIZE, 4);
    assert_int_equal(loader_set_evaluation_size(loading.loader, LARGE, NULL), 0);
    for (uint64_t index = 0; index < 3; index++) {
        const struct loader_transforms to = places_of(&transformed);
        fill_validation(loading.loader, index, &expected);
        const uint32_t count = loader_validation_transforms(loading.loader, index, &to);
        assert_int_equal(count, index < 2 ? BATCH : VALIDATION - 2 * BATCH);
        memset(&images, 0, sizeof images);
        apply_transforms(&loading, LARGE, count, &transformed, images.images);
        check_filled(&expected, &images, &transformed);
    }
    loading_release(&loading);
}

static void test_the_images_are_the_packs_own(void **state)
{
    struct loading loading;
    loading_init(state, &loading, &everything, LARGE, 4);
    const struct image_set set = loader_images(loading.loader);
    assert_ptr_equal(set.bytes, pack_image(loading.pack, 0));
    assert_int_equal(set.count, LOADED);
    assert_int_equal(set.size, SIZE);
    assert_int_equal(set.channels, 1);
    for (int byte = 0; byte <= 255; byte += 51)
        assert_true(fabs((float)byte * set.scale[0] + set.offset[0] -
                         loading_value(&loading, byte)) < 1e-5);
    loading_release(&loading);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_transforms_say_all_that_makes_a_batch),
        FIXTURE_TEST(test_transforms_of_held_out_images_only_resize),
        FIXTURE_TEST(test_the_images_are_the_packs_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
