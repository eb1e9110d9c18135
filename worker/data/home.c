#include "worker/data/home.h"

#include "search/dataset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
