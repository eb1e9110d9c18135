/* When replies leave, bodies, parked requests, streams. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/daemon/http_fixture.h"

enum { BIG_BODY = HTTP_BODY_BYTES_MAX + 1 };

/* ---- replies ---- */

static void test_request_reaches_the_handler_decoded(void **state)
{
    struct fixture *fixture = *state;
    fixture_expect(fixture, "GET /a%20b?q=x%2By+z HTTP/1.1\r\nHost: localhost\r\n\r\n",
                   "GET /a b x+y z");
}

static void test_reply_waits_for_release(void **state)
{
    struct fixture *fixture = *state;
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    fixture->held = true;
    client_send(fixture, fd, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    fixture_expect_silence(fixture, fd);
    assert_int_equal(fixture->requests, 1);
    assert_true(http_server_has_replies(fixture->server));
    fixture->held = false;
    client_receive(fixture, fd, "GET /x", TURNS_MAX, answer, &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    assert_false(http_server_has_replies(fixture->server));
    close(fd);
}

static void test_reply_of_a_failed_commit_is_503_with_retry_after(void **state)
{
    struct fixture *fixture = *state;
    fixture->durable = false;
    fixture_expect(fixture, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 503");
    fixture_expect(fixture, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", "Retry-After: ");
    fixture_expect(fixture, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n",
                   "problem:unavailable");
    assert_true(fixture->stream.closed);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    struct fixture *fixture = *state;
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    client_send(
        fixture, fd,
        "GET /one HTTP/1.1\r\nHost: localhost\r\n\r\nPOST /two HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Length: 3\r\n\r\nabcGET /three HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_receive(fixture, fd, "GET /three", TURNS_MAX, answer, &closed);
    const char *one = strstr(answer, "GET /one"), *two = strstr(answer, "POST /two");
    const char *three = strstr(answer, "GET /three");
    assert_true(one && two && three && one < two && two < three);
    close(fd);
}

static void test_head_has_no_body(void **state)
{
    struct fixture *fixture = *state;
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    client_send(fixture, fd, "HEAD /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    client_receive(fixture, fd, NULL, TURNS_MAX, answer, &closed);
    assert_true(closed);
    assert_non_null(strstr(answer, "Content-Length: 8\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    close(fd);
}

static void test_expectation_is_answered_with_continue(void **state)
{
    struct fixture *fixture = *state;
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    client_send(
        fixture, fd,
        "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
        "\r\n");
    client_receive(fixture, fd, "100 Continue", TURNS_MAX, answer, &closed);
    assert_non_null(strstr(answer, "100 Continue"));
    client_send(fixture, fd, "ab");
    client_receive(fixture, fd, "POST /x", TURNS_MAX, answer, &closed);
    assert_non_null(strstr(answer, "POST /x"));
    assert_int_equal(fixture->seen_body_bytes, 2);
    close(fd);
}

static void test_chunked_body_is_put_together(void **state)
{
    struct fixture *fixture = *state;
    fixture_expect(fixture,
                   "POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n",
                   "POST /x");
    assert_int_equal(fixture->seen_body_bytes, 5);
}

/* ---- bodies ---- */

static void test_announced_body_above_the_limit_is_refused_unread(void **state)
{
    struct fixture *fixture = *state;
    fixture_expect(fixture,
                   "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 104857600\r\n\r\nabc",
                   "HTTP/1.1 413");
    fixture_expect(
        fixture,
        "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 413");
    assert_int_equal(fixture->requests, 0);
}

/* A client that never stops sending still gets to read the refusal. */
static void test_refusal_reaches_a_client_that_goes_on_sending(void **state)
{
    struct fixture *fixture = *state;
    enum { SENT_BYTES = 8 << 20 };
    char *body = calloc(1, SENT_BYTES);
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    assert_non_null(body);
    client_send(fixture, fd,
                "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 104857600\r\n\r\n");
    client_send_bytes(fixture, fd, body, SENT_BYTES);
    client_receive(fixture, fd, "too-large", TURNS_MAX, answer, &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 413"));
    close(fd);
    free(body);
}

static void test_chunked_body_above_the_limit_is_413(void **state)
{
    struct fixture *fixture = *state;
    char head[128];
    char *body = malloc(BIG_BODY);
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    assert_non_null(body);
    memset(body, 'a', BIG_BODY);
    snprintf(head, sizeof head,
             "POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n",
             BIG_BODY);
    client_send(fixture, fd, head);
    client_send_bytes(fixture, fd, body, BIG_BODY);
    client_send(fixture, fd, "\r\n0\r\n\r\n");
    client_receive(fixture, fd, "too-large", TURNS_MAX, answer, &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 413"));
    assert_int_equal(fixture->requests, 0);
    close(fd);
    free(body);
}

static void test_body_of_exactly_the_limit_is_taken(void **state)
{
    struct fixture *fixture = *state;
    char head[128];
    char *body = calloc(1, HTTP_BODY_BYTES_MAX);
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    assert_non_null(body);
    snprintf(head, sizeof head, "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n",
             HTTP_BODY_BYTES_MAX);
    client_send(fixture, fd, head);
    client_send_bytes(fixture, fd, body, HTTP_BODY_BYTES_MAX);
    client_receive(fixture, fd, "POST /x", TURNS_MAX, answer, &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    assert_int_equal(fixture->seen_body_bytes, HTTP_BODY_BYTES_MAX);
    close(fd);
    free(body);
}

/* ---- parked requests ---- */

static void test_parked_request_is_answered_when_somebody_replies(void **state)
{
    struct fixture *fixture = *state;
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    client_send(fixture, fd, "GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n");
    fixture_expect_silence(fixture, fd);
    assert_non_null(fixture->parked);
    assert_true(http_exchange_is_alive(fixture->parked));
    fixture_reply(fixture->parked, "here you are");
    client_receive(fixture, fd, "here you are", TURNS_MAX, answer, &closed);
    assert_non_null(strstr(answer, "here you are"));
    close(fd);
}

static void test_parked_request_is_woken_at_its_deadline(void **state)
{
    struct fixture *fixture = *state;
    fixture_expect(fixture, "GET /soon HTTP/1.1\r\nHost: localhost\r\n\r\n", "too late");
    assert_int_equal(fixture->deadlines, 1);
}

static void test_parked_request_is_dropped_when_its_client_leaves(void **state)
{
    struct fixture *fixture = *state;
    int fd = client_open(fixture);
    client_send(fixture, fd, "GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n");
    fixture_expect_silence(fixture, fd);
    close(fd);
    for (int i = 0; i < TURNS_MAX && fixture->gone == 0; i++)
        fixture_turn(fixture);
    assert_int_equal(fixture->gone, 1);
    for (int i = 0; i < TURNS_MAX && !http_server_is_quiet(fixture->server); i++)
        fixture_turn(fixture);
    assert_true(http_server_is_quiet(fixture->server));
}

static void test_quiesced_server_wakes_the_parked_and_takes_no_connections(void **state)
{
    struct fixture *fixture = *state;
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    client_send(fixture, fd, "GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n");
    fixture_expect_silence(fixture, fd);
    http_server_quiesce(fixture->server);
    client_receive(fixture, fd, NULL, TURNS_MAX, answer, &closed);
    assert_non_null(strstr(answer, "bye"));
    assert_non_null(strstr(answer, "Connection: close"));
    assert_true(closed);
    assert_int_equal(fixture->shutdowns, 1);
    assert_true(http_server_is_quiet(fixture->server));
    int late = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&fixture->address, sizeof fixture->address),
                     -1);
    close(late);
    close(fd);
}

static void test_client_that_leaves_in_the_middle_of_a_request_is_noticed(void **state)
{
    static const char *const halves[] = {
        "GET /x HTTP/1.1\r\nHo",
        "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(halves); i++) {
        char answer[ANSWER_SIZE] = "";
        bool closed = false;
        int fd = client_open(fixture);
        send(fd, halves[i], strlen(halves[i]), MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR); /* before the server has read anything */
        client_receive(fixture, fd, NULL, TURNS_MAX, answer, &closed);
        assert_true(closed);
        assert_string_equal(answer, "");
        close(fd);
    }
}

/* ---- streams ---- */

static void test_stream_sends_what_comes_and_ends(void **state)
{
    struct fixture *fixture = *state;
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    fixture->stream.until = 2;
    client_send(fixture, fd, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_receive(fixture, fd, "data: 1", TURNS_MAX, answer, &closed);
    assert_non_null(strstr(answer, "Content-Type: text/event-stream"));
    assert_non_null(strstr(answer, "data: 1"));
    fixture_expect_silence(fixture, fd);
    fixture->stream.until = 3;
    fixture->stream.ends = true;
    http_stream_wake(fixture->streaming);
    answer[0] = '\0';
    client_receive(fixture, fd, "0\r\n\r\n", TURNS_MAX, answer, &closed);
    assert_non_null(strstr(answer, "data: 2"));
    assert_non_null(strstr(answer, "0\r\n\r\n"));
    assert_true(fixture->stream.closed);
    close(fd);
}

static void test_stream_is_closed_when_its_client_leaves(void **state)
{
    struct fixture *fixture = *state;
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    fixture->stream.until = 1;
    client_send(fixture, fd, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_receive(fixture, fd, "data: 0", TURNS_MAX, answer, &closed);
    close(fd);
    for (int i = 0; i < TURNS_MAX && !fixture->stream.closed; i++) {
        fixture->stream.until++;
        if (fixture->streaming)
            http_stream_wake(fixture->streaming);
        fixture_turn(fixture);
    }
    assert_true(fixture->stream.closed);
}

static void test_closing_with_everything_in_flight_leaves_nothing_behind(void **state)
{
    struct fixture *fixture = *state;
    int parked = client_open(fixture), stream = client_open(fixture), held = client_open(fixture);
    int half = client_open(fixture), body = client_open(fixture);
    client_send(fixture, parked, "GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_send(fixture, stream, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_send(fixture, half, "GET /x HTTP/1.1\r\nHo");
    client_send(fixture, body, "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\na");
    fixture_expect_silence(fixture, parked);
    fixture->held = true;
    client_send(fixture, held, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    fixture_expect_silence(fixture, held);
    fixture_tear_down(state);
    fixture_set_up(state);
    close(parked);
    close(stream);
    close(held);
    close(half);
    close(body);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_request_reaches_the_handler_decoded),
        TEST(test_reply_waits_for_release),
        TEST(test_reply_of_a_failed_commit_is_503_with_retry_after),
        TEST(test_pipelined_requests_are_answered_in_order),
        TEST(test_head_has_no_body),
        TEST(test_expectation_is_answered_with_continue),
        TEST(test_chunked_body_is_put_together),
        TEST(test_announced_body_above_the_limit_is_refused_unread),
        TEST(test_refusal_reaches_a_client_that_goes_on_sending),
        TEST(test_chunked_body_above_the_limit_is_413),
        TEST(test_body_of_exactly_the_limit_is_taken),
        TEST(test_parked_request_is_answered_when_somebody_replies),
        TEST(test_parked_request_is_woken_at_its_deadline),
        TEST(test_parked_request_is_dropped_when_its_client_leaves),
        TEST(test_quiesced_server_wakes_the_parked_and_takes_no_connections),
        TEST(test_client_that_leaves_in_the_middle_of_a_request_is_noticed),
        TEST(test_stream_sends_what_comes_and_ends),
        TEST(test_stream_is_closed_when_its_client_leaves),
        TEST(test_closing_with_everything_in_flight_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
