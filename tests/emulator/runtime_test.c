#include "kernels/device.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/probe.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = PROBE_THREADS, BYTES = COUNT * sizeof(uint32_t) };

static struct error error;

static void good(int result)
{
    if (result < 0)
        fail_msg("%d: %s", result, error.message);
}

static uint32_t *buffer_new(size_t bytes)
{
    void *buffer = NULL;
    good(device_buffer_new(bytes, &buffer, &error));
    return buffer;
}

/* A stream, device memory and pinned memory, which is full of 7. */
struct rig {
    struct CUstream_st *stream;
    uint32_t *values, *pinned;
};

static struct rig rig_new(void)
{
    struct rig rig = {.values = buffer_new(BYTES)};
    void *pinned = NULL;
    good(device_pinned_new(BYTES, &pinned, &error));
    good(device_stream_new(&rig.stream, &error));
    rig.pinned = pinned;
    for (size_t i = 0; i < COUNT; i++)
        rig.pinned[i] = 7;
    return rig;
}

static void rig_free(const struct rig *rig)
{
    device_stream_free(rig->stream);
    device_buffer_free(rig->values);
    device_pinned_free(rig->pinned);
}

static void test_new_memory_has_every_bit_set(void **state)
{
    (void)state;
    uint32_t got[COUNT];
    uint32_t *values = buffer_new(BYTES);
    good(device_read(got, values, BYTES, &error));
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(got[i], UINT32_MAX);
    device_buffer_free(values);
}

static void test_nothing_happens_until_it_is_waited_for(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    good(probe_count_launch(rig.values, 1, rig.stream));
    good(device_read_async(rig.pinned, rig.values, BYTES, rig.stream, &error));
    assert_int_equal(emulator_pending(), 2);
    assert_int_equal(rig.pinned[5], 7);
    good(device_stream_wait(rig.stream, &error));
    assert_int_equal(emulator_pending(), 0);
    assert_int_equal(rig.pinned[5], 5);
    rig_free(&rig);
}

static void test_what_was_written_is_there_for_all_streams(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    uint32_t ordinary[COUNT] = {[5] = 3};
    good(device_write(rig.values, ordinary, BYTES, &error));
    good(device_read_async(rig.pinned, rig.values, BYTES, rig.stream, &error));
    good(device_stream_wait(rig.stream, &error));
    assert_int_equal(rig.pinned[5], 3);
    rig_free(&rig);
}

static void test_the_default_stream_does_not_wait_for_others(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    uint32_t got[COUNT];
    good(probe_count_launch(rig.values, 1, rig.stream));
    good(device_read(got, rig.values, BYTES, &error));
    assert_int_equal(got[5], UINT32_MAX);
    good(device_stream_wait(rig.stream, &error));
    good(device_read(got, rig.values, BYTES, &error));
    assert_int_equal(got[5], 5);
    rig_free(&rig);
}

/* An event is what it was when it was waited for, not what it is recorded as later. */
static void test_an_event_brings_on_what_came_before_it_alone(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    struct CUevent_st *event = NULL;
    good(device_event_new(&event, &error));
    good(probe_count_launch(rig.values, 1, rig.stream));
    good(device_event_record(event, rig.stream, &error));
    good(device_read_async(rig.pinned, rig.values, BYTES, rig.stream, &error));
    good(device_event_wait(event, &error));
    assert_int_equal(emulator_pending(), 1);
    assert_int_equal(rig.pinned[5], 7);
    device_event_free(event);
    rig_free(&rig);
}

static void test_copies_that_a_device_could_not_do_alone_are_refused(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    uint32_t ordinary[COUNT];
    const int codes[] = {
        device_write_async(rig.values, ordinary, BYTES, rig.stream, &error),
        device_read_async(ordinary, rig.values, BYTES, rig.stream, &error),
        device_write_async(rig.values + 1, rig.pinned, BYTES, rig.stream, &error),
        device_read_async(rig.pinned, rig.values, BYTES + 1, rig.stream, &error),
        device_copy_async(rig.values, rig.pinned, BYTES, rig.stream, &error),
        device_fill_async(rig.pinned, 0, BYTES, rig.stream, &error),
        device_write(ordinary, rig.values, BYTES, &error),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++)
        assert_int_equal(codes[i], -EIO);
    good(device_write_async(rig.values, rig.pinned, BYTES, rig.stream, &error));
    rig_free(&rig);
}

