/* A real archscoutd in a directory of its own, and a small HTTP client for it. Everything asserts: a test that can't start
 * its daemon or get an answer fails. */
#ifndef TESTS_E2E_DAEMON_PROCESS_H
#define TESTS_E2E_DAEMON_PROCESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>
#include <jansson.h>

enum {
    DAEMON_WORDS_MAX = 16,
    DAEMON_PATH_SIZE = 256,
    DAEMON_WAIT_MS_MAX =
        60000, /* for anything: far beyond what it takes, so that only a defect reaches it */
};

struct daemon_process {
    char directory[DAEMON_PATH_SIZE]; /* temporary; holds state/ and log */
    char program[DAEMON_PATH_SIZE];
    pid_t pid; /* 0 = not running */
    int port;
};

/* Makes the directory; starts nothing. */
void daemon_prepare(struct daemon_process *process);
/* Starts archscoutd on a free port, with these further words (NULL-terminated, or NULL), and waits until it listens. */
void daemon_start(struct daemon_process *process, const char *const *words);
/* The same without waiting: for a test that kills it while it starts. `port` stays as it was. */
void daemon_spawn(struct daemon_process *process, const char *const *words);
/* SIGTERM; the exit status must be 0. */
void daemon_stop(struct daemon_process *process);
void daemon_kill(struct daemon_process *process); /* SIGKILL */
/* Kills what runs and removes the directory. */
void daemon_remove(struct daemon_process *process);
/* Runs archscoutd with these words until it ends by itself. Its exit status; what it wrote to standard error and output
 * goes to `output`. */
int daemon_run(struct daemon_process *process, const char *const *words, char *output, size_t size);
/* What the daemon wrote to standard error since it was prepared; free it. */
char *daemon_log(const struct daemon_process *process);

/* cmocka set-up and tear-down: *state is a running daemon. */
int daemon_set_up(void **state);
int daemon_tear_down(void **state);

/* ---- HTTP ---- */

struct answer {
    int status;
    char *head; /* status line and headers */
    char *body; /* terminated; chunks put together */
    size_t body_bytes;
    json_t *json; /* NULL where the body is none */
};
void answer_release(struct answer *answer);
/* A header's value, or NULL. Valid until the next call. */
const char *answer_header(const struct answer *answer, const char *name);

/* A connection; reads time out after DAEMON_WAIT_MS_MAX. */
int connection_open(const struct daemon_process *process);
/* Sends what is taken; false where the other side has closed. */
bool connection_send(int fd, const void *bytes, size_t length);
/* One answer to a request that was sent; false where the connection was closed without one. */
bool connection_receive(int fd, struct answer *ret_answer);
/* Reads until `needle` came, and returns all text so far (free it); NULL where the connection ended before. */
char *connection_read_until(int fd, const char *needle);

struct call {
    const char *method, *path;
    const char *headers; /* "Name: value\r\n" ..., or NULL */
    const char *type;    /* Content-Type, or NULL */
    const void *body;
    size_t body_bytes;
};
/* One request on a connection of its own. */
struct answer call(const struct daemon_process *process, const struct call *call);
struct answer get(const struct daemon_process *process, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct answer post(const struct daemon_process *process, const char *path, const char *json);

/* ---- JSON ---- */

/* The member at a path such as "progress.done" or "candidates.0.state"; fails the test where there is none. */
const json_t *member(const struct answer *answer, const char *path);
const char *text_at(const struct answer *answer, const char *path);
int64_t integer_at(const struct answer *answer, const char *path);
double number_at(const struct answer *answer, const char *path);
bool is_null_at(const struct answer *answer, const char *path);
void assert_near(double value, double expected, double tolerance);

/* The answer must be a problem of this status and type ("not-found"). */
void assert_problem(const struct answer *answer, int status, const char *type);

#endif
