/* Requests that never reach a handler. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/daemon/http_fixture.h"

#define POST_HEAD "POST /x HTTP/1.1\r\nHost: localhost\r\n"
#define GET_HEAD "GET /x HTTP/1.1\r\nHost: localhost\r\n"

static void test_malformed_requests_are_refused(void **state)
{
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
        fixture_expect(fixture, table[i].request, status);
        if (fixture->requests > 0)
            fail_msg("reached the handler: %s", table[i].request);
    }
    fixture_expect(fixture, GET_HEAD "\r\n", "HTTP/1.1 200");
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
    fixture_expect(fixture, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200");
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
    fixture_expect(fixture, request, "HTTP/1.1 431");
    write_headers(request, 10, 9000);
    fixture_expect(fixture, request, "HTTP/1.1 431");
    write_target(request, 60000);
    fixture_expect(fixture, request, "HTTP/1.1 414");
    write_target(request, 10000);
    fixture_expect(fixture, request, "HTTP/1.1 414");
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
        fixture_expect(fixture, table[i], "HTTP/1.1 200");
    assert_int_equal(fixture->requests, ARRAY_LENGTH(table));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_malformed_requests_are_refused),
        TEST(test_broken_request_lines_close_the_connection),
        TEST(test_flood_of_headers_is_refused),
        TEST(test_requests_of_our_own_pages_and_hosts_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
