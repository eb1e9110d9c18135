/* Carries a task out with a command: gives it the task as JSON, takes its lines, and says how it ended.
 *
 * Blocks until the command, with everything it has started, is gone. Single-threaded. */
#ifndef WORKER_EXEC_RUN_H
#define WORKER_EXEC_RUN_H

#include <stddef.h>

#include "proto/wire_result.h"
#include "proto/wire_task.h"

enum {
    EXEC_GRACE_MS = 8000,       /* from SIGTERM to SIGKILL; an agent that stops waits 9 s */
    EXEC_FINISH_MS = 10000,     /* from the result to SIGKILL */
    EXEC_CLOSED_MS = 500,       /* from the end of standard output, without a result, to SIGKILL */
    EXEC_PROGRESS_MS = 200,     /* between two reports of progress */
    EXEC_LOG_BYTES = 1 << 20,   /* of standard error that are logged at once */
    EXEC_LOG_BYTES_S = 4 << 10, /* and a second after that */
};

struct exec_setup {
    const char *command;
    const char *device;
    const char *data; /* NULL: not told */
    const char *work; /* where candidates have their directories; NULL: they have none */
    int stop_fd;      /* readable: the task is to be handed back */
};

struct exec_events {
    void *context;
    void (*on_progress)(void *context, uint64_t steps_done, uint64_t steps_total);
    void (*on_epoch)(void *context, const struct wire_epoch *epoch);
    void (*on_line)(void *context, const char *line); /* of standard error */
    void (*on_note)(void *context, const char *text);
    void (*take_stop)(void *context); /* stop_fd is readable; called once at most */
};

/* False where something of the command cannot be killed: this process should end. */
bool exec_run(const struct exec_setup *setup, const struct wire_task *task,
              const struct exec_events *events, struct wire_result *ret_result) MUST_USE;

#endif
