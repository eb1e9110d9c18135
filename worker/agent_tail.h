/* The last lines that a trainer wrote to its standard error: cut into lines as they come, the last few kept to explain why it
 * ended. A plain value of fixed size; one thread. */
#ifndef WORKER_AGENT_TAIL_H
#define WORKER_AGENT_TAIL_H

#include <stddef.h>

enum {
    TAIL_LINE_SIZE = 512, /* bytes; longer lines are cut into several */
    TAIL_LINES_MAX = 4,
};

struct tail {
    char partial[TAIL_LINE_SIZE]; /* the line that is not finished yet */
    size_t partial_length;
    char lines[TAIL_LINES_MAX][TAIL_LINE_SIZE]; /* a ring */
    size_t line_count;                          /* seen since tail_init */
};

typedef void tail_on_line(void *context, const char *line);

void tail_init(struct tail *tail);
/* Calls on_line for each line that is complete now; bytes that are not UTF-8 or printable become '?', empty lines are left
 * out. */
void tail_feed(struct tail *tail, const char *bytes, size_t length, tail_on_line *on_line,
               void *context);
/* The unfinished line becomes a line. */
void tail_end(struct tail *tail, tail_on_line *on_line, void *context);
/* The kept lines, oldest first, joined by " | "; where they do not fit the beginning is left out. "" without lines. */
void tail_text(const struct tail *tail, char *ret_text, size_t size);

#endif
