#include "search/result_name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_DIGITS = 16, INDEX_DIGITS_MAX = 5 };

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
uint64_t result_text_key(const char *text)
{
    uint64_t key = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        key = (key ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return key;
}

static int choose(const struct space *space, uint32_t stage, unsigned long choice,
                  struct encoding *encoding, struct error *error)
{
    uint32_t count = space_option_count(space, stage);
    if (choice >= count)
        return error_set(error, -EINVAL, "",
                         "stage %" PRIu32 " of the space has no choice %lu; it has %" PRIu32
                         ", numbered from 0",
                         stage + 1, choice, count);
    encoding->choices[stage] = (uint16_t)choice;
    return 0;
}

/* Indices separated by colons; `name` has nothing but digits and colons. */
static int indices_read(const char *name, const struct space *space, struct encoding *encoding,
                        struct error *error)
{
    uint32_t stage_count = space_stage_count(space), named = 1;
    for (const char *c = name; *c; c++)
        named += *c == ':';
    if (named != stage_count)
        return error_set(error, -EINVAL, "", "it names %" PRIu32 " stages; the space has %" PRIu32,
                         named, stage_count);
    for (uint32_t stage = 0; stage < stage_count; stage++) {
        size_t digits = strcspn(name, ":");
        if (digits == 0 || digits > INDEX_DIGITS_MAX)
            return error_set(error, -EINVAL, "",
                             "stage %" PRIu32 " takes a number of 1 to %d digits", stage + 1,
                             INDEX_DIGITS_MAX);
        int r = choose(space, stage, strtoul(name, NULL, 10), encoding, error);
        if (r < 0)
            return r;
        name += digits + 1;
    }
    return 0;
}

static int digits_read(const char *name, const struct space *space, struct encoding *encoding,
                       struct error *error)
{
    int r = 0;
    for (uint32_t i = 0; name[i] && r == 0; i++)
        r = choose(space, i, (unsigned long)(name[i] - '0'), encoding, error);
    return r;
}

static bool is_hash(const char *name)
{
    const char *digits = strncmp(name, "0x", 2) == 0 ? name + 2 : name;
    return strlen(digits) == HASH_DIGITS && strspn(digits, "0123456789abcdefABCDEF") == HASH_DIGITS;
}

/* "2201": one digit a stage. A single stage's number may have several. */
static bool is_digits(const char *name, size_t stage_count)
{
    size_t length = strlen(name);
    return stage_count > 1 && length == stage_count && strspn(name, "0123456789") == length;
}

/* "2:2:0:1", or the number of a single stage's choice. */
static bool is_indices(const char *name, size_t stage_count)
{
    size_t length = strlen(name);
    return length > 0 && strspn(name, "0123456789:") == length &&
           (stage_count == 1 || strchr(name, ':'));
}

int result_name_read(const char *name, const struct space *space, struct result_name *ret_name,
                     struct error *error)
{
    struct result_name read = {.kind = RESULT_NAME_ENCODING};
    const size_t stage_count = space_stage_count(space);
    int r = 0;
    if (is_digits(name, stage_count)) {
        r = digits_read(name, space, &read.encoding, error);
    } else if (is_indices(name, stage_count)) {
        r = indices_read(name, space, &read.encoding, error);
    } else if (strchr(name, '|')) {
        read.kind = RESULT_NAME_TEXT;
        read.key = result_text_key(name);
    } else if (is_hash(name)) {
        read.kind = RESULT_NAME_HASH;
        read.key = strtoull(name, NULL, 16);
    } else {
        r = error_set(
            error, -EINVAL, "",
            "it is neither %zu digits, nor %zu numbers separated by colons, nor a hash of "
            "%d hexadecimal digits, nor a canonical text",
            stage_count, stage_count, HASH_DIGITS);
    }
    if (r == 0)
        *ret_name = read;
    return r;
}
