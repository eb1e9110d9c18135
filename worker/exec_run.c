#include "worker/exec_run.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/foreign_text.h"
#include "worker/agent_tail.h"
#include "worker/exec_directory.h"
#include "worker/exec_line.h"
#include "worker/exec_task.h"
#include "worker/exec_warden.h"

enum { READ_SIZE = 65536, EXCERPT_SIZE = 100, CAUSE_SIZE = 240, WORDS_SIZE = 220 };

struct run {
    const struct exec_setup *setup;
    const struct wire_task *task;
    const struct exec_events *events;
    struct exec_directory directory;
    struct warden warden;
    struct text input; /* for the command's standard input */
    size_t input_sent;
    struct tail tail; /* of its standard error */
    int64_t log_budget, log_ms;
    int64_t started_ms, first_step_ms, epoch_ms, progress_ms; /* 0: not yet */
    int64_t deadline_ms; /* what comes then depends on the flags below; 0: none */
    uint32_t last_epoch;
    bool has_result, stopping, lingered;
    bool decided; /* `result` is how it ended */
    struct wire_result result;
    size_t line_length;
    char line[EXEC_LINE_BYTES_MAX + 1];
    char read_buffer[READ_SIZE];
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- standard error ---- */

static void log_line_of(void *context, const char *line)
{
    struct run *run = context;
    const int64_t now = now_ms(), length = (int64_t)strlen(line) + 1;
    run->log_budget += (now - run->log_ms) * EXEC_LOG_BYTES_S / 1000;
    run->log_ms = now;
    if (run->log_budget > EXEC_LOG_BYTES)
        run->log_budget = EXEC_LOG_BYTES;
    if (run->log_budget < length)
        return;
    run->log_budget -= length;
    run->events->on_line(run->events->context, line);
}

static void close_fd(int *fd)
{
    close(*fd);
    *fd = -1;
}

/* True where there may be more at once. */
static bool read_errors(struct run *run)
{
    ssize_t count = read(run->warden.err_fd, run->read_buffer, READ_SIZE);
    if (count > 0)
        tail_feed(&run->tail, run->read_buffer, (size_t)count, log_line_of, run);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&run->warden.err_fd);
    return count > 0;
}

/* ---- the end ---- */

/* Decides how it ended, unless that is decided: a cause, and the last words on standard error. */
static void decide(struct run *run, enum wire_outcome outcome, const char *format, ...)
    FORMAT_PRINTF(3, 4);

static void decide(struct run *run, enum wire_outcome outcome, const char *format, ...)
{
    enum { CATCH_UP_READS = 64 };
    char cause[CAUSE_SIZE], words[WORDS_SIZE], message[WIRE_MESSAGE_SIZE];
    if (run->decided)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cause, sizeof cause, format, arguments);
    va_end(arguments);
    for (int i = 0; i < CATCH_UP_READS && run->warden.err_fd >= 0 && read_errors(run); i++)
        ;
    tail_end(&run->tail, log_line_of, run);
    tail_text(&run->tail, words, sizeof words);
    snprintf(message, sizeof message, "%.239s%s%.219s", cause, words[0] ? "; its last words: " : "",
             words);
    run->decided = true;
    run->result = (struct wire_result){.outcome = outcome};
    foreign_message_copy(message, run->result.message, sizeof run->result.message);
}

