/* Arrays for kernels' tests: filled with NaN, aligned as device memory is, and followed by bytes that nobody may write. */
#ifndef TESTS_UNIT_KERNELS_ARRAY_H
#define TESTS_UNIT_KERNELS_ARRAY_H

#include <stddef.h>
#include <stdint.h>

enum { ARRAY_GUARD_BYTES = 64 };

/* Every bit set, the guard's too. Out of memory fails the test. */
void *array_new(size_t bytes);
/* Fails the test where the guard has been written. NULL is legal. */
void array_free(void *array);
size_t array_bytes(const void *array); /* without the guard */

float *array_zeros(size_t count);
float *array_normal(size_t count, uint64_t stream); /* mean 0, variance 1 */
float *array_copy(const float *from, size_t count);

/* |got - expected| <= tolerance (1 + |expected|), everywhere. */
void array_assert_close(const float *got, const float *expected, size_t count, double tolerance);

#endif
