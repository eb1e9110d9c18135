#include "kernels/device.h"

#include "kernels/optimizer.h"
#include "tests/unit/kernels/device_array.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 1000, BYTES = COUNT * sizeof(float) };

static struct error error;

/* Pinned memory, device memory and two streams, and what to do with them. */
struct rig {
    float *from, *to; /* pinned, (COUNT) */
    float *a, *b;     /* device, (COUNT) */
    struct CUstream_st *first, *second;
};

static void good(int result)
{
    if (result < 0)
        fail_msg("%d: %s", result, error.message);
}

static void *pinned_new(void)
{
    void *memory = NULL;
    good(device_pinned_new(BYTES, &memory, &error));
    return memory;
}

static struct rig rig_new(void)
{
    struct rig rig = {.from = pinned_new(),
                      .to = pinned_new(),
                      .a = device_array_new(BYTES),
                      .b = device_array_new(BYTES)};
    good(device_stream_new(&rig.first, &error));
    good(device_stream_new(&rig.second, &error));
    for (size_t i = 0; i < COUNT; i++) {
        rig.from[i] = (float)i;
        rig.to[i] = -1.0f;
    }
    return rig;
}

static void rig_free(const struct rig *rig)
{
    device_stream_free(rig->first);
    device_stream_free(rig->second);
    device_array_free(rig->a);
    device_array_free(rig->b);
    device_pinned_free(rig->from);
    device_pinned_free(rig->to);
}

static void test_a_device_is_found_by_number_and_by_uuid(void **state)
{
    (void)state;
    struct device_facts facts;
    char name[80];
    int index = -1;
    assert_true(device_count() > 0);
    good(device_facts_get(0, &facts, &error));
    assert_true(facts.name[0] != '\0' && facts.memory_bytes > 0 && facts.multiprocessors > 0);
    assert_int_equal(strlen(facts.uuid), strlen("GPU-01234567-89ab-cdef-0123-456789abcdef"));
    snprintf(name, sizeof name, "cuda:%s", facts.uuid);
    const char *const names[] = {"cuda", "cuda:0", name};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        index = -1;
        good(device_find(names[i], &index, &error));
        assert_int_equal(index, 0);
    }
    good(device_use(0, &error));
}

static void test_a_device_that_is_not_there_is_answered_with_those_that_are(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int code;
    } cases[] = {{"cuda:99", -ENODEV},
                 {"cuda:99999999999999999999", -ENODEV},
                 {"cuda:GPU-00000000-0000-0000-0000-000000000000", -ENODEV},
                 {"cuda:GPU-", -ENODEV},
                 {"cuda:", -EINVAL},
                 {"cuda:-1", -EINVAL},
                 {"cuda:0x0", -EINVAL},
                 {"cuda:0 ", -EINVAL},
                 {"cpu", -EINVAL},
                 {"", -EINVAL}};
    struct device_facts facts;
    good(device_facts_get(0, &facts, &error));
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int index = 77;
        assert_int_equal(device_find(cases[i].name, &index, &error), cases[i].code);
        assert_int_equal(index, 77);
        assert_non_null(strstr(error.message, "cuda:0 ("));
        assert_non_null(strstr(error.message, facts.uuid));
    }
}

static void test_free_memory_is_part_of_all(void **state)
{
    (void)state;
    struct device_facts facts;
    size_t available = 0;
    good(device_facts_get(0, &facts, &error));
    good(device_memory_free(&available, &error));
    assert_in_range(available, 1, facts.memory_bytes);
}

static void test_nothing_is_allocated_as_nothing(void **state)
{
    (void)state;
    void *buffer = &error, *pinned = &error;
    good(device_buffer_new(0, &buffer, &error));
    good(device_pinned_new(0, &pinned, &error));
    assert_null(buffer);
    assert_null(pinned);
    device_buffer_free(buffer);
    device_pinned_free(pinned);
    device_stream_free(NULL);
    device_event_free(NULL);
    device_graph_free(NULL);
}

static void test_what_a_stream_copies_arrives(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    good(device_write_async(rig.a, rig.from, BYTES, rig.first, &error));
    good(device_copy_async(rig.b, rig.a, BYTES, rig.first, &error));
    good(device_fill_async(rig.b, 0, BYTES / 2, rig.first, &error));
    good(device_read_async(rig.to, rig.b, BYTES, rig.first, &error));
    good(device_stream_wait(rig.first, &error));
    for (size_t i = 0; i < COUNT; i++)
        assert_true(rig.to[i] == (i < COUNT / 2 ? 0.0f : (float)i));
    rig_free(&rig);
}

static void test_a_stream_waits_for_an_event_of_another(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    struct CUevent_st *written = NULL;
    good(device_event_new(&written, &error));
    good(device_event_wait(written, &error));
    good(device_write_async(rig.a, rig.from, BYTES, rig.first, &error));
    good(device_event_record(written, rig.first, &error));
    good(device_stream_wait_event(rig.second, written, &error));
    good(device_read_async(rig.to, rig.a, BYTES, rig.second, &error));
    good(device_stream_wait(rig.second, &error));
    assert_memory_equal(rig.to, rig.from, BYTES);
    device_event_free(written);
    rig_free(&rig);
}

