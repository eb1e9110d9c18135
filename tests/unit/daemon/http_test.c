/* The HTTP server against a handler of its own: when replies leave, what is refused, parked requests, streams. Server and
 * client share one thread: the client's socket does not block, and waiting means turning the loop. */
#include "daemon/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/listener.h"

enum { TURNS_MAX = 20000, TURN_US = 500, ANSWER_SIZE = 65536, BIG_BODY = HTTP_BODY_BYTES_MAX + 1 };

struct stream_state {
    unsigned said, until;
    bool ends, closed;
};

struct fixture {
    uv_loop_t loop;
    struct http_server *server;
    struct sockaddr_in address;
    bool held;    /* replies are not released */
    bool durable; /* how they are released */
    unsigned requests;
    char seen[1024]; /* the last request's path and query */
    size_t seen_body_bytes;
    struct http_exchange *parked, *streaming;
    unsigned deadlines, gone, shutdowns;
    bool server_closed;
    struct stream_state stream;
};

static void reply_text(struct http_exchange *exchange, const char *text)
{
    struct http_reply reply = {.status = 200, .content_type = "text/plain"};
    reply.body = strdup(text);
    assert_non_null(reply.body);
    reply.body_bytes = strlen(text);
    http_exchange_reply(exchange, &reply);
}

static void on_wake(void *context, struct http_exchange *exchange, enum http_wake wake)
{
    struct fixture *fixture = context;
    fixture->parked = NULL;
    fixture->deadlines += wake == HTTP_WAKE_DEADLINE;
    fixture->gone += wake == HTTP_WAKE_GONE;
    fixture->shutdowns += wake == HTTP_WAKE_SHUTDOWN;
    if (wake != HTTP_WAKE_GONE)
        reply_text(exchange, wake == HTTP_WAKE_DEADLINE ? "too late" : "bye");
}

static ssize_t on_stream_read(void *context, char *buffer, size_t size)
{
    struct fixture *fixture = context;
    struct stream_state *stream = &fixture->stream;
    if (stream->said == stream->until)
        return stream->ends ? HTTP_STREAM_END : 0;
    return snprintf(buffer, size, "data: %u\n\n", stream->said++);
}

static void on_stream_close(void *context)
{
    struct fixture *fixture = context;
    fixture->stream.closed = true;
    fixture->streaming = NULL;
}

static void on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct fixture *fixture = context;
    fixture->requests++;
    fixture->seen_body_bytes = request->body_bytes;
    snprintf(fixture->seen, sizeof fixture->seen, "%s %s %s", request->method, request->path,
             http_request_query(request, "q") ? http_request_query(request, "q") : "-");
    if (strcmp(request->path, "/park") == 0 || strcmp(request->path, "/soon") == 0) {
        struct http_parked parked = {
            .wait_ms = request->path[1] == 's' ? 1 : 60000, .wake = on_wake, .context = fixture};
        if (http_exchange_park(exchange, &parked) == 0)
            fixture->parked = exchange;
        else
            reply_text(exchange, "stopping");
    } else if (strcmp(request->path, "/stream") == 0) {
        struct http_stream stream = {.content_type = "text/event-stream",
                                     .heartbeat = ":\n\n",
                                     .read = on_stream_read,
                                     .close = on_stream_close,
                                     .context = fixture};
        fixture->streaming = exchange;
        http_exchange_stream(exchange, &stream);
    } else {
        reply_text(exchange, fixture->seen);
    }
}

static void turn(struct fixture *fixture)
{
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    if (fixture->server && !fixture->held)
        http_server_release(fixture->server, fixture->durable);
    usleep(TURN_US);
}

static int set_up(void **state)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct error error;
    socklen_t size = sizeof fixture->address;
    assert_non_null(fixture);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    struct http_options options = {
        .loop = &fixture->loop, .hosts = {names, 3}, .handle = on_request, .context = fixture};
    assert_int_equal(listener_open("127.0.0.1:0", &options.listen_fd, &error), 0);
    getsockname(options.listen_fd, (struct sockaddr *)&fixture->address, &size);
    assert_int_equal(http_server_new(&options, &fixture->server), 0);
    fixture->durable = true;
    *state = fixture;
    return 0;
}

