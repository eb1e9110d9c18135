#include "kernels/device.h"
#include "kernels/sgd.h"
#include "worker/engine/optimizer.h"

#include "search/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { COUNT = 100004, DECAYED = 70000, STEPS = 3 };

static void values_fill(float *values, uint64_t stream)
{
    struct random_stream random = random_stream_of(1, stream, RANDOM_AUGMENT);
    for (size_t i = 0; i < COUNT; i++)
        values[i] = (float)random_normal(&random);
}

static void *device_copy(const float *values)
{
    struct error error = {{0}, {0}};
    void *buffer = NULL;
    if (device_buffer_new(COUNT * sizeof *values, &buffer, &error) < 0 ||
        device_write(buffer, values, COUNT * sizeof *values, &error) < 0)
        fail_msg("%s", error.message);
    return buffer;
}

/* The device fuses multiplications into additions, the processor may not: a few units in the last place. */
static void test_steps_equal_the_reference(void **state)
{
    (void)state;
    static float values[COUNT], gradients[COUNT], velocity[COUNT], got[COUNT];
    const struct recipe recipe = {
        .optimizer = OPTIMIZER_SGD, .momentum = 0.9, .weight_decay = 1e-2};
    const struct sgd_constants constants = {0.05f, 0.9f, 1e-2f};
    struct error error = {{0}, {0}};
    values_fill(values, 1);
    values_fill(gradients, 2);
    const struct sgd_slabs slabs = {.values = device_copy(values),
                                    .velocity = device_copy(velocity),
                                    .gradients = device_copy(gradients),
                                    .count = COUNT,
                                    .decayed = DECAYED};
    const struct optimizer_slabs reference = {.values = values,
                                              .gradients = gradients,
                                              .states = {velocity, NULL},
                                              .count = COUNT,
                                              .decayed = DECAYED};
    for (int step = 0; step < STEPS; step++) {
        assert_int_equal(sgd_launch(&slabs, &constants, NULL), 0);
        const struct optimizer_update update = {0.05, (uint64_t)step};
        assert_int_equal(optimizer_step(&recipe, &update, &reference), 0);
    }
    if (device_read(got, slabs.values, sizeof got, &error) < 0)
        fail_msg("%s", error.message);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(fabs((double)got[i] - (double)values[i]) <=
                    1e-6 * (1 + fabs((double)values[i])));
    device_buffer_free(slabs.values);
    device_buffer_free(slabs.velocity);
    device_buffer_free((void *)slabs.gradients);
}

int main(void)
{
    enum { SKIPPED = 77 };
    struct error error = {{0}, {0}};
    if (device_check(&error) < 0) {
        printf("SKIP: %s\n", error.message);
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps_equal_the_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
