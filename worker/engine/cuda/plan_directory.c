#include "worker/engine/cuda/plan_directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* `path` and what it lies in. */
static int directories_make(char *path, struct error *error)
{
    for (char *at = path + 1;; at++) {
        const char end = *at;
        if (end != '/' && end != '\0')
            continue;
        *at = '\0';
        const int failure = mkdir(path, 0777) < 0 && errno != EEXIST ? errno : 0;
        *at = end;
        if (failure)
            return error_set(error, -failure, "", "%s: %s", path, strerror(failure));
        if (end == '\0')
            return 0;
    }
}

int plan_directory(char ret_path[PLAN_DIRECTORY_SIZE], struct error *error)
{
    static const struct {
        const char *variable, *name;
    } places[] = {{"ARCHSCOUT_CACHE", "cudnn"},
                  {"XDG_CACHE_HOME", "archscout/cudnn"},
                  {"HOME", ".cache/archscout/cudnn"}};
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        const char *value = getenv(places[i].variable);
        char path[PLAN_DIRECTORY_SIZE];
        if (!value || !value[0])
            continue;
        const int length = snprintf(path, sizeof path, "%s/%s", value, places[i].name);
        if (length < 0 || (size_t)length >= sizeof path)
            return error_set(error, -ENAMETOOLONG, "", "%s is too long", places[i].variable);
        const int r = directories_make(path, error);
        if (r == 0)
            memcpy(ret_path, path, (size_t)length + 1);
        return r;
    }
    return error_set(error, -ENOENT, "", "none of ARCHSCOUT_CACHE, XDG_CACHE_HOME and HOME is set");
}
