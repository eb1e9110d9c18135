/* The archscout-worker that the daemon runs itself: found beside its own program, started again when it ends, stopped with
 * the daemon. It gets SIGTERM when the daemon dies in whatever way.
 *
 * Legal order: local_worker_start, then local_worker_stop, whose callback says that the process is gone. Children are
 * reaped here, by SIGCHLD on the loop. */
#ifndef DAEMON_LOCAL_WORKER_H
#define DAEMON_LOCAL_WORKER_H

#include <stdint.h>
#include <uv.h>

#include "proto/log.h"
#include "search/error.h"

enum {
    LOCAL_WORKER_STOP_MS_MAX = 17000, /* for its checkpoints; then SIGKILL */
    LOCAL_WORKER_BACKOFF_MS_MIN = 500,
    LOCAL_WORKER_BACKOFF_MS_MAX = 30000,
    LOCAL_WORKER_SETTLED_MS =
        60000, /* one that lived so long is started again without waiting longer */
};

struct local_worker;

struct local_worker_options {
    uv_loop_t *loop;
    const struct log *log; /* outlives the worker */
    const char *server;    /* "http://127.0.0.1:7700" */
    uint32_t slots;        /* 0 = one a core or GPU */
    const char *device;    /* NULL = "cpu" */
    const char *data;      /* NULL = the worker's default */
};

/* -ENOENT or -EACCES with a message where there is no archscout-worker beside this program; -ENOMEM; libuv's errors. */
int local_worker_start(const struct local_worker_options *options, struct local_worker **ret_worker,
                       struct error *error) MUST_USE;
/* Asks the process to end and kills it if it doesn't. `stopped` is called from the loop once it is gone and the worker's
 * memory freed. Call once. */
void local_worker_stop(struct local_worker *worker, void (*stopped)(void *context), void *context);

#endif
