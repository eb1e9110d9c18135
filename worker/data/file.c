#include "worker/data/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int file_join(char ret_path[FILE_PATH_SIZE], const char *directory, const char *name,
              const char *suffix, struct error *error)
{
    int length = snprintf(ret_path, FILE_PATH_SIZE, "%s/%s%s", directory, name, suffix);
    if (length < 0 || length >= FILE_PATH_SIZE)
        return error_set(error, -ENAMETOOLONG, "", "path too long: %.200s/%.100s", directory, name);
    return 0;
}

int file_error(struct error *error, int code, const char *path)
{
    return error_set(error, code, "", "%.300s: %s", path, strerror(-code));
}
