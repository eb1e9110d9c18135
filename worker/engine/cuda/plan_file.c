#include "worker/engine/cuda/plan_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "archscout-plan 1\n"

/* HEAD_MAX: magic, key, engine. CHECKSUM_SIZE: a new line, 16 digits, a new line. */
enum { HEAD_MAX = PLAN_KEY_SIZE + 64, CHECKSUM_SIZE = 18, FILE_MAX = PLAN_JSON_MAX + 512 };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static void free_bytes(char **bytes)
{
    free(*bytes);
}

uint64_t plan_hash(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * 1099511628211u;
    return hash;
}

int plan_file_path(const char *directory, const char *key, char ret_path[PLAN_PATH_SIZE])
{
    char path[PLAN_PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/%016" PRIx64 ".plan", directory,
                          plan_hash(key, strlen(key)));
    if (length < 0 || length >= PLAN_PATH_SIZE)
        return -ENAMETOOLONG;
    memcpy(ret_path, path, (size_t)length + 1);
    return 0;
}

static int read_whole(const char *path, char **ret_bytes, size_t *ret_length)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_size > FILE_MAX)
        return -EBADMSG;
    const size_t length = (size_t)status.st_size;
    CLEANUP(free_bytes) char *bytes = malloc(length + 1);
    if (!bytes)
        return -ENOMEM;
    for (size_t done = 0; done < length;) {
        ssize_t got = read(fd, bytes + done, length - done);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            return -EBADMSG;
        done += got > 0 ? (size_t)got : 0;
    }
    bytes[length] = '\0';
    *ret_bytes = bytes;
    *ret_length = length;
    bytes = NULL;
    return 0;
}

static void checksum_text(const char *bytes, size_t length, char ret_text[CHECKSUM_SIZE + 1])
{
    snprintf(ret_text, CHECKSUM_SIZE + 1, "\n%016" PRIx64 "\n", plan_hash(bytes, length));
}

int plan_file_read(const char *path, const char *key, int64_t *ret_engine, char **ret_json,
                   size_t *ret_length)
{
    CLEANUP(free_bytes) char *bytes = NULL;
    size_t length = 0;
    int r = read_whole(path, &bytes, &length);
    if (r < 0)
        return r;
    if (length < CHECKSUM_SIZE)
        return -EBADMSG;
    const size_t body = length - CHECKSUM_SIZE;
    char checksum[CHECKSUM_SIZE + 1];
    checksum_text(bytes, body, checksum);
    if (memcmp(bytes + body, checksum, CHECKSUM_SIZE) != 0)
        return -EBADMSG;
    if (strncmp(bytes, MAGIC, strlen(MAGIC)) != 0)
        return -EBADMSG;
    const char *at = bytes + strlen(MAGIC);
    const size_t key_length = strlen(key);
    if (strncmp(at, key, key_length) != 0 || at[key_length] != '\n')
        return -ESTALE;
    at += key_length + 1;
    char *end;
    errno = 0;
    const int64_t engine = strtoll(at, &end, 10);
    if (end == at || *end != '\n' || errno != 0 || end + 1 >= bytes + body)
        return -EBADMSG;
    const size_t json_length = (size_t)(bytes + body - (end + 1));
    memmove(bytes, end + 1, json_length);
    bytes[json_length] = '\0';
    *ret_engine = engine;
    *ret_json = bytes;
    *ret_length = json_length;
    bytes = NULL;
    return 0;
}

static int write_whole(int fd, const char *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t put = write(fd, bytes + done, length - done);
        if (put < 0 && errno != EINTR)
            return -errno;
        done += put > 0 ? (size_t)put : 0;
    }
    return 0;
}

int plan_file_write(const char *path, const char *key, int64_t engine, const char *json,
                    size_t length)
{
    assert(length <= PLAN_JSON_MAX && strlen(key) < PLAN_KEY_SIZE && !strchr(key, '\n'));
    const size_t capacity = HEAD_MAX + length + CHECKSUM_SIZE + 1;
    CLEANUP(free_bytes) char *bytes = malloc(capacity);
    if (!bytes)
        return -ENOMEM;
    const int head = snprintf(bytes, HEAD_MAX, MAGIC "%s\n%" PRId64 "\n", key, engine);
    assert(head > 0 && head < HEAD_MAX);
    memcpy(bytes + head, json, length);
    const size_t body = (size_t)head + length;
    checksum_text(bytes, body, bytes + body);
    char temporary[PLAN_PATH_SIZE + 32];
    snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
    CLEANUP(close_fd)
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    int r = write_whole(fd, bytes, body + CHECKSUM_SIZE);
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0)
        unlink(temporary);
    return r;
}
