#include "worker/engine/normal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const double PI = 3.14159265358979323846;

static void test_values_are_box_and_mullers(void **state)
{
    (void)state;
    enum { GROUPS = 2000, PAIRS = NORMAL_GROUP / 2 };
    struct random_stream a = random_stream_of(3, 4, RANDOM_WEIGHTS), b = a;
    for (int group = 0; group < GROUPS; group++) {
        float got[NORMAL_GROUP];
        uint32_t words[NORMAL_GROUP];
        normal_fill(&a, 1.5f, NORMAL_GROUP, got);
        for (int i = 0; i < NORMAL_GROUP; i++)
            words[i] = random_u32(&b);
        for (int i = 0; i < PAIRS; i++) {
            const double u = ((double)(words[i] >> 8) + 1) * 0x1p-24;
            const double angle = 2 * PI * (double)(words[PAIRS + i] >> 8) * 0x1p-24;
            const double radius = 1.5 * sqrt(-2 * log(u));
            assert_true(fabs((double)got[2 * i] - radius * cos(angle)) <= 1e-6 * (radius + 1));
            assert_true(fabs((double)got[2 * i + 1] - radius * sin(angle)) <= 1e-6 * (radius + 1));
        }
    }
}

static void test_moments_and_tails_are_the_normal_distributions(void **state)
{
    (void)state;
    enum { COUNT = 400000 };
    float *values = malloc(COUNT * sizeof *values);
    assert_non_null(values);
    struct random_stream stream = random_stream_of(1, 2, RANDOM_WEIGHTS);
    normal_fill(&stream, 1, COUNT, values);
    double sums[5] = {0}, beyond = 0, neighbours = 0;
    for (int i = 0; i < COUNT; i++) {
        double power = 1;
        for (int k = 1; k <= 4; k++)
            sums[k] += power *= (double)values[i];
        beyond += fabsf(values[i]) > 1.959964f;
        neighbours += i > 0 ? (double)values[i] * (double)values[i - 1] : 0;
    }
    assert_true(fabs(sums[1] / COUNT) < 0.006);
    assert_true(fabs(sums[2] / COUNT - 1) < 0.008);
    assert_true(fabs(sums[3] / COUNT) < 0.02);
    assert_true(fabs(sums[4] / COUNT - 3) < 0.06);
    assert_true(fabs(beyond / COUNT - 0.05) < 0.0015);
    assert_true(fabs(neighbours / COUNT) < 0.006);
    free(values);
}

static void test_fewer_values_are_the_first_of_more(void **state)
{
    (void)state;
    float some[NORMAL_GROUP + 3], more[2 * NORMAL_GROUP];
    struct random_stream a = random_stream_of(1, 2, RANDOM_WEIGHTS), b = a;
    normal_fill(&a, 2, NORMAL_GROUP + 3, some);
    normal_fill(&b, 2, 2 * NORMAL_GROUP, more);
    assert_memory_equal(some, more, sizeof some);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_box_and_mullers),
        cmocka_unit_test(test_moments_and_tails_are_the_normal_distributions),
        cmocka_unit_test(test_fewer_values_are_the_first_of_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
