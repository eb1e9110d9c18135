/* The clock of a GPU, asked of a library that stands in for NVML. */
#include "worker/gpu_clock.h"

#include "tests/unit/worker/fake_nvml.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The variable of a library that stays loaded for the rest of the test. */
static struct fake_nvml *library_of(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    struct fake_nvml *fake = dlsym(library, "fake_nvml");
    assert_non_null(fake);
    *fake = (struct fake_nvml){.sm_mhz = 1785, .sm_mhz_max = 1980};
    return fake;
}

static void check_reading(const char *path)
{
    struct fake_nvml *fake = library_of(path);
    struct gpu_clock *clock = NULL;
    struct gpu_clock_state state;
    struct error error = {0};
    assert_int_equal(gpu_clock_new(path, FAKE_NVML_UUID, &clock, &error), 0);
    assert_int_equal(fake->started, 1);
    fake->reasons = GPU_CLOCK_POWER_CAP;
    assert_int_equal(gpu_clock_read(clock, &state, &error), 0);
    assert_int_equal(state.sm_mhz, 1785);
    assert_int_equal(state.sm_mhz_max, 1980);
    assert_int_equal(state.reasons, GPU_CLOCK_POWER_CAP);
    fake->clock_status = 9;
    assert_int_equal(gpu_clock_read(clock, &state, &error), -EIO);
    assert_non_null(strstr(error.message, "Driver Not Loaded"));
    gpu_clock_free(clock);
    assert_int_equal(fake->started, 0);
}

static void test_clock_and_reasons_are_read(void **state)
{
    (void)state;
    check_reading(FAKE_NVML);
}

static void test_an_older_library_says_them_under_the_older_name(void **state)
{
    (void)state;
    check_reading(FAKE_NVML_OLDER);
}

static void test_what_is_missing_is_said(void **state)
{
    (void)state;
    struct fake_nvml *fake = library_of(FAKE_NVML);
    struct gpu_clock *clock = NULL;
    struct error error = {0};
    assert_int_equal(gpu_clock_new("libno-such.so.1", "GPU-1", &clock, &error), -ENOENT);
    assert_non_null(strstr(error.message, "libno-such.so.1"));
    assert_int_equal(gpu_clock_new(FAKE_NVML_EMPTY, "GPU-1", &clock, &error), -ENOENT);
    assert_non_null(strstr(error.message, "nvmlDeviceGetCurrentClocksEventReasons"));
    assert_int_equal(gpu_clock_new(FAKE_NVML, "GPU-1", &clock, &error), -ENODEV);
    assert_non_null(strstr(error.message, "GPU-1: Not Found"));
    assert_int_equal(fake->started, 0);
    fake->init_status = 9;
    assert_int_equal(gpu_clock_new(FAKE_NVML, FAKE_NVML_UUID, &clock, &error), -EIO);
    assert_int_equal(fake->started, 0);
    assert_null(clock);
}

static void test_readings_are_summed_up(void **state)
{
    (void)state;
    const struct gpu_clock_state first = {1980, 1980, GPU_CLOCK_IDLE},
                                 second = {1200, 1980, GPU_CLOCK_SOFTWARE_THERMAL},
                                 third = {1900, 1980, GPU_CLOCK_POWER_CAP};
    struct gpu_clock_state seen = {0};
    char text[160];
    gpu_clock_note(&seen, &first);
    gpu_clock_note(&seen, &second);
    gpu_clock_note(&seen, &third);
    gpu_clock_describe(&seen, text, sizeof text);
    assert_string_equal(text, "1200 of 1980 MHz, power cap, heat (software)");
    gpu_clock_describe(&seen, text, 12);
    assert_string_equal(text, "1200 of 198");
}

static void test_heat_and_the_power_supply_throttle_and_the_power_cap_does_not(void **state)
{
    (void)state;
    const struct {
        uint64_t reasons;
        bool throttled;
    } cases[] = {
        {0, false},
        {GPU_CLOCK_IDLE | GPU_CLOCK_SETTING | GPU_CLOCK_POWER_CAP, false},
        {GPU_CLOCK_SYNC_BOOST | GPU_CLOCK_DISPLAY_SETTING, false},
        {GPU_CLOCK_HARDWARE_SLOWDOWN, true},
        {GPU_CLOCK_SOFTWARE_THERMAL | GPU_CLOCK_POWER_CAP, true},
        {GPU_CLOCK_HARDWARE_THERMAL, true},
        {GPU_CLOCK_POWER_BRAKE, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct gpu_clock_state clock = {.reasons = cases[i].reasons};
        assert_int_equal(gpu_clock_is_throttled(&clock), cases[i].throttled);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_and_reasons_are_read),
        cmocka_unit_test(test_an_older_library_says_them_under_the_older_name),
        cmocka_unit_test(test_what_is_missing_is_said),
        cmocka_unit_test(test_readings_are_summed_up),
        cmocka_unit_test(test_heat_and_the_power_supply_throttle_and_the_power_cap_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