static void on_server_closed(void *context)
{
    struct fixture *fixture = context;
    fixture->server_closed = true;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    struct http_server *server = fixture->server;
    fixture->server = NULL;
    http_server_close(server, on_server_closed, fixture);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_true(fixture->server_closed);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    free(fixture);
    return 0;
}

/* ---- the client ---- */

static int client_open(struct fixture *fixture)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&fixture->address, sizeof fixture->address), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Sends what the other side takes; stops where it has closed. */
static void client_send_bytes(struct fixture *fixture, int fd, const char *bytes, size_t length)
{
    for (int i = 0; length > 0 && i < TURNS_MAX; i++) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return;
        bytes += sent > 0 ? sent : 0;
        length -= sent > 0 ? (size_t)sent : 0;
        turn(fixture);
    }
}

static void client_send(struct fixture *fixture, int fd, const char *text)
{
    client_send_bytes(fixture, fd, text, strlen(text));
}

/* What has come so far; *ret_closed where the server has closed. Turns the loop `turns` times or until `needle` came. */
static void client_receive(struct fixture *fixture, int fd, const char *needle, int turns,
                           char answer[ANSWER_SIZE], bool *ret_closed)
{
    size_t used = strlen(answer);
    *ret_closed = false;
    for (int i = 0; i < turns; i++) {
        ssize_t bytes = recv(fd, answer + used, ANSWER_SIZE - 1 - used, 0);
        if (bytes > 0)
            used += (size_t)bytes;
        answer[used] = '\0';
        *ret_closed = bytes == 0 || (bytes < 0 && errno != EAGAIN);
        if (*ret_closed || (needle && strstr(answer, needle)))
            return;
        turn(fixture);
    }
}

/* One request on a connection of its own; the answer must hold `expected`. */
static void expect(struct fixture *fixture, const char *request, const char *expected)
{
    char *answer = calloc(1, ANSWER_SIZE);
    bool closed = false;
    int fd = client_open(fixture);
    client_send(fixture, fd, request);
    client_receive(fixture, fd, expected, TURNS_MAX, answer, &closed);
    if (!strstr(answer, expected))
        fail_msg("expected '%s' in the answer to '%.80s', got '%.400s'", expected, request, answer);
    close(fd);
    free(answer);
}

/* The answer so far must be nothing at all after some turns. */
static void expect_silence(struct fixture *fixture, int fd)
{
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    client_receive(fixture, fd, NULL, 200, answer, &closed);
    assert_string_equal(answer, "");
    assert_false(closed);
}

/* ---- replies ---- */

static void test_request_reaches_the_handler_decoded(void **state)
{
    struct fixture *fixture = *state;
    expect(fixture, "GET /a%20b?q=x%2By+z HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /a b x+y z");
}

