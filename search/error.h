/* What went wrong, and in which field.
 *
 * A fallible function returns 0 or a negative errno and, where it takes a struct error, fills it on
 * failure only. `pointer` is a JSON pointer (RFC 6901) to the offending field of the document that
 * was being read, or "" where no field is to blame; `message` is one sentence for a person that
 * says what would have been right. */
#ifndef SEARCH_ERROR_H
#define SEARCH_ERROR_H

#include "search/attributes.h"

enum { ERROR_POINTER_SIZE = 160, ERROR_MESSAGE_SIZE = 480 };

struct error {
    char pointer[ERROR_POINTER_SIZE];
    char message[ERROR_MESSAGE_SIZE];
};

/* Fills *ret_error (ignored when NULL) and returns `code`, so that a caller can write
 * `return error_set(error, -EINVAL, "/seed", "must be ...")`. Texts that do not fit are cut. `code`
 * is negative. */
int error_set(struct error *ret_error, int code, const char *pointer, const char *format, ...)
    FORMAT_PRINTF(4, 5);

/* `code`, with `prefix` put before the error's pointer. `error` may be NULL. */
int error_prefix(struct error *error, int code, const char *prefix);

#endif
