/* The agent's command line. Plain values; texts point into the arguments. */
#ifndef WORKER_AGENT_OPTIONS_H
#define WORKER_AGENT_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/log.h"
#include "proto/worker_api.h"
#include "search/error.h"

enum {
    STALL_SECONDS_DEFAULT = 60,
    FIRST_STEP_SECONDS_DEFAULT = 300,
    LIMIT_SECONDS_MAX = 86400,
};

struct agent_options {
    const char *server;
    uint32_t slots;              /* 1 .. WIRE_SLOTS_MAX */
    const char *device;          /* "cpu" or "cuda:N" */
    const char *trainer;         /* NULL: archscout-trainer beside this program */
    const char *data;            /* NULL: the trainer's own default */
    const char *work;            /* directory for checkpoints; NULL: agent_files_root */
    char name[WIRE_WORKER_SIZE]; /* "" where not given */
    uint32_t stall_seconds;      /* without a step, after the first */
    uint32_t first_step_seconds; /* before the hello, and from a task to its first step */
    bool exit_with_parent;
    enum log_level log_level;
};

/* positive outcomes */
enum { AGENT_OPTIONS_HELP = 1, AGENT_OPTIONS_VERSION = 2 };

/* Reads and checks the arguments after the program's name, as main has them. `core_count` is the default of --slots on a
 * CPU. -EINVAL with a message for a person. */
int agent_options_parse(int argc, char *const *argv, uint32_t core_count,
                        struct agent_options *ret_options, struct error *error) MUST_USE;

/* What --help prints. */
const char *agent_options_usage(void);

#endif
