#include "tests/unit/kernels/device_array.h"

#include "kernels/device.h"
#include "tests/unit/kernels/array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { POISON = 0xff, GUARD_BYTES = 256, SKIPPED = 77 };

struct device_array {
    struct device_array *next;
    unsigned char *block; /* guard, data, guard */
    size_t bytes;
};

/* Of the process, as the device is: the arrays that are there, and what the first run read, in its order, as one number a
 * reading. */
static struct {
    struct device_array *arrays;
    uint64_t *first_run;
    size_t read, read_first, capacity;
    unsigned run;
    const char *name;
} all;

static void check(int result, const struct error *error)
{
    if (result < 0)
        fail_msg("%s", error->message);
}

static void *checked(void *memory)
{
    assert_non_null(memory);
    return memory;
}

static void *poison_new(size_t bytes)
{
    return memset(checked(malloc(bytes)), POISON, bytes);
}

void *device_array_new(size_t bytes)
{
    struct error error = {{0}, {0}};
    const size_t whole = GUARD_BYTES + bytes + GUARD_BYTES;
    struct device_array *array = checked(malloc(sizeof *array));
    void *block = NULL, *poison = poison_new(whole);
    check(device_buffer_new(whole, &block, &error), &error);
    check(device_write(block, poison, whole, &error), &error);
    *array = (struct device_array){all.arrays, block, bytes};
    all.arrays = array;
    free(poison);
    return array->block + GUARD_BYTES;
}

void device_array_write(void *to_device, const void *from, size_t bytes)
{
    struct error error = {{0}, {0}};
    check(device_write(to_device, from, bytes, &error), &error);
}

void *device_array_of(const void *from, size_t bytes)
{
    if (!from)
        return NULL;
    void *array = device_array_new(bytes);
    device_array_write(array, from, bytes);
    return array;
}

void *device_array_mirror(const void *array)
{
    return array ? device_array_of(array, array_bytes(array)) : NULL;
}

/* FNV-1a */
static uint64_t number_of(const unsigned char *bytes, size_t count)
{
    uint64_t number = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++)
        number = (number ^ bytes[i]) * 0x100000001b3u;
    return number;
}

static void remember(uint64_t number)
{
    if (all.read == all.capacity) {
        all.capacity = 2 * all.capacity + 64;
        all.first_run = checked(realloc(all.first_run, all.capacity * sizeof *all.first_run));
    }
    all.first_run[all.read] = number;
}

/* Outside device_array_main there is nothing to compare with. */
static void compare_with_first_run(const void *bytes, size_t count)
{
    const uint64_t number = number_of(bytes, count);
    if (all.run == 0)
        remember(number);
    else if (all.read >= all.read_first || all.first_run[all.read] != number)
        fail_msg("threads %s give other bits than before: reading %zu, of %zu bytes", all.name,
                 all.read, count);
    all.read++;
}

void device_array_read(const void *from_device, void *ret_to, size_t bytes)
{
    struct error error = {{0}, {0}};
    check(device_read(ret_to, from_device, bytes, &error), &error);
    compare_with_first_run(ret_to, bytes);
}

void device_array_bring_back(void *from_device, void *ret_array)
{
    if (!from_device && !ret_array)
        return;
    device_array_read(from_device, ret_array, array_bytes(ret_array));
    device_array_free(from_device);
}

static void guard_check(const unsigned char *guard, const char *where, size_t bytes)
{
    unsigned char here[GUARD_BYTES];
    struct error error = {{0}, {0}};
    check(device_read(here, guard, sizeof here, &error), &error);
    for (size_t i = 0; i < sizeof here; i++)
        if (here[i] != POISON)
            fail_msg("%s an array of %zu bytes was written", where, bytes);
}

void device_array_free(void *device_array)
{
    if (!device_array)
        return;
    struct device_array **link = &all.arrays;
    while (*link && (*link)->block + GUARD_BYTES != device_array)
        link = &(*link)->next;
    struct device_array *array = checked(*link);
    guard_check(array->block, "before", array->bytes);
    guard_check(array->block + GUARD_BYTES + array->bytes, "behind", array->bytes);
    *link = array->next;
    device_buffer_free(array->block);
    free(array);
}

int device_array_main(int (*run_all)(const char *name))
{
    struct error error = {{0}, {0}};
    int failed = 0;
    if (device_check(&error) < 0) {
        printf("SKIP: %s\n", error.message);
        return SKIPPED;
    }
    for (all.run = 0; all.run < platform_runs(); all.run++) {
        all.name = platform_use(all.run);
        all.read = 0;
        failed += run_all(all.name);
        all.read_first = all.run == 0 ? all.read : all.read_first;
    }
    free(all.first_run);
    return failed;
}
