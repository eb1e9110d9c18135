/* Event streams: order, resuming, ending. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "search/attributes.h"
#include "tests/e2e/fake_worker.h"
#include "tests/e2e/search_spec.h"

enum { EVENTS_MAX = 64 };

/* Opens the stream of search 1 after an event; 0 = from the start. */
static int stream_open(const struct daemon_process *process, unsigned long long after)
{
    char request[256], last[64] = "";
    if (after > 0)
        snprintf(last, sizeof last, "Last-Event-ID: %llu\r\n", after);
    snprintf(request, sizeof request,
             "GET /v1/searches/1/events HTTP/1.1\r\nHost: localhost\r\n%s\r\n", last);
    int fd = connection_open(process);
    assert_true(connection_send(fd, request, strlen(request)));
    return fd;
}

struct events {
    size_t count;
    struct {
        unsigned long long id;
        char kind[64];
    } items[EVENTS_MAX];
};

/* The events of a stream that ends. */
static struct events read_to_the_end(int fd)
{
    struct events events = {.count = 0};
    struct answer answer;
    assert_true(connection_receive(fd, &answer));
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_header(&answer, "Content-Type"), "text/event-stream");
    for (const char *at = strstr(answer.body, "id: "); at; at = strstr(at + 1, "\nid: ")) {
        assert_true(events.count < EVENTS_MAX);
        assert_int_equal(sscanf(at + (*at == '\n'), "id: %llu\nevent: %63s",
                                &events.items[events.count].id, events.items[events.count].kind),
                         2);
        events.count++;
    }
    answer_release(&answer);
    close(fd);
    return events;
}

static void test_stream_tells_a_whole_search_in_order_and_ends(void **state)
{
    static const char *const kinds[] = {
        "search.created",     "candidate.leased", "candidate.epoch", "candidate.epoch",
        "candidate.finished", "candidate.leased", "candidate.epoch", "candidate.epoch",
        "candidate.finished", "search.done"};
    struct daemon_process *process = *state;
    search_submit(process, "told", 2);
    int live = stream_open(process, 0);
    fake_worker_register(process, "w", 1);
    fake_worker_train(process, "w", 2);
    struct events seen = read_to_the_end(live);
    struct events stored = read_to_the_end(stream_open(process, 0));
    assert_int_equal(seen.count, ARRAY_LENGTH(kinds));
    for (size_t i = 0; i < seen.count; i++) {
        assert_string_equal(seen.items[i].kind, kinds[i]);
        assert_true(i == 0 || seen.items[i].id > seen.items[i - 1].id);
    }
    assert_memory_equal(&seen, &stored, sizeof seen);
}

static void test_resumed_stream_goes_on_after_the_last_event(void **state)
{
    struct daemon_process *process = *state;
    search_submit(process, "resumed", 2);
    search_submit(process, "other", 2); /* its events stay out */
    assert_int_equal(search_steer(process, 2, "pause"), 200);
    fake_worker_register(process, "w", 1);
    fake_worker_train(process, "w", 2);
    struct events all = read_to_the_end(stream_open(process, 0));
    for (size_t i = 0; i + 1 < all.count; i++) {
        struct events rest = read_to_the_end(stream_open(process, all.items[i].id));
        assert_int_equal(rest.count, all.count - i - 1);
        assert_int_equal(rest.items[0].id, all.items[i + 1].id);
    }
    struct answer by_query =
        get(process, "/v1/searches/1/events?after=%llu", all.items[all.count - 2].id);
    assert_non_null(strstr(by_query.body, "search.done"));
    assert_null(strstr(by_query.body, "candidate."));
    answer_release(&by_query);
}

static void test_client_that_saw_the_end_gets_no_content(void **state)
{
    struct daemon_process *process = *state;
    search_submit(process, "seen", 1);
    assert_int_equal(search_steer(process, 1, "cancel"), 200);
    struct events all = read_to_the_end(stream_open(process, 0));
    assert_string_equal(all.items[all.count - 1].kind, "search.cancelled");
    struct answer answer;
    int fd = stream_open(process, all.items[all.count - 1].id);
    assert_true(connection_receive(fd, &answer));
    assert_int_equal(answer.status, 204);
    answer_release(&answer);
    close(fd);
}

static void test_stream_says_at_once_what_happens(void **state)
{
    struct daemon_process *process = *state;
    search_submit(process, "live", 4);
    int fd = stream_open(process, 0);
    free(connection_read_until(fd, "search.created"));
    assert_int_equal(search_steer(process, 1, "pause"), 200);
    char *text = connection_read_until(fd, "search.paused");
    assert_non_null(text);
    assert_non_null(strstr(text, "\"kind\":\"search.paused\""));
    free(text);
    close(fd);
}

static void test_resuming_works_over_a_crash(void **state)
{
    struct daemon_process *process = *state;
    search_submit(process, "crash", 1);
    int fd = stream_open(process, 0);
    char *text = connection_read_until(fd, "search.created");
    unsigned long long id = strtoull(strstr(text, "id: ") + 4, NULL, 10);
    free(text);
    close(fd);
    daemon_kill(process);
    daemon_start(process, NULL);
    fake_worker_register(process, "w", 1);
    fake_worker_train(process, "w", 1);
    struct events rest = read_to_the_end(stream_open(process, id));
    assert_string_equal(rest.items[0].kind, "candidate.leased");
    assert_string_equal(rest.items[rest.count - 1].kind, "search.done");
}

static void test_many_streams_tell_the_same(void **state)
{
    enum { STREAMS = 40 };
    struct daemon_process *process = *state;
    int fds[STREAMS];
    search_submit(process, "crowd", 8);
    for (int i = 0; i < STREAMS; i++)
        fds[i] = stream_open(process, 0);
    fake_worker_register(process, "w", 1);
    fake_worker_train(process, "w", 8);
    struct events first = read_to_the_end(fds[0]);
    for (int i = 1; i < STREAMS; i++) {
        struct events other = read_to_the_end(fds[i]);
        assert_memory_equal(&first, &other, sizeof first);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_set_up, daemon_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_stream_tells_a_whole_search_in_order_and_ends),
        TEST(test_resumed_stream_goes_on_after_the_last_event),
        TEST(test_client_that_saw_the_end_gets_no_content),
        TEST(test_stream_says_at_once_what_happens),
        TEST(test_resuming_works_over_a_crash),
        TEST(test_many_streams_tell_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
