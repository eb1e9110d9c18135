/* The daemon's event loop: one thread, one loop; every turn of it is a tick.
 *
 * Requests arrive and change the coordinator's state; at the end of the turn all changes are committed together, and only
 * then their replies leave (promise I1). */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/artifacts.h"
#include "daemon/coordinator.h"
#include "proto/log.h"

enum {
    LOOP_STOP_MS_MAX = 3000, /* for replies in flight, after SIGTERM or SIGINT */
};

struct loop_options {
    struct coordinator *coordinator;
    struct artifacts *artifacts;
    uint64_t artifact_bytes_max; /* of one */
    const struct log *log;
    const char *version;
    int listen_fd;       /* taken over */
    const char *address; /* where it listens: "127.0.0.1:7700" */
    const char *state;   /* the state directory, for the log */
    bool local_worker;
    uint32_t slots;
    const char *device, *data;
};

/* Serves until SIGTERM or SIGINT. 0, or a negative errno with a message where it could not start. */
int loop_run(const struct loop_options *options, struct error *error) MUST_USE;

#endif
