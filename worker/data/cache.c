#include "worker/data/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

enum { CACHE_LOCK_POLL_MS = 20 };

struct cache_paths {
    char pack[FILE_PATH_SIZE], temporary[FILE_PATH_SIZE], lock[FILE_PATH_SIZE];
};

int cache_directory(char ret_directory[FILE_PATH_SIZE], struct error *error)
{
    const char *own = getenv("ARCHSCOUT_CACHE");
    if (own && own[0])
        return file_join(ret_directory, own, "", "", error);
    const char *cache = getenv("XDG_CACHE_HOME");
    if (cache && cache[0] == '/')
        return file_join(ret_directory, cache, "archscout/packs", "", error);
    const char *home = getenv("HOME");
    if (home && home[0] == '/')
        return file_join(ret_directory, home, ".cache/archscout/packs", "", error);
    return error_set(error, -ENOENT, "",
                     "none of ARCHSCOUT_CACHE, XDG_CACHE_HOME and HOME is set to a directory");
}

static int cache_paths_of(const char *directory, const struct source *source,
                          struct cache_paths *ret_paths, struct error *error)
{
    char stem[DATASET_NAME_SIZE + 24];
    snprintf(stem, sizeof stem, "%s-%016" PRIx64, source->name, source_location(source));
    int r = file_join(ret_paths->pack, directory, stem, ".pack", error);
    if (r == 0)
        r = file_join(ret_paths->temporary, directory, stem, ".tmp", error);
    if (r == 0)
        r = file_join(ret_paths->lock, directory, stem, ".lock", error);
    return r;
}

static int open_existing(const char *path, const struct source *source, struct pack **ret_pack,
                         struct error *error)
{
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_error(error, -errno, path);
    return pack_open(fd, path, source_fingerprint(source), ret_pack, error);
}

static int take_lock(const char *path, int *ret_fd, struct error *error)
{
    CLEANUP(file_close) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return file_error(error, -errno, path);
    const struct timespec pause = {.tv_nsec = CACHE_LOCK_POLL_MS * 1000000L};
    for (int waited_ms = 0; waited_ms < CACHE_LOCK_WAIT_S * 1000; waited_ms += CACHE_LOCK_POLL_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            *ret_fd = fd;
            fd = -1;
            return 0;
        }
        if (errno != EWOULDBLOCK && errno != EINTR)
            return file_error(error, -errno, path);
        nanosleep(&pause, NULL);
    }
    return error_set(error, -ETIMEDOUT, "", "%.300s: still held after %d s", path,
                     CACHE_LOCK_WAIT_S);
}

/* Makes the pack under the lock and opens it. The directory is not flushed: a pack that a power
 * failure takes away is made again. */
static int make_pack(const struct cache_paths *paths, const struct source *source,
                     struct pack **ret_pack, struct error *error)
{
    CLEANUP(file_close)
    int fd = open(paths->temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return file_error(error, -errno, paths->temporary);
    struct pack *pack = NULL;
    int r = pack_write(fd, paths->temporary, source, error);
    if (r == 0)
        r = pack_open(fd, paths->temporary, source_fingerprint(source), &pack, error);
    if (r == 0 && rename(paths->temporary, paths->pack) < 0)
        r = file_error(error, -errno, paths->pack);
    if (r < 0) {
        unlink(paths->temporary);
        pack_free(pack);
        return r;
    }
    *ret_pack = pack;
    return 0;
}

/* Opens or makes the pack in the cache: a CACHE_ value or a negative errno. */
static int open_or_make(const char *directory, const struct source *source, struct pack **ret_pack,
                        struct error *ret_reason, struct error *error)
{
    struct cache_paths paths;
    int r = cache_paths_of(directory, source, &paths, error);
    if (r < 0)
        return r;
    if (open_existing(paths.pack, source, ret_pack, ret_reason) == 0)
        return CACHE_FOUND;
    r = file_make_directories(directory, 0777, error);
    if (r < 0)
        return r;
    CLEANUP(file_close) int lock = -1;
    r = take_lock(paths.lock, &lock, error);
    if (r < 0)
        return r;
    /* Another process may have made it while this one waited. */
    int found = open_existing(paths.pack, source, ret_pack, ret_reason);
    if (found == 0)
        return CACHE_FOUND;
    r = make_pack(&paths, source, ret_pack, error);
    if (r < 0)
        return r;
    return found == -ENOENT ? CACHE_MADE : CACHE_MADE_AGAIN;
}

static int make_private(const struct source *source, struct pack **ret_pack, struct error *error)
{
    CLEANUP(file_close) int fd = memfd_create("archscout-pack", MFD_CLOEXEC);
    if (fd < 0)
        return file_error(error, -errno, "memfd_create");
    int r = pack_write(fd, "memory", source, error);
    if (r < 0)
        return r;
    return pack_open(fd, "memory", source_fingerprint(source), ret_pack, error);
}

/* What the directory may do to us that the source files are not to blame for. */
static bool is_cache_problem(int code)
{
    return code == -EACCES || code == -EPERM || code == -EROFS || code == -ENOSPC ||
           code == -EDQUOT || code == -ENOTDIR || code == -ELOOP || code == -ENAMETOOLONG ||
           code == -EOPNOTSUPP || code == -ENOLCK || code == -ENOENT;
}

static int open_pack_itself(const struct source *source, struct pack **ret_pack,
                            struct error *error)
{
    char path[FILE_PATH_SIZE];
    int r = file_join(path, source->directory, source->files[0].name, "", error);
    if (r < 0)
        return r;
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_error(error, -errno, path);
    r = pack_open(fd, path, PACK_FINGERPRINT_ANY, ret_pack, error);
    return r < 0 ? r : CACHE_FOUND;
}

int cache_open(const char *directory, const struct source *source, struct pack **ret_pack,
               struct error *ret_reason, struct error *error)
{
    if (source->format == SOURCE_PACK)
        return open_pack_itself(source, ret_pack, error);
    struct error reason = {.message = "no cache directory"}, problem = {0};
    struct pack *pack = NULL;
    int outcome = -ENOENT;
    if (directory)
        outcome = open_or_make(directory, source, &pack, &reason, &problem);
    if (directory && is_cache_problem(outcome))
        reason = problem;
    if (is_cache_problem(outcome)) {
        int r = make_private(source, &pack, &problem);
        outcome = r < 0 ? r : CACHE_PRIVATE;
    }
    if (outcome < 0) {
        if (error)
            *error = problem;
        return outcome;
    }
    *ret_reason = reason;
    *ret_pack = pack;
    return outcome;
}
