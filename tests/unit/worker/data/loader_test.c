/* The loader against a plain computation from the pack. */
#include "tests/unit/worker/fixture.h"
#include "worker/data/augment.h"
#include "worker/data/cache.h"
#include "worker/data/loader.h"
#include "worker/data/resize.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 6, PIXELS = SIZE * SIZE, BATCH = 8, TRAIN = 50, VALIDATION = 19, LARGE = 9 };

static const struct synthetic small = {
    .size = SIZE, .classes = 4, .train_images = 80, .test_images = 4};

struct loading {
    struct pack *pack;
    struct split split;
    struct loader *loader;
};

static void loading_init(void **state, struct loading *loading, const struct recipe *recipe,
                         uint32_t image_size, uint64_t seed)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "small", path);
    if (access(path, F_OK) < 0)
        fixture_write_synthetic(*state, "small", &small);
    struct source source;
    struct error reason;
    assert_int_equal(source_detect(path, "small", &source, NULL), 0);
    assert_int_equal(cache_open(NULL, &source, &loading->pack, &reason, NULL), CACHE_PRIVATE);
    struct split_request request = {pack_labels(loading->pack), 80, 4, 3, TRAIN, VALIDATION};
    assert_int_equal(split_init(&loading->split, &request, NULL), 0);
    struct loader_options options = {loading->pack, &loading->split, *recipe, image_size, seed};
    assert_int_equal(loader_new(&options, &loading->loader, NULL), 0);
}

static void loading_release(struct loading *loading)
{
    loader_free(loading->loader);
    split_release(&loading->split);
    pack_free(loading->pack);
}

static double normalised(const struct pack *pack, double pixel)
{
    return (pixel / 255 - pack_mean(pack)[0]) / pack_deviation(pack)[0];
}

/* Which held-in image a batch's image is, by its values: -1 where none. */
static int find_image(const struct loading *loading, const float *image)
{
    for (uint32_t k = 0; k < TRAIN; k++) {
        const uint8_t *bytes = pack_image(loading->pack, loading->split.train[k]);
        int i = 0;
        while (i < PIXELS && fabs(image[i] - normalised(loading->pack, bytes[i])) < 1e-5)
            i++;
        if (i == PIXELS)
            return (int)loading->split.train[k];
    }
    return -1;
}

static void test_an_epoch_has_distinct_training_images_with_their_labels(void **state)
{
    struct recipe recipe = {.batch = BATCH};
    struct loading loading;
    loading_init(state, &loading, &recipe, SIZE, 1);
    assert_int_equal(loader_steps_per_epoch(loading.loader), TRAIN / BATCH);
    bool seen[80] = {false};
    for (uint64_t step = 0; step < TRAIN / BATCH; step++) {
        float images[BATCH * PIXELS];
        uint32_t labels[BATCH];
        loader_train_batch(loading.loader, step, images, labels);
        for (int i = 0; i < BATCH; i++) {
            int image = find_image(&loading, images + i * PIXELS);
            assert_true(image >= 0);
            assert_false(seen[image]);
            seen[image] = true;
            assert_int_equal(labels[i], image % 4);
        }
    }
    loading_release(&loading);
}

static void load_epoch(struct loader *loader, uint32_t epoch, float *images, uint32_t *labels)
{
    loader_start_epoch(loader, epoch);
    for (uint64_t step = 0; step < TRAIN / BATCH; step++)
        loader_train_batch(loader, step, images + step * BATCH * PIXELS, labels + step * BATCH);
}

static void test_order_and_augmentation_follow_seed_and_epoch(void **state)
{
    enum { IMAGES = TRAIN / BATCH * BATCH };
    struct recipe recipe = {.batch = BATCH, .flip = true, .shift = 2};
    struct loading one, same, other;
    loading_init(state, &one, &recipe, SIZE, 1);
    loading_init(state, &same, &recipe, SIZE, 1);
    loading_init(state, &other, &recipe, SIZE, 2);
    float a[IMAGES * PIXELS], b[IMAGES * PIXELS];
    uint32_t labels[IMAGES];
    load_epoch(one.loader, 3, a, labels);
    load_epoch(same.loader, 0, b, labels);
    assert_memory_not_equal(a, b, sizeof a);
    load_epoch(same.loader, 3, b, labels);
    assert_memory_equal(a, b, sizeof a);
    load_epoch(other.loader, 3, b, labels);
    assert_memory_not_equal(a, b, sizeof a);
    loading_release(&one);
    loading_release(&same);
    loading_release(&other);
}

