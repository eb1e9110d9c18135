/* Directories in which commands keep what they continue from: one for each candidate, at the worker that trained it. They outlive
 * attempts, rungs and the worker; the EXEC_DIRECTORIES_MAX used last are kept. */
#ifndef WORKER_EXEC_DIRECTORY_H
#define WORKER_EXEC_DIRECTORY_H

#include <limits.h>

#include "search/error.h"

enum { EXEC_DIRECTORIES_MAX = 64 };

struct exec_directory {
    char path[PATH_MAX]; /* "" = none */
    int fd;              /* holds its lock, for this process and those it forks; -1 = none */
};

/* Makes or finds ROOT/KEY, or ROOT/KEY-SPARE where another attempt uses that one, and locks it, so that it stays. Removes the
 * directories that were used longest ago. Negative errno with a message; *ret_directory has none then. */
int exec_directory_open(const char *root, const char *key, const char *spare,
                        struct exec_directory *ret_directory, struct error *error) MUST_USE;
/* Unlocks it; it stays. */
void exec_directory_close(struct exec_directory *directory);
/* Removes it with all that is in it. */
void exec_directory_remove(struct exec_directory *directory);

#endif
