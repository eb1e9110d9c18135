#include "worker/agent_tail.h"

#include <stdio.h>
#include <string.h>

#include "proto/foreign_text.h"

void tail_init(struct tail *tail)
{
    *tail = (struct tail){.partial_length = 0};
}

static void finish_line(struct tail *tail, tail_on_line *on_line, void *context)
{
    tail->partial[tail->partial_length] = '\0';
    tail->partial_length = 0;
    char *line = tail->lines[tail->line_count % TAIL_LINES_MAX];
    foreign_message_copy(tail->partial, line, TAIL_LINE_SIZE);
    if (line[0] == '\0')
        return;
    tail->line_count++;
    on_line(context, line);
}

void tail_feed(struct tail *tail, const char *bytes, size_t length, tail_on_line *on_line,
               void *context)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            finish_line(tail, on_line, context);
            continue;
        }
        if (tail->partial_length == TAIL_LINE_SIZE - 1)
            finish_line(tail, on_line, context);
        tail->partial[tail->partial_length++] = bytes[i];
    }
}

void tail_end(struct tail *tail, tail_on_line *on_line, void *context)
{
    finish_line(tail, on_line, context);
}

void tail_text(const struct tail *tail, char *ret_text, size_t size)
{
    char joined[TAIL_LINES_MAX * (TAIL_LINE_SIZE + 3)] = "";
    size_t used = 0;
    size_t kept = tail->line_count < TAIL_LINES_MAX ? tail->line_count : TAIL_LINES_MAX;
    for (size_t i = tail->line_count - kept; i < tail->line_count; i++) {
        int added = snprintf(joined + used, sizeof joined - used, "%s%s", used ? " | " : "",
                             tail->lines[i % TAIL_LINES_MAX]);
        used += added > 0 ? (size_t)added : 0;
    }
    const char *start = used < size ? joined : joined + used - (size - 1);
    foreign_message_copy(start, ret_text, size);
}
