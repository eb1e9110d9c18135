/* Where in a JSON document a byte is: turns a parser's offset into a JSON pointer. Works on broken texts. */
#ifndef SEARCH_JSON_LOCATE_H
#define SEARCH_JSON_LOCATE_H

#include "search/error.h"

#include <stddef.h>

enum { JSON_LOCATE_DEPTH_MAX = 16 }; /* deeper places are named by their container at this depth */

/* The pointer of the value or key that the byte before `offset` belongs to; "" for the document itself. */
void json_locate(const char *text, size_t length, size_t offset,
                 char ret_pointer[ERROR_POINTER_SIZE]);

#endif
