#include "worker/exec_directory.h"

#include "worker/data/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORY_MODE = 0700, REMOVALS_MAX = 1024 };

static const struct exec_directory none = {.fd = -1};

/* The descriptor that holds the lock; -EWOULDBLOCK where another has it. */
static int lock(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int code = -errno;
    close(fd);
    return code;
}

/* Another process may remove it between its making and its locking: then the directory that is locked has no name any more. */
static int make(const char *root, const char *name, const char *suffix,
                struct exec_directory *ret_directory)
{
    struct exec_directory directory = none;
    struct stat named, locked;
    int length = snprintf(directory.path, sizeof directory.path, "%s/%s%s%s", root, name,
                          suffix[0] ? "-" : "", suffix);
    if (length < 0 || (size_t)length >= sizeof directory.path)
        return -ENAMETOOLONG;
    do {
        if (directory.fd >= 0)
            close(directory.fd);
        if (mkdir(directory.path, DIRECTORY_MODE) < 0 && errno != EEXIST)
            return -errno;
        directory.fd = lock(directory.path);
        if (directory.fd < 0 && directory.fd != -ENOENT)
            return directory.fd;
    } while (directory.fd < 0 || fstat(directory.fd, &locked) < 0 ||
             stat(directory.path, &named) < 0 || named.st_ino != locked.st_ino);
    futimens(directory.fd, NULL);
    *ret_directory = directory;
    return 0;
}

/* ---- what was used longest ago ---- */

/* True where there are more than may stay, with the oldest of those that nobody uses. */
static bool find_oldest(const char *root, char ret_path[PATH_MAX])
{
    struct timespec oldest = {0};
    size_t count = 0;
    bool found = false;
    DIR *directory = opendir(root);
    for (struct dirent *entry = directory ? readdir(directory) : NULL; entry;
         entry = readdir(directory)) {
        char path[PATH_MAX];
        struct stat status;
        int length = snprintf(path, sizeof path, "%s/%s", root, entry->d_name);
        if (entry->d_name[0] == '.' || length < 0 || (size_t)length >= sizeof path)
            continue;
        count++;
        int fd = lock(path);
        const bool older =
            fd >= 0 && fstat(fd, &status) == 0 &&
            (!found || status.st_mtim.tv_sec < oldest.tv_sec ||
             (status.st_mtim.tv_sec == oldest.tv_sec && status.st_mtim.tv_nsec < oldest.tv_nsec));
        if (fd >= 0)
            close(fd);
        if (!older)
            continue;
        found = true;
        oldest = status.st_mtim;
        snprintf(ret_path, PATH_MAX, "%s", path);
    }
    if (directory)
        closedir(directory);
    return found && count > EXEC_DIRECTORIES_MAX;
}

static void prune(const char *root)
{
    char path[PATH_MAX];
    for (int i = 0; i < REMOVALS_MAX && find_oldest(root, path); i++) {
        int fd = lock(path);
        if (fd < 0)
            continue;
        file_remove_tree(path);
        close(fd);
    }
}

/* ---- the caller's ---- */

int exec_directory_open(const char *root, const char *key, const char *spare,
                        struct exec_directory *ret_directory, struct error *error)
{
    char whole[PATH_MAX]; /* from the root, because commands go elsewhere */
    *ret_directory = none;
    int code = file_make_directories(root, DIRECTORY_MODE, NULL);
    if (code == 0 && !realpath(root, whole))
        code = -errno;
    if (code == 0)
        code = make(whole, key, "", ret_directory);
    if (code == -EWOULDBLOCK)
        code = make(whole, key, spare, ret_directory);
    if (code < 0)
        return error_set(error, code, "", "cannot use %.300s: %s", root, strerror(-code));
    prune(whole);
    return 0;
}

void exec_directory_close(struct exec_directory *directory)
{
    if (directory->fd >= 0)
        close(directory->fd);
    *directory = none;
}

void exec_directory_remove(struct exec_directory *directory)
{
    if (directory->path[0])
        file_remove_tree(directory->path);
    exec_directory_close(directory);
}
