#include "search/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *ret_error, int code, const char *pointer, const char *format, ...)
{
    assert(code < 0);
    if (!ret_error)
        return code;
    snprintf(ret_error->pointer, sizeof ret_error->pointer, "%s", pointer);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_error->message, sizeof ret_error->message, format, arguments);
    va_end(arguments);
    return code;
}

int error_prefix(struct error *error, int code, const char *prefix)
{
    if (!error)
        return code;
    char pointer[ERROR_POINTER_SIZE];
    snprintf(pointer, sizeof pointer, "%.60s%.90s", prefix, error->pointer);
    memcpy(error->pointer, pointer, sizeof pointer);
    return code;
}
