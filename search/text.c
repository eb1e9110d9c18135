#include "search/text.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_CAPACITY_MIN = 256 };

void text_init(struct text *text, size_t length_max)
{
    *text = (struct text){.length_max = length_max};
}

void text_release(struct text *text)
{
    free(text->data);
    text_init(text, text->length_max);
}

/* Makes room for `length` more bytes and the terminator. False, with the status set, where that
 * cannot be. */
static bool text_reserve(struct text *text, size_t length)
{
    if (text->status != 0)
        return false;
    if (length > text->length_max - text->length) {
        text->status = -E2BIG;
        return false;
    }
    size_t needed = text->length + length + 1;
    if (needed <= text->capacity)
        return true;
    size_t capacity = text->capacity * 2 > needed ? text->capacity * 2 : needed;
    if (capacity < TEXT_CAPACITY_MIN)
        capacity = TEXT_CAPACITY_MIN;
    char *data = realloc(text->data, capacity);
    if (!data) {
        text->status = -ENOMEM;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void text_add_bytes(struct text *text, const char *bytes, size_t length)
{
    if (!text_reserve(text, length))
        return;
    if (length > 0)
        memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_format(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(length >= 0);
    if (!text_reserve(text, (size_t)length))
        return;
    va_start(arguments, format);
    vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

int text_status(const struct text *text)
{
    return text->status;
}

const char *text_string(const struct text *text)
{
    return text->data ? text->data : "";
}
