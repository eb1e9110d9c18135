#include "worker/data/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_CAPACITY_FIRST = 1024 };

void names_init(struct names *names, size_t bytes_max)
{
    *names = (struct names){.max = bytes_max};
}

void names_release(struct names *names)
{
    free(names->bytes);
    *names = (struct names){0};
}

int names_add(struct names *names, const char *text, size_t *ret_offset)
{
    size_t size = strlen(text) + 1;
    if (size > names->max - names->length)
        return -E2BIG;
    if (size > names->capacity - names->length) {
        size_t capacity = names->capacity ? names->capacity : NAMES_CAPACITY_FIRST;
        while (size > capacity - names->length)
            capacity *= 2;
        char *bytes = realloc(names->bytes, capacity);
        if (!bytes)
            return -ENOMEM;
        names->bytes = bytes;
        names->capacity = capacity;
    }
    memcpy(names->bytes + names->length, text, size);
    if (ret_offset)
        *ret_offset = names->length;
    names->length += size;
    names->count++;
    return 0;
}
