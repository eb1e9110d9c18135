#include "worker/agent_child.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/frame.h"
#include "worker/agent_environment.h"
#include "worker/agent_process.h"
#include "worker/agent_tail.h"

enum { READ_SIZE = 65536 };

struct child {
    struct child_options options;
    struct child_events events;
    struct process process;
    uv_pipe_t in, out, err;
    uv_timer_t drain;
    unsigned handles; /* not closed yet */
    struct frame_decoder decoder;
    struct tail tail;
    bool hello_seen;
    bool silent; /* ended or killed: no more messages, on_ended was called or is not wanted */
    bool exited, out_ended, err_ended, closing;
    int status; /* of waitpid */
    char read_buffer[READ_SIZE];
};

/* One frame on its way to the trainer. */
struct outgoing {
    uv_write_t request;
    uint8_t header[FRAME_HEADER_SIZE];
    struct buffer body;
};

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    assert(child->handles > 0);
    if (--child->handles > 0)
        return;
    frame_decoder_release(&child->decoder);
    void (*on_gone)(void *user) = child->events.on_gone;
    void *user = child->events.user;
    free(child);
    on_gone(user);
}

static void close_all(struct child *child)
{
    child->closing = true;
    uv_close((uv_handle_t *)&child->in, on_closed);
    uv_close((uv_handle_t *)&child->out, on_closed);
    uv_close((uv_handle_t *)&child->err, on_closed);
    uv_close((uv_handle_t *)&child->drain, on_closed);
}

static void on_stderr_line(void *context, const char *line)
{
    const struct child *child = context;
    log_line(child->options.log, LOG_INFO, "slot %u trainer: %s", child->options.slot, line);
}

/* Calls on_ended unless the trainer is silent already. */
static void end(struct child *child, const char *what)
{
    if (child->silent)
        return;
    child->silent = true;
    tail_end(&child->tail, on_stderr_line, child);
    char words[CHILD_CAUSE_SIZE / 2];
    char cause[CHILD_CAUSE_SIZE];
    tail_text(&child->tail, words, sizeof words);
    snprintf(cause, sizeof cause, "%.200s%s%s", what, words[0] ? "; its last words: " : "", words);
    child->events.on_ended(child->events.user, cause);
}

/* Once the process is reaped and its pipes are read to the end, or waiting for them has taken too long. */
static void finish(struct child *child)
{
    if (child->closing)
        return;
    char what[CHILD_CAUSE_SIZE];
    process_describe(child->status, what, sizeof what);
    if (child->hello_seen && WIFEXITED(child->status) && !frame_decoder_idle(&child->decoder))
        snprintf(what, sizeof what, "exited with status %d inside a frame",
                 WEXITSTATUS(child->status));
    end(child, what);
    close_all(child);
}

static void on_drained(uv_timer_t *timer)
{
    struct child *child = timer->data;
    if (child->exited)
        finish(child);
    else
        child_fail(child, "closed its standard output");
}

static void check_finished(struct child *child)
{
    if (child->exited && child->out_ended && child->err_ended)
        finish(child);
    else if (child->exited || child->out_ended)
        uv_timer_start(&child->drain, on_drained, CHILD_DRAIN_MS, 0);
}

void child_reap(struct child *child)
{
    if (child->exited)
        return;
    if (process_reap(child->process.pid, &child->status) == 0)
        return;
    child->exited = true;
    check_finished(child);
}

void child_terminate(struct child *child)
{
    if (!child->exited)
        process_terminate(child->process.pid);
}

void child_kill(struct child *child)
{
    child->silent = true;
    if (!child->exited)
        process_kill(child->process.pid);
}

void child_leave(struct child *child)
{
    child_kill(child);
    if (!child->closing)
        close_all(child);
}

void child_fail(struct child *child, const char *format, ...)
{
    char what[CHILD_CAUSE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (!child->exited)
        process_kill(child->process.pid);
    end(child, what);
}

int child_pid(const struct child *child)
{
    return (int)child->process.pid;
}

/* ---- what it says ---- */

static void take_message(struct child *child, const struct buffer *body)
{
    struct trainer_message message = {.kind = TRAINER_HELLO};
    struct error error = {0};
    int code = trainer_message_unpack(body->data, body->length, &message, &error);
    if (code < 0 && code != -EDOM) {
        child_fail(child, "sent a message that is wrong: %.60s: %.100s", error.pointer,
                   error.message);
        return;
    }
    if (!child->hello_seen && message.kind != TRAINER_HELLO) {
        child_fail(child, "sent something before its hello");
        return;
    }
    child->hello_seen = true;
    child->events.on_message(child->events.user, code, &message);
}

static void take_output(struct child *child, const uint8_t *bytes, size_t length)
{
    while (!child->silent) {
        int code = frame_decode(&child->decoder, &bytes, &length);
        if (code == 0)
            return;
        if (code < 0) {
            child_fail(child,
                       "wrote what is no frame to its standard output (%s); logs belong on "
                       "standard error",
                       code == -EMSGSIZE ? "a length beyond the maximum" : strerror(-code));
            return;
        }
        take_message(child, &child->decoder.body);
    }
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void)suggested;
    struct child *child = handle->data;
    *ret_buffer = uv_buf_init(child->read_buffer, READ_SIZE);
}

