/* The agent: one a machine. Runs a trainer for each slot, asks the daemon for tasks, hands them to the trainers, and tells the
 * daemon what becomes of them. docs/trainer-protocol.md has the conversation and what happens when something fails. */
#ifndef WORKER_AGENT_H
#define WORKER_AGENT_H

#include "worker/agent_options.h"

enum {
    AGENT_STOP_MS = 15000, /* from SIGTERM or SIGINT to the end, at most */
};

/* Runs until SIGTERM or SIGINT. `trainer_path` is an executable file. Call http_startup before; SIGPIPE is ignored from here
 * on. 0, or a negative errno with a message where it could not go on. */
int agent_run(const struct agent_options *options, const char *trainer_path, const struct log *log,
              struct error *error) MUST_USE;

#endif
