/* The part of an import that is about image folders: import.h has the rules. */
#ifndef WORKER_DATA_IMPORT_FOLDER_H
#define WORKER_DATA_IMPORT_FOLDER_H

#include "worker/data/import.h"

/* Where the pack goes, and what it says of where it came from. */
struct import_target {
    int fd; /* an empty file */
    const char *path;
    const char *origin;
};

int import_folder(const struct import_request *request, const char *root,
                  const struct import_target *target, struct import_report *report,
                  struct error *error) MUST_USE;

#endif
