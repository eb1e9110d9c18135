/* The parts of a request that are parsed without a daemon: targets, headers, page tokens, paths. What they accept must keep
 * their promises; a sanitizer sees the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/http_request.h"
#include "daemon/page_token.h"
#include "daemon/route.h"
#include "search/attributes.h"
#include "tests/fuzz/mutate.h"

enum { ROUNDS = 100000 };

static const char *const host_names[] = {"localhost", "127.0.0.1"};
static const struct http_hosts hosts = {host_names, ARRAY_LENGTH(host_names)};

/* What a handler may rely on. */
static void check_text(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        assert_true(*c >= 0x20 && *c != 0x7f);
}

static void check_accepted(const struct http_request *request)
{
    struct candidate_cursor cursor;
    struct route_parameters parameters;
    uint64_t number = 0;
    assert_true(request->path[0] == '/');
    check_text(request->path);
    for (size_t i = 0; i < request->query_count; i++) {
        check_text(request->query[i].name);
        check_text(request->query[i].value);
        if (page_token_read(request, request->query[i].value, &cursor))
            assert_true(cursor.set);
    }
    if (route_match("/v1/searches/{id}/candidates/{number}", request->path, &parameters))
        assert_int_equal(parameters.count, 2);
    if (route_match("/v1/{id}", request->path, &parameters) &&
        route_number(parameters.text[0], &number))
        assert_true(number <= INT64_MAX);
}

static void test_targets_that_are_accepted_are_clean(void **state)
{
    static const struct bytes target = {
        .length = 62, .data = "/v1/searches/7/candidates?state=done%2Cfailed&page_token=0123&x"};
    struct bytes *bytes = malloc(sizeof *bytes);
    size_t accepted = 0;
    (void)state;
    assert_non_null(bytes);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct random_stream random = random_stream_of(2, round, RANDOM_MUTATION);
        struct http_request *request = NULL;
        struct http_refusal refusal = {.status = 0};
        memcpy(bytes, &target, offsetof(struct bytes, data) + target.length);
        mutate(&random, bytes, &target);
        bytes->data[bytes->length] = '\0';
        assert_int_equal(http_request_new("GET", "HTTP/1.1", &request), 0);
        if (http_request_set_target(request, bytes->data, &refusal)) {
            check_accepted(request);
            accepted++;
        } else {
            assert_true(refusal.status >= 400 && refusal.status < 500 && refusal.detail);
        }
        http_request_free(request);
    }
    assert_true(accepted > ROUNDS / 100 && accepted < ROUNDS);
    free(bytes);
}

/* Adds "Name: value" lines as libmicrohttpd would hand them over. */
static bool add_headers(struct http_request *request, char *text)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        char *value = strchr(line, ':');
        if (value)
            *value++ = '\0';
        value = value ? value + strspn(value, " \t") : line + strlen(line);
        if (http_request_add_header(request, line, value) < 0)
            return false;
    }
    return true;
}

static void test_framing_that_is_accepted_is_plain(void **state)
{
    static struct bytes headers = {
        .data = "Host: localhost:1\r\nContent-Length: 12\r\nOrigin: http://localhost:1\r\n"
                "Content-Type: application/json\r\n\r\n"};
    struct bytes *bytes = malloc(sizeof *bytes);
    headers.length = strlen(headers.data);
    size_t accepted = 0;
    (void)state;
    assert_non_null(bytes);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct random_stream random = random_stream_of(3, round, RANDOM_MUTATION);
        struct http_request *request = NULL;
        struct http_refusal refusal = {.status = 0};
        memcpy(bytes, &headers, offsetof(struct bytes, data) + headers.length);
        mutate(&random, bytes, &headers);
        bytes->data[bytes->length] = '\0';
        assert_int_equal(http_request_new("POST", "HTTP/1.1", &request), 0);
        if (add_headers(request, bytes->data) && http_request_check(request, &hosts, &refusal)) {
            uint64_t length = http_request_length(request);
            assert_true(length <= HTTP_BODY_BYTES_MAX || length == UINT64_MAX);
            assert_false(http_request_header(request, "Content-Length") &&
                         http_request_header(request, "Transfer-Encoding"));
            accepted++;
        }
        http_request_free(request);
    }
    assert_true(accepted > ROUNDS / 100 && accepted < ROUNDS);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets_that_are_accepted_are_clean),
        cmocka_unit_test(test_framing_that_is_accepted_is_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
