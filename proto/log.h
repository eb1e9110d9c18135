/* The programs' log: one line a call on standard error, "2026-01-31T12:00:00.000Z level program:
 * text".
 *
 * Only programs log; libraries return errors. A struct log is a plain value made once by main and
 * passed down; logging never fails the caller. Lines of several processes do not mix: each is one
 * write(2). */
#ifndef PROTO_LOG_H
#define PROTO_LOG_H

#include "search/attributes.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

enum { LOG_LINE_SIZE = 2048 }; /* bytes, longer lines are cut */

struct log {
    const char *program;  /* outlives the log */
    enum log_level level; /* lines above it are dropped */
    int fd;
};

const char *log_level_name(enum log_level level); /* "error", "warning", "info", "debug" */
int log_level_from_name(const char *name, enum log_level *ret_level) MUST_USE; /* -EINVAL */

/* Control characters in the text, line feeds among them, are written as '?'. */
void log_line(const struct log *log, enum log_level level, const char *format, ...)
    FORMAT_PRINTF(3, 4);

#endif
