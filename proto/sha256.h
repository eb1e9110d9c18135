/* SHA-256, by nettle: names stored files by their content and finds damage. A plain value; no errors.
 *
 * Legal order: sha256_init; sha256_add any number of times; sha256_finish once. */
#ifndef PROTO_SHA256_H
#define PROTO_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32, SHA256_BLOCK_SIZE = 64, SHA256_TEXT_SIZE = 2 * SHA256_SIZE + 1 };

struct sha256 {
    uint64_t state[16]; /* nettle's */
};

void sha256_init(struct sha256 *sha256);
void sha256_add(struct sha256 *sha256, const void *bytes, size_t length);
void sha256_finish(struct sha256 *sha256, uint8_t ret_digest[SHA256_SIZE]);

/* 64 lower-case hexadecimal digits. */
void sha256_text(const uint8_t digest[SHA256_SIZE], char ret_text[SHA256_TEXT_SIZE]);
/* False where the text is anything but 64 lower-case hexadecimal digits. */
bool sha256_from_text(const char *text, uint8_t ret_digest[SHA256_SIZE]);

#endif
