/* Batches made by kernels against worker/data: bytes equal to the bit, values equal after rounding to bfloat16. */
#include "kernels/augment.h"
#include "kernels/portable.h"
#include "tests/unit/kernels/device_array.h"
#include "worker/data/augment.h"
#include "worker/data/crop.h"
#include "worker/data/mix.h"
#include "worker/data/normalise.h"
#include "worker/data/randaugment.h"
#include "worker/data/resize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH_MAX = 24, IMAGES = 5 };

/* A batch on both sides. */
struct batch {
    struct image_set set; /* IMAGES images, in ordinary memory */
    uint32_t count, size;
    struct transform transforms[BATCH_MAX];
    struct mix_rules mixing;
    uint32_t numbers[BATCH_MAX]; /* that mixing is drawn by */
    uint8_t *pixels;             /* the set's */
    uint8_t *expected;           /* (count, size, size, channels) */
    float *values;               /* the same, normalised and mixed */
};

static void *checked(void *memory)
{
    assert_non_null(memory);
    return memory;
}

static size_t bytes_of(const struct batch *batch)
{
    return (size_t)batch->size * batch->size * batch->set.channels;
}

/* Noise over the whole range, over a part of it, and of two values. */
static void fill_pixels(const struct image_set *set, struct random_stream *stream,
                        uint8_t *ret_pixels)
{
    const size_t bytes = (size_t)set->size * set->size * set->channels;
    for (uint32_t n = 0; n < IMAGES; n++) {
        const uint64_t least = random_below(stream, 200), levels = n == 0 ? 256 : 1 + n * n * 3;
        for (size_t i = 0; i < bytes; i++) {
            const uint64_t value = (n == 0 ? 0 : least) + random_below(stream, levels);
            ret_pixels[n * bytes + i] = (uint8_t)(value < 256 ? value : 255);
        }
    }
}

static void batch_init(struct batch *batch, uint32_t own_size, uint32_t channels, uint32_t size,
                       struct random_stream *stream)
{
    static const double mean[] = {0.49, 0.48, 0.45}, deviation[] = {0.25, 0.24, 0.26};
    const struct normaliser normaliser = normaliser_of(mean, deviation, channels);
    memset(batch, 0, sizeof *batch);
    batch->set = (struct image_set){.count = IMAGES, .size = own_size, .channels = channels};
    batch->pixels = checked(malloc((size_t)IMAGES * own_size * own_size * channels));
    batch->set.bytes = batch->pixels;
    memcpy(batch->set.scale, normaliser.scale, sizeof batch->set.scale);
    memcpy(batch->set.offset, normaliser.offset, sizeof batch->set.offset);
    batch->size = size;
    fill_pixels(&batch->set, stream, batch->pixels);
}

/* One more image, shown whole and as it is. */
static struct transform *batch_add(struct batch *batch, uint32_t image)
{
    assert_true(batch->count < BATCH_MAX && image < IMAGES);
    struct transform *transform = &batch->transforms[batch->count];
    *transform = (struct transform){.image = image,
                                    .shown = crop_whole(batch->set.size),
                                    .mixing = {.partner = batch->count, .share = 1}};
    batch->numbers[batch->count] = 10 + batch->count;
    batch->count++;
    return transform;
}

/* ---- what worker/data makes of it ---- */

static void expect_bytes(const struct batch *batch, const struct transform *transform,
                         uint8_t *ret_bytes)
{
    const uint32_t own = batch->set.size, channels = batch->set.channels;
    const uint8_t *image = batch->pixels + (size_t)transform->image * own * own * channels;
    uint8_t *scratch = checked(malloc(bytes_of(batch)));
    struct resizer *resizer;
    assert_int_equal(resizer_new(own, batch->size, channels, &resizer), 0);
    resizer_run(resizer, image, &transform->shown, scratch);
    augmentation_apply(&transform->moved, batch->size, channels, scratch, ret_bytes);
    struct image shown = {ret_bytes, batch->size, channels};
    for (uint32_t i = 0; i < transform->op_count; i++)
        randaugment_run(&transform->ops[i], &shown, scratch);
    resizer_free(resizer);
    free(scratch);
}

