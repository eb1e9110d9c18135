/* A task as the JSON document that a command reads on its standard input (docs/exec-trainer.md has every field). */
#ifndef WORKER_EXEC_TASK_H
#define WORKER_EXEC_TASK_H

#include "proto/wire_task.h"
#include "search/text.h"

enum { EXEC_PROTOCOL = 1, EXEC_TASK_BYTES_MAX = 16 << 20 };

/* Where the task is carried out. */
struct exec_place {
    const char *device;               /* "cpu", "cuda:0", ... */
    const char *data;                 /* directory of data sets; NULL: not told */
    const char *checkpoint_directory; /* the candidate's own; NULL: there is none */
};

/* Appends the document and a line feed; the task is valid. -ENOMEM, -E2BIG. */
int exec_task_write(const struct wire_task *task, const struct exec_place *place,
                    struct text *text) MUST_USE;

enum { EXEC_TASK_KEY_SIZE = 96 };
/* A file name that belongs to the candidate and what is trained of it: equal for all its attempts and rungs, different where
 * another daemon has a search and a candidate of the same numbers. */
void exec_task_key(const struct wire_task *task, char ret_key[EXEC_TASK_KEY_SIZE]);

#endif
