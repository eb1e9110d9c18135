/* Arrays of device memory for kernels' tests, between guards that nobody may write, and the main of such a test.
 *
 *   float *x = device_array_of(host, bytes), *y = device_array_new(bytes);
 *   assert_int_equal(X_launch(..., NULL), 0);      stream NULL: device_array_read waits for it
 *   device_array_read(y, host_y, bytes);
 *   device_array_free(x); device_array_free(y);    fails where a guard was written
 *
 * Whatever fails here fails the test. Arrays of array.h are ordinary memory. */
#ifndef TESTS_UNIT_KERNELS_DEVICE_ARRAY_H
#define TESTS_UNIT_KERNELS_DEVICE_ARRAY_H

#include "tests/unit/kernels/platform.h"

#include <stddef.h>

/* Every bit set, as an output's should be. bytes may be 0. */
void *device_array_new(size_t bytes);
/* A copy of the bytes at `from`. NULL gives NULL. */
void *device_array_of(const void *from, size_t bytes);
/* A copy of an array of array.h, whole. NULL gives NULL. */
void *device_array_mirror(const void *array);
void device_array_write(void *to_device, const void *from, size_t bytes);
/* Waits for everything on the default stream. What is read has to be the same, to the bit, in all runs of
 * device_array_main. */
void device_array_read(const void *from_device, void *ret_to, size_t bytes);
/* Into an array of array.h, all of it, and frees the device's. NULL for both is legal. */
void device_array_bring_back(void *from_device, void *ret_array);
/* Fails the test where a guard has been written. NULL is legal. */
void device_array_free(void *device_array);

/* A test's main: run_all(name) runs its group of tests under that name, and does so platform_runs() times. The exit status: 77,
 * with the reason printed, where there is no device. */
int device_array_main(int (*run_all)(const char *name));

#endif
