/* `archscout dataset add`: fetches where the place is a URL, checks, imports. */
#ifndef WORKER_DATASET_ADD_H
#define WORKER_DATASET_ADD_H

#include "worker/data/import.h"
#include "worker/dataset_options.h"
#include "worker/dataset_progress.h"

/* Errors as import_run and fetch. */
int dataset_add(const struct dataset_options *options, const char *home,
                struct dataset_progress *progress, struct import_report *ret_report,
                struct error *error) MUST_USE;

#endif
