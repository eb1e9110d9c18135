/* Starting and ending a trainer's process. */
#ifndef WORKER_AGENT_PROCESS_H
#define WORKER_AGENT_PROCESS_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#include "search/error.h"

struct process {
    pid_t pid;  /* also the id of its process group */
    int in_fd;  /* its standard input, for writing */
    int out_fd; /* its standard output, for reading */
    int err_fd; /* its standard error, for reading */
};

/* The file that `program` names: as it is where it has a slash, else by PATH. -ENOENT, -EACCES with a message. */
int process_find(const char *program, char ret_path[PATH_MAX], struct error *error) MUST_USE;

/* Runs the file at `path` without a shell, with `arguments` as main has them (NULL: `path` alone), in a process group of its own, with pipes on 0, 1 and 2 and
 * no other descriptor of ours; it is killed when the calling thread ends. `environment` is like environ. The caller owns
 * the three descriptors (close-on-exec) and reaps the process. Negative errno with a message where it cannot be run. */
int process_spawn(const char *path, char *const *arguments, char *const *environment,
                  struct process *ret_process, struct error *error) MUST_USE;

/* SIGTERM to the process, which must not have been reaped. */
void process_terminate(pid_t pid);
/* SIGKILL to the process and its group. */
void process_kill(pid_t pid);

/* 1 where the process has ended: it is reaped, and what is left of its group is killed. 0 where it still runs. */
int process_reap(pid_t pid, int *ret_status) MUST_USE;

/* "exited with status 3", "was killed by signal 11 (Segmentation fault)" from what waitpid said. */
void process_describe(int status, char *ret_text, size_t size);

#endif
