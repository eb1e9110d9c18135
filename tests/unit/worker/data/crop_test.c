/* Random-resized crops: inside the image, of the areas and aspect ratios asked for. */
#include "worker/data/crop.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { DRAWS = 4000 };

static void test_crops_lie_inside(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 7, 32, 301};
    static const double areas[] = {0.001, 0.05, 0.5, 0.99};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (size_t a = 0; a < sizeof areas / sizeof areas[0]; a++) {
            struct random_stream stream = random_stream_of(s, a, RANDOM_CROP);
            for (int i = 0; i < DRAWS / 4; i++) {
                const struct crop crop = crop_draw(&stream, areas[a], sizes[s]);
                assert_in_range(crop.width, 1, sizes[s]);
                assert_in_range(crop.height, 1, sizes[s]);
                assert_true(crop.x <= sizes[s] - crop.width);
                assert_true(crop.y <= sizes[s] - crop.height);
            }
        }
}

/* Up to an area of 3/4 every shape fits: nothing is drawn again and the distributions are as stated. */
static void test_areas_and_aspects_are_uniform(void **state)
{
    (void)state;
    enum { SIZE = 2000 };
    struct random_stream stream = random_stream_of(7, 0, RANDOM_CROP);
    double sum = 0, area = 0, area_squares = 0, log_aspect = 0, log_squares = 0, wide = 0;
    int left = 0, top = 0;
    for (int i = 0; i < DRAWS; i++) {
        const struct crop crop = crop_draw(&stream, 0.2, SIZE);
        const double share = (double)crop.width * crop.height / ((double)SIZE * SIZE);
        const double aspect = log((double)crop.width / crop.height);
        assert_true(share > 0.199 && share <= 1);
        assert_true(fabs(aspect) < log(4.0 / 3) + 0.005);
        if (share > 0.7)
            continue;
        sum++;
        area += share;
        area_squares += share * share;
        log_aspect += aspect;
        log_squares += aspect * aspect;
        wide += aspect > 0;
        left += crop.x < (SIZE - crop.width) / 2;
        top += crop.y < (SIZE - crop.height) / 2;
    }
    /* Above 0.75 part of the draws is rejected: 0.747 of what is left lies below 0.7. Uniform on 0.2 .. 0.7: mean 0.45, variance 0.25/12. */
    assert_true(fabs(sum / DRAWS - 0.747) < 0.028);
    assert_true(fabs(area / sum - 0.45) < 0.012);
    assert_true(fabs(area_squares / sum - 0.45 * 0.45 - 0.25 / 12) < 0.01);
    const double widest = log(4.0 / 3);
    assert_true(fabs(log_aspect / sum) < 0.015);
    assert_true(fabs(log_squares / sum - widest * widest / 3) < 0.003);
    assert_true(fabs(wide / sum - 0.5) < 0.04);
    assert_true(fabs(left / sum - 0.5) < 0.04);
    assert_true(fabs(top / sum - 0.5) < 0.04);
}

static void test_what_never_fits_is_the_whole_image(void **state)
{
    (void)state;
    struct random_stream stream = random_stream_of(1, 0, RANDOM_CROP);
    int whole = 0;
    for (int i = 0; i < 200; i++) {
        /* Only aspects that round to a square fit. */
        const struct crop crop = crop_draw(&stream, 1, 100000), all = crop_whole(100000);
        whole += memcmp(&crop, &all, sizeof all) == 0;
    }
    assert_in_range(whole, 195, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crops_lie_inside),
        cmocka_unit_test(test_areas_and_aspects_are_uniform),
        cmocka_unit_test(test_what_never_fits_is_the_whole_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
