/* Builds JSON values and writes them as text. Used by the JSON parts of search/. */
#ifndef SEARCH_JSON_WRITE_H
#define SEARCH_JSON_WRITE_H

#include "search/attributes.h"
#include "search/text.h"

#include <jansson.h>

/* A member of an object being built. */
struct json_member {
    const char *key;
    json_t *value; /* given away; NULL stands for memory that ran out */
};

/* An object of these members in this order; NULL, with every value freed, where one is NULL or memory is short. */
json_t *json_build(const struct json_member *members, size_t count);
#define JSON_BUILD(...)                                                                            \
    json_build((const struct json_member[]){__VA_ARGS__},                                          \
               sizeof((const struct json_member[]){__VA_ARGS__}) / sizeof(struct json_member))

/* Appends a value as compact JSON, real numbers with as few digits as read back to the same number, and frees it. NULL
 * stands for memory that ran out. -ENOMEM, -E2BIG. */
int json_write_text(json_t *value, struct text *text) MUST_USE;

#endif
