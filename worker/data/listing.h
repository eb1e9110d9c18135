/* The names in a directory, in the order of their bytes, without those that start with a dot and without __MACOSX, which
 * archives made on a Mac hold. */
#ifndef WORKER_DATA_LISTING_H
#define WORKER_DATA_LISTING_H

#include "search/error.h"

#include <stddef.h>
#include <stdint.h>

enum { LISTING_NAMES_MAX = 1 << 24 };

struct listing {
    char **names;
    uint32_t count, capacity;
};

int listing_read(const char *directory, struct listing *listing, struct error *error) MUST_USE;
void listing_release(struct listing *listing); /* legal on a zeroed struct and twice */

#endif
