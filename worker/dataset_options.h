/* The command line of archscout-dataset. Plain values; texts point into the arguments. */
#ifndef WORKER_DATASET_OPTIONS_H
#define WORKER_DATASET_OPTIONS_H

#include "search/error.h"

#include <stdint.h>

enum dataset_command { DATASET_ADD, DATASET_LIST, DATASET_SHOW, DATASET_REMOVE };

struct dataset_options {
    enum dataset_command command;
    const char *name;  /* NULL for list */
    const char *place; /* of add: a path or URL; NULL: the known one of that name */
    const char *sha256;
    uint64_t bytes;      /* 0: not given */
    uint32_t image_size; /* 0: not given */
    double test_share;   /* negative: not given */
    uint64_t seed;
    const char *sheet; /* NULL: not given */
};

/* positive outcomes */
enum { DATASET_OPTIONS_HELP = 1, DATASET_OPTIONS_VERSION = 2 };

/* Reads and checks the arguments as main has them. 0, an outcome, -EINVAL with a message for a person. */
int dataset_options_parse(int argc, char *const *argv, struct dataset_options *ret_options,
                          struct error *error) MUST_USE;

const char *dataset_options_usage(void);

#endif
