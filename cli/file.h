/* Files that a person names on the command line. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include "search/attributes.h"

#include <stddef.h>

/* Reads a whole file, "-" standard input, of at most `max` bytes; the text is terminated by 0 and
 * the caller frees it. A negative errno; -EFBIG above the maximum. */
int file_read(const char *path, size_t max, char **ret_text, size_t *ret_length) MUST_USE;

/* Writes a file so that it is there whole or not at all: a temporary file beside it, synced,
 * renamed over it. "-" is standard output. A negative errno. */
int file_write(const char *path, const char *bytes, size_t length) MUST_USE;

#endif
