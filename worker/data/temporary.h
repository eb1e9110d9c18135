/* Files and directories under names of their own until they are complete.
 *
 * They are called .tmp-... and locked (flock) as long as their maker lives, so that temporary_sweep can tell what a killed
 * process has left behind. */
#ifndef WORKER_DATA_TEMPORARY_H
#define WORKER_DATA_TEMPORARY_H

#include "worker/data/file.h"

#include <stdbool.h>

struct temporary {
    char path[FILE_PATH_SIZE]; /* "" where there is none */
    int fd;                    /* of the file or directory */
};

/* Makes an empty file or directory in `directory`. */
int temporary_file(const char *directory, struct temporary *temporary,
                   struct error *error) MUST_USE;
int temporary_directory(const char *directory, struct temporary *temporary,
                        struct error *error) MUST_USE;

/* Renames the file and flushes its directory; it is temporary no longer. What was called so before is replaced. */
int temporary_keep(struct temporary *temporary, const char *directory, const char *name,
                   struct error *error) MUST_USE;

/* Removes the file, or the directory with all that is in it. Legal on a zeroed struct and twice. */
void temporary_release(struct temporary *temporary);

/* Removes what is there without a living maker. */
void temporary_sweep(const char *directory);

#endif
