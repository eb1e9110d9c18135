/* An HTTP server with a handler of its own, for tests. Server and client share one thread: the client's sockets do not
 * block, and waiting means turning the loop.
 *
 * The handler answers with "METHOD PATH Q", except on /park (waits until it is told), /soon (waits until its deadline) and
 * /stream. */
#ifndef TESTS_UNIT_DAEMON_HTTP_FIXTURE_H
#define TESTS_UNIT_DAEMON_HTTP_FIXTURE_H

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/http.h"

enum { TURNS_MAX = 20000, TURN_US = 500, ANSWER_SIZE = 65536 };

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

int fixture_set_up(void **state);
int fixture_tear_down(void **state);
/* Turns the loop once and releases replies unless they are held. */
void fixture_turn(struct fixture *fixture);
void fixture_reply(struct http_exchange *exchange, const char *text);

int client_open(struct fixture *fixture);
/* Sends what the other side takes; stops where it has closed. */
void client_send_bytes(struct fixture *fixture, int fd, const char *bytes, size_t length);
void client_send(struct fixture *fixture, int fd, const char *text);
/* Adds to `answer` what comes; *ret_closed where the server has closed. Turns the loop `turns` times or until `needle` is
 * there. */
void client_receive(struct fixture *fixture, int fd, const char *needle, int turns,
                    char answer[ANSWER_SIZE], bool *ret_closed);

/* One request on a connection of its own; the answer must hold `expected`. */
void fixture_expect(struct fixture *fixture, const char *request, const char *expected);
/* Nothing may come. */
void fixture_expect_silence(struct fixture *fixture, int fd);

#endif
