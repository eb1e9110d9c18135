/* Published data sets that can be added by name alone: where their files are, and what they must be. */
#ifndef WORKER_DATA_KNOWN_H
#define WORKER_DATA_KNOWN_H

#include <stdint.h>

enum { KNOWN_FILES_MAX = 4 };

struct known_file {
    const char *url;
    uint64_t bytes;
    const char *sha256; /* hexadecimal */
};

struct known_dataset {
    const char *name;
    uint32_t file_count; /* one archive, or the files of a format */
    struct known_file files[KNOWN_FILES_MAX];
    const char *const *class_names; /* where the files do not say; NULL at the end; else NULL */
};

/* NULL where no data set of that name is known. */
const struct known_dataset *known_find(const char *name);

/* The names, separated by commas. */
const char *known_names(void);

#endif
