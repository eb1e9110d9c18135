#include "cli/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, LAST_COLUMN_MIN = 16 };

struct row {
    enum colour colour;
    char *cells[TABLE_COLUMNS_MAX];
};

struct table {
    const struct table_column *columns;
    size_t column_count;
    size_t widths[TABLE_COLUMNS_MAX];
    struct row *rows;
    size_t row_count, row_capacity;
};

int table_new(const struct table_column *columns, size_t column_count, struct table **ret_table)
{
    assert(column_count > 0 && column_count <= TABLE_COLUMNS_MAX);
    struct table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    table->columns = columns;
    table->column_count = column_count;
    for (size_t i = 0; i < column_count; i++)
        table->widths[i] = terminal_columns(columns[i].title);
    *ret_table = table;
    return 0;
}

static void row_release(struct row *row)
{
    for (size_t i = 0; i < TABLE_COLUMNS_MAX; i++)
        free(row->cells[i]);
}

void table_free(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->row_count; i++)
        row_release(&table->rows[i]);
    free(table->rows);
    free(table);
}

/* Texts come from other people by way of the daemon: what would steer the terminal becomes '?'. */
static char *copy_cell(const char *text)
{
    char *cell = strdup(text ? text : "");
    char *to = cell;
    for (const char *from = cell; cell && *from; from++) {
        unsigned char c = (unsigned char)*from;
        bool c1 = c == 0xC2 && (unsigned char)from[1] >= 0x80 && (unsigned char)from[1] < 0xA0;
        *to++ = c < 0x20 || c == 0x7F || c1 ? '?' : *from;
        from += c1;
    }
    if (cell)
        *to = '\0';
    return cell;
}

static int grow(struct table *table)
{
    if (table->row_count < table->row_capacity)
        return 0;
    if (table->row_count >= TABLE_ROWS_MAX)
        return -E2BIG;
    size_t capacity = table->row_capacity ? 2 * table->row_capacity : 32;
    struct row *rows = reallocarray(table->rows, capacity, sizeof *rows);
    if (!rows)
        return -ENOMEM;
    table->rows = rows;
    table->row_capacity = capacity;
    return 0;
}

int table_add(struct table *table, enum colour colour, const char *const *cells)
{
    int r = grow(table);
    if (r)
        return r;
    struct row row = {.colour = colour};
    for (size_t i = 0; i < table->column_count; i++) {
        row.cells[i] = copy_cell(cells[i]);
        if (!row.cells[i]) {
            row_release(&row);
            return -ENOMEM;
        }
    }
    for (size_t i = 0; i < table->column_count; i++) {
        size_t width = terminal_columns(row.cells[i]);
        if (width > table->widths[i])
            table->widths[i] = width;
    }
    table->rows[table->row_count++] = row;
    return 0;
}

static void print_spaces(FILE *file, size_t count)
{
    fprintf(file, "%*s", (int)count, "");
}

/* Bytes of `text` that fit `columns`, up to the last space among them unless all of it fits; at
 * least one character. */
static size_t fitting(const char *text, size_t columns)
{
    size_t used = 0, space = 0, i = 0;
    for (; text[i]; i++) {
        bool starts_character = ((unsigned char)text[i] & 0xC0) != 0x80;
        if (starts_character && used++ >= columns)
            return space && text[i] != ' ' ? space : i;
        if (text[i] == ' ')
            space = i;
    }
    return i;
}

/* The last column, which begins at column `indent`; `room` 0 = no limit. */
static void print_last(FILE *file, const char *text, size_t indent, size_t room)
{
    while (room && terminal_columns(text) > room) {
        size_t part = fitting(text, room);
        fprintf(file, "%.*s\n", (int)part, text);
        text += part;
        while (*text == ' ')
            text++;
        print_spaces(file, indent);
    }
    fprintf(file, "%s", text);
}

static void print_cells(const struct table *table, char *const *cells, size_t room, FILE *file)
{
    size_t indent = 0;
    size_t last = table->column_count - 1;
    for (size_t i = 0; i < last; i++) {
        size_t padding = table->widths[i] - terminal_columns(cells[i]);
        if (table->columns[i].right)
            print_spaces(file, padding);
        fprintf(file, "%s", cells[i]);
        print_spaces(file, (table->columns[i].right ? 0 : padding) + GAP);
        indent += table->widths[i] + GAP;
    }
    print_last(file, cells[last], indent, room);
}

void table_print(const struct table *table, const struct terminal *terminal, FILE *file)
{
    size_t before_last = 0;
    for (size_t i = 0; i + 1 < table->column_count; i++)
        before_last += table->widths[i] + GAP;
    size_t room = 0;
    if (terminal->width)
        room = terminal->width >= before_last + LAST_COLUMN_MIN ? terminal->width - before_last
                                                                : LAST_COLUMN_MIN;

    char *titles[TABLE_COLUMNS_MAX];
    for (size_t i = 0; i < table->column_count; i++)
        titles[i] = (char *)table->columns[i].title;
    fprintf(file, "%s", terminal_begin(terminal, COLOUR_DIM));
    print_cells(table, titles, 0, file);
    fprintf(file, "%s\n", terminal_end(terminal, COLOUR_DIM));
    for (size_t i = 0; i < table->row_count; i++) {
        const struct row *row = &table->rows[i];
        fprintf(file, "%s", terminal_begin(terminal, row->colour));
        print_cells(table, row->cells, room, file);
        fprintf(file, "%s\n", terminal_end(terminal, row->colour));
    }
}
