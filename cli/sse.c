#include "cli/sse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sse_init(struct sse *sse, sse_visit *visit, void *context)
{
    *sse = (struct sse){.visit = visit, .context = context};
    sse->line = malloc(SSE_LINE_MAX);
    sse->data = malloc(SSE_LINE_MAX);
    if (sse->line && sse->data)
        return 0;
    sse_release(sse);
    return -ENOMEM;
}

void sse_release(struct sse *sse)
{
    free(sse->line);
    free(sse->data);
    sse->line = NULL;
    sse->data = NULL;
}

void sse_restart(struct sse *sse)
{
    sse->line_length = 0;
    sse->data_length = 0;
    sse->type[0] = '\0';
    sse->after_return = false;
}

static int dispatch(struct sse *sse)
{
    int r = 0;
    if (sse->data_length > 0) {
        sse->data[sse->data_length - 1] = '\0'; /* instead of the last line feed */
        struct sse_event event = {.type = sse->type[0] ? sse->type : "message", .data = sse->data};
        r = sse->visit(sse->context, &event);
    }
    sse->data_length = 0;
    sse->type[0] = '\0';
    return r;
}

static void set_retry(struct sse *sse, const char *value)
{
    char *end;
    unsigned long retry_ms = strtoul(value, &end, 10);
    if (end != value && *end == '\0' && retry_ms <= 60000)
        sse->retry_ms = (unsigned)retry_ms;
}

/* One whole line, terminated by 0, without its end. */
static int take_line(struct sse *sse)
{
    char *line = sse->line;
    if (sse->line_length == 0)
        return dispatch(sse);
    if (line[0] == ':')
        return 0;
    char *value = strchr(line, ':');
    if (value) {
        *value++ = '\0';
        if (*value == ' ')
            value++;
    } else
        value = line + sse->line_length;

    if (strcmp(line, "data") == 0) {
        size_t length = strlen(value);
        if (sse->data_length + length + 1 > SSE_LINE_MAX)
            return -EMSGSIZE;
        memcpy(sse->data + sse->data_length, value, length);
        sse->data_length += length;
        sse->data[sse->data_length++] = '\n';
    } else if (strcmp(line, "event") == 0)
        snprintf(sse->type, sizeof sse->type, "%s", value);
    else if (strcmp(line, "id") == 0)
        snprintf(sse->last_id, sizeof sse->last_id, "%s", value);
    else if (strcmp(line, "retry") == 0)
        set_retry(sse, value);
    return 0;
}

int sse_feed(struct sse *sse, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        bool second_half = sse->after_return && c == '\n';
        sse->after_return = c == '\r';
        if (second_half)
            continue;
        if (c == '\n' || c == '\r') {
            sse->line[sse->line_length] = '\0';
            int r = take_line(sse);
            sse->line_length = 0;
            if (r)
                return r;
        } else {
            if (sse->line_length + 1 >= SSE_LINE_MAX)
                return -EMSGSIZE;
            sse->line[sse->line_length++] = c;
        }
    }
    return 0;
}
