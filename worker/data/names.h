/* A growing list of texts, kept one behind another with their final zeros: class names, paths of images.
 *
 * Legal order: names_init, names_add ..., names_release. A text stays at its offset, not at its address. */
#ifndef WORKER_DATA_NAMES_H
#define WORKER_DATA_NAMES_H

#include "search/attributes.h"

#include <stddef.h>
#include <stdint.h>

struct names {
    char *bytes;
    size_t length, capacity, max;
    uint32_t count;
};

void names_init(struct names *names, size_t bytes_max);
void names_release(struct names *names); /* legal on a zeroed struct and twice */

/* -ENOMEM; -E2BIG past bytes_max. ret_offset may be NULL. */
int names_add(struct names *names, const char *text, size_t *ret_offset) MUST_USE;

/* The text at an offset that names_add gave. */
static inline const char *names_at(const struct names *names, size_t offset)
{
    return names->bytes + offset;
}

#endif
