/* Plans that take transforms: a backend that makes images itself is played by the reference, and must come to what a plan on
 * floats comes to. */
#include "tests/ops/support.h"
#include "worker/engine/backend.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 9, CHANNELS = 3, BATCH = 6, IMAGES = 10, IMAGE = SIZE * SIZE * CHANNELS };

static const struct small_network NETWORK = {.size = SIZE,
                                             .channels = CHANNELS,
                                             .stem_kernel = 3,
                                             .stem_stride = 2,
                                             .stem_channels = 8,
                                             .stage_count = 0,
                                             .head_channels = 16,
                                             .batch = BATCH};

/* What the played backend was told last. The engine's tests run one after another. */
static struct image_set held;
static int refusal;

static int hold(struct device *device, const struct image_set *set, struct error *error)
{
    (void)device;
    if (refusal < 0)
        return error_set(error, refusal, "", "no room");
    held = set ? *set : (struct image_set){0};
    return 0;
}

static float value_of(const struct transform *transform, uint32_t element)
{
    const uint32_t channel = element % CHANNELS;
    const uint8_t byte = held.bytes[(size_t)transform->image * IMAGE + element];
    return (float)byte * held.scale[channel] + held.offset[channel];
}

/* Images by their numbers and mixup alone, at the set's own size. */
static float *images_of(const struct part *part)
{
    float *images = malloc(sizeof *images * part->count * IMAGE);
    assert_non_null(images);
    assert_null(part->images);
    assert_in_range(part->batch_first + part->count, 1, part->batch);
    for (uint32_t i = 0; i < part->count; i++) {
        const struct transform *one = &part->transforms[part->batch_first + i];
        assert_in_range(one->mixing.partner, 0, part->batch - 1);
        const struct transform *other = &part->transforms[one->mixing.partner];
        for (uint32_t k = 0; k < IMAGE; k++)
            images[i * IMAGE + k] =
                one->mixing.share * value_of(one, k) + (1 - one->mixing.share) * value_of(other, k);
    }
    return images;
}

static int train(struct program *program, const struct part *part, struct batch_result *ret_result)
{
    struct part floats = *part;
    float *images = images_of(part);
    floats.images = images;
    int r = backend_reference()->train(program, &floats, ret_result);
    free(images);
    return r;
}

static int infer(struct program *program, const struct part *part, struct batch_result *ret_result)
{
    struct part floats = *part;
    /* The reference computes the images of the micro-batch that do not count, too. */
    float *images = images_of(part), *all = zero_values((size_t)BATCH * IMAGE);
    memcpy(all, images, sizeof *images * part->count * IMAGE);
    floats.images = all;
    int r = backend_reference()->infer(program, &floats, ret_result);
    free(images);
    free(all);
    return r;
}

static struct backend making_backend(void)
{
    struct backend backend = *backend_reference();
    backend.hold_images = hold;
    backend.train = train;
    backend.infer = infer;
    return backend;
}

static uint8_t bytes[IMAGES * IMAGE];

static struct image_set make_set(void)
{
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + i / 11);
    return (struct image_set){.bytes = bytes,
                              .count = IMAGES,
                              .size = SIZE,
                              .channels = CHANNELS,
                              .scale = {0.01f, 0.02f, 0.03f},
                              .offset = {-1, -2, -3}};
}

/* The same batch as transforms in one plan and as floats in the other, each image mixed with the one at the reversed place. */
static void fill(struct session *making, struct session *floats)
{
    struct transform *transforms = plan_transforms(making->plan);
    assert_non_null(transforms);
    for (uint32_t n = 0; n < BATCH; n++) {
        transforms[n].image = (3 * n + 1) % IMAGES;
        transforms[n].mixing = (struct mixing){
            .kind = MIXING_MIXUP, .partner = BATCH - 1 - n, .share = 1 - 0.05f * (float)n};
        plan_labels(making->plan)[n] = plan_labels(floats->plan)[n] = n % 2;
    }
    const struct part part = {.transforms = transforms, .batch = BATCH, .count = BATCH};
    float *images = images_of(&part);
    memcpy(plan_images(floats->plan), images, sizeof *images * BATCH * IMAGE);
    free(images);
}

static struct session open_making(const struct backend *backend, const struct plan_options *options)
{
    const struct image_set set = make_set();
    struct session session;
    assert_int_equal(engine_new(backend, &session.engine, NULL), 0);
    assert_true(engine_takes_transforms(session.engine));
    assert_int_equal(engine_hold_images(session.engine, &set, NULL), 0);
    assert_int_equal(plan_new(session.engine, options, &session.plan, NULL), 0);
    assert_null(plan_images(session.plan));
    return session;
}

