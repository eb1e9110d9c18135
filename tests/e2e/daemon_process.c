#include "tests/e2e/daemon_process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POLL_US = 2000, FILES_OPEN_MAX = 16, DIRECTORY_MODE = 0700, FILE_MODE = 0600 };

/* ---- the process ---- */

void daemon_prepare(struct daemon_process *process)
{
    *process =
        (struct daemon_process){.directory = "/tmp/archscout-e2e-XXXXXX", .program = ARCHSCOUTD};
    assert_non_null(mkdtemp(process->directory));
}

/* argv of the daemon; `address` and `state` live as long as it. */
static void set_words(char **argv, const struct daemon_process *process, char *state, size_t size,
                      const char *const *words)
{
    static char address[] = "127.0.0.1:0";
    size_t count = 0;
    snprintf(state, size, "%s/state", process->directory);
    argv[count++] = (char *)process->program;
    argv[count++] = (char *)"--state";
    argv[count++] = state;
    argv[count++] = (char *)"--listen";
    argv[count++] = address;
    while (words && *words) {
        assert_true(count < DAEMON_WORDS_MAX - 1);
        argv[count++] = (char *)*words++;
    }
    argv[count] = NULL;
}

/* The child's standard output and error go to a file. */
static pid_t spawn(char *const *argv, const char *output, int flags)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open(output, O_WRONLY | O_CREAT | flags, FILE_MODE);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
        _exit(126);
    execv(argv[0], argv);
    _exit(127);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;
    if (!file)
        return strdup("");
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = strdup("");
    }
    fclose(file);
    return text;
}

char *daemon_log(const struct daemon_process *process)
{
    char path[DAEMON_PATH_SIZE + 8];
    snprintf(path, sizeof path, "%s/log", process->directory);
    return read_file(path);
}

/* Waits for a new "listening on" line, after those of earlier lives. */
static int wait_for_port(const struct daemon_process *process, size_t log_bytes)
{
    static const char said[] = "listening on http://127.0.0.1:";
    for (int i = 0; i < DAEMON_WAIT_MS_MAX * 1000 / POLL_US; i++) {
        char *log = daemon_log(process);
        const char *line = strlen(log) > log_bytes ? strstr(log + log_bytes, said) : NULL;
        int port = line && strchr(line, '\n') ? (int)strtol(line + strlen(said), NULL, 10) : 0;
        bool ended = waitpid(process->pid, NULL, WNOHANG) != 0;
        if (ended && !port)
            fail_msg("archscoutd ended: %s", log);
        free(log);
        if (port)
            return port;
        usleep(POLL_US);
    }
    fail_msg("archscoutd does not listen");
    return 0;
}

void daemon_spawn(struct daemon_process *process, const char *const *words)
{
    char *argv[DAEMON_WORDS_MAX];
    char state[DAEMON_PATH_SIZE + 8], path[DAEMON_PATH_SIZE + 8];
    set_words(argv, process, state, sizeof state, words);
    snprintf(path, sizeof path, "%s/log", process->directory);
    process->pid = spawn(argv, path, O_APPEND);
}

void daemon_start(struct daemon_process *process, const char *const *words)
{
    char *log = daemon_log(process);
    size_t log_bytes = strlen(log);
    free(log);
    daemon_spawn(process, words);
    process->port = wait_for_port(process, log_bytes);
}

static int wait_for_end(pid_t pid)
{
    int status = 0;
    for (int i = 0; i < DAEMON_WAIT_MS_MAX * 1000 / POLL_US; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        usleep(POLL_US);
    }
    kill(pid, SIGABRT);
    waitpid(pid, &status, 0);
    fail_msg("archscoutd does not end");
    return status;
}

void daemon_stop(struct daemon_process *process)
{
    kill(process->pid, SIGTERM);
    int status = wait_for_end(process->pid);
    process->pid = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        char *log = daemon_log(process);
        fail_msg("archscoutd ended with wait status %#x: %s", (unsigned)status, log);
    }
}

