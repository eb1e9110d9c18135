#include "worker/data/file.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { REMOVE_TREE_FDS = 16 };

int file_join(char ret_path[FILE_PATH_SIZE], const char *directory, const char *name,
              const char *suffix, struct error *error)
{
    int length = snprintf(ret_path, FILE_PATH_SIZE, "%s/%s%s", directory, name, suffix);
    if (length < 0 || length >= FILE_PATH_SIZE)
        return error_set(error, -ENAMETOOLONG, "", "path too long: %.200s/%.100s", directory, name);
    return 0;
}

int file_make_directories(const char *directory, mode_t mode, struct error *error)
{
    char path[FILE_PATH_SIZE];
    int r = file_join(path, directory, "", "", error);
    if (r < 0)
        return r;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, mode) < 0 && errno != EEXIST)
            return file_error(error, -errno, path);
        *slash = '/';
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status, (void)type, (void)place;
    remove(path); /* one that stays does not keep the others */
    return 0;
}

void file_remove_tree(const char *path)
{
    nftw(path, remove_one, REMOVE_TREE_FDS, FTW_DEPTH | FTW_PHYS);
}

void file_show_as(char *text, size_t size, const char *path, const char *shown)
{
    size_t length = strlen(path);
    char *whole = NULL;
    if (length == 0 || strncmp(text, path, length) != 0 ||
        asprintf(&whole, "%s%s", shown, text + length) < 0)
        return;
    size_t kept = strnlen(whole, size - 1);
    memcpy(text, whole, kept);
    text[kept] = '\0';
    free(whole);
}

int file_error(struct error *error, int code, const char *path)
{
    return error_set(error, code, "", "%.300s: %s", path, strerror(-code));
}
