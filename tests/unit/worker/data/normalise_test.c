/* Bytes to floats, at every length. */
#include "worker/data/normalise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { PIXELS_MAX = 70 };

static void test_each_channel_has_its_own_mean_and_deviation(void **state)
{
    (void)state;
    static const double mean[3] = {0.1, 0.5, 0.9}, deviation[3] = {0.2, 1.0 / 255, 0.7};
    for (uint32_t channels = 1; channels <= 3; channels++)
        for (uint32_t pixels = 0; pixels <= PIXELS_MAX; pixels++) {
            const struct normaliser normaliser = normaliser_of(mean, deviation, channels);
            uint8_t bytes[PIXELS_MAX * 3];
            float values[PIXELS_MAX * 3 + 1];
            const uint32_t count = pixels * channels;
            for (uint32_t i = 0; i < count; i++)
                bytes[i] = (uint8_t)(i * 41);
            values[count] = -7;
            normaliser_run(&normaliser, bytes, count, values);
            for (uint32_t i = 0; i < count; i++) {
                const uint32_t c = i % channels;
                const double expected = (bytes[i] / 255.0 - mean[c]) / deviation[c];
                assert_true(fabs(values[i] - expected) < 1e-6 * (1 + fabs(mean[c] / deviation[c])));
            }
            assert_true(values[count] == -7);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_channel_has_its_own_mean_and_deviation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