/* The command has ended, by itself or after SIGTERM or SIGKILL. */
static void decide_by_status(struct run *run, bool known, int status)
{
    const char *without = run->has_result ? "" : " without a result";
    if (run->has_result && (run->lingered || (known && status == 0)))
        run->decided = true;
    else if (run->stopping)
        decide(run, WIRE_OUTCOME_RETURNED, "the command was asked to stop");
    else if (!known)
        decide(run, WIRE_OUTCOME_LOST, "the process that watches the command was killed");
    else if (WIFSIGNALED(status))
        decide(run, WIRE_OUTCOME_FAILED, "the command was killed by signal %d (%s)",
               WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        decide(run, WIRE_OUTCOME_FAILED, "the command exited with status %d%s", WEXITSTATUS(status),
               without);
}

static void on_deadline(struct run *run)
{
    run->deadline_ms = 0;
    if (run->has_result) {
        run->lingered = true;
        warden_kill(&run->warden);
        run->events->on_note(run->events->context,
                             "the command has not ended after its result: it is killed");
    } else if (run->stopping) {
        decide(run, WIRE_OUTCOME_RETURNED, "the command did not stop within %d s of SIGTERM",
               EXEC_GRACE_MS / 1000);
    } else {
        decide(run, WIRE_OUTCOME_FAILED, "the command closed its standard output without a result");
    }
}

/* ---- standard output ---- */

static void take_progress(struct run *run, const struct wire_progress *progress)
{
    const int64_t now = now_ms();
    const bool first = progress->steps_done > 0 && run->first_step_ms == 0;
    if (first)
        run->first_step_ms = now;
    if (!first && run->progress_ms && now - run->progress_ms < EXEC_PROGRESS_MS)
        return;
    run->progress_ms = now;
    run->events->on_progress(run->events->context, progress->steps_done, progress->steps_total);
}

static void take_epoch(struct run *run, struct wire_epoch *epoch)
{
    const int64_t now = now_ms();
    if (epoch->number <= run->last_epoch || epoch->number > run->task->epochs) {
        decide(run, WIRE_OUTCOME_FAILED, "the command reported epoch %u out of turn: %u of %u",
               epoch->number, run->last_epoch, run->task->epochs);
        return;
    }
    if (epoch->seconds <= 0)
        epoch->seconds = (double)(now - run->epoch_ms) / 1000;
    if (run->first_step_ms == 0)
        run->first_step_ms = now;
    run->epoch_ms = now;
    run->last_epoch = epoch->number;
    run->events->on_epoch(run->events->context, epoch);
}

static void take_result(struct run *run, const struct exec_line *line)
{
    run->has_result = true;
    run->result = line->result;
    if (!line->images_given && run->result.outcome == WIRE_OUTCOME_DONE)
        run->result.images = run->task->train_images * run->task->epochs;
    if (!run->stopping)
        run->deadline_ms = now_ms() + EXEC_FINISH_MS;
}

/* A line that is none, with its beginning. */
static void refuse_line(struct run *run, int code, const struct error *error)
{
    char excerpt[EXCERPT_SIZE];
    run->line[run->line_length < EXCERPT_SIZE ? run->line_length : EXCERPT_SIZE] = '\0';
    foreign_message_copy(run->line, excerpt, sizeof excerpt);
    decide(run, code == -ENOMEM ? WIRE_OUTCOME_LOST : WIRE_OUTCOME_FAILED,
           "the command wrote a line that is wrong: %.40s%s%.80s: %s", error->pointer,
           error->pointer[0] ? ": " : "", error->message, excerpt);
}

static void take_line(struct run *run)
{
    struct exec_line line;
    struct error error = {.pointer = ""};
    if (strspn(run->line, " \t\r") >= run->line_length)
        return;
    if (run->has_result) {
        error_set(&error, -EINVAL, "", "the result must be the last one");
        refuse_line(run, -EINVAL, &error);
        return;
    }
    int code = exec_line_read(run->line, run->line_length, &line, &error);
    if (code == -EDOM)
        decide(run, WIRE_OUTCOME_DIVERGED, "%s %s", error.pointer, error.message);
    else if (code < 0)
        refuse_line(run, code, &error);
    else if (line.kind == EXEC_LINE_PROGRESS)
        take_progress(run, &line.progress);
    else if (line.kind == EXEC_LINE_EPOCH)
        take_epoch(run, &line.epoch);
    else
        take_result(run, &line);
}

static void take_output(struct run *run, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length && !run->decided; i++) {
        if (bytes[i] != '\n' && run->line_length < EXEC_LINE_BYTES_MAX) {
            run->line[run->line_length++] = bytes[i];
            continue;
        }
        struct error error;
        run->line[run->line_length] = '\0';
        if (bytes[i] == '\n') {
            take_line(run);
        } else {
            error_set(&error, -EINVAL, "", "it is longer than %d bytes", EXEC_LINE_BYTES_MAX);
            refuse_line(run, -EINVAL, &error);
        }
        run->line_length = 0;
    }
}

/* The last line need not have a line feed. */
static void end_output(struct run *run)
{
    close_fd(&run->warden.out_fd);
    take_output(run, "\n", 1);
    if (!run->has_result && !run->stopping)
        run->deadline_ms = now_ms() + EXEC_CLOSED_MS;
}

static void read_output(struct run *run)
{
    ssize_t count = read(run->warden.out_fd, run->read_buffer, READ_SIZE);
    if (count > 0)
        take_output(run, run->read_buffer, (size_t)count);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
        end_output(run);
}

/* ---- standard input, and the loop ---- */

/* A command that does not read its input may do without. */
static void write_input(struct run *run)
{
    const size_t left = run->input.length - run->input_sent;
    ssize_t count = write(run->warden.in_fd, run->input.data + run->input_sent, left);
    if (count > 0)
        run->input_sent += (size_t)count;
    if ((count < 0 && errno != EAGAIN && errno != EINTR) || run->input_sent == run->input.length)
        close_fd(&run->warden.in_fd);
}

static void stop(struct run *run)
{
    run->events->take_stop(run->events->context);
    run->stopping = true;
    run->deadline_ms = now_ms() + EXEC_GRACE_MS;
    warden_terminate(&run->warden);
}

static int time_left_ms(const struct run *run)
{
    if (run->deadline_ms == 0)
        return -1;
    const int64_t left = run->deadline_ms - now_ms();
    return left < 0 ? 0 : (int)left;
}