static void test_memory_ends_where_it_is_told_to(void **state)
{
    (void)state;
    size_t before = 0, after = 0;
    void *more = &error;
    emulator_set_memory(1 << 20);
    good(device_memory_free(&before, &error));
    assert_int_equal(before, 1 << 20);
    uint32_t *values = buffer_new(3 << 18);
    good(device_memory_free(&after, &error));
    assert_int_equal(after, 1 << 18);
    assert_int_equal(device_buffer_new((1 << 18) + 1, &more, &error), -ENOMEM);
    assert_ptr_equal(more, &error);
    assert_non_null(strstr(error.message, "out of memory"));
    good(device_buffer_new(1 << 18, &more, &error));
    device_buffer_free(more);
    device_buffer_free(values);
    emulator_set_memory((size_t)4 << 30);
}

static void test_a_broken_device_fails_in_everything(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    struct CUstream_st *stream = NULL;
    struct CUevent_st *event = NULL;
    void *more = NULL;
    size_t available = 0;
    emulator_break_at(2);
    good(probe_count_launch(rig.values, 1, rig.stream));
    good(probe_count_launch(rig.values, 1, rig.stream));
    good(device_read_async(rig.pinned, rig.values, BYTES, rig.stream, &error));
    assert_int_equal(device_stream_wait(rig.stream, &error), -EIO);
    assert_non_null(strstr(error.message, "illegal memory access"));
    assert_int_equal(rig.pinned[5], 7);
    assert_int_equal(device_stream_wait(rig.stream, &error), -EIO);
    assert_int_equal(device_buffer_new(BYTES, &more, &error), -EIO);
    assert_int_equal(device_write(rig.values, rig.pinned, BYTES, &error), -EIO);
    assert_int_equal(device_stream_new(&stream, &error), -EIO);
    assert_int_equal(device_event_new(&event, &error), -EIO);
    assert_int_equal(device_memory_free(&available, &error), -EIO);
    assert_int_equal(device_recording_begin(rig.stream, &error), -EIO);
    assert_int_equal(probe_count_launch(rig.values, 1, rig.stream), -EIO);
    assert_int_equal(device_fill_async(rig.values, 0, BYTES, rig.stream, &error), -EIO);
    emulator_mend();
    good(device_read_async(rig.pinned, rig.values, BYTES, rig.stream, &error));
    good(device_stream_wait(rig.stream, &error));
    assert_int_equal(rig.pinned[5], 5);
    rig_free(&rig);
}

static void test_without_devices_there_is_none_to_find(void **state)
{
    (void)state;
    int index = 77;
    emulator_set_devices(0);
    assert_int_equal(device_count(), 0);
    assert_int_equal(device_check(&error), -ENODEV);
    assert_int_equal(device_find("cuda", &index, &error), -ENODEV);
    assert_non_null(strstr(error.message, "no CUDA-capable device"));
    assert_int_equal(device_find("cuda:0", &index, &error), -ENODEV);
    assert_int_equal(device_find("gpu", &index, &error), -EINVAL);
    assert_non_null(strstr(error.message, "no device"));
    assert_int_equal(index, 77);
    emulator_set_devices(1);
}

static void test_each_of_several_devices_is_found(void **state)
{
    (void)state;
    struct device_facts facts;
    char name[80] = "cuda:";
    int index = -1;
    emulator_set_devices(3);
    good(device_facts_get(2, &facts, &error));
    strncat(name, facts.uuid, sizeof name - sizeof "cuda:");
    good(device_find(name, &index, &error));
    assert_int_equal(index, 2);
    good(device_find("cuda:1", &index, &error));
    assert_int_equal(index, 1);
    assert_int_equal(device_find("cuda:3", &index, &error), -ENODEV);
    assert_non_null(strstr(error.message, "cuda:3"));
    assert_non_null(strstr(error.message, "cuda:0 ("));
    assert_non_null(strstr(error.message, "cuda:2 ("));
    assert_non_null(strstr(error.message, facts.uuid));
    assert_int_equal(device_use(3, &error), -EIO);
    emulator_set_devices(1);
}

static void test_a_stream_belongs_to_the_device_it_was_made_on(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    size_t first = 0, second = 0;
    emulator_set_devices(2);
    good(device_memory_free(&first, &error));
    good(device_use(1, &error));
    good(device_memory_free(&second, &error));
    assert_true(first < second);
    assert_int_equal(probe_count_launch(rig.values, 1, rig.stream), -EIO);
    good(device_use(0, &error));
    good(probe_count_launch(rig.values, 1, rig.stream));
    emulator_set_devices(1);
    rig_free(&rig);
}

static void *allocate(void *argument)
{
    (void)argument;
    device_buffer_free(buffer_new(BYTES));
    return NULL;
}

