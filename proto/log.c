#include "proto/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warning", "info", "debug"};

const char *log_level_name(enum log_level level)
{
    assert((size_t)level < ARRAY_LENGTH(level_names));
    return level_names[level];
}

int log_level_from_name(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_LENGTH(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

static size_t write_prefix(const struct log *log, enum log_level level, char *line, size_t size)
{
    struct timespec now = {0};
    struct tm utc = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    int length = snprintf(line, size, "%s.%03ldZ %s %s: ", stamp, now.tv_nsec / 1000000,
                          log_level_name(level), log->program);
    return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size - 1;
}

void log_line(const struct log *log, enum log_level level, const char *format, ...)
{
    if (level > log->level)
        return;
    char line[LOG_LINE_SIZE + 1];
    size_t start = write_prefix(log, level, line, LOG_LINE_SIZE);
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(line + start, LOG_LINE_SIZE - start, format, arguments);
    va_end(arguments);
    size_t length = start + (wanted < 0 ? 0 : (size_t)wanted);
    if (length > LOG_LINE_SIZE - 1)
        length = LOG_LINE_SIZE - 1;
    for (size_t i = start; i < length; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 127)
            line[i] = '?';
    }
    line[length++] = '\n';
    ssize_t written = write(log->fd, line, length);
    (void)written; /* a log that cannot be written has nobody to tell */
}
