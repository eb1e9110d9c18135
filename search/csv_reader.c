#include "search/csv_reader.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char byte_order_mark[] = "\xef\xbb\xbf";

void csv_reader_init(struct csv_reader *reader, char *text, size_t length)
{
    const size_t mark = sizeof byte_order_mark - 1;
    bool marked = length >= mark && memcmp(text, byte_order_mark, mark) == 0;
    reader->next = marked ? text + mark : text;
    reader->end = text + length;
    reader->line = 0;
    reader->field_count = 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes a field in quotes from *cursor, which then stands behind the closing quote. The text shrinks in place. */
static int take_quoted(const struct csv_reader *reader, char **cursor, struct error *error)
{
    char *read = *cursor + 1, *write = *cursor;
    while (*read != '\0' && (read[0] != '"' || read[1] == '"')) {
        read += read[0] == '"';
        *write++ = *read++;
    }
    if (*read == '\0')
        return error_set(error, -EINVAL, "",
                         "line %zu: a quote is not closed before the end of the line.",
                         reader->line);
    *write = '\0';
    *cursor = read + 1;
    return 0;
}

/* Takes the field at *cursor and moves past it: to the comma behind it, or the end of the line. */
static int take_field(struct csv_reader *reader, char **cursor, struct error *error)
{
    while (is_blank(**cursor))
        (*cursor)++;
    char *field = *cursor;
    reader->fields[reader->field_count++] = field;
    if (*field != '"') {
        *cursor += strcspn(field, ",");
        char *end = *cursor;
        while (end > field && is_blank(end[-1]))
            end--;
        /* The comma itself is looked at by the caller before it is overwritten. */
        if (end < *cursor)
            *end = '\0';
        return 0;
    }
    int r = take_quoted(reader, cursor, error);
    if (r < 0)
        return r;
    while (is_blank(**cursor))
        (*cursor)++;
    if (**cursor != ',' && **cursor != '\0')
        return error_set(error, -EINVAL, "",
                         "line %zu: field %zu goes on behind its closing quote.", reader->line,
                         reader->field_count);
    return 0;
}

static int split(struct csv_reader *reader, char *line, struct error *error)
{
    reader->field_count = 0;
    for (char *cursor = line;; cursor++) {
        if (reader->field_count == CSV_READER_FIELDS_MAX)
            return error_set(error, -EINVAL, "", "line %zu: more than %d fields.", reader->line,
                             CSV_READER_FIELDS_MAX);
        int r = take_field(reader, &cursor, error);
        if (r < 0)
            return r;
        if (*cursor == '\0')
            return 0;
        *cursor = '\0';
    }
}

int csv_reader_next(struct csv_reader *reader, struct error *error)
{
    while (reader->next < reader->end) {
        char *line = reader->next;
        size_t left = (size_t)(reader->end - line);
        char *end = memchr(line, '\n', left);
        if (!end)
            end = reader->end;
        reader->next = end < reader->end ? end + 1 : end;
        reader->line++;
        if (memchr(line, '\0', (size_t)(end - line)))
            return error_set(error, -EINVAL, "", "line %zu: a byte of value 0.", reader->line);
        if (end > line && end[-1] == '\r')
            end--;
        *end = '\0';
        if (line[strspn(line, " \t")] != '\0')
            return split(reader, line, error);
    }
    return CSV_READER_END;
}
