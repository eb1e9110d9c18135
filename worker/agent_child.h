/* One trainer: a child process that speaks frames (docs/trainer-protocol.md), watched on the agent's loop.
 *
 * Legal order: child_start; then on_message for each message, the first of them a hello; child_send after the hello,
 * once a task. It ends in one of two ways: by itself (it exits, or says what is no message: it is killed then), which
 * calls on_ended; or by child_kill, which does not. After either, on_gone is called once the process is reaped (child_leave: or
 * not) and everything closed: the struct is freed right after. The agent calls child_reap from its SIGCHLD handler.
 * Everything on the loop's thread; callbacks may call child_send and child_kill. */
#ifndef WORKER_AGENT_CHILD_H
#define WORKER_AGENT_CHILD_H

#include <uv.h>

#include "proto/log.h"
#include "proto/trainer_pipe.h"

enum {
    CHILD_CAUSE_SIZE = WIRE_MESSAGE_SIZE,
    CHILD_DRAIN_MS =
        500, /* between the end of the process and that of its pipes, which others may hold open */
};

struct child_options {
    uv_loop_t *loop;
    const struct log *log; /* its standard error goes here, line by line */
    const char *path;
    const char *device;
    const char *data;      /* NULL = not told */
    const char *work;      /* its directory for checkpoints; NULL = none */
    uint32_t slot, slots;  /* number, from 0, and of how many */
    uint32_t device_slots; /* of these on the device */
};

struct child_events {
    void *user;
    /* `code` is 0, or -EDOM where the message is an epoch or result with a value that is not finite (only its kind is set). */
    void (*on_message)(void *user, int code, const struct trainer_message *message);
    /* `cause` is a sentence without a subject, "was killed by signal 11 (Segmentation fault)", with its last words. */
    void (*on_ended)(void *user, const char *cause);
    void (*on_gone)(void *user);
};

struct child;

/* Outlive the trainer: what options and events point to. Negative errno with a message where it cannot be run. */
int child_start(const struct child_options *options, const struct child_events *events,
                struct child **ret_child, struct error *error) MUST_USE;
/* -ENOMEM or libuv's negative errno; a trainer that does not read is no error here. */
int child_send(struct child *child, const struct wire_task *task) MUST_USE;
/* SIGTERM to the process alone: it is asked to hand its task back. */
void child_terminate(struct child *child);
/* SIGKILL. Legal at any time before on_gone. */
void child_kill(struct child *child);
/* SIGKILL, and on_gone without waiting for the process, which may stay where it waits in a driver. For the agent's own end. */
void child_leave(struct child *child);
/* Kills it and calls on_ended with what is said, as if it had ended by itself; for what only the owner can see to be wrong. */
void child_fail(struct child *child, const char *format, ...) FORMAT_PRINTF(2, 3);

/* Reaps the process if it has ended. */
void child_reap(struct child *child);
int child_pid(const struct child *child);

#endif
