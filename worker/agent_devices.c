#include "worker/agent_devices.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/trainer_pipe.h"
#include "worker/agent_environment.h"
#include "worker/agent_process.h"
#include "worker/agent_tail.h"

enum { LIST_SIZE = 65536, REAP_MS = 2000, REAP_PERIOD_MS = 5 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the list ---- */

/* The next word of a line, which is cut off it. */
static char *take_word(char **line)
{
    char *word = *line;
    char *end = word + strcspn(word, " ");
    *line = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

static int read_line(char *line, char ret_name[AGENT_DEVICE_SIZE], struct error *error)
{
    char *rest = line;
    const char *id = take_word(&rest), *uuid = take_word(&rest);
    char name[2 * AGENT_DEVICE_SIZE];
    if (strcmp(uuid, "-") == 0)
        snprintf(name, sizeof name, "%.*s", AGENT_DEVICE_SIZE, id);
    else
        snprintf(name, sizeof name, "cuda:%.*s", AGENT_DEVICE_SIZE, uuid);
    if (!agent_device_is_good(name))
        return error_set(error, -EBADMSG, "", "the trainer lists \"%.40s %.60s\", which names none",
                         id, uuid);
    snprintf(ret_name, AGENT_DEVICE_SIZE, "%.*s", AGENT_DEVICE_SIZE - 1, name);
    return 0;
}

int agent_devices_read(char *text, struct agent_devices *ret_devices, struct error *error)
{
    struct agent_devices devices = {.count = 0};
    char *state = NULL;
    for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
        if (devices.count == WIRE_SLOTS_MAX)
            return error_set(error, -EBADMSG, "", "the trainer lists more than %d devices",
                             WIRE_SLOTS_MAX);
        int r = read_line(line, devices.names[devices.count], error);
        if (r < 0)
            return r;
        devices.count++;
    }
    if (devices.count == 0)
        return error_set(error, -ENODEV, "", "the trainer lists no device");
    *ret_devices = devices;
    return 0;
}

/* ---- the program ---- */

struct answer_text {
    char list[LIST_SIZE];
    size_t length;
    struct tail tail;
    int64_t deadline_ms;
};

static void ignore_line(void *context, const char *line)
{
    (void)context;
    (void)line;
}

/* 1 more may come, 0 the end, negative errno. */
static int take_output(struct answer_text *answer, int fd, bool is_list)
{
    char words[512];
    char *into = is_list ? answer->list + answer->length : words;
    const size_t room = is_list ? LIST_SIZE - 1 - answer->length : sizeof words;
    if (room == 0)
        return -EMSGSIZE;
    ssize_t count = read(fd, into, room);
    if (count < 0)
        return errno == EINTR ? 1 : -errno;
    if (is_list)
        answer->length += (size_t)count;
    else
        tail_feed(&answer->tail, words, (size_t)count, ignore_line, NULL);
    return count > 0;
}

/* Both pipes to their ends. */
static int listen_to(const struct process *process, struct answer_text *answer)
{
    struct pollfd both[] = {{.fd = process->out_fd, .events = POLLIN},
                            {.fd = process->err_fd, .events = POLLIN}};
    while (both[0].fd >= 0 || both[1].fd >= 0) {
        const int64_t left_ms = answer->deadline_ms - now_ms();
        int ready = left_ms > 0 ? poll(both, ARRAY_LENGTH(both), (int)left_ms) : 0;
        if (ready == 0)
            return -ETIMEDOUT;
        for (size_t i = 0; i < ARRAY_LENGTH(both) && ready > 0; i++) {
            int more = both[i].revents ? take_output(answer, both[i].fd, i == 0) : 1;
            if (more < 0)
                return more;
            if (more == 0)
                both[i].fd = -1;
        }
    }
    answer->list[answer->length] = '\0';
    tail_end(&answer->tail, ignore_line, NULL);
    return 0;
}

/* False where it does not go. */
static bool reap(pid_t pid, int *ret_status)
{
    const struct timespec period = {0, REAP_PERIOD_MS * 1000000};
    for (int waited_ms = 0; waited_ms < REAP_MS; waited_ms += REAP_PERIOD_MS) {
        if (process_reap(pid, ret_status))
            return true;
        nanosleep(&period, NULL);
    }
    return false;
}

/* What the program has to say, without what its log puts before. */
static const char *words_of(const char *text)
{
    static const char mark[] = "archscout-trainer: ";
    const char *at = strstr(text, mark);
    return at ? at + strlen(mark) : text;
}

static int run(const struct process *process, struct answer_text *answer, struct error *error)
{
    int status = 0;
    int r = listen_to(process, answer);
    if (r < 0)
        process_kill(process->pid);
    if (!reap(process->pid, &status) && r == 0)
        r = -ETIMEDOUT;
    if (r < 0)
        return error_set(error, r, "", "the trainer was asked for its devices: %s",
                         r == -ETIMEDOUT ? "it does not answer and end" : strerror(-r));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    char words[ERROR_MESSAGE_SIZE - 96], how[96];
    tail_text(&answer->tail, words, sizeof words);
    process_describe(status, how, sizeof how);
    if (words[0])
        return error_set(error, -ENODEV, "", "%s", words_of(words));
    return error_set(error, -ENODEV, "", "the trainer that was asked for its devices %s", how);
}

int agent_devices_ask(const char *trainer_path, const char *device, uint32_t timeout_ms,
                      struct agent_devices *ret_devices, struct error *error)
{
    const struct variable variable = {TRAINER_ENV_DEVICE, device};
    char *const arguments[] = {(char *)trainer_path, "--list-devices", NULL};
    struct answer_text answer = {.length = 0};
    struct process process;
    char **environment = NULL;
    int r = environment_new(environ, &variable, 1, &environment);
    if (r < 0)
        return error_set(error, r, "", "out of memory");
    r = process_spawn(trainer_path, arguments, environment, &process, error);
    environment_free(environment);
    if (r < 0)
        return r;
    tail_init(&answer.tail);
    answer.deadline_ms = now_ms() + timeout_ms;
    close(process.in_fd);
    r = run(&process, &answer, error);
    close(process.out_fd);
    close(process.err_fd);
    return r < 0 ? r : agent_devices_read(answer.list, ret_devices, error);
}