static void expect_values(struct batch *batch)
{
    static const double mean[] = {0.49, 0.48, 0.45}, deviation[] = {0.25, 0.24, 0.26};
    const struct normaliser normaliser = normaliser_of(mean, deviation, batch->set.channels);
    uint32_t labels[BATCH_MAX] = {0}, partners[BATCH_MAX];
    float shares[BATCH_MAX];
    for (uint32_t n = 0; n < batch->count; n++)
        normaliser_run(&normaliser, batch->expected + n * bytes_of(batch), bytes_of(batch),
                       batch->values + n * bytes_of(batch));
    const struct mix_batch mixed = {batch->values, batch->count,   batch->size, batch->set.channels,
                                    labels,        batch->numbers, partners,    shares};
    mix_run(&mixed, &batch->mixing);
}

static void batch_expect(struct batch *batch)
{
    batch->expected = checked(malloc(batch->count * bytes_of(batch)));
    batch->values = checked(malloc(batch->count * bytes_of(batch) * sizeof *batch->values));
    for (uint32_t n = 0; n < batch->count; n++) {
        expect_bytes(batch, &batch->transforms[n], batch->expected + n * bytes_of(batch));
        batch->transforms[n].mixing =
            mix_draw(&batch->mixing, n, batch->numbers[n], batch->count, batch->size);
    }
    expect_values(batch);
}

/* ---- what the kernels make of it ---- */

static void check_bytes(const struct batch *batch, const uint8_t *bytes)
{
    const size_t image = bytes_of(batch);
    for (size_t i = 0; i < batch->count * image; i++) {
        if (bytes[i] == batch->expected[i])
            continue;
        const struct transform *transform = &batch->transforms[i / image];
        char ops[256] = "";
        for (uint32_t k = 0, at = 0; k < transform->op_count; k++)
            at += (uint32_t)snprintf(ops + at, sizeof ops - at, " %s",
                                     randaugment_op_name(transform->ops[k].op));
        fail_msg("byte %zu of image %zu, %u px of %u, is %u, expected %u; operations:%s", i % image,
                 i / image, batch->size, batch->set.size, bytes[i], batch->expected[i], ops);
    }
}

/* first .. first + count - 1 */
static void check_images(const struct batch *batch, uint32_t first, uint32_t count,
                         const uint16_t *halves)
{
    const uint32_t channels = batch->set.channels, pixels = batch->size * batch->size;
    for (size_t p = 0; p < (size_t)count * pixels; p++)
        for (uint32_t c = 0; c < AUGMENT_CHANNELS; c++) {
            const size_t from = ((size_t)first * pixels + p) * channels + c;
            const uint16_t expected = c < channels ? bfloat_of(batch->values[from]) : 0;
            if (halves[p * AUGMENT_CHANNELS + c] != expected)
                fail_msg("channel %u of pixel %zu of image %zu is %g, expected %g", c, p % pixels,
                         first + p / pixels,
                         (double)float_of_bfloat(halves[p * AUGMENT_CHANNELS + c]),
                         (double)float_of_bfloat(expected));
        }
}

/* In parts of `part` images, a divisor of the batch. */
static void run_images(const struct batch *batch, const struct augment *augment, uint32_t part)
{
    const size_t halves = (size_t)part * batch->size * batch->size * AUGMENT_CHANNELS;
    uint16_t *host = checked(malloc(halves * sizeof *host));
    for (uint32_t first = 0; first < batch->count; first += part) {
        uint16_t *images = device_array_new(halves * sizeof *images);
        assert_int_equal(augment_images_launch(augment, first, part, images, NULL), 0);
        device_array_read(images, host, halves * sizeof *host);
        check_images(batch, first, part, host);
        device_array_free(images);
    }
    free(host);
}

/* Expects, runs and compares, and ends the batch. */
static void batch_check(struct batch *batch, uint32_t part)
{
    const size_t own = (size_t)batch->set.size * batch->set.size * batch->set.channels;
    const size_t bytes = batch->count * bytes_of(batch);
    uint8_t *host = checked(malloc(bytes));
    batch_expect(batch);
    uint8_t *there = device_array_of(batch->pixels, IMAGES * own);
    struct transform *transforms =
        device_array_of(batch->transforms, batch->count * sizeof *transforms);
    struct augment augment = {.set = batch->set,
                              .transforms = transforms,
                              .count = batch->count,
                              .size = batch->size,
                              .bytes = device_array_new(bytes)};
    augment.set.bytes = there;
    const size_t scratch = augment_scratch_bytes(&augment);
    augment.scratch = scratch > 0 ? device_array_new(scratch) : NULL;
    assert_int_equal(augment_bytes_launch(&augment, NULL), 0);
    device_array_read(augment.bytes, host, bytes);
    check_bytes(batch, host);
    run_images(batch, &augment, part);
    device_array_free(augment.scratch);
    device_array_free(augment.bytes);
    device_array_free(transforms);
    device_array_free(there);
    free(host);
    free(batch->pixels);
    free(batch->expected);
    free(batch->values);
}

