#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_DEFAULT = 80, WIDTH_MIN = 20, WIDTH_MAX = 1000 };

static size_t width_of(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return WIDTH_DEFAULT;
    return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col > WIDTH_MAX ? WIDTH_MAX : size.ws_col;
}

struct terminal terminal_of(int fd)
{
    struct terminal terminal = {.is_terminal = isatty(fd)};
    if (!terminal.is_terminal)
        return terminal;
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    terminal.colour = !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
    terminal.width = width_of(fd);
    return terminal;
}

const char *terminal_begin(const struct terminal *terminal, enum colour colour)
{
    if (!terminal->colour)
        return "";
    switch (colour) {
    case COLOUR_BOLD:
        return "\033[1m";
    case COLOUR_DIM:
        return "\033[2m";
    case COLOUR_RED:
        return "\033[31m";
    case COLOUR_GREEN:
        return "\033[32m";
    case COLOUR_YELLOW:
        return "\033[33m";
    case COLOUR_NONE:
        break;
    }
    return "";
}

const char *terminal_end(const struct terminal *terminal, enum colour colour)
{
    return terminal->colour && colour != COLOUR_NONE ? "\033[0m" : "";
}

size_t terminal_columns(const char *text)
{
    size_t columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xC0) != 0x80;
    return columns;
}
