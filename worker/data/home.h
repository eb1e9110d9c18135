/* The home of data sets: the directory where `archscout dataset add` puts them, one NAME.pack each, and where trainers look
 * for them. */
#ifndef WORKER_DATA_HOME_H
#define WORKER_DATA_HOME_H

#include "worker/data/file.h"

#include <stdbool.h>
#include <stdint.h>

/* $ARCHSCOUT_DATASETS, else $XDG_DATA_HOME/archscout/datasets, else $HOME/.local/share/archscout/datasets. It need not be
 * there. -ENOENT where none of them is set. */
int dataset_home(char ret_directory[FILE_PATH_SIZE], struct error *error) MUST_USE;

/* What a data set may be called that is added: letters a-z, digits, - and _, a letter or digit first. */
bool dataset_home_name_is_valid(const char *name);

/* A number that changes when a data set is added to the directory, removed or replaced; 0 where there is no such directory. */
uint64_t dataset_home_mark(const char *directory);

#endif
