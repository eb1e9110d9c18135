/* From a pack to the bytes of training, in colour: the steps in their order, by a plain computation. */
#include "tests/unit/worker/fixture.h"
#include "worker/data/augment.h"
#include "worker/data/cache.h"
#include "worker/data/cifar.h"
#include "worker/data/preparer.h"
#include "worker/data/randaugment.h"
#include "worker/data/resize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RECORD = 1 + CIFAR_IMAGE_BYTES, IMAGES = 10, OWN_SIZE = 32, SEED = 6, EPOCH = 3 };

/* CIFAR-10's files of two records each. */
static struct pack *colour_pack(struct fixture *fixture)
{
    char path[FILE_PATH_SIZE], name[64];
    static uint8_t bytes[2 * RECORD];
    fixture_make_directory(fixture, "cifar10");
    for (int file = 0; file <= 5; file++) {
        snprintf(name, sizeof name, file ? "cifar10/data_batch_%d.bin" : "cifar10/test_batch.bin",
                 file);
        for (int i = 0; i < 2 * RECORD; i++)
            bytes[i] = (uint8_t)(i * (file + 3) + i / 29);
        bytes[0] = 0;
        bytes[RECORD] = 1;
        fixture_path(fixture, name, path);
        fixture_write(path, bytes, sizeof bytes);
    }
    struct source source;
    struct pack *pack;
    struct error reason;
    fixture_path(fixture, "cifar10", path);
    assert_int_equal(source_detect(path, "cifar10", &source, NULL), 0);
    assert_int_equal(cache_open(NULL, &source, &pack, &reason, NULL), CACHE_PRIVATE);
    assert_int_equal(pack_dataset(pack)->image_channels, 3);
    return pack;
}

static struct random_stream stream_of(uint32_t image, enum random_purpose purpose)
{
    return random_stream_of(SEED, (uint64_t)EPOCH << 32 | image, purpose);
}

/* The order that docs/augmentation.md states. */
static void compute(const struct pack *pack, const struct prepare_rules *rules, uint32_t size,
                    uint32_t number, uint8_t *pixels)
{
    const size_t bytes = (size_t)size * size * 3;
    uint8_t *moved = malloc(bytes);
    struct resizer *resizer;
    struct random_stream crops = stream_of(number, RANDOM_CROP);
    struct random_stream ops = stream_of(number, RANDOM_RANDAUGMENT);
    const struct recipe *recipe = rules->recipe;
    const struct crop part = recipe->crop_area_min < 1
                                 ? crop_draw(&crops, recipe->crop_area_min, OWN_SIZE)
                                 : crop_whole(OWN_SIZE);
    assert_non_null(moved);
    assert_int_equal(resizer_new(OWN_SIZE, size, 3, &resizer), 0);
    resizer_run(resizer, pack_image(pack, number), &part, pixels);
    const struct augmentation augmentation = augmentation_draw(recipe, SEED, EPOCH, number);
    augmentation_apply(&augmentation, size, 3, pixels, moved);
    memcpy(pixels, moved, bytes);
    struct image image = {pixels, size, 3};
    for (uint32_t i = 0; i < recipe->randaugment_ops; i++) {
        const struct randaugment_choice choice = randaugment_draw(&ops, size);
        randaugment_apply(&choice, rules->randaugment_magnitude, &image, moved);
    }
    resizer_free(resizer);
    free(moved);
}

static void test_steps_are_done_in_their_order(void **state)
{
    static const struct recipe recipes[] = {
        {.crop_area_min = 1},
        {.crop_area_min = 1, .flip = true, .shift = 3},
        {.crop_area_min = 0.1},
        {.crop_area_min = 1, .randaugment_ops = 3},
        {.crop_area_min = 0.1, .flip = true, .shift = 3, .randaugment_ops = 2},
    };
    static const uint32_t sizes[] = {20, OWN_SIZE, 45};
    struct pack *pack = colour_pack(*state);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (size_t k = 0; k < sizeof recipes / sizeof recipes[0]; k++) {
            uint8_t expected[45 * 45 * 3];
            const struct prepare_rules rules = {&recipes[k], 11, SEED, EPOCH};
            struct preparer *preparer;
            assert_int_equal(preparer_new(pack, sizes[s], &preparer), 0);
            for (uint32_t number = 0; number < IMAGES; number++) {
                compute(pack, &rules, sizes[s], number, expected);
                assert_memory_equal(preparer_train(preparer, &rules, number), expected,
                                    sizes[s] * sizes[s] * 3);
            }
            preparer_free(preparer);
        }
    pack_free(pack);
}

/* RandAugment works in place, but never in the pack, which is mapped read-only and shared. */
static void test_the_pack_stays_as_it_is(void **state)
{
    const struct recipe recipe = {.crop_area_min = 1, .randaugment_ops = 8};
    const struct prepare_rules rules = {&recipe, 9, SEED, EPOCH};
    struct pack *pack = colour_pack(*state);
    struct preparer *preparer;
    static uint8_t before[IMAGES * CIFAR_IMAGE_BYTES];
    memcpy(before, pack_image(pack, 0), sizeof before);
    assert_int_equal(preparer_new(pack, OWN_SIZE, &preparer), 0);
    for (uint32_t number = 0; number < IMAGES; number++) {
        assert_ptr_equal(preparer_plain(preparer, number), pack_image(pack, number));
        assert_memory_not_equal(preparer_train(preparer, &rules, number), pack_image(pack, number),
                                CIFAR_IMAGE_BYTES);
    }
    assert_memory_equal(before, pack_image(pack, 0), sizeof before);
    preparer_free(preparer);
    pack_free(pack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_steps_are_done_in_their_order),
        FIXTURE_TEST(test_the_pack_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
