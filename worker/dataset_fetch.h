/* Fetching the files of a data set over HTTP, checked by size and SHA-256.
 *
 * They go to HOME/.downloads/HASH/, HASH being of their URLs. What an interrupted download leaves there is continued
 * by the next one, where its SHA-256 is known; else, and after any other failure, nothing is left. */
#ifndef WORKER_DATASET_FETCH_H
#define WORKER_DATASET_FETCH_H

#include "worker/data/file.h"
#include "worker/data/known.h"
#include "worker/dataset_progress.h"

#include <stdbool.h>

struct fetched {
    char directory[FILE_PATH_SIZE];
    char path[FILE_PATH_SIZE]; /* of the file, where there is only one; else the directory */
};

bool fetch_is_url(const char *place);

/* Errors as download_run; -EBADMSG where a file is not what it must be. */
int fetch(const struct known_dataset *wanted, const char *home, struct dataset_progress *progress,
          struct fetched *ret_fetched, struct error *error) MUST_USE;

/* Removes what was fetched. */
void fetched_release(struct fetched *fetched);

#endif
