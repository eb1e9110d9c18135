/* What standard output is: a terminal of some width that understands colours, or not. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

struct terminal {
    bool is_terminal;
    bool colour;  /* a terminal, NO_COLOR (no-color.org) is not set and TERM is not "dumb" */
    size_t width; /* columns; 0 = no limit, because this is not a terminal */
};

struct terminal terminal_of(int fd);

enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW };
/* The sequences that begin and end a colour; "" without colours. */
const char *terminal_begin(const struct terminal *terminal, enum colour colour);
const char *terminal_end(const struct terminal *terminal, enum colour colour);

/* Columns that UTF-8 text takes, counting one a character. */
size_t terminal_columns(const char *text);

#endif