enum { FD_STATUS, FD_OUT, FD_ERR, FD_IN, FD_STOP, FD_COUNT };

static void pump(struct run *run, const struct pollfd fds[FD_COUNT])
{
    if (fds[FD_IN].revents)
        write_input(run);
    if (fds[FD_ERR].revents)
        read_errors(run);
    if (fds[FD_OUT].revents)
        read_output(run);
    if (fds[FD_STOP].revents && !run->stopping)
        stop(run);
}

/* Until the command has ended or it is decided. True where it has ended. */
static bool watch(struct run *run)
{
    while (!run->decided) {
        struct pollfd fds[FD_COUNT] = {
            [FD_STATUS] = {.fd = run->warden.status_fd, .events = POLLIN},
            [FD_OUT] = {.fd = run->warden.out_fd, .events = POLLIN},
            [FD_ERR] = {.fd = run->warden.err_fd, .events = POLLIN},
            [FD_IN] = {.fd = run->warden.in_fd, .events = POLLOUT},
            [FD_STOP] = {.fd = run->stopping ? -1 : run->setup->stop_fd, .events = POLLIN},
        };
        if (poll(fds, FD_COUNT, time_left_ms(run)) < 0)
            continue;
        if (fds[FD_STATUS].revents)
            return true;
        pump(run, fds);
        if (run->deadline_ms && now_ms() >= run->deadline_ms)
            on_deadline(run);
    }
    return false;
}

/* Reads what the ended command has left in its pipes. */
static void drain(struct run *run)
{
    const int64_t by_ms = now_ms() + WARDEN_WAIT_MS;
    while (!run->decided && (run->warden.out_fd >= 0 || run->warden.err_fd >= 0)) {
        struct pollfd fds[FD_COUNT] = {
            [FD_STATUS] = {.fd = -1},
            [FD_OUT] = {.fd = run->warden.out_fd, .events = POLLIN},
            [FD_ERR] = {.fd = run->warden.err_fd, .events = POLLIN},
            [FD_IN] = {.fd = -1},
            [FD_STOP] = {.fd = -1},
        };
        const int64_t left = by_ms - now_ms();
        if (left <= 0 || poll(fds, FD_COUNT, (int)left) == 0)
            return;
        pump(run, fds);
    }
}

/* ---- the whole ---- */

static int prepare(struct run *run, struct error *error)
{
    char key[EXEC_TASK_KEY_SIZE], attempt[24];
    const char *work = run->setup->work;
    exec_task_key(run->task, key);
    snprintf(attempt, sizeof attempt, "%" PRIu64, run->task->attempt);
    if (work && exec_directory_open(work, key, attempt, &run->directory, error) < 0)
        run->events->on_note(run->events->context, error->message);
    const struct exec_place place = {.device = run->setup->device,
                                     .data = run->setup->data,
                                     .checkpoint_directory =
                                         run->directory.path[0] ? run->directory.path : NULL};
    int code = exec_task_write(run->task, &place, &run->input);
    if (code < 0)
        return error_set(error, code, "", "cannot write the task: %s", strerror(-code));
    return warden_start(run->setup->command, run->directory.fd, &run->warden, error);
}

static bool carry_out(struct run *run)
{
    struct error error;
    int status = 0;
    if (prepare(run, &error) < 0) {
        decide(run, WIRE_OUTCOME_LOST, "%s", error.message);
        return true;
    }
    if (watch(run)) {
        const bool known = warden_status(&run->warden, &status) == 1;
        drain(run);
        decide_by_status(run, known, status);
    }
    tail_end(&run->tail, log_line_of, run);
    return warden_release(&run->warden);
}

bool exec_run(const struct exec_setup *setup, const struct wire_task *task,
              const struct exec_events *events, struct wire_result *ret_result)
{
    struct run *run = calloc(1, sizeof *run);
    if (!run) {
        *ret_result =
            (struct wire_result){.outcome = WIRE_OUTCOME_LOST, .message = "out of memory"};
        return true;
    }
    run->setup = setup;
    run->task = task;
    run->events = events;
    run->directory.fd = -1;
    run->warden = (struct warden){.err_fd = -1};
    run->started_ms = run->epoch_ms = run->log_ms = now_ms();
    run->log_budget = EXEC_LOG_BYTES;
    text_init(&run->input, EXEC_TASK_BYTES_MAX);
    tail_init(&run->tail);
    const bool gone = carry_out(run);
    run->result.seconds = (double)(now_ms() - run->started_ms) / 1000;
    if (run->first_step_ms)
        run->result.first_step_s = (double)(run->first_step_ms - run->started_ms) / 1000;
    if (run->result.outcome == WIRE_OUTCOME_DIVERGED)
        exec_directory_remove(&run->directory);
    exec_directory_close(&run->directory);
    text_release(&run->input);
    *ret_result = run->result;
    free(run);
    return gone;
}
