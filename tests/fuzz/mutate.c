#include "tests/fuzz/mutate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "search/attributes.h"

enum { CHANGES_MAX = 8, PIECE_MAX = 64 };

static const char *const words[] = {
    "\r\n",
    "\n",
    "\r\n\r\n",
    "0\r\n\r\n",
    "%00",
    "%",
    "%2e%2e/",
    "%ff",
    "?",
    "&",
    "=",
    ":pause",
    ":",
    "/",
    "//",
    " ",
    "\t",
    "Host: evil.example\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Connection: close\r\n",
    "Expect: 100-continue\r\n",
    "Idempotency-Key: \r\n",
    "HTTP/1.0",
    "HTTP/2.0",
    "HEAD ",
    "-1",
    "0",
    "99999999999999999999",
    "1e400",
    "NaN",
    "null",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\u0000",
    "\xff",
    "\xc3\x28",
};

static size_t below(struct random_stream *random, size_t bound)
{
    return (size_t)random_below(random, bound);
}

/* Puts bytes in at a random place; what does not fit is left out. */
static void insert(struct random_stream *random, struct bytes *bytes, const char *piece,
                   size_t length)
{
    if (length > MUTATE_BYTES_MAX - bytes->length)
        return;
    size_t at = below(random, bytes->length + 1);
    memmove(bytes->data + at + length, bytes->data + at, bytes->length - at);
    memcpy(bytes->data + at, piece, length);
    bytes->length += length;
}

static void take_out(struct random_stream *random, struct bytes *bytes)
{
    size_t at = below(random, bytes->length);
    size_t length = 1 + below(random, PIECE_MAX);
    if (length > bytes->length - at)
        length = bytes->length - at;
    memmove(bytes->data + at, bytes->data + at + length, bytes->length - at - length);
    bytes->length -= length;
}

static void insert_piece(struct random_stream *random, struct bytes *bytes,
                         const struct bytes *source)
{
    char piece[PIECE_MAX];
    if (source->length == 0)
        return;
    size_t at = below(random, source->length);
    size_t length = 1 + below(random, PIECE_MAX);
    if (length > source->length - at)
        length = source->length - at;
    memcpy(piece, source->data + at, length);
    insert(random, bytes, piece, length);
}

static void change(struct random_stream *random, struct bytes *bytes, const struct bytes *other)
{
    char byte = (char)random_u32(random);
    const char *word = words[below(random, ARRAY_LENGTH(words))];
    if (bytes->length == 0) {
        insert(random, bytes, word, strlen(word));
        return;
    }
    switch (below(random, 8)) {
    case 0:
        bytes->data[below(random, bytes->length)] ^= (char)(1 << below(random, 8));
        break;
    case 1:
        bytes->data[below(random, bytes->length)] = byte;
        break;
    case 2:
        insert(random, bytes, &byte, 1);
        break;
    case 3:
        take_out(random, bytes);
        break;
    case 4:
        insert_piece(random, bytes, bytes);
        break;
    case 5:
        insert_piece(random, bytes, other);
        break;
    case 6:
        bytes->length = below(random, bytes->length);
        break;
    default:
        insert(random, bytes, word, strlen(word));
        break;
    }
}

void mutate(struct random_stream *random, struct bytes *bytes, const struct bytes *other)
{
    size_t changes = 1 + below(random, CHANGES_MAX);
    for (size_t i = 0; i < changes; i++)
        change(random, bytes, other);
}

void bytes_read(struct bytes *ret_bytes, const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "cannot open %s\n", path);
        exit(EXIT_FAILURE);
    }
    ret_bytes->length = fread(ret_bytes->data, 1, MUTATE_BYTES_MAX, file);
    if (ret_bytes->length == MUTATE_BYTES_MAX) {
        fprintf(stderr, "%s is too long\n", path);
        exit(EXIT_FAILURE);
    }
    fclose(file);
}
