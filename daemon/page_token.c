#include "daemon/page_token.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* FNV-1a, 64 bits, over a text and its terminator. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    static const uint64_t prime = 0x100000001b3;
    const unsigned char *c = (const unsigned char *)text;
    do {
        hash = (hash ^ *c) * prime;
    } while (*c++);
    return hash;
}

/* Of everything but the page, in any order of the parameters. */
static uint64_t fingerprint(const struct http_request *request)
{
    static const uint64_t basis = 0xcbf29ce484222325;
    uint64_t sum = hash_text(basis, request->path);
    for (size_t i = 0; i < request->query_count; i++) {
        const struct http_field *field = &request->query[i];
        if (strcmp(field->name, "page_token") != 0 && strcmp(field->name, "page_size") != 0)
            sum += hash_text(hash_text(basis, field->name), field->value);
    }
    return sum;
}

void page_token_write(const struct http_request *request, const struct candidate_cursor *cursor,
                      char ret_token[PAGE_TOKEN_SIZE])
{
    uint64_t bits;
    memcpy(&bits, &cursor->value, sizeof bits);
    snprintf(ret_token, PAGE_TOKEN_SIZE, "%016" PRIx64 "%016" PRIx64 "%016" PRIx64,
             fingerprint(request), bits, cursor->number);
}

/* Sixteen lower-case hexadecimal digits. */
static bool read_hex(const char **text, uint64_t *ret_number)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t number = 0;
    for (int i = 0; i < 16; i++, (*text)++) {
        const char *digit = **text ? strchr(digits, **text) : NULL;
        if (!digit)
            return false;
        number = number << 4 | (uint64_t)(digit - digits);
    }
    *ret_number = number;
    return true;
}

bool page_token_read(const struct http_request *request, const char *token,
                     struct candidate_cursor *ret_cursor)
{
    uint64_t print, bits;
    struct candidate_cursor cursor = {.set = true};
    if (!read_hex(&token, &print) || !read_hex(&token, &bits) ||
        !read_hex(&token, &cursor.number) || *token || print != fingerprint(request))
        return false;
    memcpy(&cursor.value, &bits, sizeof bits);
    if (isnan(cursor.value))
        return false;
    *ret_cursor = cursor;
    return true;
}
