/* Server-sent events (WHATWG HTML, section 9.2.6), parsed from a stream in pieces of any size.
 * Pure. */
#ifndef CLI_SSE_H
#define CLI_SSE_H

#include "search/attributes.h"

#include <stdbool.h>
#include <stddef.h>

enum { SSE_LINE_MAX = 65536, SSE_ID_SIZE = 64, SSE_TYPE_SIZE = 64 };

struct sse_event {
    const char *type; /* "message" where the stream names none */
    const char *data; /* lines joined with line feeds */
};

/* Called for each event; anything but 0 stops the parser and is returned by sse_feed. */
typedef int sse_visit(void *context, const struct sse_event *event);

struct sse {
    sse_visit *visit;
    void *context;
    char last_id[SSE_ID_SIZE]; /* of the latest event that had one; "" before */
    unsigned retry_ms;         /* asked for by the server; 0 = not */
    char type[SSE_TYPE_SIZE];
    char *line, *data; /* each SSE_LINE_MAX bytes */
    size_t line_length, data_length;
    bool after_return; /* the previous byte was a carriage return */
};

/* -ENOMEM */
int sse_init(struct sse *sse, sse_visit *visit, void *context) MUST_USE;
void sse_release(struct sse *sse); /* a zeroed one is legal */

/* 0, what `visit` returned, or -EMSGSIZE for a line or an event above SSE_LINE_MAX. */
int sse_feed(struct sse *sse, const char *bytes, size_t length) MUST_USE;

/* Forgets a half-received event; last_id stays. For a new connection. */
void sse_restart(struct sse *sse);

#endif
