/* Where in a JSON text the value of a JSON pointer stands, so that an error can show the line a
 * person wrote. Pure. */
#ifndef CLI_JSON_PLACE_H
#define CLI_JSON_PLACE_H

#include "search/attributes.h"

#include <stddef.h>

struct json_place {
    size_t line;        /* 1-based */
    size_t column;      /* 1-based, bytes */
    size_t line_start;  /* offset of the line's first byte */
    size_t line_length; /* bytes, without the line feed */
};

/* Finds the value that `pointer` (RFC 6901) names. A member that is asked for and not there, or
 * anything below a plain value, gives the place of the innermost value that is there. -EINVAL where
 * the text is no JSON up to that place or is nested deeper than 64. */
int json_place_find(const char *text, size_t length, const char *pointer,
                    struct json_place *ret_place) MUST_USE;

/* The place of a byte offset, at most `length`. */
struct json_place json_place_at(const char *text, size_t length, size_t offset);

#endif
