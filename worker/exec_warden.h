/* A command of a shell that leaves nothing behind, whatever becomes of this process.
 *
 * The command runs in a process group of its own below another process, its warden. The warden ends the command, its group and
 * every process that it has started, in whatever group, as soon as the command's shell ends, it is told to, or this process is
 * gone: then the pipe between them ends, even after a SIGKILL. The command ends with its warden.
 *
 * Legal order: warden_start; read and write the pipes, warden_terminate and warden_kill any number of times; warden_release. One
 * thread: the warden is forked and goes on in this program. */
#ifndef WORKER_EXEC_WARDEN_H
#define WORKER_EXEC_WARDEN_H

#include <stdbool.h>
#include <sys/types.h>

#include "search/error.h"

struct warden {
    pid_t pid;
    int life_fd;   /* orders to the warden; it ends when this is closed */
    int status_fd; /* readable once the shell has ended; end of file once nothing of it is left */
    int in_fd, out_fd,
        err_fd; /* the command's 0, 1 and 2; not blocking; -1 once closed by the caller */
};

/* Runs `command` with /bin/sh -c. The command has no other descriptor of this process but its pipes; the warden keeps
 * `kept_fd` (-1: none). Negative errno with a message. */
int warden_start(const char *command, int kept_fd, struct warden *ret_warden,
                 struct error *error) MUST_USE;
/* SIGTERM to the command's group. */
void warden_terminate(struct warden *warden);
/* SIGKILL to everything. */
void warden_kill(struct warden *warden);
/* 1 with the shell's status, of waitpid, once status_fd is readable; 0 where it is not known, because it is the warden that was
 * killed. Blocks until then. */
int warden_status(struct warden *warden, int *ret_status) MUST_USE;
/* Kills what runs, closes the pipes, and waits for the warden, at most WARDEN_WAIT_MS. False where it does not end: something it
 * has killed is not gone. */
enum { WARDEN_WAIT_MS = 5000 };
bool warden_release(struct warden *warden);

#endif
