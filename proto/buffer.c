#include "proto/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 256 };

void buffer_init(struct buffer *buffer, size_t max)
{
    *buffer = (struct buffer){.max = max};
}

void buffer_release(struct buffer *buffer)
{
    if (!buffer)
        return;
    free(buffer->data);
    *buffer = (struct buffer){.max = buffer->max};
}

int buffer_reserve(struct buffer *buffer, size_t extra)
{
    assert(buffer->length <= buffer->max);
    if (extra > buffer->max - buffer->length)
        return -EMSGSIZE;
    size_t needed = buffer->length + extra;
    if (needed <= buffer->capacity)
        return 0;
    size_t capacity = buffer->capacity ? buffer->capacity : CAPACITY_MIN;
    while (capacity < needed && capacity <= buffer->max / 2)
        capacity *= 2;
    if (capacity < needed || capacity > buffer->max)
        capacity = buffer->max;
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data)
        return -ENOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    int code = buffer_reserve(buffer, length);
    if (code < 0)
        return code;
    if (length)
        memcpy(buffer->data + buffer->length, bytes, length);
    buffer->length += length;
    return 0;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    assert(length <= buffer->length);
    if (length < buffer->length)
        memmove(buffer->data, buffer->data + length, buffer->length - length);
    buffer->length -= length;
}
