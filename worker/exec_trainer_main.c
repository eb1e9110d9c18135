/* archscout-exec-trainer: a trainer (proto/trainer_pipe.h) that has each task carried out by a command of the user's, as
 * docs/exec-trainer.md says. Started by archscout-worker --exec. SIGTERM in the middle of a task: the command is asked to stop
 * and the task handed back; otherwise it ends the program. */
#include "proto/frame.h"
#include "proto/log.h"
#include "proto/trainer_pipe.h"
#include "worker/exec_dataset.h"
#include "worker/exec_environment.h"
#include "worker/exec_run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_STUCK = 5 };

static const char USAGE[] =
    "usage: archscout-exec-trainer\n"
    "\n"
    "Trains the tasks that an agent sends in frames on standard input with a command, and answers\n"
    "in frames on standard output. Started by archscout-worker --exec COMMAND, which tells it\n"
    "the command in ARCHSCOUT_EXEC.\n";

struct session {
    struct log log;
    struct exec_setup setup;
    int frames; /* what was standard output */
    struct buffer buffer;
    int broken; /* negative errno once a frame could not be sent */
};

/* ---- frames ---- */

static void session_send(struct session *session, const struct trainer_message *message)
{
    if (session->broken < 0)
        return;
    buffer_consume(&session->buffer, session->buffer.length);
    int code = trainer_message_pack(message, &session->buffer);
    if (code == 0)
        code = frame_write(session->frames, session->buffer.data, session->buffer.length);
    if (code < 0) {
        session->broken = code;
        log_line(&session->log, LOG_ERROR, "cannot write to the agent: %s", strerror(-code));
    }
}

static int read_datasets(const char *text, struct hello *hello, struct error *error)
{
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        char one[2 * DATASET_NAME_SIZE + 64] = "";
        const size_t length = strcspn(text, " ");
        if (length < sizeof one)
            memcpy(one, text, length);
        if (hello->dataset_count == WIRE_DATASETS_MAX)
            return error_set(error, -E2BIG, "", "more than %d data sets", WIRE_DATASETS_MAX);
        int code = exec_dataset_read(one, &hello->datasets[hello->dataset_count], error);
        if (code < 0)
            return code;
        hello->dataset_count++;
        text += length;
    }
    return 0;
}

static int send_hello(struct session *session, const char *datasets)
{
    struct error error;
    struct trainer_message message = {.kind = TRAINER_HELLO,
                                      .hello = {.protocol = TRAINER_PROTOCOL, .checkpoints = true}};
    snprintf(message.hello.device, sizeof message.hello.device, "%s", session->setup.device);
    if (read_datasets(datasets, &message.hello, &error) < 0) {
        log_line(&session->log, LOG_ERROR, "%s: %s", EXEC_ENV_DATASETS, error.message);
        return EXIT_USAGE;
    }
    session_send(session, &message);
    return session->broken < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- what a command says ---- */

static void on_progress(void *context, uint64_t steps_done, uint64_t steps_total)
{
    const struct trainer_message message = {.kind = TRAINER_PROGRESS,
                                            .progress = {steps_done, steps_total}};
    session_send(context, &message);
}

static void on_epoch(void *context, const struct wire_epoch *epoch)
{
    const struct trainer_message message = {.kind = TRAINER_EPOCH, .epoch = *epoch};
    session_send(context, &message);
}

/* As it is: the agent's log says whose it is. */
static void on_line(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "%s\n", line);
}

static void on_note(void *context, const char *text)
{
    const struct session *session = context;
    log_line(&session->log, LOG_INFO, "%s", text);
}

static void take_stop(void *context)
{
    const struct session *session = context;
    struct signalfd_siginfo info;
    while (read(session->setup.stop_fd, &info, sizeof info) == (ssize_t)sizeof info)
        ;
}

/* ---- tasks ---- */

/* False where this process cannot go on. */
static bool carry_out(struct session *session, const struct wire_task *task)
{
    const struct exec_events events = {.context = session,
                                       .on_progress = on_progress,
                                       .on_epoch = on_epoch,
                                       .on_line = on_line,
                                       .on_note = on_note,
                                       .take_stop = take_stop};
    struct trainer_message message = {.kind = TRAINER_RESULT};
    const bool gone = exec_run(&session->setup, task, &events, &message.result);
    const struct wire_result *result = &message.result;
    log_line(&session->log, LOG_INFO, "candidate %" PRIu64 " attempt %" PRIu64 ": %s, %.1f s%s%s",
             task->candidate, task->attempt, wire_outcome_name(result->outcome), result->seconds,
             result->message[0] ? ": " : "", result->message);
    session_send(session, &message);
    if (!gone)
        log_line(&session->log, LOG_ERROR, "the command was killed and is not gone");
    return gone && session->broken == 0;
}

/* Waits for input; false where SIGTERM comes first. */
static bool wait_for_task(const struct session *session)
{
    struct pollfd both[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = session->setup.stop_fd, .events = POLLIN}};
    while (poll(both, ARRAY_LENGTH(both), -1) <= 0)
        ;
    return both[1].revents == 0;
}

/* The exit status. */
static int serve(struct session *session)
{
    while (wait_for_task(session)) {
        struct wire_task task;
        struct error error = {.pointer = ""};
        int code = frame_read(STDIN_FILENO, &session->buffer);
        if (code == FRAME_END)
            break;
        if (code == FRAME_READY)
            code = trainer_task_unpack(session->buffer.data, session->buffer.length, &task, &error);
        else
            error_set(&error, code, "", "%s", strerror(-code));
        if (code < 0) {
            log_line(&session->log, LOG_ERROR, "not a task that can be understood: %s %s",
                     error.pointer, error.message);
            return EXIT_FAILURE;
        }
        if (!carry_out(session, &task))
            return session->broken < 0 ? EXIT_FAILURE : EXIT_STUCK;
    }
    return EXIT_SUCCESS;
}

/* ---- the program ---- */

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && value[0] ? value : otherwise;
}

/* Standard output is for frames alone. */
static int open_session(struct session *session)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    session->frames = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (session->frames < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
        sigprocmask(SIG_BLOCK, &term, NULL) < 0)
        return -errno;
    session->setup.stop_fd = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
    return session->setup.stop_fd < 0 ? -errno : 0;
}

static int run(const char *command)
{
    struct session session = {.log = {"archscout-exec-trainer", LOG_INFO, STDERR_FILENO},
                              .setup = {.command = command,
                                        .device = environment(TRAINER_ENV_DEVICE, "cpu"),
                                        .data = environment(TRAINER_ENV_DATA, NULL),
                                        .work = environment(EXEC_ENV_WORK, NULL)}};
    buffer_init(&session.buffer, FRAME_BODY_MAX);
    int code = open_session(&session);
    if (code < 0) {
        log_line(&session.log, LOG_ERROR, "standard output and signals: %s", strerror(-code));
        return EXIT_FAILURE;
    }
    int status = send_hello(&session, environment(EXEC_ENV_DATASETS, ""));
    if (status == EXIT_SUCCESS)
        status = serve(&session);
    buffer_release(&session.buffer);
    close(session.frames);
    close(session.setup.stop_fd);
    return status;
}

int main(int argc, char **argv)
{
    const char *command = getenv(EXEC_ENV_COMMAND);
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(USAGE, stdout);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("archscout-exec-trainer " ARCHSCOUT_VERSION);
        return EXIT_SUCCESS;
    }
    if (argc > 1 || !command || !command[0]) {
        fputs(USAGE, stderr);
        return EXIT_USAGE;
    }
    return run(command);
}
