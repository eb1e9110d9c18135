#include "worker/data/temporary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { TEMPORARY_TRIES = 8 };

static const char prefix[] = ".tmp-";

/* A sweep may have come between making and locking: then it is made again. */
static bool lock(const struct temporary *temporary)
{
    struct stat status;
    return flock(temporary->fd, LOCK_EX | LOCK_NB) == 0 && fstat(temporary->fd, &status) == 0 &&
           status.st_nlink > 0;
}

static int make_file(struct temporary *temporary)
{
    temporary->fd = mkostemp(temporary->path, O_CLOEXEC);
    return temporary->fd < 0 ? -errno : fchmod(temporary->fd, 0644) < 0 ? -errno : 0;
}

static int make_directory(struct temporary *temporary)
{
    if (!mkdtemp(temporary->path))
        return -errno;
    temporary->fd = open(temporary->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return temporary->fd < 0 ? -errno : 0;
}

static int make(const char *directory, int (*make_one)(struct temporary *temporary),
                struct temporary *temporary, struct error *error)
{
    for (int i = 0; i < TEMPORARY_TRIES; i++) {
        struct temporary made = {.fd = -1};
        int r = file_join(made.path, directory, prefix, "XXXXXX", error);
        if (r < 0)
            return r;
        r = make_one(&made);
        if (r < 0)
            return file_error(error, r, directory);
        if (lock(&made)) {
            *temporary = made;
            return 0;
        }
        temporary_release(&made);
    }
    return error_set(error, -EBUSY, "", "%.300s: cannot lock a file of one's own", directory);
}

int temporary_file(const char *directory, struct temporary *temporary, struct error *error)
{
    return make(directory, make_file, temporary, error);
}

int temporary_directory(const char *directory, struct temporary *temporary, struct error *error)
{
    return make(directory, make_directory, temporary, error);
}

int temporary_keep(struct temporary *temporary, const char *directory, const char *name,
                   struct error *error)
{
    char path[FILE_PATH_SIZE];
    int r = file_join(path, directory, name, "", error);
    if (r < 0)
        return r;
    CLEANUP(file_close) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_error(error, -errno, directory);
    if (fsync(temporary->fd) < 0 || rename(temporary->path, path) < 0 || fsync(fd) < 0)
        return file_error(error, -errno, path);
    file_close(&temporary->fd);
    *temporary = (struct temporary){.fd = -1};
    return 0;
}

void temporary_release(struct temporary *temporary)
{
    if (temporary->path[0] == '\0')
        return;
    file_remove_tree(temporary->path);
    file_close(&temporary->fd);
    *temporary = (struct temporary){.fd = -1};
}

static void directory_close(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}

void temporary_sweep(const char *directory)
{
    CLEANUP(directory_close) DIR *stream = opendir(directory);
    const struct dirent *item;
    while (stream && (item = readdir(stream))) {
        char path[FILE_PATH_SIZE];
        if (strncmp(item->d_name, prefix, sizeof prefix - 1) != 0 ||
            file_join(path, directory, item->d_name, "", NULL) < 0)
            continue;
        CLEANUP(file_close) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            file_remove_tree(path);
    }
}
