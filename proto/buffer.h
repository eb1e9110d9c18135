/* A growable run of bytes with a maximum. Plain value, owned by whoever initialised it; one thread.
 */
#ifndef PROTO_BUFFER_H
#define PROTO_BUFFER_H

#include "search/attributes.h"

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;   /* NULL while nothing was stored */
    size_t length;   /* bytes in use */
    size_t capacity; /* bytes allocated */
    size_t max;      /* bytes it may grow to */
};

/* Empty; allocates nothing. */
void buffer_init(struct buffer *buffer, size_t max);
/* Frees the bytes and leaves an empty buffer with the same maximum. NULL is legal. */
void buffer_release(struct buffer *buffer);

/* Makes room for `extra` bytes after the used ones. -EMSGSIZE above the maximum, -ENOMEM; unchanged
 * then. */
int buffer_reserve(struct buffer *buffer, size_t extra) MUST_USE;
/* Errors as buffer_reserve. */
int buffer_append(struct buffer *buffer, const void *bytes, size_t length) MUST_USE;
/* Drops the first `length` bytes, at most all. */
void buffer_consume(struct buffer *buffer, size_t length);

#endif
