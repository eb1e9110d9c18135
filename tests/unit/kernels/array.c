#include "tests/unit/kernels/array.h"

#include "search/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { POISON = 0xff, ALIGNMENT = 64 };

void *array_new(size_t bytes)
{
    const size_t all = ALIGNMENT + bytes + ARRAY_GUARD_BYTES;
    unsigned char *block = aligned_alloc(ALIGNMENT, (all + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    assert_non_null(block);
    memset(block, POISON, all);
    memcpy(block, &bytes, sizeof bytes);
    return block + ALIGNMENT;
}

size_t array_bytes(const void *array)
{
    size_t bytes;
    memcpy(&bytes, (const unsigned char *)array - ALIGNMENT, sizeof bytes);
    return bytes;
}

void array_free(void *array)
{
    if (!array)
        return;
    const unsigned char *guard = (unsigned char *)array + array_bytes(array);
    for (size_t i = 0; i < ARRAY_GUARD_BYTES; i++)
        assert_int_equal(guard[i], POISON);
    free((unsigned char *)array - ALIGNMENT);
}

float *array_zeros(size_t count)
{
    float *values = array_new(count * sizeof *values);
    memset(values, 0, count * sizeof *values);
    return values;
}

float *array_normal(size_t count, uint64_t stream)
{
    float *values = array_new(count * sizeof *values);
    struct random_stream random = random_stream_of(1, stream, RANDOM_AUGMENT);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)random_normal(&random);
    return values;
}

float *array_copy(const float *from, size_t count)
{
    float *values = array_new(count * sizeof *values);
    memcpy(values, from, count * sizeof *values);
    return values;
}

void array_assert_close(const float *got, const float *expected, size_t count, double tolerance)
{
    for (size_t i = 0; i < count; i++) {
        const double want = (double)expected[i];
        if (!(fabs((double)got[i] - want) <= tolerance * (1 + fabs(want))))
            fail_msg("value %zu of %zu is %g, not %g", i, count, (double)got[i], want);
    }
}
