/* Texts that came from another process: checked before they are kept. */
#ifndef PROTO_FOREIGN_TEXT_H
#define PROTO_FOREIGN_TEXT_H

#include "search/error.h"

#include <stddef.h>

/* Copies `text` when it is 1 to size - 1 printable ASCII characters (space included), else -EINVAL
 * naming `pointer`. */
int foreign_name_copy(const char *text, const char *pointer, char *ret_text, size_t size,
                      struct error *error) MUST_USE;

/* Copies a text meant for people: bytes that are not UTF-8 and control characters other than line
 * feeds become '?', and what does not fit into `size` bytes is cut between characters. NULL gives
 * "". */
void foreign_message_copy(const char *text, char *ret_text, size_t size);

#endif