static void test_transforms_train_as_the_floats_they_make(void **state)
{
    (void)state;
    static const uint32_t parts[] = {1, 2, 3};
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
        struct plan_options options = small_options(&NETWORK);
        const struct backend backend = making_backend();
        struct batch_result result, expected;
        options.micro_batches = parts[p];
        struct session making = open_making(&backend, &options);
        struct session floats = session_open(backend_reference(), &options);
        assert_null(plan_transforms(floats.plan));
        fill(&making, &floats);
        for (int step = 0; step < 3; step++) {
            assert_int_equal(plan_step(making.plan, 0.05, &result), 0);
            assert_int_equal(plan_step(floats.plan, 0.05, &expected), 0);
            assert_true(result.loss == expected.loss);
        }
        assert_sessions_equal(&making, &floats);
        for (uint32_t n = 0; n < BATCH;
             n++) { /* only 5 count: no partner among those that do not */
            plan_transforms(making.plan)[n].mixing = (struct mixing){.partner = n, .share = 1};
            for (uint32_t k = 0; k < IMAGE; k++)
                plan_images(floats.plan)[n * IMAGE + k] =
                    value_of(&plan_transforms(making.plan)[n], k);
        }
        assert_int_equal(plan_evaluate(making.plan, BATCH - 1, &result), 0);
        assert_int_equal(plan_evaluate(floats.plan, BATCH - 1, &expected), 0);
        assert_true(result.loss == expected.loss && result.correct == expected.correct);
        session_close(&making);
        session_close(&floats);
    }
}

static void test_a_new_plan_begins_with_the_first_image(void **state)
{
    (void)state;
    const struct plan_options options = small_options(&NETWORK);
    const struct backend backend = making_backend();
    struct session making = open_making(&backend, &options);
    const struct transform *transforms = plan_transforms(making.plan);
    for (uint32_t n = 0; n < BATCH; n++) {
        assert_int_equal(transforms[n].image, 0);
        assert_int_equal(transforms[n].shown.width, SIZE);
        assert_int_equal(transforms[n].shown.height, SIZE);
        assert_int_equal(transforms[n].op_count, 0);
        assert_int_equal(transforms[n].mixing.partner, n);
        assert_true(transforms[n].mixing.share == 1);
    }
    session_close(&making);
}

static void test_another_size_takes_transforms_as_before(void **state)
{
    (void)state;
    const struct plan_options options = small_options(&NETWORK);
    const struct backend backend = making_backend();
    struct session making = open_making(&backend, &options);
    struct transform *transforms = plan_transforms(making.plan);
    assert_int_equal(plan_resize(making.plan, SIZE + 4, 0, NULL), 0);
    assert_ptr_equal(plan_transforms(making.plan), transforms);
    assert_null(plan_images(making.plan));
    session_close(&making);
}

static void test_without_a_set_plans_take_floats_again(void **state)
{
    (void)state;
    const struct plan_options options = small_options(&NETWORK);
    const struct backend backend = making_backend();
    struct session making = open_making(&backend, &options);
    plan_free(making.plan);
    assert_int_equal(engine_hold_images(making.engine, NULL, NULL), 0);
    assert_null(held.bytes);
    assert_int_equal(plan_new(making.engine, &options, &making.plan, NULL), 0);
    assert_non_null(plan_images(making.plan));
    assert_null(plan_transforms(making.plan));
    session_close(&making);
}

static void test_a_set_that_cannot_be_held_is_not(void **state)
{
    (void)state;
    const struct plan_options options = small_options(&NETWORK);
    const struct backend backend = making_backend();
    const struct image_set set = make_set();
    struct session making = open_making(&backend, &options);
    struct error error = {0};
    plan_free(making.plan);
    refusal = -ENOMEM;
    assert_int_equal(engine_hold_images(making.engine, &set, &error), -ENOMEM);
    refusal = 0;
    assert_string_equal(error.message, "no room");
    assert_int_equal(plan_new(making.engine, &options, &making.plan, NULL), 0);
    assert_non_null(plan_images(making.plan));
    session_close(&making);
}

static void test_images_of_other_channels_are_einval(void **state)
{
    (void)state;
    struct plan_options options = small_options(&NETWORK);
    const struct backend backend = making_backend();
    struct session making = open_making(&backend, &options);
    struct error error = {0};
    plan_free(making.plan);
    options.problem.image_channels = 1;
    assert_int_equal(plan_new(making.engine, &options, &making.plan, &error), -EINVAL);
    assert_non_null(strstr(error.message, "channels"));
    engine_free(making.engine);
}

static void test_processors_take_floats(void **state)
{
    (void)state;
    struct engine *engine;
    assert_int_equal(engine_new(backend_reference(), &engine, NULL), 0);
    assert_false(engine_takes_transforms(engine));
    engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transforms_train_as_the_floats_they_make),
        cmocka_unit_test(test_a_new_plan_begins_with_the_first_image),
        cmocka_unit_test(test_another_size_takes_transforms_as_before),
        cmocka_unit_test(test_without_a_set_plans_take_floats_again),
        cmocka_unit_test(test_a_set_that_cannot_be_held_is_not),
        cmocka_unit_test(test_images_of_other_channels_are_einval),
        cmocka_unit_test(test_processors_take_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