/* Without augmentation, so that nothing but the order can differ. */
static void test_each_epoch_has_an_order_of_its_own(void **state)
{
    enum { IMAGES = TRAIN / BATCH * BATCH };
    struct recipe recipe = {.batch = BATCH};
    struct loading loading;
    loading_init(state, &loading, &recipe, SIZE, 1);
    float a[IMAGES * PIXELS], b[IMAGES * PIXELS];
    uint32_t labels[IMAGES];
    load_epoch(loading.loader, 0, a, labels);
    load_epoch(loading.loader, 1, b, labels);
    int moved_within = 0, moved_between = 0;
    for (uint32_t i = 0; i < IMAGES; i++) {
        int in_a = find_image(&loading, a + i * PIXELS),
            in_b = find_image(&loading, b + i * PIXELS);
        moved_within += in_a != (int)loading.split.train[i];
        moved_between += in_a != in_b;
    }
    assert_true(moved_within > IMAGES / 2);
    assert_true(moved_between > IMAGES / 2);
    loading_release(&loading);
}

static void test_all_held_out_images_come_in_order_and_unaugmented(void **state)
{
    struct recipe recipe = {.batch = BATCH, .flip = true, .shift = 2};
    struct loading loading;
    loading_init(state, &loading, &recipe, SIZE, 1);
    assert_int_equal(loader_validation_batches(loading.loader), 3);
    uint32_t done = 0;
    for (uint64_t index = 0; index < 3; index++) {
        float images[BATCH * PIXELS];
        uint32_t labels[BATCH];
        uint32_t count = loader_validation_batch(loading.loader, index, images, labels);
        assert_int_equal(count, index < 2 ? BATCH : VALIDATION - 2 * BATCH);
        for (uint32_t i = 0; i < count; i++, done++) {
            uint32_t image = loading.split.validation[done];
            assert_int_equal(labels[i], image % 4);
            for (uint32_t p = 0; p < PIXELS; p++)
                assert_true(fabs(images[i * PIXELS + p] -
                                 normalised(loading.pack, pack_image(loading.pack, image)[p])) <
                            1e-5);
        }
    }
    assert_int_equal(done, VALIDATION);
    loading_release(&loading);
}

/* Every image of the epoch equals the resized, normalised, augmented original; black comes in at the edges. */
static void test_augmented_and_resized_values_equal_a_plain_computation(void **state)
{
    enum { ELEMENTS = LARGE * LARGE };
    struct recipe recipe = {.batch = TRAIN, .flip = true, .shift = 3};
    struct loading loading;
    loading_init(state, &loading, &recipe, LARGE, 9);
    struct resizer *resizer;
    assert_int_equal(resizer_new(SIZE, LARGE, 1, &resizer), 0);
    float images[TRAIN * ELEMENTS];
    uint32_t labels[TRAIN];
    loader_start_epoch(loading.loader, 1);
    loader_train_batch(loading.loader, 0, images, labels);
    const float black = (float)normalised(loading.pack, 0);
    for (uint32_t k = 0; k < TRAIN; k++) {
        uint32_t image = loading.split.train[k];
        float plain[ELEMENTS], expected[ELEMENTS];
        resizer_run(resizer, pack_image(loading.pack, image), plain);
        for (int p = 0; p < ELEMENTS; p++)
            plain[p] = (float)normalised(loading.pack, plain[p]);
        struct augmentation augmentation = augmentation_draw(&recipe, 9, 1, image);
        augmentation_apply(&augmentation, LARGE, 1, &black, plain, expected);
        bool found = false;
        for (uint32_t i = 0; i < TRAIN && !found; i++) {
            uint32_t p = 0;
            while (p < ELEMENTS && fabsf(images[i * ELEMENTS + p] - expected[p]) < 1e-4f)
                p++;
            found = p == ELEMENTS;
        }
        assert_true(found);
    }
    resizer_free(resizer);
    loading_release(&loading);
}

static void test_too_few_images_for_a_batch_are_refused(void **state)
{
    struct recipe recipe = {.batch = BATCH};
    struct loading loading;
    loading_init(state, &loading, &recipe, SIZE, 1);
    recipe.batch = TRAIN + 1;
    struct loader_options options = {loading.pack, &loading.split, recipe, SIZE, 1};
    struct loader *loader;
    struct error error = {0};
    assert_int_equal(loader_new(&options, &loader, &error), -EINVAL);
    assert_non_null(strstr(error.message, "51"));
    loading_release(&loading);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_an_epoch_has_distinct_training_images_with_their_labels),
        FIXTURE_TEST(test_order_and_augmentation_follow_seed_and_epoch),
        FIXTURE_TEST(test_each_epoch_has_an_order_of_its_own),
        FIXTURE_TEST(test_all_held_out_images_come_in_order_and_unaugmented),
        FIXTURE_TEST(test_augmented_and_resized_values_equal_a_plain_computation),
        FIXTURE_TEST(test_too_few_images_for_a_batch_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
