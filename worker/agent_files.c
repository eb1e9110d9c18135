#include "worker/agent_files.h"

#include "worker/data/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORY_MODE = 0700, FILE_MODE = 0600 };

static const char prefix[] = "agent-";

/* 0 or -ENAMETOOLONG. */
static int join(char ret_path[PATH_MAX], const char *directory, const char *name)
{
    int length = snprintf(ret_path, PATH_MAX, "%s/%s", directory, name);
    return length > 0 && length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int agent_files_root(char ret_root[PATH_MAX])
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/')
        return join(ret_root, cache, "archscout/work");
    return home && home[0] == '/' ? join(ret_root, home, ".cache/archscout/work") : -ENOENT;
}

/* The descriptor that holds the lock, or a negative errno: -EWOULDBLOCK where its agent lives. */
static int lock(const char *directory, int flags)
{
    char path[PATH_MAX];
    if (join(path, directory, "lock") < 0)
        return -ENAMETOOLONG;
    int fd = open(path, O_RDWR | O_CLOEXEC | flags, FILE_MODE);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int code = -errno;
    close(fd);
    return code;
}

/* A directory without a lock file is just being made, or was left by an agent killed while it made it: it is empty. */
static void remove_left_behind(const char *directory)
{
    int fd = lock(directory, 0);
    if (fd >= 0) {
        file_remove_tree(directory);
        close(fd);
    }
}

static void sweep(const char *root)
{
    char path[PATH_MAX];
    DIR *directory = opendir(root);
    if (!directory)
        return;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            join(path, root, entry->d_name) == 0)
            remove_left_behind(path);
    closedir(directory);
}

int agent_files_open(const char *root, const char *name, struct agent_files *ret_files,
                     struct error *error)
{
    char own[NAME_MAX];
    *ret_files = (struct agent_files){.lock_fd = -1};
    int r = file_make_directories(root, DIRECTORY_MODE, NULL);
    if (r == 0) {
        sweep(root);
        snprintf(own, sizeof own, "%s%.64s", prefix, name);
        r = join(ret_files->directory, root, own);
    }
    if (r == 0 && mkdir(ret_files->directory, DIRECTORY_MODE) < 0 && errno != EEXIST)
        r = -errno;
    if (r == 0)
        r = lock(ret_files->directory, O_CREAT);
    if (r < 0)
        return error_set(error, r, "", "cannot use %.300s: %s", root, strerror(-r));
    ret_files->lock_fd = r;
    return 0;
}

void agent_files_close(struct agent_files *files)
{
    if (files->lock_fd < 0)
        return;
    file_remove_tree(files->directory);
    close(files->lock_fd);
    files->lock_fd = -1;
}

int agent_files_slot(const struct agent_files *files, uint32_t slot, char ret_directory[PATH_MAX])
{
    char name[16];
    snprintf(name, sizeof name, "%u", slot);
    if (files->lock_fd < 0)
        return -ENOENT;
    int r = join(ret_directory, files->directory, name);
    if (r == 0 && mkdir(ret_directory, DIRECTORY_MODE) < 0 && errno != EEXIST)
        r = -errno;
    return r;
}

void agent_files_clear(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory)
        return;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
}