void daemon_kill(struct daemon_process *process)
{
    kill(process->pid, SIGKILL);
    waitpid(process->pid, NULL, 0);
    process->pid = 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void daemon_remove(struct daemon_process *process)
{
    if (process->pid > 0)
        daemon_kill(process);
    nftw(process->directory, remove_entry, FILES_OPEN_MAX, FTW_DEPTH | FTW_PHYS);
}

int daemon_run(struct daemon_process *process, const char *const *words, char *output, size_t size)
{
    char *argv[DAEMON_WORDS_MAX] = {process->program};
    char path[DAEMON_PATH_SIZE + 8];
    for (size_t i = 0; words[i]; i++)
        argv[i + 1] = (char *)words[i];
    snprintf(path, sizeof path, "%s/run", process->directory);
    int status = wait_for_end(spawn(argv, path, O_TRUNC));
    char *text = read_file(path);
    snprintf(output, size, "%s", text);
    free(text);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int daemon_set_up(void **state)
{
    struct daemon_process *process = calloc(1, sizeof *process);
    assert_non_null(process);
    daemon_prepare(process);
    daemon_start(process, NULL);
    *state = process;
    return 0;
}

/* Stops the daemon in the ordinary way, so that a sanitizer can say what it has to say. */
int daemon_tear_down(void **state)
{
    struct daemon_process *process = *state;
    if (process->pid > 0)
        daemon_stop(process);
    daemon_remove(process);
    free(process);
    return 0;
}

/* ---- HTTP ---- */

int connection_open(const struct daemon_process *process)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)process->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = DAEMON_WAIT_MS_MAX / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

bool connection_send(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t sent = send(fd, at, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        length -= (size_t)sent;
    }
    return true;
}

struct input {
    int fd;
    char *data;
    size_t length, size;
    time_t since;
};

/* Reads more; false at the end. */
static bool read_more(struct input *input)
{
    if (input->size - input->length < 2) {
        input->size = input->size ? input->size * 2 : 4096;
        input->data = realloc(input->data, input->size);
        assert_non_null(input->data);
    }
    ssize_t bytes =
        recv(input->fd, input->data + input->length, input->size - input->length - 1, 0);
    if ((bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) ||
        time(NULL) - input->since > DAEMON_WAIT_MS_MAX / 1000)
        fail_msg("no answer, only: %s", input->length ? input->data : "");
    if (bytes <= 0)
        return false;
    input->length += (size_t)bytes;
    input->data[input->length] = '\0';
    return true;
}

char *connection_read_until(int fd, const char *needle)
{
    struct input input = {.fd = fd, .since = time(NULL)};
    while (!input.data || !strstr(input.data, needle)) {
        if (!read_more(&input)) {
            free(input.data);
            return NULL;
        }
    }
    return input.data;
}

static char *header_of(const char *head, const char *name, char *value, size_t size)
{
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        size_t length = strlen(name);
        if (strncasecmp(line + 2, name, length) != 0 || line[2 + length] != ':')
            continue;
        const char *at = line + 3 + length;
        at += strspn(at, " ");
        snprintf(value, size, "%.*s", (int)strcspn(at, "\r"), at);
        return value;
    }
    return NULL;
}

const char *answer_header(const struct answer *answer, const char *name)
{
    static char value[512];
    return header_of(answer->head, name, value, sizeof value);
}

/* Puts the chunks from `at` on together in place; false where the end has not come yet. */
static bool dechunk(char *at, const char *end, size_t *ret_length)
{
    char *to = at, *start = at;
    for (;;) {
        char *line = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (!line)
            return false;
        size_t bytes = strtoul(at, NULL, 16);
        at = line + 2;
        if (bytes == 0) {
            *ret_length = (size_t)(to - start);
            return true;
        }
        if ((size_t)(end - at) < bytes + 2)
            return false;
        memmove(to, at, bytes);
        to += bytes;
        at += bytes + 2;
    }
}

static void copy_body(struct answer *answer, const char *body, size_t length)
{
    answer->body = malloc(length + 1);
    assert_non_null(answer->body);
    memcpy(answer->body, body, length);
    answer->body[length] = '\0';
    answer->body_bytes = length;
    answer->json = json_loadb(body, length, JSON_DECODE_ANY, NULL);
}

/* The whole answer is in `input`, or false. */
static bool is_complete(const struct input *input, const char *head, size_t head_bytes, bool ended,
                        struct answer *answer)
{
    char value[64];
    const char *body = input->data + head_bytes;
    size_t length = input->length - head_bytes;
    bool empty = answer->status == 204 || answer->status == 304;
    if (header_of(head, "Transfer-Encoding", value, sizeof value)) {
        char *copy = malloc(length + 1);
        assert_non_null(copy);
        memcpy(copy, body, length);
        bool complete = dechunk(copy, copy + length, &length);
        if (complete)
            copy_body(answer, copy, length);
        free(copy);
        return complete;
    }
    if (empty || header_of(head, "Content-Length", value, sizeof value)) {
        size_t announced = empty ? 0 : strtoul(value, NULL, 10);
        if (length < announced)
            return false;
        copy_body(answer, body, announced);
        return true;
    }
    if (ended)
        copy_body(answer, body, length);
    return ended;
}