static void test_reply_waits_for_release(void **state)
{
    struct fixture *fixture = *state;
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    fixture->held = true;
    client_send(fixture, fd, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect_silence(fixture, fd);
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
    expect(fixture, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 503");
    expect(fixture, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", "Retry-After: ");
    expect(fixture, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n", "problem:unavailable");
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
    expect(fixture,
           "POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
           "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n",
           "POST /x");
    assert_int_equal(fixture->seen_body_bytes, 5);
}

/* ---- bodies ---- */

static void test_announced_body_above_the_limit_is_refused_unread(void **state)
{
    struct fixture *fixture = *state;
    expect(fixture, "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 104857600\r\n\r\nabc",
           "HTTP/1.1 413");
    expect(fixture,
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

/* ---- what is refused ---- */

static void test_malformed_requests_are_refused(void **state)
{
#define POST_HEAD "POST /x HTTP/1.1\r\nHost: localhost\r\n"
#define GET_HEAD "GET /x HTTP/1.1\r\nHost: localhost\r\n"
    static const struct {
        const char *request, *expected;
    } table[] = {
        {POST_HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
        {POST_HEAD "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", "400"},
        {POST_HEAD "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400"},
        {POST_HEAD "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "400"},
        {POST_HEAD "Content-Length: 3, 3\r\n\r\nabc", "400"},
        {POST_HEAD "Content-Length: -1\r\n\r\n", "400"},
        {POST_HEAD "Content-Length: +1\r\n\r\na", "400"},
        {POST_HEAD "Content-Length: 0x1\r\n\r\na", "400"},
        {POST_HEAD "Content-Length: \r\n\r\n", "400"},
        {POST_HEAD "Content-Length : 3\r\n\r\nabc", "400"},
        {POST_HEAD "Transfer-Encoding: gzip\r\n\r\n", "400"},
        {POST_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400"},
        {POST_HEAD "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "400"},
        {POST_HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "400"},
        {POST_HEAD "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "400"},
        {POST_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
        {POST_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", "400"},
        {POST_HEAD "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "413"},
        {POST_HEAD "Transfer-Encoding:\r\n chunked\r\nContent-Length: 3\r\n\r\nabc", "400"},
        {"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
        {POST_HEAD "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", "415"},
        {POST_HEAD "Expect: a-miracle\r\nContent-Length: 1\r\n\r\na", "417"},
        {"GET /x HTTP/1.1\r\n\r\n", "400"},
        {GET_HEAD "Host: localhost\r\n\r\n", "400"},
        {"GET /x HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421"},
        {"GET /x HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", "421"},
        {"GET /x HTTP/1.1\r\nHost: localhost:80@evil.example\r\n\r\n", "421"},
        {"GET /x HTTP/1.1\r\nHost: \r\n\r\n", "421"},
        {"GET http://evil.example/x HTTP/1.1\r\nHost: localhost\r\n\r\n", "421"},
        {"GET x HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {"GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {"GET /a%2Fb HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {"GET /% HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {"GET /%c0%80 HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {"GET /%ed%a0%80 HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {"GET /%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {"GET /x?q=%0a HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {"GET /x?q=1&q=2 HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {GET_HEAD "Bad Name: x\r\n\r\n", "400"},
        {GET_HEAD "no colon\r\n\r\n", "400"},
        {GET_HEAD "X: a\x01"
                  "b\r\n\r\n",
         "400"},
        {"G@T /x HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
        {POST_HEAD "Origin: http://evil.example\r\nContent-Length: 0\r\n\r\n", "403"},
        {POST_HEAD "Origin: null\r\nContent-Length: 0\r\n\r\n", "403"},
        {POST_HEAD "Origin: https://localhost\r\nContent-Length: 0\r\n\r\n", "403"},
        {POST_HEAD "Origin: http://localhost:3000\r\nContent-Length: 0\r\n\r\n", "403"},
        {POST_HEAD "Sec-Fetch-Site: cross-site\r\nContent-Length: 0\r\n\r\n", "403"},
    };
    struct fixture *fixture = *state;
    char status[32];
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        snprintf(status, sizeof status, "HTTP/1.1 %s", table[i].expected);
        expect(fixture, table[i].request, status);
        if (fixture->requests > 0)
            fail_msg("reached the handler: %s", table[i].request);
    }
    expect(fixture, GET_HEAD "\r\n", "HTTP/1.1 200");
}

static void test_broken_request_lines_close_the_connection(void **state)
{
    static const char *const table[] = {
        "GET\r\n\r\n",
        "GET /x\r\n\r\n",
        "GET /x HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\r\n\r\n",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        char answer[ANSWER_SIZE] = "";
        bool closed = false;
        int fd = client_open(fixture);
        client_send(fixture, fd, table[i]);
        client_receive(fixture, fd, NULL, TURNS_MAX, answer, &closed);
        assert_true(closed);
        assert_null(strstr(answer, "HTTP/1.1 2"));
        close(fd);
    }
    assert_int_equal(fixture->requests, 0);
    expect(fixture, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200");
}

/* A request of `count` headers of `bytes` each. */
static void write_headers(char *request, int count, int bytes)
{
    char *at = request + snprintf(request, 64, "GET /x HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < count; i++) {
        at += snprintf(at, 16, "X-%d: ", i);
        memset(at, 'a', (size_t)bytes);
        at += bytes;
        at += snprintf(at, 8, "\r\n");
    }
    snprintf(at, 8, "\r\n");
}

/* A request whose target has `bytes` bytes. */
static void write_target(char *request, size_t bytes)
{
    memset(request, 'a', bytes);
    memcpy(request, "GET /", 5);
    snprintf(request + bytes, 64, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

static void test_flood_of_headers_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char *request = malloc(1 << 20);
    assert_non_null(request);
    write_headers(request, 200, 10);
    expect(fixture, request, "HTTP/1.1 431");
    write_headers(request, 10, 9000);
    expect(fixture, request, "HTTP/1.1 431");
    write_target(request, 60000);
    expect(fixture, request, "HTTP/1.1 414");
    write_target(request, 10000);
    expect(fixture, request, "HTTP/1.1 414");
    assert_int_equal(fixture->requests, 0);
    free(request);
}

static void test_requests_of_our_own_pages_and_hosts_are_taken(void **state)
{
    static const char *const table[] = {
        POST_HEAD "Origin: http://localhost\r\nContent-Length: 0\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: LOCALHOST:7700\r\nOrigin: "
        "http://localhost:7700\r\nContent-Length: "
        "0\r\nSec-Fetch-Site: same-origin\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: [::1]:7700\r\n\r\n",
        "GET http://localhost:1/x HTTP/1.1\r\nHost: localhost:1\r\n\r\n",
        GET_HEAD "Origin: http://evil.example\r\n\r\n",
        "GET /x HTTP/1.0\r\n\r\n",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        expect(fixture, table[i], "HTTP/1.1 200");
    assert_int_equal(fixture->requests, ARRAY_LENGTH(table));
}

/* ---- parked requests ---- */

static void test_parked_request_is_answered_when_somebody_replies(void **state)
{
    struct fixture *fixture = *state;
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    client_send(fixture, fd, "GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect_silence(fixture, fd);
    assert_non_null(fixture->parked);
    assert_true(http_exchange_is_alive(fixture->parked));
    reply_text(fixture->parked, "here you are");
    client_receive(fixture, fd, "here you are", TURNS_MAX, answer, &closed);
    assert_non_null(strstr(answer, "here you are"));
    close(fd);
}

static void test_parked_request_is_woken_at_its_deadline(void **state)
{
    struct fixture *fixture = *state;
    expect(fixture, "GET /soon HTTP/1.1\r\nHost: localhost\r\n\r\n", "too late");
    assert_int_equal(fixture->deadlines, 1);
}

static void test_parked_request_is_dropped_when_its_client_leaves(void **state)
{
    struct fixture *fixture = *state;
    int fd = client_open(fixture);
    client_send(fixture, fd, "GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect_silence(fixture, fd);
    close(fd);
    for (int i = 0; i < TURNS_MAX && fixture->gone == 0; i++)
        turn(fixture);
    assert_int_equal(fixture->gone, 1);
    for (int i = 0; i < TURNS_MAX && !http_server_is_quiet(fixture->server); i++)
        turn(fixture);
    assert_true(http_server_is_quiet(fixture->server));
}

static void test_quiesced_server_wakes_the_parked_and_takes_no_connections(void **state)
{
    struct fixture *fixture = *state;
    char answer[ANSWER_SIZE] = "";
    bool closed = false;
    int fd = client_open(fixture);
    client_send(fixture, fd, "GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect_silence(fixture, fd);
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
    expect_silence(fixture, fd);
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
        turn(fixture);
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
    expect_silence(fixture, parked);
    fixture->held = true;
    client_send(fixture, held, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect_silence(fixture, held);
    tear_down(state);
    set_up(state);
    close(parked);
    close(stream);
    close(held);
    close(half);
    close(body);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
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
        TEST(test_malformed_requests_are_refused),
        TEST(test_broken_request_lines_close_the_connection),
        TEST(test_flood_of_headers_is_refused),
        TEST(test_requests_of_our_own_pages_and_hosts_are_taken),
        TEST(test_parked_request_is_answered_when_somebody_replies),
        TEST(test_parked_request_is_woken_at_its_deadline),
        TEST(test_parked_request_is_dropped_when_its_client_leaves),
        TEST(test_quiesced_server_wakes_the_parked_and_takes_no_connections),
        TEST(test_stream_sends_what_comes_and_ends),
        TEST(test_stream_is_closed_when_its_client_leaves),
        TEST(test_closing_with_everything_in_flight_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
