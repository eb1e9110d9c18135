/* Mixup and CutMix: what is drawn has the stated distribution, batches are mixed as a plain computation says. */
#include "worker/data/mix.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 7, SIZE = 6, CHANNELS = 3, ELEMENTS = SIZE * SIZE * CHANNELS, DRAWS = 20000 };

struct batch {
    float original[COUNT * ELEMENTS], images[COUNT * ELEMENTS];
    uint32_t labels[COUNT], numbers[COUNT], partners[COUNT];
    float shares[COUNT];
    struct mix_batch mix;
};

/* Values of image i are i * 1000 + place, so that each tells where it is from. */
static void batch_init(struct batch *batch, uint32_t count)
{
    for (uint32_t i = 0; i < COUNT; i++) {
        batch->labels[i] = 10 + i;
        batch->numbers[i] = 100 + 7 * i;
        for (uint32_t k = 0; k < ELEMENTS; k++)
            batch->original[i * ELEMENTS + k] = (float)(i * 1000 + k);
    }
    memcpy(batch->images, batch->original, sizeof batch->images);
    batch->mix =
        (struct mix_batch){batch->images,  count,           SIZE,         CHANNELS, batch->labels,
                           batch->numbers, batch->partners, batch->shares};
}

static void test_beta_has_its_moments(void **state)
{
    (void)state;
    static const double alphas[] = {0.001, 0.06667, 0.2, 0.5, 1, 1.5, 4, 100};
    for (size_t a = 0; a < sizeof alphas / sizeof alphas[0]; a++) {
        const double alpha = alphas[a];
        struct random_stream stream = random_stream_of(11, a, RANDOM_MIX);
        double sum = 0, squares = 0, fourths = 0;
        for (int i = 0; i < DRAWS; i++) {
            const double x = mix_beta(&stream, alpha), d = x - 0.5;
            assert_true(x >= 0 && x <= 1);
            sum += d;
            squares += d * d;
            fourths += d * d * d * d;
        }
        const double variance = 1 / (4 * (2 * alpha + 1));
        const double kurtosis = 3 - 6 / (2 * alpha + 3);
        assert_true(fabs(sum / DRAWS) < 4 * sqrt(variance / DRAWS));
        assert_true(fabs(squares / DRAWS / variance - 1) < 0.04);
        assert_true(fabs(fourths / DRAWS / (variance * variance) / kurtosis - 1) < 0.09);
    }
}

/* Beta(1, 1) is uniform, Beta(1/2, 1/2) the arcsine law. */
static void test_beta_has_its_distribution(void **state)
{
    (void)state;
    int uniform = 0, arcsine = 0, two = 0;
    struct random_stream stream = random_stream_of(12, 0, RANDOM_MIX);
    for (int i = 0; i < DRAWS; i++) {
        uniform += mix_beta(&stream, 1) < 0.1;
        arcsine += mix_beta(&stream, 0.5) < 0.1;
        two += mix_beta(&stream, 2) < 0.1;
    }
    assert_true(fabs((double)uniform / DRAWS - 0.1) < 0.01);
    assert_true(fabs((double)arcsine / DRAWS - 2 / M_PI * asin(sqrt(0.1))) < 0.012);
    assert_true(fabs((double)two / DRAWS - (3 * 0.01 - 2 * 0.001)) < 0.006);
}

static void test_without_alphas_nothing_is_mixed(void **state)
{
    (void)state;
    struct batch batch;
    batch_init(&batch, COUNT);
    mix_run(&batch.mix, &(struct mix_rules){.seed = 1});
    assert_memory_equal(batch.images, batch.original, sizeof batch.images);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(batch.partners[i], batch.labels[i]);
        assert_true(batch.shares[i] == 1);
    }
}

static void check_mixed_up(const struct batch *batch, uint32_t i, uint32_t partner)
{
    const float share = batch->shares[i];
    assert_true(share >= 0.5f && share <= 1);
    assert_int_equal(batch->partners[i], batch->labels[partner]);
    for (uint32_t k = 0; k < ELEMENTS; k++) {
        const float own = batch->original[i * ELEMENTS + k],
                    other = batch->original[partner * ELEMENTS + k];
        const double expected = share * (double)own + (1 - (double)share) * other;
        assert_true(fabs(batch->images[i * ELEMENTS + k] - expected) < 1e-2);
    }
}

static void test_mixup_adds_the_reversed_batch(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= COUNT; count++) {
        struct batch batch;
        batch_init(&batch, count);
        mix_run(&batch.mix, &(struct mix_rules){.mixup = 1, .seed = 3, .epoch = 2});
        int distinct = 0;
        for (uint32_t i = 0; i < count; i++) {
            check_mixed_up(&batch, i, count - 1 - i);
            distinct += i > 0 && batch.shares[i] != batch.shares[0];
        }
        assert_true(count < 3 || distinct > 0); /* a share an image */
    }
}

