/* Requests that mean ill or make no sense: each gets a 4xx problem (or, where HTTP itself is broken, a closed connection),
 * and the daemon lives. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "search/attributes.h"
#include "tests/e2e/fake_worker.h"
#include "tests/e2e/search_spec.h"

enum { DEPTH = 10000, HUGE_BYTES = 100 << 20, CHUNK_BYTES = 1 << 20, SLOW_CLIENTS = 50 };

static void assert_alive(const struct daemon_process *process)
{
    struct answer answer = get(process, "/v1/searches");
    assert_int_equal(answer.status, 200);
    answer_release(&answer);
}

static struct answer submit_bytes(const struct daemon_process *process, const void *bytes,
                                  size_t length)
{
    return call(process, &(struct call){.method = "POST",
                                        .path = "/v1/searches",
                                        .type = "application/json",
                                        .body = bytes,
                                        .body_bytes = length});
}

static void test_bodies_that_are_no_spec_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } table[] = {
#define BYTES(text) {text, sizeof text - 1}
        BYTES(""),
        BYTES(" "),
        BYTES("\0"),
        BYTES("{"),
        BYTES("}"),
        BYTES("{}"),
        BYTES("[]"),
        BYTES("null"),
        BYTES("\"text\""),
        BYTES("1e400"),
        BYTES("NaN"),
        BYTES("{\"name\": NaN}"),
        BYTES("{\"name\": Infinity}"),
        BYTES("{\"name\": \"a\", \"name\": \"b\"}"),
        BYTES("{\"name\": \"a\"} {\"name\": \"a\"}"),
        BYTES("{\"name\": \"a\",}"),
        BYTES("{name: \"a\"}"),
        BYTES("{'name': 'a'}"),
        BYTES("{\"name\": \"\xff\xfe\"}"),
        BYTES("{\"name\": \"\xc0\x80\"}"),
        BYTES("{\"name\": \"\xed\xa0\x80\"}"),
        BYTES("{\"name\": \"\\ud800\"}"),
        BYTES("{\"name\": \"a\\u0000b\"}"),
        BYTES("{\"na\0me\": \"a\"}"),
        BYTES("\xef\xbb\xbf{}"),
        BYTES("\x1f\x8b\x08\x00"),
        BYTES("<spec/>"),
        BYTES("name=first&budget=1"),
        BYTES("{\"__proto__\": {}}"),
        BYTES("{\"budget\": {\"candidates\": 99999999999999999999999}}"),
#undef BYTES
    };
    struct daemon_process *process = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct answer answer = submit_bytes(process, table[i].bytes, table[i].length);
        assert_problem(&answer, 422, "invalid-spec");
        answer_release(&answer);
    }
    assert_alive(process);
}

static void test_spoilt_specs_are_refused(void **state)
{
    static const struct {
        const char *old, *new;
    } table[] = {
        {"\"budget\": {", "\"budget\": {\"candidates\": -1, \"x\": {"},
        {"\"candidates\": 4", "\"candidates\": -4"},
        {"\"candidates\": 4", "\"candidates\": 1000001"},
        {"\"epochs\": 2", "\"epochs\": -2"},
        {"\"epochs\": 2", "\"epochs\": 1e9"},
        {"{\"preset\": \"efficientnetv2-small-images\"}", "{}"},
        {"{\"preset\": \"efficientnetv2-small-images\"}",
         "{\"stem\": {\"kernel\": 3, \"stride\": 1, \"channels\": 16}, \"head\": {\"channels\": "
         "16}, "
         "\"stages\": [{\"block\": [], \"layers\": [1], \"kernel\": [3], \"channels\": 16, "
         "\"stride\": 1}]}"},
        {"fashion-mnist", "../../../etc/passwd"},
        {"fashion-mnist", ""},
        {"\"params_max\": 2000000", "\"params_max\": 1"},
        {"\"population\": 16", "\"population\": 0"},
        {"\"sample\": 4", "\"sample\": 1000000"},
        {"\"parallel_max\": 4", "\"parallel_max\": 1000000"},
        {"\"priority\": 0", "\"priority\": 1e300"},
        {"\"seed\": 1", "\"seed\": -1"},
        {"\"batch\": 128", "\"batch\": 1000000"},
        {"\"image_size\": 28", "\"image_size\": 100000"},
        {"\"step_time\": -0.07", "\"step_time\": 1e308"},
        {"\"objectives\": [", "\"objectives\": [\"accuracy\", "},
    };
    struct daemon_process *process = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        char text[SPEC_TEST_SIZE];
        spec_write_with(text, table[i].old, table[i].new);
        struct answer answer = post(process, "/v1/searches", text);
        if (answer.status != 422)
            fail_msg("'%s' was answered with %d", table[i].new, answer.status);
        assert_problem(&answer, 422, "invalid-spec");
        answer_release(&answer);
    }
    assert_alive(process);
}

static void test_deep_nesting_is_refused(void **state)
{
    static const char *const openers[] = {"[", "{\"a\":", "{\"space\":{\"stages\":[",
                                          "{\"name\":["};
    struct daemon_process *process = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(openers); i++) {
        size_t length = strlen(openers[i]);
        char *text = malloc(DEPTH * length);
        assert_non_null(text);
        for (size_t k = 0; k < DEPTH; k++)
            memcpy(text + k * length, openers[i], length);
        struct answer answer = submit_bytes(process, text, DEPTH * length);
        assert_problem(&answer, 422, "invalid-spec");
        answer_release(&answer);
        free(text);
    }
    assert_alive(process);
}

static void test_long_texts_are_refused(void **state)
{
    struct daemon_process *process = *state;
    char *text = malloc(CHUNK_BYTES);
    assert_non_null(text);
    memset(text, 'a', CHUNK_BYTES);
    memcpy(text, "{\"name\": \"", 10);
    memcpy(text + CHUNK_BYTES - 2, "\"}", 2);
    struct answer answer = submit_bytes(process, text, CHUNK_BYTES);
    assert_problem(&answer, 422, "invalid-spec");
    answer_release(&answer);
    free(text);
    assert_alive(process);
}

static void test_hundred_megabytes_are_refused_unread(void **state)
{
    struct daemon_process *process = *state;
    char *body = calloc(1, HUGE_BYTES);
    assert_non_null(body);
    struct answer answer = submit_bytes(process, body, HUGE_BYTES);
    assert_problem(&answer, 413, "too-large");
    answer_release(&answer);
    free(body);
    assert_alive(process);
}

static void test_hundred_megabytes_in_chunks_are_refused(void **state)
{
    static const char head[] = "POST /v1/searches HTTP/1.1\r\nHost: localhost\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    struct daemon_process *process = *state;
    char *chunk = malloc(CHUNK_BYTES + 64);
    struct answer answer;
    assert_non_null(chunk);
    int used = snprintf(chunk, 64, "%x\r\n", CHUNK_BYTES);
    memset(chunk + used, ' ', CHUNK_BYTES);
    memcpy(chunk + used + CHUNK_BYTES, "\r\n", 2);
    int fd = connection_open(process);
    assert_true(connection_send(fd, head, strlen(head)));
    for (int i = 0; i < HUGE_BYTES / CHUNK_BYTES; i++)
        assert_true(connection_send(fd, chunk, (size_t)used + CHUNK_BYTES + 2));
    assert_true(connection_send(fd, "0\r\n\r\n", 5));
    assert_true(connection_receive(fd, &answer));
    assert_problem(&answer, 413, "too-large");
    answer_release(&answer);
    close(fd);
    free(chunk);
    assert_alive(process);
}

static void test_broken_framing_is_refused(void **state)
{
#define HEAD "POST /v1/searches HTTP/1.1\r\nHost: localhost\r\n"
    static const char *const table[] = {
        HEAD "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
        HEAD "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        HEAD "Content-Length: 2\r\nContent-Length: 20\r\n\r\n{}",
        HEAD "Content-Length: 2\r\nTransfer-Encoding: identity\r\n\r\n{}",
        HEAD "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HEAD "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        "POST /v1/searches%00 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
        "POST /v1/%c3%28 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
        "POST /v1/searches HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n{}",
        HEAD "Origin: http://evil.example\r\nContent-Length: 2\r\n\r\n{}",
    };
    struct daemon_process *process = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct answer answer;
        int fd = connection_open(process);
        assert_true(connection_send(fd, table[i], strlen(table[i])));
        assert_true(connection_receive(fd, &answer));
        if (answer.status < 400 || answer.status > 499)
            fail_msg("answered with %d: %s", answer.status, table[i]);
        assert_problem(&answer, answer.status,
                       text_at(&answer, "type") + strlen("urn:archscout:problem:"));
        answer_release(&answer);
        close(fd);
    }
    assert_alive(process);
}

static void test_bodies_cut_short_change_nothing(void **state)
{
    struct daemon_process *process = *state;
    char spec[SPEC_TEST_SIZE], head[256];
    spec_write(spec, "cut", 4);
    for (size_t sent = 0; sent < strlen(spec); sent += 50) {
        int fd = connection_open(process);
        snprintf(head, sizeof head, HEAD "Content-Length: %zu\r\n\r\n", strlen(spec));
        assert_true(connection_send(fd, head, strlen(head)));
        assert_true(connection_send(fd, spec, sent));
        close(fd);
    }
    struct answer list = get(process, "/v1/searches");
    assert_int_equal(json_array_size(member(&list, "searches")), 0);
    answer_release(&list);
}

static void test_slow_senders_hold_nobody_up(void **state)
{
    static const char start[] = HEAD "Content-Length: 100\r\n\r\n{";
    struct daemon_process *process = *state;
    int fds[SLOW_CLIENTS];
    for (int i = 0; i < SLOW_CLIENTS; i++) {
        fds[i] = connection_open(process);
        size_t part = strlen(start) * (size_t)(i + 1) / SLOW_CLIENTS;
        assert_true(connection_send(fds[i], start, part));
    }
    int64_t id = search_submit(process, "quick", 4);
    for (int i = 0; i < SLOW_CLIENTS; i++) {
        connection_send(fds[i], " ", 1);
        assert_alive(process);
    }
    assert_int_equal(search_steer(process, id, "cancel"), 200);
    for (int i = 0; i < SLOW_CLIENTS; i++)
        close(fds[i]);
}

static void test_client_that_does_not_read_holds_nobody_up(void **state)
{
    enum { REQUESTS = 2000 };
    static const char request[] = "GET /v1/presets HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct daemon_process *process = *state;
    int fd = connection_open(process);
    for (int i = 0; i < REQUESTS; i++)
        if (send(fd, request, strlen(request), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
    for (int i = 0; i < 20; i++)
        assert_alive(process);
    close(fd);
    assert_alive(process);
}

static void test_more_connections_than_allowed_leave_the_daemon_usable(void **state)
{
    enum { CONNECTIONS = 1100 };
    struct daemon_process *process = *state;
    static int fds[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++)
        fds[i] = connection_open(process);
    for (int i = 0; i < CONNECTIONS; i++)
        close(fds[i]);
    assert_alive(process);
}

static void test_workers_messages_out_of_range_are_refused(void **state)
{
    struct daemon_process *process = *state;
    struct lease_response response;
    char name[WIRE_WORKER_SIZE];
    memset(name, 'w', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(fake_worker_lease(process, name, 0, 0, &response), 404);
    assert_int_equal(fake_worker_lease(process, "w w", 0, 0, &response), 404);
    search_submit(process, "range", 4);
    fake_worker_register(process, "w", 1);
    struct wire_task task = fake_worker_task(process, "w", 0);
    struct wire_task other = task;
    struct wire_result result = fake_result(&task);
    bool any = false;
    other.attempt = UINT64_MAX;
    assert_int_equal(fake_worker_result(process, "w", &other, &result, &any), 409);
    other = task;
    other.epoch = UINT64_MAX;
    assert_int_equal(fake_worker_result(process, "w", &other, &result, &any), 409);
    assert_alive(process);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_set_up, daemon_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_bodies_that_are_no_spec_are_refused),
        TEST(test_spoilt_specs_are_refused),
        TEST(test_deep_nesting_is_refused),
        TEST(test_long_texts_are_refused),
        TEST(test_hundred_megabytes_are_refused_unread),
        TEST(test_hundred_megabytes_in_chunks_are_refused),
        TEST(test_broken_framing_is_refused),
        TEST(test_bodies_cut_short_change_nothing),
        TEST(test_slow_senders_hold_nobody_up),
        TEST(test_client_that_does_not_read_holds_nobody_up),
        TEST(test_more_connections_than_allowed_leave_the_daemon_usable),
        TEST(test_workers_messages_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
