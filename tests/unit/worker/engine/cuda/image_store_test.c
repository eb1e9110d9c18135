/* The images that a device makes, on the emulator, against the float batches of the same loader, rounded to bfloat16. */
#include "kernels/augment.h"
#include "kernels/device.h"
#include "kernels/portable.h"
#include "tests/emulator/emulator.h"
#include "tests/unit/worker/data/loading.h"
#include "worker/engine/cuda/image_store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MEMORY_BYTES = 64 << 20 };

struct storing {
    struct loading loading;
    struct CUstream_st *stream;
    struct image_store *store;
    uint32_t size;
    uint16_t *images; /* (BATCH, size, size, AUGMENT_CHANNELS), device */
};

static const size_t SET_BYTES = (size_t)LOADED * PIXELS;

static size_t images_bytes(uint32_t size)
{
    return (size_t)BATCH * size * size * AUGMENT_CHANNELS * sizeof(uint16_t);
}

static uint16_t *images_new(uint32_t size)
{
    void *images;
    assert_int_equal(device_buffer_new(images_bytes(size), &images, NULL), 0);
    return images;
}

static void storing_init(void **state, struct storing *storing, const struct recipe *recipe,
                         uint32_t size, size_t resident_bytes_max)
{
    loading_init(state, &storing->loading, recipe, size, 4);
    const struct image_set set = loader_images(storing->loading.loader);
    storing->size = size;
    assert_int_equal(device_stream_new(&storing->stream, NULL), 0);
    assert_int_equal(image_store_new(storing->stream, &storing->store, NULL), 0);
    assert_int_equal(image_store_hold(storing->store, &set, resident_bytes_max, NULL), 0);
    assert_int_equal(image_store_reserve(storing->store, BATCH, size, NULL), 0);
    storing->images = images_new(size);
}

static void storing_release(struct storing *storing)
{
    image_store_free(storing->store);
    assert_int_equal(device_stream_wait(storing->stream, NULL), 0);
    device_buffer_free(storing->images);
    device_stream_free(storing->stream);
    loading_release(&storing->loading);
}

/* A batch on both sides. */
struct pair {
    struct filled filled;
    struct transform transforms[BATCH];
    uint32_t labels[BATCH], partners[BATCH], count;
    float shares[BATCH];
};

static struct loader_transforms places_of(struct pair *pair)
{
    memset(pair->transforms, 0, sizeof pair->transforms);
    return (struct loader_transforms){pair->transforms, pair->labels, pair->partners, pair->shares};
}

static void draw_train(struct storing *storing, uint64_t step, struct pair *ret_pair)
{
    const struct loader_transforms to = places_of(ret_pair);
    fill_train(storing->loading.loader, step, &ret_pair->filled);
    loader_train_transforms(storing->loading.loader, step, &to);
    ret_pair->count = BATCH;
}

static void draw_validation(struct storing *storing, uint64_t index, struct pair *ret_pair)
{
    const struct loader_transforms to = places_of(ret_pair);
    fill_validation(storing->loading.loader, index, &ret_pair->filled);
    ret_pair->count = loader_validation_transforms(storing->loading.loader, index, &to);
}

static void check_images(const struct storing *storing, const struct pair *pair,
                         const uint16_t *images)
{
    const uint32_t pixels = storing->size * storing->size;
    uint16_t *halves = malloc(images_bytes(storing->size));
    assert_non_null(halves);
    assert_int_equal(device_stream_wait(storing->stream, NULL), 0);
    assert_int_equal(device_read(halves, images, images_bytes(storing->size), NULL), 0);
    for (size_t p = 0; p < (size_t)pair->count * pixels; p++)
        for (size_t c = 0; c < AUGMENT_CHANNELS; c++) {
            const uint16_t expected = c == 0 ? bfloat_of(pair->filled.images[p]) : 0;
            if (halves[p * AUGMENT_CHANNELS + c] != expected)
                fail_msg("channel %zu of pixel %zu of image %zu is %04x, expected %04x", c,
                         p % pixels, p / pixels, halves[p * AUGMENT_CHANNELS + c], expected);
        }
    free(halves);
}

static void check_batch(struct storing *storing, const struct pair *pair)
{
    assert_int_equal(image_store_upload(storing->store, pair->transforms, pair->count), 0);
    assert_int_equal(image_store_launch(storing->store, storing->images), 0);
    check_images(storing, pair, storing->images);
}

