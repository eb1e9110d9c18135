/* The loader against a plain computation from the pack. */
#include "tests/unit/worker/data/loading.h"
#include "worker/data/augment.h"
#include "worker/data/resize.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* A batch without mixing. */
static void load_step(struct loader *loader, uint64_t step, float *images, uint32_t *labels)
{
    const struct loader_batch batch = {.images = images, .labels = labels};
    loader_train_batch(loader, step, &batch);
}

/* Which held-in image a batch's image is, by its values: -1 where none. */
static int find_image(const struct loading *loading, const float *image)
{
    for (uint32_t k = 0; k < TRAIN; k++) {
        const uint8_t *bytes = pack_image(loading->pack, loading->split.train[k]);
        int i = 0;
        while (i < PIXELS && fabs(image[i] - loading_value(loading, bytes[i])) < 1e-5)
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
        load_step(loading.loader, step, images, labels);
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
        load_step(loader, step, images + step * BATCH * PIXELS, labels + step * BATCH);
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
        float shares[BATCH] = {0};
        uint32_t labels[BATCH], partners[BATCH];
        const struct loader_batch batch = {images, labels, partners, shares};
        uint32_t count = loader_validation_batch(loading.loader, index, &batch);
        assert_int_equal(count, index < 2 ? BATCH : VALIDATION - 2 * BATCH);
        for (uint32_t i = 0; i < count; i++, done++) {
            uint32_t image = loading.split.validation[done];
            assert_int_equal(labels[i], image % 4);
            assert_int_equal(partners[i], labels[i]);
            assert_true(shares[i] == 1);
            for (uint32_t p = 0; p < PIXELS; p++)
                assert_true(fabs(images[i * PIXELS + p] -
                                 loading_value(&loading, pack_image(loading.pack, image)[p])) <
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
    load_step(loading.loader, 0, images, labels);
    const struct crop whole = crop_whole(SIZE);
    for (uint32_t k = 0; k < TRAIN; k++) {
        uint32_t image = loading.split.train[k];
        uint8_t plain[ELEMENTS], expected[ELEMENTS];
        resizer_run(resizer, pack_image(loading.pack, image), &whole, plain);
        struct augmentation augmentation = augmentation_draw(&recipe, 9, 1, image);
        augmentation_apply(&augmentation, LARGE, 1, plain, expected);
        bool found = false;
        for (uint32_t i = 0; i < TRAIN && !found; i++) {
            uint32_t p = 0;
            while (p < ELEMENTS &&
                   fabs(images[i * ELEMENTS + p] - loading_value(&loading, expected[p])) < 1e-5)
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
    struct loader_options options = {loading.pack, &loading.split, recipe, SIZE, 1, false};
    struct loader *loader;
    struct error error = {0};
    assert_int_equal(loader_new(&options, &loader, &error), -EINVAL);
    assert_non_null(strstr(error.message, "51"));
    loading_release(&loading);
}

/* ---- everything at once: the whole pipeline, with and without the thread ---- */

static struct loader *threaded_loader(const struct loading *loading, const struct recipe *recipe,
                                      uint32_t size, uint64_t seed)
{
    const struct loader_options options = {loading->pack, &loading->split, *recipe, size, seed,
                                           true};
    struct loader *loader;
    assert_int_equal(loader_new(&options, &loader, NULL), 0);
    return loader;
}

/* The same calls to both loaders, in an order that hits and misses what was prepared. */
static void compare_loaders(struct loader *plain, struct loader *threaded)
{
    static struct filled a, b;
    static const int script[] = {0, 1, 2, -1, -2, -3, 3, 3, 5, 4, -2, 0, -1, 5};
    for (uint32_t epoch = 0; epoch < 3; epoch++) {
        loader_start_epoch(plain, epoch);
        loader_start_epoch(threaded, epoch);
        for (size_t i = 0; i < sizeof script / sizeof script[0]; i++) {
            if (script[i] >= 0) {
                fill_train(plain, (uint64_t)script[i], &a);
                fill_train(threaded, (uint64_t)script[i], &b);
            } else {
                fill_validation(plain, (uint64_t)(-1 - script[i]), &a);
                fill_validation(threaded, (uint64_t)(-1 - script[i]), &b);
            }
            assert_memory_equal(&a, &b, sizeof a);
        }
    }
}

static void test_the_thread_changes_nothing(void **state)
{
    struct loading loading;
    loading_init(state, &loading, &everything, LARGE, 4);
    struct loader *threaded = threaded_loader(&loading, &everything, LARGE, 4);
    compare_loaders(loading.loader, threaded);
    loader_free(threaded);
    const struct recipe light = {.batch = BATCH, .flip = true, .shift = 1};
    struct loader *plain;
    const struct loader_options options = {loading.pack, &loading.split, light, SIZE, 5, false};
    assert_int_equal(loader_new(&options, &plain, NULL), 0);
    threaded = threaded_loader(&loading, &light, SIZE, 5);
    compare_loaders(plain, threaded);
    loader_free(plain);
    loader_free(threaded);
    loading_release(&loading);
}

/* What is prepared then is of the order before, and not taken for a batch of the new one. */
static void test_an_epoch_can_begin_while_a_batch_is_prepared(void **state)
{
    static struct filled expected, filled;
    struct loading loading;
    loading_init(state, &loading, &everything, LARGE, 4);
    struct loader *threaded = threaded_loader(&loading, &everything, LARGE, 4);
    loader_start_epoch(loading.loader, 0);
    fill_train(loading.loader, 1, &expected);
    for (int i = 0; i < 30; i++) {
        loader_start_epoch(threaded, 0);
        fill_train(threaded, 0, &filled); /* the next one is asked for */
        loader_start_epoch(threaded, 1);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        loader_start_epoch(threaded, 0);
        fill_train(threaded, 1, &filled);
        assert_memory_equal(&filled, &expected, sizeof filled);
    }
    loader_free(threaded);
    loading_release(&loading);
}

/* Left at any point, also while something is being prepared. */
static void test_a_loader_can_be_freed_at_any_point(void **state)
{
    struct loading loading;
    loading_init(state, &loading, &everything, LARGE, 4);
    for (int steps = 0; steps < 40; steps++) {
        static struct filled filled;
        struct loader *threaded = threaded_loader(&loading, &everything, LARGE, 4);
        for (int step = 0; step < steps % 4; step++)
            fill_train(threaded, (uint64_t)step, &filled);
        loader_free(threaded);
    }
    loading_release(&loading);
}

static void test_an_epoch_continues_at_any_step(void **state)
{
    struct loading loading, fresh;
    static struct filled whole[STEPS], rest;
    loading_init(state, &loading, &everything, LARGE, 4);
    loader_start_epoch(loading.loader, 2);
    for (uint64_t step = 0; step < STEPS; step++)
        fill_train(loading.loader, step, &whole[step]);
    for (uint64_t first = 0; first < STEPS; first++) {
        loading_init(state, &fresh, &everything, LARGE, 4);
        loader_start_epoch(fresh.loader, 2);
        for (uint64_t step = first; step < STEPS; step++) {
            fill_train(fresh.loader, step, &rest);
            assert_memory_equal(&rest, &whole[step], sizeof rest);
        }
        loading_release(&fresh);
    }
    assert_memory_not_equal(&whole[0], &whole[1], sizeof rest);
    loading_release(&loading);
}

/* A loader that came to a stage gives what a loader that began there gives, whatever was prepared before. */
static void test_stages_can_be_changed_between_steps(void **state)
{
    static const struct recipe_stage stages[] = {
        {.image_size = 4, .randaugment_magnitude = 3, .mixup = 0.2},
        {.image_size = 9, .randaugment_magnitude = 9, .mixup = 0.4, .cutmix = 0.3},
        {.image_size = 9, .randaugment_magnitude = 12},
        {.image_size = 16, .randaugment_magnitude = 20, .cutmix = 1}};
    static struct filled a, b;
    struct loading loading;
    loading_init(state, &loading, &everything, LARGE, 4);
    struct loader *staged = threaded_loader(&loading, &everything, LARGE, 4);
    loader_start_epoch(staged, 1);
    for (uint64_t step = 0; step < 4; step++) {
        struct recipe recipe = everything;
        recipe.randaugment_magnitude = stages[step].randaugment_magnitude;
        recipe.mixup = stages[step].mixup;
        recipe.cutmix = stages[step].cutmix;
        struct loader *fresh = threaded_loader(&loading, &recipe, stages[step].image_size, 4);
        loader_start_epoch(fresh, 1);
        fill_train(fresh, step + 1, &a);
        assert_int_equal(loader_set_stage(staged, &stages[step], NULL), 0);
        fill_train(staged, step + 1, &b);
        assert_memory_equal(&a, &b, sizeof a);
        fill_validation(fresh, 0, &a);
        fill_validation(staged, 0, &b);
        assert_memory_equal(&a, &b, sizeof a);
        loader_free(fresh);
    }
    loader_free(staged);
    loading_release(&loading);
}

static void test_evaluation_has_a_size_of_its_own_where_asked_for(void **state)
{
    static struct filled a, b;
    struct loading loading, large;
    loading_init(state, &loading, &everything, SIZE, 4);
    loading_init(state, &large, &everything, LARGE, 4);
    struct loader *loader = threaded_loader(&loading, &everything, SIZE, 4);
    assert_int_equal(loader_set_evaluation_size(loader, LARGE, NULL), 0);
    assert_int_equal(loader_set_stage(loader, &(struct recipe_stage){.image_size = 4}, NULL), 0);
    for (uint64_t index = 0; index < 3; index++) {
        fill_validation(large.loader, index, &a);
        fill_validation(loader, index, &b);
        assert_memory_equal(&a, &b, sizeof a);
    }
    fill_train(loader, 0, &b);
    for (size_t i = BATCH * 4 * 4; i < BATCH * PIXELS_MAX; i++)
        assert_true(b.images[i] == 0);
    assert_int_equal(loader_set_stage(loader, &(struct recipe_stage){.image_size = SIZE}, NULL), 0);
    assert_int_equal(loader_set_evaluation_size(loader, 0, NULL), 0);
    fill_validation(loading.loader, 1, &a);
    fill_validation(loader, 1, &b);
    assert_memory_equal(&a, &b, sizeof a);
    loader_free(loader);
    loading_release(&loading);
    loading_release(&large);
}

/* Each part of the recipe reaches the images, and magnitudes come from the stage. */
static void test_each_augmentation_takes_part(void **state)
{
    const struct recipe plain = {.batch = BATCH};
    struct recipe variants[] = {plain, plain, plain, plain, plain, plain};
    static struct filled without, with;
    struct loading loading;
    variants[0].crop_area_min = 0.3;
    variants[1].flip = true;
    variants[2].shift = 2;
    variants[3].randaugment_ops = 1;
    variants[4].mixup = 0.5;
    variants[5].cutmix = 0.5;
    loading_init(state, &loading, &plain, SIZE, 4);
    fill_train(loading.loader, 0, &without);
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        struct loader *loader = threaded_loader(&loading, &variants[i], SIZE, 4);
        fill_train(loader, 0, &with);
        assert_memory_equal(with.labels, without.labels, sizeof with.labels);
        assert_memory_not_equal(with.images, without.images, sizeof with.images);
        const bool mixes = variants[i].mixup > 0 || variants[i].cutmix > 0;
        assert_int_equal(memcmp(with.shares, without.shares, sizeof with.shares) != 0, mixes);
        loader_free(loader);
    }
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
        FIXTURE_TEST(test_the_thread_changes_nothing),
        FIXTURE_TEST(test_an_epoch_can_begin_while_a_batch_is_prepared),
        FIXTURE_TEST(test_a_loader_can_be_freed_at_any_point),
        FIXTURE_TEST(test_an_epoch_continues_at_any_step),
        FIXTURE_TEST(test_stages_can_be_changed_between_steps),
        FIXTURE_TEST(test_evaluation_has_a_size_of_its_own_where_asked_for),
        FIXTURE_TEST(test_each_augmentation_takes_part),
        FIXTURE_TEST(test_too_few_images_for_a_batch_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
