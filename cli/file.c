#include "cli/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BLOCK = 65536 };

static int read_all(FILE *file, size_t max, char **ret_text, size_t *ret_length)
{
    size_t length = 0, capacity = 0;
    char *text = NULL;
    for (;;) {
        if (capacity - length < 2) {
            capacity += READ_BLOCK;
            char *grown = realloc(text, capacity);
            if (!grown) {
                free(text);
                return -ENOMEM;
            }
            text = grown;
        }
        size_t part = fread(text + length, 1, capacity - length - 1, file);
        length += part;
        if (part == 0 || length > max)
            break;
    }
    if (ferror(file) || length > max) {
        free(text);
        return length > max ? -EFBIG : -EIO;
    }
    text[length] = '\0';
    *ret_text = text;
    *ret_length = length;
    return 0;
}

int file_read(const char *path, size_t max, char **ret_text, size_t *ret_length)
{
    if (strcmp(path, "-") == 0)
        return read_all(stdin, max, ret_text, ret_length);
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    struct stat status;
    int r = fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode)
                ? -EISDIR
                : read_all(file, max, ret_text, ret_length);
    fclose(file);
    return r;
}

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t part = write(fd, bytes, length);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return -errno;
        bytes += part;
        length -= (size_t)part;
    }
    return 0;
}

/* The permissions that a new file gets. */
static mode_t new_file_mode(void)
{
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

int file_write(const char *path, const char *bytes, size_t length)
{
    if (strcmp(path, "-") == 0)
        return write_all(STDOUT_FILENO, bytes, length);
    char temporary[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= sizeof temporary)
        return -ENAMETOOLONG;
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = write_all(fd, bytes, length);
    if (r == 0 && (fchmod(fd, new_file_mode()) != 0 || fsync(fd) != 0))
        r = -errno;
    if (close(fd) != 0 && r == 0)
        r = -errno;
    if (r == 0 && rename(temporary, path) != 0)
        r = -errno;
    if (r != 0)
        unlink(temporary);
    return r;
}
