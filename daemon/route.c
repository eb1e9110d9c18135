#include "daemon/route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_DIGITS_MAX = 18 };

bool route_match(const char *pattern, const char *path, struct route_parameters *ret_parameters)
{
    struct route_parameters parameters = {.count = 0};
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        assert(parameters.count < ROUTE_PARAMETERS_MAX);
        size_t length = strcspn(path, "/:");
        if (length == 0 || length >= ROUTE_PARAMETER_SIZE)
            return false;
        memcpy(parameters.text[parameters.count], path, length);
        parameters.text[parameters.count++][length] = '\0';
        path += length;
        pattern = strchr(pattern, '}') + 1;
    }
    if (*path)
        return false;
    *ret_parameters = parameters;
    return true;
}

bool route_number(const char *text, uint64_t *ret_number)
{
    size_t length = strlen(text);
    if (length == 0 || length > NUMBER_DIGITS_MAX || strspn(text, "0123456789") != length ||
        (text[0] == '0' && length > 1))
        return false;
    *ret_number = strtoull(text, NULL, 10);
    return true;
}