/* ---- cases ---- */

static struct random_stream stream_of(uint64_t number)
{
    return random_stream_of(7, number, RANDOM_AUGMENT);
}

static void add_op(struct transform *transform, enum randaugment_op op, double magnitude,
                   uint32_t size, struct random_stream *stream)
{
    struct randaugment_choice choice = randaugment_draw(stream, size);
    choice.op = op;
    transform->ops[transform->op_count++] = randaugment_resolve(&choice, magnitude, size);
}

/* All images of the set once, at every magnitude. */
static void check_op(enum randaugment_op op, uint32_t size, uint32_t channels)
{
    static const double magnitudes[] = {0, 2.6, 5, 9, 10, 17.5, 30};
    struct random_stream stream = stream_of((uint64_t)op * 1000 + size * 4 + channels);
    for (size_t m = 0; m < ARRAY_LENGTH(magnitudes); m++) {
        struct batch batch;
        batch_init(&batch, size, channels, size, &stream);
        for (uint32_t image = 0; image < IMAGES; image++)
            add_op(batch_add(&batch, image), op, magnitudes[m], size, &stream);
        batch_check(&batch, IMAGES);
    }
}

static void test_every_operation_at_every_magnitude(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 16, 23};
    for (int op = 0; op < RANDAUGMENT_OPS; op++)
        for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++)
            for (uint32_t channels = 1; channels <= 3; channels += 2)
                check_op((enum randaugment_op)op, sizes[s], channels);
}

/* Every size of a part in one direction, to smaller and larger images. */
static void test_parts_of_any_size_are_resized(void **state)
{
    (void)state;
    enum { OWN = 19 };
    static const uint32_t sizes[] = {1, 5, 18, 19, 20, 45};
    struct random_stream stream = stream_of(1);
    for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++)
        for (uint32_t channels = 1; channels <= 3; channels += 2) {
            struct batch batch;
            batch_init(&batch, OWN, channels, sizes[s], &stream);
            for (uint32_t width = 1; width <= OWN; width++) {
                const uint32_t height = 1 + (uint32_t)random_below(&stream, OWN);
                batch_add(&batch, width % IMAGES)->shown =
                    (struct crop){(uint32_t)random_below(&stream, OWN - width + 1),
                                  (uint32_t)random_below(&stream, OWN - height + 1), width, height};
            }
            batch_check(&batch, batch.count);
        }
}

static void test_flips_and_shifts_up_to_beyond_the_edge(void **state)
{
    (void)state;
    enum { SIZE = 9 };
    static const int32_t shifts[] = {-SIZE - 1, -SIZE, -2, 0, 3, SIZE, SIZE + 5};
    struct random_stream stream = stream_of(2);
    for (size_t y = 0; y < ARRAY_LENGTH(shifts); y++)
        for (uint32_t channels = 1; channels <= 3; channels += 2) {
            struct batch batch;
            batch_init(&batch, SIZE + channels, channels, SIZE, &stream);
            for (size_t x = 0; x < ARRAY_LENGTH(shifts); x++)
                for (int flip = 0; flip < 2; flip++)
                    batch_add(&batch, (uint32_t)x % IMAGES)->moved =
                        (struct augmentation){flip == 1, shifts[x], shifts[y]};
            batch_check(&batch, batch.count);
        }
}

