/* Texts that came from another process: checked before they are kept. */
#ifndef PROTO_TEXT_H
#define PROTO_TEXT_H

#include "search/error.h"

#include <stddef.h>

/* Copies `text` when it is 1 to size - 1 printable ASCII characters (space included), else -EINVAL
 * naming `pointer`. */
int text_copy_name(const char *text, const char *pointer, char *ret_text, size_t size,
                   struct error *error) MUST_USE;

/* Copies a text meant for people: bytes that are not UTF-8 and control characters other than line
 * feeds become '?', and what does not fit into `size` bytes is cut between characters. NULL gives
 * "". */
void text_copy_message(const char *text, char *ret_text, size_t size);

#endif