/* All of an epoch, and the held-out images, of which the last batch is not full. */
static void check_all(struct storing *storing)
{
    static struct pair pair;
    for (uint32_t epoch = 0; epoch < 2; epoch++) {
        loader_start_epoch(storing->loading.loader, epoch);
        for (uint64_t step = 0; step < STEPS; step++) {
            draw_train(storing, step, &pair);
            check_batch(storing, &pair);
        }
    }
    for (uint64_t index = 0; index < loader_validation_batches(storing->loading.loader); index++) {
        draw_validation(storing, index, &pair);
        check_batch(storing, &pair);
    }
}

static void test_batches_equal_the_loaders(void **state)
{
    static const uint32_t sizes[] = {SIZE, 4, LARGE, 16};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int resident = 0; resident < 2; resident++) {
            struct storing storing;
            storing_init(state, &storing, &everything, sizes[s], resident ? SET_BYTES : 0);
            assert_int_equal(image_store_resident_bytes(storing.store), resident ? SET_BYTES : 0);
            check_all(&storing);
            storing_release(&storing);
        }
}

/* The transforms and, where they are streamed, the images of the second batch go through the same pinned memory as those of
 * the first. */
static void test_batches_may_be_asked_for_before_earlier_ones_are_made(void **state)
{
    static struct pair pairs[STEPS];
    for (int resident = 0; resident < 2; resident++) {
        struct storing storing;
        uint16_t *images[STEPS];
        storing_init(state, &storing, &everything, LARGE, resident ? SET_BYTES : 0);
        for (uint64_t step = 0; step < STEPS; step++) {
            images[step] = images_new(LARGE);
            draw_train(&storing, step, &pairs[step]);
            assert_int_equal(image_store_upload(storing.store, pairs[step].transforms, BATCH), 0);
            assert_int_equal(image_store_launch(storing.store, images[step]), 0);
        }
        for (uint64_t step = 0; step < STEPS; step++) {
            check_images(&storing, &pairs[step], images[step]);
            device_buffer_free(images[step]);
        }
        storing_release(&storing);
    }
}

static void test_a_recording_makes_whatever_batch_was_uploaded(void **state)
{
    static struct pair pair;
    for (int resident = 0; resident < 2; resident++) {
        struct storing storing;
        struct device_graph *graph;
        storing_init(state, &storing, &everything, LARGE, resident ? SET_BYTES : 0);
        assert_int_equal(device_recording_begin(storing.stream, NULL), 0);
        assert_int_equal(image_store_launch(storing.store, storing.images), 0);
        assert_int_equal(device_recording_end(storing.stream, &graph, NULL), 0);
        for (uint64_t step = 0; step < STEPS; step++) {
            draw_train(&storing, step, &pair);
            assert_int_equal(image_store_upload(storing.store, pair.transforms, BATCH), 0);
            assert_int_equal(device_graph_launch(graph, storing.stream, NULL), 0);
            check_images(&storing, &pair, storing.images);
        }
        device_graph_free(graph);
        storing_release(&storing);
    }
}

/* Partners lie in other micro-batches. */
static void test_micro_batches_are_parts_of_the_batch(void **state)
{
    static struct pair pair;
    struct storing storing;
    const size_t image = images_bytes(LARGE) / BATCH / sizeof(uint16_t);
    storing_init(state, &storing, &everything, LARGE, SET_BYTES);
    draw_train(&storing, 1, &pair);
    assert_int_equal(image_store_upload(storing.store, pair.transforms, BATCH), 0);
    assert_int_equal(image_store_launch_bytes(storing.store), 0);
    for (uint32_t first = 0; first < BATCH; first += BATCH / 4)
        assert_int_equal(image_store_launch_images(storing.store, first, BATCH / 4,
                                                   storing.images + first * image),
                         0);
    check_images(&storing, &pair, storing.images);
    storing_release(&storing);
}

/* As plans come and go, with more and less memory beside them. */
static void test_the_set_comes_and_goes(void **state)
{
    struct storing storing;
    storing_init(state, &storing, &everything, LARGE, SET_BYTES - 1);
    const struct image_set set = loader_images(storing.loading.loader);
    for (int turn = 0; turn < 4; turn++) {
        const size_t bytes = turn % 2 ? SET_BYTES - 1 : SET_BYTES;
        assert_int_equal(image_store_hold(storing.store, &set, bytes, NULL), 0);
        assert_int_equal(image_store_reserve(storing.store, BATCH, LARGE, NULL), 0);
        assert_int_equal(image_store_resident_bytes(storing.store), turn % 2 ? 0 : SET_BYTES);
        check_all(&storing);
    }
    assert_int_equal(image_store_hold(storing.store, NULL, SET_BYTES, NULL), 0);
    assert_int_equal(image_store_resident_bytes(storing.store), 0);
    storing_release(&storing);
}

static size_t memory_taken(void)
{
    size_t free_bytes;
    assert_int_equal(device_memory_free(&free_bytes, NULL), 0);
    return MEMORY_BYTES - free_bytes;
}