static void test_batches_are_mixed_as_by_the_processor(void **state)
{
    (void)state;
    static const struct mix_rules rules[] = {
        {.mixup = 0, .cutmix = 0},
        {.mixup = 0.4, .cutmix = 0, .seed = 1},
        {.mixup = 0, .cutmix = 1, .seed = 2},
        {.mixup = 0.2, .cutmix = 0.7, .seed = 3},
    };
    struct random_stream stream = stream_of(3);
    for (size_t r = 0; r < ARRAY_LENGTH(rules); r++)
        for (uint32_t count = 1; count <= 12; count++) {
            struct batch batch;
            batch_init(&batch, 17, count % 2 ? 3 : 1, 17, &stream);
            batch.mixing = rules[r];
            for (uint32_t n = 0; n < count; n++)
                batch_add(&batch, n % IMAGES);
            batch_check(&batch, count % 3 == 0 ? count / 3 : count);
        }
}

/* A transform as a recipe that has everything draws it. */
static void draw(struct transform *transform, uint32_t own, uint32_t size, double magnitude,
                 struct random_stream *stream)
{
    const uint32_t ops = (uint32_t)random_below(stream, RANDAUGMENT_OPS_MAX + 1);
    if (random_below(stream, 4) > 0)
        transform->shown = crop_draw(stream, 0.05, own);
    transform->moved.flip = random_below(stream, 2) != 0;
    transform->moved.shift_x = (int32_t)random_below(stream, 9) - 4;
    transform->moved.shift_y = (int32_t)random_below(stream, 9) - 4;
    for (uint32_t i = 0; i < ops; i++) {
        const struct randaugment_choice choice = randaugment_draw(stream, size);
        transform->ops[transform->op_count++] = randaugment_resolve(&choice, magnitude, size);
    }
}

static void test_everything_at_once(void **state)
{
    (void)state;
    enum { BATCHES = 150, COUNT = 20 };
    for (uint64_t k = 0; k < BATCHES; k++) {
        struct random_stream stream = stream_of(100 + k);
        struct batch batch;
        const uint32_t own = 1 + (uint32_t)random_below(&stream, 32),
                       size = 1 + (uint32_t)random_below(&stream, 32);
        batch_init(&batch, own, k % 2 ? 3 : 1, size, &stream);
        batch.mixing = (struct mix_rules){
            .mixup = k % 3 ? 0.3 : 0, .cutmix = k % 4 ? 1 : 0, .seed = k, .epoch = 3};
        const double magnitude = 30 * random_unit(&stream);
        for (uint32_t n = 0; n < COUNT; n++)
            draw(batch_add(&batch, (uint32_t)random_below(&stream, IMAGES)), own, size, magnitude,
                 &stream);
        batch_check(&batch, COUNT / 2);
    }
}

/* Images that no block has room for are worked on where they are written and in the scratch: with 0, 1 and 2 changes of place. */
static void test_large_images_go_through_the_scratch(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {127, 160};
    struct random_stream stream = stream_of(4);
    for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
        struct batch batch;
        batch_init(&batch, 150, 3, sizes[s], &stream);
        for (uint32_t n = 0; n < IMAGES; n++) {
            struct transform *transform = batch_add(&batch, n);
            transform->shown = crop_draw(&stream, 0.3, 150);
            for (uint32_t i = 0; i < n; i++)
                add_op(transform, (enum randaugment_op)(RANDAUGMENT_SHARPNESS + i), 9, sizes[s],
                       &stream);
            add_op(transform, RANDAUGMENT_EQUALIZE, 9, sizes[s], &stream);
        }
        const struct augment augment = {.set = batch.set, .count = IMAGES, .size = sizes[s]};
        assert_int_equal(augment_scratch_bytes(&augment), IMAGES * bytes_of(&batch));
        batch_check(&batch, IMAGES);
    }
}

/* At 32 pixels all is in shared memory. */
static void test_small_images_need_no_scratch(void **state)
{
    (void)state;
    const struct image_set set = {.size = 32, .channels = 3};
    const struct augment augment = {.set = set, .count = 512, .size = 32};
    assert_int_equal(augment_scratch_bytes(&augment), 0);
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operation_at_every_magnitude),
        cmocka_unit_test(test_parts_of_any_size_are_resized),
        cmocka_unit_test(test_flips_and_shifts_up_to_beyond_the_edge),
        cmocka_unit_test(test_batches_are_mixed_as_by_the_processor),
        cmocka_unit_test(test_everything_at_once),
        cmocka_unit_test(test_large_images_go_through_the_scratch),
        cmocka_unit_test(test_small_images_need_no_scratch),
    };
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
