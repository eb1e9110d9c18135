/* Small helpers for files: descriptors closed at the end of a scope, paths joined without
 * truncation.
 *
 * May be used by worker/ only. */
#ifndef WORKER_DATA_FILE_H
#define WORKER_DATA_FILE_H

#include "search/error.h"

#include <limits.h>
#include <sys/types.h>
#include <unistd.h>

enum { FILE_PATH_SIZE = PATH_MAX };

/* For CLEANUP: closes unless negative. */
static inline void file_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Writes "directory/name" and a suffix. -ENAMETOOLONG. */
int file_join(char ret_path[FILE_PATH_SIZE], const char *directory, const char *name,
              const char *suffix, struct error *error) MUST_USE;

/* mkdir -p; what is made gets `mode`, less the umask. */
int file_make_directories(const char *directory, mode_t mode, struct error *error) MUST_USE;

/* rm -r, as far as it goes. Links are not followed. */
void file_remove_tree(const char *path);

/* Where `text` starts with `path`, puts `shown` in its place; the text is cut to `size`. For messages about files whose
 * own names mean nothing to a person. */
void file_show_as(char *text, size_t size, const char *path, const char *shown);

/* Sets error to "PATH: what the system says" for a negative errno and returns that code. */
int file_error(struct error *error, int code, const char *path);

#endif
