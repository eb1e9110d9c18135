#include "search/json_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Decimal digits that 64-bit numbers need: 15 when they were written with no more, 17 always. */
enum { DIGITS_SHORT = 15, DIGITS_EXACT = 17 };

json_t *json_build(const struct json_member *members, size_t count)
{
    json_t *object = json_object();
    int failed = object ? 0 : -1;
    for (size_t i = 0; i < count; i++) {
        if (failed == 0)
            failed = json_object_set_new(object, members[i].key, members[i].value);
        else
            json_decref(members[i].value);
    }
    if (failed != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* The text with few digits where it reads back to an equal value, otherwise the exact one; NULL where memory is short. */
static char *dump(const json_t *value)
{
    const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
    char *brief = json_dumps(value, flags | JSON_REAL_PRECISION(DIGITS_SHORT));
    if (!brief)
        return NULL;
    json_t *back = json_loads(brief, JSON_DECODE_ANY, NULL);
    int same = json_equal(value, back);
    json_decref(back);
    if (same)
        return brief;
    free(brief);
    return json_dumps(value, flags | JSON_REAL_PRECISION(DIGITS_EXACT));
}

int json_write_text(json_t *value, struct text *text)
{
    char *dumped = value ? dump(value) : NULL;
    json_decref(value);
    if (!dumped)
        return -ENOMEM;
    text_add(text, dumped);
    free(dumped);
    return text_status(text);
}