/* The pixels of the partner are a box, and the share is what is left beside it. */
static void check_cut(const struct batch *batch, uint32_t i, uint32_t partner)
{
    uint32_t taken = 0, left = SIZE, right = 0, top = SIZE, bottom = 0;
    for (uint32_t p = 0; p < SIZE * SIZE; p++) {
        const size_t at = (size_t)p * CHANNELS;
        const float *own = batch->original + i * ELEMENTS + at,
                    *other = batch->original + partner * ELEMENTS + at,
                    *shown = batch->images + i * ELEMENTS + at;
        const bool is_own = memcmp(shown, own, CHANNELS * sizeof *own) == 0;
        assert_true(is_own || memcmp(shown, other, CHANNELS * sizeof *own) == 0);
        if (is_own)
            continue;
        const uint32_t x = p % SIZE, y = p / SIZE;
        left = x < left ? x : left;
        right = x + 1 > right ? x + 1 : right;
        top = y < top ? y : top;
        bottom = y + 1 > bottom ? y + 1 : bottom;
        taken++;
    }
    assert_int_equal(batch->partners[i], batch->labels[partner]);
    if (partner != i)
        assert_true(fabs(batch->shares[i] - (1 - (double)taken / (SIZE * SIZE))) < 1e-6);
    else
        assert_true(batch->shares[i] == 1);
    assert_int_equal(taken, taken > 0 ? (right - left) * (bottom - top) : 0);
}

static void test_cutmix_takes_a_box_from_the_reversed_batch(void **state)
{
    (void)state;
    int mixed = 0;
    for (uint32_t epoch = 0; epoch < 40; epoch++)
        for (uint32_t count = 1; count <= COUNT; count++) {
            struct batch batch;
            batch_init(&batch, count);
            mix_run(&batch.mix, &(struct mix_rules){.cutmix = 1, .seed = 3, .epoch = epoch});
            for (uint32_t i = 0; i < count; i++) {
                check_cut(&batch, i, count - 1 - i);
                mixed += batch.shares[i] < 1;
            }
        }
    assert_true(mixed > 40 * 7 * 8 / 3);
}

static void test_with_both_each_half_is_mixed_within_itself(void **state)
{
    (void)state;
    struct batch batch;
    batch_init(&batch, COUNT);
    mix_run(&batch.mix, &(struct mix_rules){.mixup = 0.5, .cutmix = 0.5, .seed = 5});
    for (uint32_t i = 0; i < COUNT / 2; i++)
        check_mixed_up(&batch, i, COUNT / 2 - 1 - i);
    for (uint32_t i = COUNT / 2; i < COUNT; i++)
        check_cut(&batch, i, COUNT / 2 + COUNT - 1 - i);
}

static void test_draws_follow_seed_epoch_and_image(void **state)
{
    (void)state;
    struct batch one, same, other;
    batch_init(&one, COUNT);
    batch_init(&same, COUNT);
    mix_run(&one.mix, &(struct mix_rules){.mixup = 1, .seed = 5, .epoch = 6});
    mix_run(&same.mix, &(struct mix_rules){.mixup = 1, .seed = 5, .epoch = 6});
    assert_memory_equal(one.images, same.images, sizeof one.images);
    assert_memory_equal(one.shares, same.shares, sizeof one.shares);
    for (int change = 0; change < 3; change++) {
        batch_init(&other, COUNT);
        other.numbers[0] += change == 2;
        mix_run(&other.mix, &(struct mix_rules){.mixup = 1,
                                                .seed = change == 0 ? 4 : 5,
                                                .epoch = change == 1 ? 7 : 6});
        assert_true(other.shares[0] != one.shares[0]);
        assert_int_equal(other.shares[1] == one.shares[1], change == 2);
    }
}

/* Middles are uniform; the box at kept 0 reaches half the side from it, clipped: 3/4 of a side on average. */
static void test_boxes_are_where_they_should_be(void **state)
{
    (void)state;
    enum { WIDE = 64 };
    struct random_stream stream = random_stream_of(1, 1, RANDOM_MIX);
    double width = 0;
    for (int i = 0; i < DRAWS; i++) {
        struct mix_box box = mix_box_draw(&stream, 0, WIDE);
        assert_true(box.left < box.right && box.right <= WIDE && box.bottom <= WIDE);
        width += box.right - box.left;
        box = mix_box_draw(&stream, 0.75, WIDE); /* a side of 32 */
        assert_true(box.right - box.left <= 32 && box.right - box.left >= 16);
        box = mix_box_draw(&stream, 1, WIDE);
        assert_true(box.right == box.left && box.top == box.bottom);
    }
    assert_true(fabs(width / DRAWS / WIDE - 0.75) < 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beta_has_its_moments),
        cmocka_unit_test(test_beta_has_its_distribution),
        cmocka_unit_test(test_without_alphas_nothing_is_mixed),
        cmocka_unit_test(test_mixup_adds_the_reversed_batch),
        cmocka_unit_test(test_cutmix_takes_a_box_from_the_reversed_batch),
        cmocka_unit_test(test_with_both_each_half_is_mixed_within_itself),
        cmocka_unit_test(test_draws_follow_seed_epoch_and_image),
        cmocka_unit_test(test_boxes_are_where_they_should_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
