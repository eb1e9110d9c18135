/* cuDNN's convolver on a machine without a device. */
#include "kernels/device.h"
#include "worker/engine/cuda/convolver.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_without_a_device_there_is_no_convolver(void **state)
{
    (void)state;
    const struct convolver_options options = {0};
    struct convolver *convolver = NULL;
    struct error error = {0};
    assert_int_equal(convolver_new(&options, &convolver, &error), -ENODEV);
    assert_true(error.message[0] != '\0');
    assert_null(convolver);
    convolver_free(convolver);
}

int main(void)
{
    enum { SKIPPED = 77 };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_device_there_is_no_convolver),
    };
    if (device_check(NULL) == 0) {
        puts("SKIP: there is a device here");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
