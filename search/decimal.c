#include "search/decimal.h"

#include <string.h>

void decimal_format(unsigned __int128 value, char ret_text[DECIMAL_SIZE])
{
    char digits[DECIMAL_SIZE];
    char *first = digits + sizeof digits - 1;
    *first = '\0';
    do {
        *--first = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value > 0);
    memcpy(ret_text, first, (size_t)(digits + sizeof digits - first));
}