static void test_allocating_spoils_a_recording_of_the_same_thread(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    struct device_graph *graph = NULL;
    void *more = NULL;
    pthread_t other;
    good(device_recording_begin(rig.stream, &error));
    assert_int_equal(device_buffer_new(BYTES, &more, &error), -EIO);
    assert_int_equal(device_recording_end(rig.stream, &graph, &error), -EIO);
    good(device_recording_begin(rig.stream, &error));
    assert_int_equal(pthread_create(&other, NULL, allocate, NULL), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    good(device_recording_end(rig.stream, &graph, &error));
    assert_int_equal(device_graph_nodes(graph), 0);
    device_graph_free(graph);
    rig_free(&rig);
}

static void test_a_second_stream_has_to_come_back_to_the_recording(void **state)
{
    (void)state;
    const struct rig rig = rig_new(), other = rig_new();
    struct CUevent_st *fork = NULL;
    struct device_graph *graph = NULL;
    good(device_event_new(&fork, &error));
    good(device_recording_begin(rig.stream, &error));
    good(device_event_record(fork, rig.stream, &error));
    good(device_stream_wait_event(other.stream, fork, &error));
    good(probe_count_launch(other.values, 1, other.stream));
    assert_int_equal(device_recording_end(rig.stream, &graph, &error), -EIO);
    assert_non_null(strstr(error.message, "unjoined"));
    good(probe_count_launch(other.values, 1, other.stream));
    assert_int_equal(emulator_pending(), 1);
    device_event_free(fork);
    rig_free(&rig);
    rig_free(&other);
}

/* A later launch of the same kernel takes nothing from it. */
static void test_a_recorded_kernel_keeps_its_shared_memory(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    struct device_graph *graph = NULL;
    good(device_fill_async(rig.values, 0, BYTES, rig.stream, &error));
    good(device_recording_begin(rig.stream, &error));
    good(probe_reverse_dynamic_launch(rig.values, 1, 90 << 10, rig.stream));
    good(probe_reverse_dynamic_launch(rig.values, 1, 60 << 10, rig.stream));
    good(device_recording_end(rig.stream, &graph, &error));
    good(probe_reverse_dynamic_launch(rig.values, 1, 50 << 10, rig.stream));
    good(device_graph_launch(graph, rig.stream, &error));
    good(device_stream_wait(rig.stream, &error));
    device_graph_free(graph);
    rig_free(&rig);
}

struct addition {
    uint32_t *to, value;
};

static void add(const void *argument)
{
    const struct addition *addition = argument;
    *addition->to += addition->value;
}

static void test_work_of_a_double_is_queued_and_recorded_like_a_kernels(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    struct addition addition = {rig.values, 3};
    struct device_graph *graph = NULL;
    good(device_fill_async(rig.values, 0, BYTES, rig.stream, &error));
    good(emulator_enqueue(rig.stream, add, &addition, sizeof addition));
    good(device_recording_begin(rig.stream, &error));
    good(emulator_enqueue(rig.stream, add, &addition, sizeof addition));
    good(device_recording_end(rig.stream, &graph, &error));
    addition.value = 1000;
    good(device_graph_launch(graph, rig.stream, &error));
    good(device_graph_launch(graph, rig.stream, &error));
    device_graph_free(graph);
    good(device_read_async(rig.pinned, rig.values, BYTES, rig.stream, &error));
    good(device_stream_wait(rig.stream, &error));
    assert_int_equal(rig.pinned[0], 9);
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_memory_has_every_bit_set),
        cmocka_unit_test(test_nothing_happens_until_it_is_waited_for),
        cmocka_unit_test(test_what_was_written_is_there_for_all_streams),
        cmocka_unit_test(test_the_default_stream_does_not_wait_for_others),
        cmocka_unit_test(test_an_event_brings_on_what_came_before_it_alone),
        cmocka_unit_test(test_copies_that_a_device_could_not_do_alone_are_refused),
        cmocka_unit_test(test_memory_ends_where_it_is_told_to),
        cmocka_unit_test(test_a_broken_device_fails_in_everything),
        cmocka_unit_test(test_without_devices_there_is_none_to_find),
        cmocka_unit_test(test_each_of_several_devices_is_found),
        cmocka_unit_test(test_a_stream_belongs_to_the_device_it_was_made_on),
        cmocka_unit_test(test_allocating_spoils_a_recording_of_the_same_thread),
        cmocka_unit_test(test_a_second_stream_has_to_come_back_to_the_recording),
        cmocka_unit_test(test_a_recorded_kernel_keeps_its_shared_memory),
        cmocka_unit_test(test_work_of_a_double_is_queued_and_recorded_like_a_kernels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
