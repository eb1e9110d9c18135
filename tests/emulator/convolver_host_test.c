/* What the convolver's double is stricter in than cuDNN. That it convolves is tested where cuDNN's is
 * (tests/unit/worker/engine/cuda/convolver_test.c). */
#include "kernels/device.h"
#include "tests/emulator/emulator.h"
#include "worker/engine/cuda/convolver.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct convolution SHAPE = {.batch = 2,
                                         .in_channels = 8,
                                         .out_channels = 16,
                                         .kernel = 3,
                                         .stride = 1,
                                         .in_size = 4,
                                         .out_size = 4};
enum { X_BYTES = 2 * 4 * 4 * 8 * 2, Y_BYTES = 2 * 4 * 4 * 16 * 2, W_COUNT = 16 * 9 * 8 };

struct scene {
    struct convolver *convolver;
    const struct convolver_plan *plan;
    struct convolver_tensors tensors;
};

static void *buffer_new(size_t bytes)
{
    void *buffer;
    assert_int_equal(device_buffer_new(bytes, &buffer, NULL), 0);
    return buffer;
}

static void scene_open(struct scene *scene, enum convolution_pass pass)
{
    const struct convolver_options options = {0};
    assert_int_equal(convolver_new(&options, &scene->convolver, NULL), 0);
    assert_int_equal(convolver_prepare(scene->convolver, &SHAPE, pass, &scene->plan, NULL), 0);
    scene->tensors =
        (struct convolver_tensors){.x = buffer_new(X_BYTES),
                                   .y = buffer_new(Y_BYTES),
                                   .weights = buffer_new(W_COUNT * sizeof(uint16_t)),
                                   .dweights = buffer_new(W_COUNT * sizeof(float)),
                                   .workspace = buffer_new(convolver_workspace(scene->plan))};
}

static void scene_close(const struct scene *scene)
{
    device_buffer_free(scene->tensors.x);
    device_buffer_free(scene->tensors.y);
    device_buffer_free(scene->tensors.weights);
    device_buffer_free(scene->tensors.dweights);
    device_buffer_free(scene->tensors.workspace);
    convolver_free(scene->convolver);
}

static void test_nothing_of_the_workspace_stays_whole(void **state)
{
    (void)state;
    for (int pass = 0; pass < CONVOLUTION_PASSES; pass++) {
        struct scene scene;
        scene_open(&scene, (enum convolution_pass)pass);
        const size_t bytes = convolver_workspace(scene.plan);
        assert_true(bytes > 0);
        unsigned char *here = calloc(bytes, 1);
        assert_non_null(here);
        assert_int_equal(device_write(scene.tensors.workspace, here, bytes, NULL), 0);
        assert_int_equal(convolver_run(scene.convolver, scene.plan, &scene.tensors), 0);
        assert_int_equal(device_read(here, scene.tensors.workspace, bytes, NULL), 0);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(here[i], 0xff);
        free(here);
        scene_close(&scene);
    }
}

static void test_work_waits_until_it_is_waited_for(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, CONVOLUTION_FORWARD);
    assert_int_equal(convolver_run(scene.convolver, scene.plan, &scene.tensors), 0);
    assert_int_equal(emulator_pending(), 1);
    assert_int_equal(device_stream_wait(NULL, NULL), 0);
    assert_int_equal(emulator_pending(), 0);
    scene_close(&scene);
}

/* The first byte of one tensor is on the host, or its last one beyond the allocation. */
static void expect_complaint(enum convolution_pass pass, size_t offset, void *wrong,
                             const char *name)
{
    struct scene scene;
    scene_open(&scene, pass);
    struct convolver_tensors tensors = scene.tensors;
    memcpy((unsigned char *)&tensors + offset, &wrong, sizeof wrong);
    assert_int_equal(convolver_run(scene.convolver, scene.plan, &tensors), 0);
    assert_int_equal(device_stream_wait(NULL, NULL), -EIO);
    assert_non_null(strstr(emulator_complaint(), name));
    emulator_mend();
    scene_close(&scene);
}

static void test_what_is_not_the_devices_breaks_it(void **state)
{
    (void)state;
    static _Alignas(256) unsigned char host[1 << 16];
    unsigned char *small = buffer_new(64);
    static const struct {
        enum convolution_pass pass;
        size_t offset;
        const char *name;
    } cases[] = {
        {CONVOLUTION_FORWARD, offsetof(struct convolver_tensors, x), "x is not"},
        {CONVOLUTION_FORWARD, offsetof(struct convolver_tensors, y), "y is not"},
        {CONVOLUTION_FORWARD, offsetof(struct convolver_tensors, weights), "weights is not"},
        {CONVOLUTION_BACKWARD_DATA, offsetof(struct convolver_tensors, x), "x is not"},
        {CONVOLUTION_BACKWARD_FILTER, offsetof(struct convolver_tensors, dweights),
         "dweights is not"},
        {CONVOLUTION_BACKWARD_FILTER, offsetof(struct convolver_tensors, workspace),
         "workspace is not"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        expect_complaint(cases[i].pass, cases[i].offset, host, cases[i].name);
        expect_complaint(cases[i].pass, cases[i].offset, small, cases[i].name);
    }
    device_buffer_free(small);
}

static void test_without_a_device_there_is_no_convolver(void **state)
{
    (void)state;
    const struct convolver_options options = {0};
    struct convolver *convolver;
    emulator_set_devices(0);
    assert_int_equal(convolver_new(&options, &convolver, NULL), -ENODEV);
    emulator_set_devices(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_of_the_workspace_stays_whole),
        cmocka_unit_test(test_work_waits_until_it_is_waited_for),
        cmocka_unit_test(test_what_is_not_the_devices_breaks_it),
        cmocka_unit_test(test_without_a_device_there_is_no_convolver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
