#include "worker/data/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int file_join(char ret_path[FILE_PATH_SIZE], const char *directory, const char *name,
              const char *suffix, struct error *error)
{
    int length = snprintf(ret_path, FILE_PATH_SIZE, "%s/%s%s", directory, name, suffix);
    if (length < 0 || length >= FILE_PATH_SIZE)
        return error_set(error, -ENAMETOOLONG, "", "path too long: %.200s/%.100s", directory, name);
    return 0;
}

int file_make_directories(const char *directory, struct error *error)
{
    char path[FILE_PATH_SIZE];
    int r = file_join(path, directory, "", "", error);
    if (r < 0)
        return r;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0777) < 0 && errno != EEXIST)
            return file_error(error, -errno, path);
        *slash = '/';
    }
    return 0;
}

int file_error(struct error *error, int code, const char *path)
{
    return error_set(error, code, "", "%.300s: %s", path, strerror(-code));
}
