/* Server-sent events from a stream in pieces of any size. */
#include "cli/sse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    char text[1024]; /* "type=data;" an event */
    int stop_after;  /* events; 0 = never */
    int count;
};

static int visit(void *context, const struct sse_event *event)
{
    struct seen *seen = context;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%s=%s;", event->type, event->data);
    return ++seen->count == seen->stop_after ? -ECANCELED : 0;
}

static const char stream[] = ":\n\n"
                             "retry: 250\n"
                             "id: 7\nevent: candidate.finished\ndata: {\"candidate\": 3}\n\n"
                             "id:8\r\ndata:one\r\ndata: two\r\n\r\n"
                             "event: without.data\n\n"
                             "data\n\n"
                             "unknown: field\ndata:  kept blank\n\n"
                             "id: 9\ndata: never ended";

static const char stream_seen[] = "candidate.finished={\"candidate\": 3};message=one\ntwo;message=;"
                                  "message= kept blank;";

static void test_events_are_the_same_for_any_piece_size(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= sizeof stream; piece++) {
        struct seen seen = {.text = ""};
        struct sse sse;
        assert_int_equal(sse_init(&sse, visit, &seen), 0);
        for (size_t at = 0; at < sizeof stream - 1; at += piece) {
            size_t left = sizeof stream - 1 - at;
            assert_int_equal(sse_feed(&sse, stream + at, piece < left ? piece : left), 0);
        }
        assert_string_equal(seen.text, stream_seen);
        assert_string_equal(sse.last_id, "9");
        assert_int_equal(sse.retry_ms, 250);
        sse_release(&sse);
    }
}

static void test_a_new_connection_drops_the_half_event(void **state)
{
    (void)state;
    struct seen seen = {.text = ""};
    struct sse sse;
    assert_int_equal(sse_init(&sse, visit, &seen), 0);
    static const char half[] = "id: 3\ndata: half";
    assert_int_equal(sse_feed(&sse, half, strlen(half)), 0);
    sse_restart(&sse);
    assert_int_equal(sse_feed(&sse, "data: whole\n\n", 13), 0);
    assert_string_equal(seen.text, "message=whole;");
    sse_release(&sse);
}

static void test_the_visitor_can_stop(void **state)
{
    (void)state;
    struct seen seen = {.text = "", .stop_after = 2};
    struct sse sse;
    assert_int_equal(sse_init(&sse, visit, &seen), 0);
    assert_int_equal(sse_feed(&sse, stream, strlen(stream)), -ECANCELED);
    assert_int_equal(seen.count, 2);
    sse_release(&sse);
}

static void test_too_long_lines_and_events_are_refused(void **state)
{
    (void)state;
    struct seen seen = {.text = ""};
    struct sse sse;
    assert_int_equal(sse_init(&sse, visit, &seen), 0);
    char *line = malloc(SSE_LINE_MAX);
    assert_non_null(line);
    memset(line, 'a', SSE_LINE_MAX);
    assert_int_equal(sse_feed(&sse, line, SSE_LINE_MAX), -EMSGSIZE);
    sse_restart(&sse);
    memcpy(line, "data:", 5);
    line[SSE_LINE_MAX / 2] = '\n';
    assert_int_equal(sse_feed(&sse, line, SSE_LINE_MAX / 2 + 1), 0);
    assert_int_equal(sse_feed(&sse, line, SSE_LINE_MAX / 2 + 1), 0);
    assert_int_equal(sse_feed(&sse, line, SSE_LINE_MAX / 2 + 1), -EMSGSIZE);
    free(line);
    sse_release(&sse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_are_the_same_for_any_piece_size),
        cmocka_unit_test(test_a_new_connection_drops_the_half_event),
        cmocka_unit_test(test_the_visitor_can_stop),
        cmocka_unit_test(test_too_long_lines_and_events_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
