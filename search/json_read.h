/* Reads fields of JSON objects, checks them, and says where and how they are wrong. Used by the JSON parts of search/.
 *
 * A reader stands on one object and knows its place in the document. Reading an absent field leaves the value that the
 * caller put there, its default. All functions return 0 or -EINVAL with the field's JSON pointer. */
#ifndef SEARCH_JSON_READ_H
#define SEARCH_JSON_READ_H

#include "search/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_reader {
    const json_t *object;
    char pointer[ERROR_POINTER_SIZE]; /* of the object; "" for the document */
    struct error *error;              /* may be NULL */
};

/* Bounds of a number, both included. */
struct json_range {
    int64_t min, max;
};

/* Parses a whole text of at most `length_max` bytes. -EINVAL (not JSON, a duplicate key, a number too large), -E2BIG,
 * -ENOMEM (some failed allocations inside jansson come out as texts that are not JSON). The caller frees *ret_value with
 * json_decref. */
int json_read_text(const char *text, size_t length, size_t length_max, json_t **ret_value,
                   struct error *error) MUST_USE;

/* Stands on `value`, which must be an object with no keys but those listed (a NULL entry ends the list). */
int json_reader_open(struct json_reader *reader, const json_t *value, const char *pointer,
                     const char *const *keys, struct error *error) MUST_USE;

/* Stands on the object that is the reader's field `key`; *ret_present says whether it is there at all. */
int json_reader_enter(const struct json_reader *reader, const char *key, const char *const *keys,
                      struct json_reader *ret_inner, bool *ret_present) MUST_USE;

bool json_reader_has(const struct json_reader *reader, const char *key);

int json_read_integer(const struct json_reader *reader, const char *key, struct json_range range,
                      int64_t *value) MUST_USE;
int json_read_u64(const struct json_reader *reader, const char *key, struct json_range range,
                  uint64_t *value) MUST_USE;
int json_read_u32(const struct json_reader *reader, const char *key, struct json_range range,
                  uint32_t *value) MUST_USE;
int json_read_number(const struct json_reader *reader, const char *key, double *value) MUST_USE;
int json_read_bool(const struct json_reader *reader, const char *key, bool *value) MUST_USE;
/* The string lives as long as the document. */
int json_read_string(const struct json_reader *reader, const char *key,
                     const char **value) MUST_USE;

/* Writes the pointer of field `key` of the object at `pointer`, with RFC 6901's escapes; cut where it does not fit. */
void json_pointer_join(const char *pointer, const char *key, char ret_pointer[ERROR_POINTER_SIZE]);
void json_pointer_join_index(const char *pointer, size_t index,
                             char ret_pointer[ERROR_POINTER_SIZE]);

/* Sets -EINVAL at the reader's field `key` with a finished sentence. */
int json_refuse(const struct json_reader *reader, const char *key, const char *format, ...)
    FORMAT_PRINTF(3, 4);

/* "an object", "a string", ... for messages. */
const char *json_type_name(const json_t *value);

#endif
