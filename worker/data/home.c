#include "worker/data/home.h"

#include "search/dataset.h"
#include "worker/data/source.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int dataset_home(char ret_directory[FILE_PATH_SIZE], struct error *error)
{
    const char *own = getenv("ARCHSCOUT_DATASETS");
    if (own && own[0])
        return file_join(ret_directory, own, "", "", error);
    const char *data = getenv("XDG_DATA_HOME");
    if (data && data[0] == '/')
        return file_join(ret_directory, data, "archscout/datasets", "", error);
    const char *home = getenv("HOME");
    if (home && home[0] == '/')
        return file_join(ret_directory, home, ".local/share/archscout/datasets", "", error);
    return error_set(error, -ENOENT, "",
                     "none of ARCHSCOUT_DATASETS, XDG_DATA_HOME and HOME is set to a directory");
}

bool dataset_home_name_is_valid(const char *name)
{
    return dataset_name_is_valid(name) && !strchr(name, '.');
}

static void directory_close(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}

/* FNV-1a, 64 bits */
static uint64_t hash(uint64_t start, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < length; i++)
        start = (start ^ at[i]) * 0x100000001b3u;
    return start;
}

/* Of one pack; the sum of them all does not depend on their order. */
static uint64_t mark_of(const char *name, const struct stat *status)
{
    uint64_t mark = hash(0xcbf29ce484222325u, name, strlen(name));
    mark = hash(mark, &status->st_ino, sizeof status->st_ino);
    mark = hash(mark, &status->st_size, sizeof status->st_size);
    return hash(mark, &status->st_mtim, sizeof status->st_mtim);
}

uint64_t dataset_home_mark(const char *directory)
{
    CLEANUP(directory_close) DIR *stream = opendir(directory);
    const size_t suffix = sizeof SOURCE_PACK_SUFFIX - 1;
    uint64_t sum = stream != NULL;
    const struct dirent *item;
    while (stream && (item = readdir(stream))) {
        size_t length = strlen(item->d_name);
        struct stat status;
        if (item->d_name[0] != '.' && length > suffix &&
            strcmp(item->d_name + length - suffix, SOURCE_PACK_SUFFIX) == 0 &&
            fstatat(dirfd(stream), item->d_name, &status, 0) == 0)
            sum += mark_of(item->d_name, &status);
    }
    return sum;
}