static void on_out(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct child *child = stream->data;
    if (count > 0)
        take_output(child, (const uint8_t *)buffer->base, (size_t)count);
    if (count >= 0)
        return;
    uv_read_stop(stream);
    child->out_ended = true;
    check_finished(child);
}

static void on_err(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct child *child = stream->data;
    if (count > 0)
        tail_feed(&child->tail, buffer->base, (size_t)count, on_stderr_line, child);
    if (count >= 0)
        return;
    uv_read_stop(stream);
    child->err_ended = true;
    check_finished(child);
}

/* ---- what it is told ---- */

static void on_written(uv_write_t *request, int status)
{
    (void)status; /* a trainer that is gone shows by its exit */
    struct outgoing *outgoing = request->data;
    buffer_release(&outgoing->body);
    free(outgoing);
}

int child_send(struct child *child, const struct wire_task *task)
{
    assert(child->hello_seen);
    struct outgoing *outgoing = calloc(1, sizeof *outgoing);
    if (!outgoing)
        return -ENOMEM;
    outgoing->request.data = outgoing;
    buffer_init(&outgoing->body, FRAME_BODY_MAX);
    int code = trainer_task_pack(task, &outgoing->body);
    if (code == 0) {
        frame_header(outgoing->body.length, outgoing->header);
        uv_buf_t pieces[] = {
            uv_buf_init((char *)outgoing->header, FRAME_HEADER_SIZE),
            uv_buf_init((char *)outgoing->body.data, (unsigned)outgoing->body.length),
        };
        code = uv_write(&outgoing->request, (uv_stream_t *)&child->in, pieces, ARRAY_LENGTH(pieces),
                        on_written);
    }
    if (code < 0) {
        buffer_release(&outgoing->body);
        free(outgoing);
    }
    return code;
}

/* ---- the beginning ---- */

static int spawn(struct child *child, struct error *error)
{
    const struct child_options *options = &child->options;
    char slot[16], slots[16], device_slots[16];
    snprintf(slot, sizeof slot, "%u", options->slot);
    snprintf(slots, sizeof slots, "%u", options->slots);
    snprintf(device_slots, sizeof device_slots, "%u", options->device_slots);
    const struct variable variables[] = {
        {TRAINER_ENV_DEVICE, options->device},
        {TRAINER_ENV_DATA, options->data},
        {TRAINER_ENV_WORK, options->work},
        {TRAINER_ENV_SLOT, slot},
        {TRAINER_ENV_SLOTS, slots},
        {TRAINER_ENV_DEVICE_SLOTS, device_slots},
        {"OMP_NUM_THREADS", "1"},
    };
    char **environment = NULL;
    int code = environment_new(environ, variables, ARRAY_LENGTH(variables), &environment);
    if (code < 0)
        return error_set(error, code, "", "out of memory");
    code = process_spawn(options->path, NULL, environment, &child->process, error);
    environment_free(environment);
    return code;
}

static void forget(void *user)
{
    (void)user;
}

/* Ends a trainer that its owner never got to see. */
static void abandon(struct child *child)
{
    child_kill(child);
    while (waitpid(child->process.pid, NULL, 0) < 0 && errno == EINTR)
        ;
    child->exited = true;
    child->events.on_gone = forget;
    close_all(child);
}

/* Takes the three descriptors over; the handles exist from here on, whatever the outcome. */
static int open_handles(struct child *child)
{
    uv_loop_t *loop = child->options.loop;
    uv_pipe_t *const pipes[] = {&child->in, &child->out, &child->err};
    const int fds[] = {child->process.in_fd, child->process.out_fd, child->process.err_fd};
    uv_timer_init(loop, &child->drain);
    child->drain.data = child;
    child->handles = 1;
    int code = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(pipes); i++) {
        uv_pipe_init(loop, pipes[i], 0);
        pipes[i]->data = child;
        child->handles++;
        int opened = uv_pipe_open(pipes[i], fds[i]);
        if (opened < 0) {
            close(fds[i]);
            code = opened;
        }
    }
    if (code == 0)
        code = uv_read_start((uv_stream_t *)&child->out, give_buffer, on_out);
    if (code == 0)
        code = uv_read_start((uv_stream_t *)&child->err, give_buffer, on_err);
    return code;
}

int child_start(const struct child_options *options, const struct child_events *events,
                struct child **ret_child, struct error *error)
{
    struct child *child = calloc(1, sizeof *child);
    if (!child)
        return error_set(error, -ENOMEM, "", "out of memory");
    child->options = *options;
    child->events = *events;
    frame_decoder_init(&child->decoder);
    tail_init(&child->tail);
    int code = spawn(child, error);
    if (code < 0) {
        free(child);
        return code;
    }
    code = open_handles(child);
    if (code < 0) {
        abandon(child);
        return error_set(error, code, "", "cannot listen to the trainer: %s", uv_strerror(code));
    }
    *ret_child = child;
    return 0;
}