static void test_the_time_between_two_events_is_known(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    struct CUevent_st *start = NULL, *end = NULL;
    double seconds = -1;
    good(device_event_new(&start, &error));
    good(device_event_new(&end, &error));
    assert_int_equal(device_event_seconds(start, end, &seconds, &error), -EIO);
    good(device_event_record(start, rig.first, &error));
    good(device_write_async(rig.a, rig.from, BYTES, rig.first, &error));
    good(device_event_record(end, rig.first, &error));
    good(device_event_wait(end, &error));
    good(device_event_seconds(start, end, &seconds, &error));
    assert_true(seconds >= 0 && seconds < 60);
    device_event_free(start);
    device_event_free(end);
    rig_free(&rig);
}

/* from -> a -> its upper halves in b -> to */
static struct device_graph *recorded(const struct rig *rig)
{
    struct device_graph *graph = NULL;
    good(device_recording_begin(rig->first, &error));
    good(device_write_async(rig->a, rig->from, BYTES, rig->first, &error));
    good(halves_launch(rig->a, (uint16_t *)(void *)rig->b, COUNT, rig->first));
    good(device_read_async(rig->to, rig->b, BYTES / 2, rig->first, &error));
    good(device_recording_end(rig->first, &graph, &error));
    return graph;
}

static void test_a_recording_runs_on_what_memory_holds_then(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    struct device_graph *graph = recorded(&rig);
    assert_int_equal(device_graph_nodes(graph), 3);
    good(device_stream_wait(rig.first, &error));
    assert_true(rig.to[0] == -1.0f); /* recorded, not done */
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++)
            rig.from[i] = (float)(round + 1);
        good(device_graph_launch(graph, rig.first, &error));
        good(device_stream_wait(rig.first, &error));
        const uint16_t *halves = (const uint16_t *)(const void *)rig.to;
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(halves[i], bfloat_of((float)(round + 1)));
    }
    device_graph_free(graph);
    rig_free(&rig);
}

static void test_a_recording_takes_in_a_second_stream(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    struct CUevent_st *fork = NULL, *join = NULL;
    struct device_graph *graph = NULL;
    good(device_event_new(&fork, &error));
    good(device_event_new(&join, &error));
    good(device_recording_begin(rig.first, &error));
    good(device_event_record(fork, rig.first, &error));
    good(device_stream_wait_event(rig.second, fork, &error));
    good(device_write_async(rig.a, rig.from, BYTES, rig.second, &error));
    good(device_event_record(join, rig.second, &error));
    good(device_stream_wait_event(rig.first, join, &error));
    good(device_read_async(rig.to, rig.a, BYTES, rig.first, &error));
    good(device_recording_end(rig.first, &graph, &error));
    good(device_graph_launch(graph, rig.first, &error));
    good(device_stream_wait(rig.first, &error));
    assert_memory_equal(rig.to, rig.from, BYTES);
    device_graph_free(graph);
    device_event_free(fork);
    device_event_free(join);
    rig_free(&rig);
}

static void test_waiting_spoils_a_recording_and_nothing_else(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    struct device_graph *graph = NULL;
    good(device_recording_begin(rig.first, &error));
    assert_int_equal(device_stream_wait(rig.first, &error), -EIO);
    assert_int_equal(device_recording_end(rig.first, &graph, &error), -EIO);
    assert_null(graph);
    graph = recorded(&rig);
    device_graph_free(graph);
    rig_free(&rig);
}

static void test_a_recording_can_be_abandoned(void **state)
{
    (void)state;
    const struct rig rig = rig_new();
    good(device_recording_begin(rig.first, &error));
    good(device_read_async(rig.to, rig.a, BYTES, rig.first, &error));
    device_recording_abandon(rig.first);
    good(device_stream_wait(rig.first, &error));
    assert_true(rig.to[0] == -1.0f);
    rig_free(&rig);
}

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_device_is_found_by_number_and_by_uuid),
        cmocka_unit_test(test_a_device_that_is_not_there_is_answered_with_those_that_are),
        cmocka_unit_test(test_free_memory_is_part_of_all),
        cmocka_unit_test(test_nothing_is_allocated_as_nothing),
        cmocka_unit_test(test_what_a_stream_copies_arrives),
        cmocka_unit_test(test_a_stream_waits_for_an_event_of_another),
        cmocka_unit_test(test_the_time_between_two_events_is_known),
        cmocka_unit_test(test_a_recording_runs_on_what_memory_holds_then),
        cmocka_unit_test(test_a_recording_takes_in_a_second_stream),
        cmocka_unit_test(test_waiting_spoils_a_recording_and_nothing_else),
        cmocka_unit_test(test_a_recording_can_be_abandoned)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    return device_array_main(run_all);
}