/* The same set costs no second copy: its bytes are changed behind the store's back, which nobody may do, and the old ones show. */
static void test_the_same_set_is_not_brought_over_again(void **state)
{
    static struct pair pair;
    struct storing storing;
    storing_init(state, &storing, &everything, LARGE, SET_BYTES);
    struct image_set set = loader_images(storing.loading.loader);
    uint8_t *bytes = malloc(SET_BYTES);
    assert_non_null(bytes);
    memcpy(bytes, set.bytes, SET_BYTES);
    set.bytes = bytes;
    assert_int_equal(image_store_hold(storing.store, &set, SET_BYTES, NULL), 0);
    memset(bytes, 0, SET_BYTES);
    assert_int_equal(image_store_hold(storing.store, &set, SET_BYTES, NULL), 0);
    assert_int_equal(image_store_reserve(storing.store, BATCH, LARGE, NULL), 0);
    draw_train(&storing, 0, &pair);
    check_batch(&storing, &pair);
    storing_release(&storing);
    free(bytes);
}

static void test_the_bytes_needed_are_those_taken(void **state)
{
    emulator_set_memory(MEMORY_BYTES);
    for (int resident = 0; resident < 2; resident++) {
        struct storing storing;
        storing_init(state, &storing, &everything, LARGE, resident ? SET_BYTES : 0);
        const struct image_set set = loader_images(storing.loading.loader);
        const size_t before = memory_taken();
        assert_int_equal(image_store_reserve(storing.store, BATCH, 16, NULL), 0);
        const size_t more = image_store_bytes_needed(&set, BATCH, 16, resident) -
                            image_store_bytes_needed(&set, BATCH, LARGE, resident);
        assert_in_range(memory_taken() - before, more, more + 4096); /* each is rounded up */
        storing_release(&storing);
    }
    assert_in_range(
        image_store_bytes_needed(&(struct image_set){.size = 8, .channels = 3}, 2, 4, false),
        2 * (4 * 4 + 8 * 8) * 3, 2 * (4 * 4 + 8 * 8) * 3 + 2 * sizeof(struct transform));
}

static void test_without_room_for_the_set_it_is_streamed(void **state)
{
    struct storing storing;
    emulator_set_memory(SET_BYTES / 2);
    loading_init(state, &storing.loading, &everything, SIZE, 4);
    const struct image_set set = loader_images(storing.loading.loader);
    assert_int_equal(device_stream_new(&storing.stream, NULL), 0);
    assert_int_equal(image_store_new(storing.stream, &storing.store, NULL), 0);
    assert_int_equal(image_store_hold(storing.store, &set, SIZE_MAX, NULL), 0);
    assert_int_equal(image_store_resident_bytes(storing.store), 0);
    struct error error = {0};
    assert_int_equal(image_store_reserve(storing.store, BATCH, SIZE, &error), -ENOMEM);
    emulator_set_memory(MEMORY_BYTES);
    storing.size = SIZE;
    storing.images = images_new(SIZE);
    assert_int_equal(image_store_reserve(storing.store, BATCH, SIZE, NULL), 0);
    check_all(&storing);
    storing_release(&storing);
}

static void test_a_broken_device_is_eio(void **state)
{
    static struct pair pair;
    struct storing storing;
    storing_init(state, &storing, &everything, LARGE, SET_BYTES);
    draw_train(&storing, 0, &pair);
    emulator_break_at(1);
    assert_int_equal(image_store_upload(storing.store, pair.transforms, BATCH), 0);
    assert_int_equal(image_store_launch(storing.store, storing.images), 0);
    assert_int_equal(device_stream_wait(storing.stream, NULL), -EIO);
    assert_int_equal(image_store_upload(storing.store, pair.transforms, BATCH), -EIO);
    image_store_free(storing.store);
    emulator_mend();
    device_buffer_free(storing.images);
    device_stream_free(storing.stream);
    loading_release(&storing.loading);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_batches_equal_the_loaders),
        FIXTURE_TEST(test_batches_may_be_asked_for_before_earlier_ones_are_made),
        FIXTURE_TEST(test_a_recording_makes_whatever_batch_was_uploaded),
        FIXTURE_TEST(test_micro_batches_are_parts_of_the_batch),
        FIXTURE_TEST(test_the_set_comes_and_goes),
        FIXTURE_TEST(test_the_same_set_is_not_brought_over_again),
        FIXTURE_TEST(test_the_bytes_needed_are_those_taken),
        FIXTURE_TEST(test_without_room_for_the_set_it_is_streamed),
        FIXTURE_TEST(test_a_broken_device_is_eio),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
