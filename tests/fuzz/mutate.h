/* Random changes of byte strings, the same for the same seed on every machine. */
#ifndef TESTS_FUZZ_MUTATE_H
#define TESTS_FUZZ_MUTATE_H

#include <stddef.h>

#include "search/random.h"

enum { MUTATE_BYTES_MAX = 1 << 16 };

struct bytes {
    size_t length;
    char data[MUTATE_BYTES_MAX + 1]; /* room for a terminator */
};

/* One to eight changes: bytes flipped, put in, taken out, doubled, cut off, telling words put in, a piece of `other`. */
void mutate(struct random_stream *random, struct bytes *bytes, const struct bytes *other);

/* The whole file; ends the program where it can't be read or is too long. */
void bytes_read(struct bytes *ret_bytes, const char *path);

#endif
