#include "proto/foreign_text.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

int foreign_name_copy(const char *text, const char *pointer, char *ret_text, size_t size,
                      struct error *error)
{
    size_t length = text ? strnlen(text, size) : 0;
    if (length == 0 || length >= size)
        return error_set(error, -EINVAL, pointer, "must have 1 to %zu characters", size - 1);
    for (size_t i = 0; i < length; i++) {
        if (text[i] < ' ' || text[i] > '~')
            return error_set(error, -EINVAL, pointer, "must be printable ASCII");
    }
    memcpy(ret_text, text, length + 1);
    return 0;
}

/* Length in bytes of the UTF-8 character at `text` (RFC 3629: no overlong forms, no surrogates), 0
 * where there is none. */
static size_t character_length(const unsigned char *text)
{
    if (text[0] < 0x80)
        return 1;
    size_t length = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;
    if (text[0] < 0xC2 || text[0] > 0xF4)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    }
    if ((text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] > 0x9F) ||
        (text[0] == 0xF0 && text[1] < 0x90) || (text[0] == 0xF4 && text[1] > 0x8F))
        return 0;
    return length;
}

void foreign_message_copy(const char *text, char *ret_text, size_t size)
{
    const unsigned char *from = (const unsigned char *)(text ? text : "");
    size_t used = 0;
    while (*from) {
        size_t length = character_length(from);
        int replaced = length == 0 || (*from < ' ' && *from != '\n') || *from == 127;
        size_t step = replaced ? 1 : length;
        if (used + step >= size)
            break;
        if (replaced)
            ret_text[used] = '?';
        else
            memcpy(ret_text + used, from, step);
        used += step;
        from += step;
    }
    ret_text[used] = '\0';
}
