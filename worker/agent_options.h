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
    DRAIN_SECONDS_DEFAULT = 30,
    LIMIT_SECONDS_MAX = 86400,
};

enum { AGENT_DEVICE_SIZE = 64 };

/* What trainers are told to use; a slot has one of them, slots go round. */
struct agent_devices {
    uint32_t count; /* at least 1 */
    char names[WIRE_SLOTS_MAX][AGENT_DEVICE_SIZE];
};

struct agent_options {
    const char *server;
    uint32_t slots;               /* 1 .. WIRE_SLOTS_MAX */
    bool slots_given;             /* otherwise it is the default */
    const char *device;           /* "cpu", "cuda", "cuda:N" or "cuda:GPU-UUID" */
    struct agent_devices devices; /* that one, until agent_options_use says which it means */
    const char *trainer;          /* NULL: archscout-trainer beside this program */
    const char *exec;             /* a command that trains; NULL: a trainer does */
    uint32_t exec_dataset_count;  /* at least 1 with `exec` */
    const char *exec_datasets[WIRE_DATASETS_MAX]; /* as exec_dataset_read takes them */
    const char *data;                             /* NULL: the trainer's own default */
    const char *work;            /* directory for checkpoints; NULL: agent_files_root */
    char name[WIRE_WORKER_SIZE]; /* "" where not given */
    uint32_t stall_seconds;      /* without a step, after the first */
    uint32_t first_step_seconds; /* before the hello, and from a task to its first step */
    uint32_t drain_seconds;      /* that a killed trainer has to be gone */
    bool exit_with_parent;
    enum log_level log_level;
};

/* positive outcomes */
enum { AGENT_OPTIONS_HELP = 1, AGENT_OPTIONS_VERSION = 2 };

/* Reads and checks the arguments after the program's name, as main has them. `core_count` is the default of --slots on a
 * CPU. -EINVAL with a message for a person. */
int agent_options_parse(int argc, char *const *argv, uint32_t core_count,
                        struct agent_options *ret_options, struct error *error) MUST_USE;

/* True where the trainer must be asked which devices there are: for "cuda", which stands for all, and for any GPU where the
 * trainer is this build's own, so that a device that is not there is known at once. */
bool agent_options_ask(const struct agent_options *options);
/* The devices that the trainer has named; a slot for each where --slots was not given. */
void agent_options_use(struct agent_options *options, const struct agent_devices *devices);
/* What a slot's trainer uses, and how many slots use the same. */
const char *agent_options_slot_device(const struct agent_options *options, uint32_t slot,
                                      uint32_t *ret_sharing);

/* "cpu", "cuda", "cuda:N" with N up to 999, or "cuda:GPU-" and hexadecimal digits and dashes. */
bool agent_device_is_good(const char *text);

/* What --help prints. */
const char *agent_options_usage(void);

#endif
