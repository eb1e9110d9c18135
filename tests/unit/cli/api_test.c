/* Submitting over a connection that loses answers: one submission makes one search. */
#include "cli/api.h"

#include "proto/http_client.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { REQUESTS_MAX = 8, REQUEST_SIZE = 4096, SERVER_SECONDS_MAX = 60 };

/* What the server, a child process, saw. */
struct seen {
    int count;
    char requests[REQUESTS_MAX][REQUEST_SIZE];
};

static struct seen *seen;

/* Reads one request with a body of `body_length` bytes. */
static void read_request(int fd, char *ret_text, size_t body_length)
{
    size_t length = 0;
    const char *end = NULL;
    while (!end || length < (size_t)(end - ret_text) + 4 + body_length) {
        ssize_t part = read(fd, ret_text + length, REQUEST_SIZE - 1 - length);
        if (part <= 0)
            _exit(1);
        length += (size_t)part;
        ret_text[length] = '\0';
        end = strstr(ret_text, "\r\n\r\n");
    }
}

/* Answers one request with each of `answers` in turn, each on a connection of its own; "" closes it without a word. */
static void serve(int listener, const char *const *answers, size_t body_length)
{
    alarm(SERVER_SECONDS_MAX);
    for (; *answers; answers++) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            _exit(1);
        read_request(fd, seen->requests[seen->count++], body_length);
        if (write(fd, *answers, strlen(*answers)) < 0)
            _exit(1);
        close(fd);
    }
    _exit(0);
}

struct server {
    pid_t pid;
    char url[64];
};

static const struct problem_source spec = {
    .name = "spec.json", .text = "{\"seed\": 1}", .length = 11};

static struct server start(const char *const *answers, size_t body_length)
{
    struct server server;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, REQUESTS_MAX), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    seen->count = 0;
    server.pid = fork();
    assert_true(server.pid >= 0);
    if (server.pid == 0)
        serve(listener, answers, body_length);
    close(listener);
    return server;
}

/* Submits to a server that gives these answers. */
static enum exit_code submit(const char *const *answers, uint64_t *ret_id)
{
    struct server server = start(answers, spec.length);
    struct cli cli = {.server = server.url};
    struct api_reply reply = {0};
    enum exit_code code = api_submit(&cli, &spec, &reply);
    *ret_id = api_integer(reply.json, "id");
    api_reply_release(&reply);
    http_client_free(cli.client);
    kill(server.pid, SIGKILL);
    waitpid(server.pid, NULL, 0);
    return code;
}

#define ANSWER(status, headers, body)                                                              \
    "HTTP/1.1 " status " x\r\nConnection: close\r\n" headers "\r\n" body

static const char created[] = ANSWER("201", "Content-Length: 9\r\n", "{\"id\": 7}");

static const char *key_of(int request)
{
    static char key[REQUESTS_MAX][128];
    const char *line = strstr(seen->requests[request], "Idempotency-Key: ");
    assert_non_null(line);
    snprintf(key[request], sizeof key[request], "%.*s", (int)strcspn(line, "\r\n"), line);
    return key[request];
}

static void test_a_lost_answer_is_asked_for_again_under_the_same_key(void **state)
{
    (void)state;
    uint64_t id = 0;
    assert_int_equal(submit((const char *[]){"", created, NULL}, &id), EXIT_CODE_OK);
    assert_int_equal(id, 7);
    assert_int_equal(seen->count, 2);
    assert_true(strlen(key_of(0)) > strlen("Idempotency-Key: ") + 30);
    assert_string_equal(key_of(0), key_of(1));
    assert_non_null(strstr(seen->requests[1], "{\"seed\": 1}"));
}

static void test_two_submissions_have_two_keys(void **state)
{
    (void)state;
    uint64_t id = 0;
    char first[128];
    assert_int_equal(submit((const char *[]){created, NULL}, &id), EXIT_CODE_OK);
    snprintf(first, sizeof first, "%s", key_of(0));
    assert_int_equal(submit((const char *[]){created, NULL}, &id), EXIT_CODE_OK);
    assert_string_not_equal(first, key_of(0));
}

static void test_a_daemon_that_cannot_write_now_is_asked_again(void **state)
{
    (void)state;
    uint64_t id = 0;
    const char *busy = ANSWER("503", "Retry-After: 1\r\nContent-Length: 0\r\n", "");
    assert_int_equal(submit((const char *[]){busy, created, NULL}, &id), EXIT_CODE_OK);
    assert_int_equal(seen->count, 2);
    assert_string_equal(key_of(0), key_of(1));
}

static void test_a_refusal_is_final(void **state)
{
    (void)state;
    uint64_t id = 0;
    const char *refusal = ANSWER("422", "Content-Length: 18\r\n", "{\"title\": \"wrong\"}");
    assert_int_equal(submit((const char *[]){refusal, created, NULL}, &id), EXIT_CODE_REFUSED);
    assert_int_equal(seen->count, 1);
}

static void test_nobody_there_is_unreachable(void **state)
{
    (void)state;
    struct cli cli = {.server = "http://127.0.0.1:1"};
    struct api_reply reply = {0};
    assert_int_equal(api_submit(&cli, &spec, &reply), EXIT_CODE_UNREACHABLE);
    assert_int_equal(api_get(&cli, "/v1/searches", &reply), EXIT_CODE_UNREACHABLE);
    http_client_free(cli.client);
}

static void test_what_is_no_daemon_is_told_apart(void **state)
{
    (void)state;
    const char *page = ANSWER("200", "Content-Length: 6\r\n", "<html>");
    struct server server = start((const char *[]){page, NULL}, 0);
    struct cli cli = {.server = server.url};
    struct api_reply reply = {0};
    assert_int_equal(api_get_json(&cli, "/v1/searches", &reply), EXIT_CODE_UNREACHABLE);
    assert_int_equal(seen->count, 1);
    http_client_free(cli.client);
    kill(server.pid, SIGKILL);
    waitpid(server.pid, NULL, 0);
}

static int share_memory(void **state)
{
    (void)state;
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return seen == MAP_FAILED ? -1 : http_startup();
}

static int unshare_memory(void **state)
{
    (void)state;
    http_shutdown();
    return munmap(seen, sizeof *seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lost_answer_is_asked_for_again_under_the_same_key),
        cmocka_unit_test(test_two_submissions_have_two_keys),
        cmocka_unit_test(test_a_daemon_that_cannot_write_now_is_asked_again),
        cmocka_unit_test(test_a_refusal_is_final),
        cmocka_unit_test(test_nobody_there_is_unreachable),
        cmocka_unit_test(test_what_is_no_daemon_is_told_apart),
    };
    return cmocka_run_group_tests(tests, share_memory, unshare_memory);
}
