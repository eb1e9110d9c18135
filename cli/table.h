/* Tables of text: columns as wide as their widest cell, two spaces between them. Where the last
 * column does not fit the width, it goes on in the following lines, broken at spaces: nothing is
 * cut. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli/terminal.h"
#include "search/attributes.h"

#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 16, TABLE_ROWS_MAX = 1000000 };

struct table_column {
    const char *title;
    bool right; /* aligned to the right; the last column never is */
};

struct table;

/* `columns` outlives the table. -ENOMEM. */
int table_new(const struct table_column *columns, size_t column_count,
              struct table **ret_table) MUST_USE;
void table_free(struct table *table);

/* Copies one text a column (NULL = ""). A row in a colour other than COLOUR_NONE stands out.
 * -ENOMEM; -E2BIG above TABLE_ROWS_MAX. */
int table_add(struct table *table, enum colour colour, const char *const *cells) MUST_USE;

/* The title line, then the rows; nothing but the title line for no rows. */
void table_print(const struct table *table, const struct terminal *terminal, FILE *file);

#endif
