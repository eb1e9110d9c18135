/* `archscout dataset list`, `show` and `remove`. */
#ifndef WORKER_DATASET_SHOW_H
#define WORKER_DATASET_SHOW_H

#include "worker/dataset_options.h"

/* Prints what is in the home of data sets; packs that cannot be used with the reason. */
int dataset_list(const char *home, struct error *error) MUST_USE;

/* A positive outcome: no data set is called so. The error is set all the same. */
enum { DATASET_UNKNOWN = 1 };

/* Prints one data set's classes and counts, and writes the sheet where it is asked for. DATASET_UNKNOWN. */
int dataset_show(const struct dataset_options *options, const char *home,
                 struct error *error) MUST_USE;

/* Trainers that have the pack mapped keep it. DATASET_UNKNOWN. */
int dataset_remove(const struct dataset_options *options, const char *home,
                   struct error *error) MUST_USE;

#endif