bool connection_receive(int fd, struct answer *ret_answer)
{
    struct input input = {.fd = fd, .since = time(NULL)};
    struct answer answer = {.status = 0};
    bool ended = false;
    for (;;) {
        char *end = input.data ? strstr(input.data, "\r\n\r\n") : NULL;
        if (end && strncmp(input.data, "HTTP/1.1 100", 12) == 0) {
            input.length -= (size_t)(end + 4 - input.data);
            memmove(input.data, end + 4, input.length + 1);
            continue;
        }
        if (end) {
            free(answer.head);
            answer.head = strndup(input.data, (size_t)(end + 2 - input.data));
            assert_non_null(answer.head);
            answer.status = (int)strtol(answer.head + strcspn(answer.head, " "), NULL, 10);
            if (is_complete(&input, answer.head, (size_t)(end + 4 - input.data), ended, &answer))
                break;
        }
        if (ended) {
            free(answer.head);
            free(input.data);
            return false;
        }
        ended = !read_more(&input);
    }
    free(input.data);
    *ret_answer = answer;
    return true;
}

void answer_release(struct answer *answer)
{
    free(answer->head);
    free(answer->body);
    json_decref(answer->json);
    *answer = (struct answer){.status = 0};
}

struct answer call(const struct daemon_process *process, const struct call *call)
{
    char head[2048], length[64] = "";
    struct answer answer;
    if (call->body)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", call->body_bytes);
    snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s%s%s%s%s\r\n",
             call->method, call->path, process->port, call->headers ? call->headers : "",
             call->type ? "Content-Type: " : "", call->type ? call->type : "",
             call->type ? "\r\n" : "", length);
    int fd = connection_open(process);
    assert_true(connection_send(fd, head, strlen(head)));
    if (call->body)
        connection_send(fd, call->body, call->body_bytes);
    if (!connection_receive(fd, &answer))
        fail_msg("no answer to %s %s", call->method, call->path);
    close(fd);
    return answer;
}

struct answer get(const struct daemon_process *process, const char *format, ...)
{
    char path[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    return call(process, &(struct call){.method = "GET", .path = path});
}

struct answer post(const struct daemon_process *process, const char *path, const char *json)
{
    return call(process, &(struct call){.method = "POST",
                                        .path = path,
                                        .type = json ? "application/json" : NULL,
                                        .body = json ? json : "",
                                        .body_bytes = json ? strlen(json) : 0});
}

/* ---- JSON ---- */

const json_t *member(const struct answer *answer, const char *path)
{
    const json_t *value = answer->json;
    char key[64];
    for (const char *at = path; value && *at;) {
        size_t length = strcspn(at, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, at);
        value = json_is_array(value) ? json_array_get(value, strtoul(key, NULL, 10))
                                     : json_object_get(value, key);
        at += length + (at[length] == '.');
    }
    if (!value)
        fail_msg("no member '%s' in %d %.2000s", path, answer->status, answer->body);
    return value;
}

const char *text_at(const struct answer *answer, const char *path)
{
    const char *text = json_string_value(member(answer, path));
    if (!text)
        fail_msg("'%s' is no text in %.2000s", path, answer->body);
    return text;
}

int64_t integer_at(const struct answer *answer, const char *path)
{
    assert_true(json_is_integer(member(answer, path)));
    return json_integer_value(member(answer, path));
}

double number_at(const struct answer *answer, const char *path)
{
    assert_true(json_is_number(member(answer, path)));
    return json_number_value(member(answer, path));
}

bool is_null_at(const struct answer *answer, const char *path)
{
    return json_is_null(member(answer, path));
}

void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.17g is not %.17g", value, expected);
}

void assert_problem(const struct answer *answer, int status, const char *type)
{
    char urn[128];
    const char *media = answer_header(answer, "Content-Type");
    snprintf(urn, sizeof urn, "urn:archscout:problem:%s", type);
    if (answer->status != status || !media || strcmp(media, "application/problem+json") != 0 ||
        strcmp(text_at(answer, "type"), urn) != 0)
        fail_msg("expected %d %s, got %s%s", status, urn, answer->head, answer->body);
    assert_int_equal(integer_at(answer, "status"), status);
    assert_true(text_at(answer, "title")[0]);
    assert_true(text_at(answer, "detail")[0]);
}
