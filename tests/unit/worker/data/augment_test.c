/* Augmentation: drawn by (seed, epoch, image), within bounds, applied as documented. */
#include "worker/data/augment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_draws_depend_on_seed_epoch_and_image_alone(void **state)
{
    (void)state;
    const struct recipe recipe = {.flip = true, .shift = 4};
    int same_seed = 0, same_epoch = 0, same_image = 0;
    for (uint32_t image = 0; image < 1000; image++) {
        struct augmentation a = augmentation_draw(&recipe, 5, 2, image);
        struct augmentation again = augmentation_draw(&recipe, 5, 2, image);
        assert_memory_equal(&a, &again, sizeof a);
        struct augmentation other = augmentation_draw(&recipe, 6, 2, image);
        same_seed += a.shift_x == other.shift_x;
        other = augmentation_draw(&recipe, 5, 3, image);
        same_epoch += a.shift_x == other.shift_x;
        other = augmentation_draw(&recipe, 5, 2, image + 1);
        same_image += a.shift_x == other.shift_x;
    }
    /* One in nine by chance. */
    assert_in_range(same_seed, 70, 160);
    assert_in_range(same_epoch, 70, 160);
    assert_in_range(same_image, 70, 160);
}

static void test_draws_cover_their_bounds_evenly(void **state)
{
    (void)state;
    const struct recipe recipe = {.flip = true, .shift = 2};
    int flips = 0, x[5] = {0}, y[5] = {0};
    for (uint32_t image = 0; image < 5000; image++) {
        struct augmentation drawn = augmentation_draw(&recipe, 1, 0, image);
        assert_true(drawn.shift_x >= -2 && drawn.shift_x <= 2);
        assert_true(drawn.shift_y >= -2 && drawn.shift_y <= 2);
        flips += drawn.flip;
        x[drawn.shift_x + 2]++;
        y[drawn.shift_y + 2]++;
    }
    assert_in_range(flips, 2350, 2650);
    for (int i = 0; i < 5; i++) {
        assert_in_range(x[i], 850, 1150);
        assert_in_range(y[i], 850, 1150);
    }
}

static void test_nothing_is_drawn_that_was_not_asked_for(void **state)
{
    (void)state;
    const struct recipe plain = {0}, shift_only = {.shift = 3}, flip_only = {.flip = true};
    for (uint32_t image = 0; image < 200; image++) {
        struct augmentation drawn = augmentation_draw(&plain, 1, 0, image);
        assert_false(drawn.flip || drawn.shift_x || drawn.shift_y);
        assert_false(augmentation_draw(&shift_only, 1, 0, image).flip);
        drawn = augmentation_draw(&flip_only, 1, 0, image);
        assert_false(drawn.shift_x || drawn.shift_y);
    }
}

/* Against the definition, pixel by pixel, for every shift there can be and beyond. */
static void check_moves(uint32_t channels, int flip)
{
    enum { SIZE = 5, BYTES_MAX = SIZE * SIZE * 3 };
    uint8_t image[BYTES_MAX], result[BYTES_MAX];
    const int elements = SIZE * SIZE * (int)channels;
    for (int i = 0; i < elements; i++)
        image[i] = (uint8_t)(i + 1);
    for (int shift_x = -7; shift_x <= 7; shift_x++)
        for (int shift_y = -7; shift_y <= 7; shift_y++) {
            const struct augmentation augmentation = {flip == 1, shift_x, shift_y};
            augmentation_apply(&augmentation, SIZE, channels, image, result);
            for (int i = 0; i < elements; i++) {
                const int c = i % (int)channels, x = i / (int)channels % SIZE - shift_x,
                          y = i / (int)channels / SIZE - shift_y;
                const bool inside = x >= 0 && x < SIZE && y >= 0 && y < SIZE;
                const int from = flip ? SIZE - 1 - x : x;
                const int expected = inside ? image[(y * SIZE + from) * (int)channels + c] : 0;
                assert_int_equal(result[i], expected);
            }
        }
}

static void test_flip_and_shift_move_pixels_as_documented(void **state)
{
    (void)state;
    for (int flip = 0; flip < 2; flip++) {
        check_moves(1, flip);
        check_moves(3, flip);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_depend_on_seed_epoch_and_image_alone),
        cmocka_unit_test(test_draws_cover_their_bounds_evenly),
        cmocka_unit_test(test_nothing_is_drawn_that_was_not_asked_for),
        cmocka_unit_test(test_flip_and_shift_move_pixels_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
