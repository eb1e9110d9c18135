#include "search/json_locate.h"

#include "search/json_read.h"

#include <stdbool.h>
#include <string.h>

enum { KEY_SIZE = 64 };

/* A container that the scanner is inside of. */
struct container {
    bool is_object;
    size_t index;       /* of the element, in an array */
    char key[KEY_SIZE]; /* of the member, in an object; "" before the first */
};

struct scanner {
    struct container containers[JSON_LOCATE_DEPTH_MAX];
    size_t depth; /* may exceed the maximum; what is deeper is only counted */
    bool expects_key;
};

static struct container *innermost(struct scanner *scanner)
{
    if (scanner->depth == 0 || scanner->depth > JSON_LOCATE_DEPTH_MAX)
        return NULL;
    return &scanner->containers[scanner->depth - 1];
}

static void enter(struct scanner *scanner, bool is_object)
{
    scanner->depth++;
    struct container *container = innermost(scanner);
    if (container)
        *container = (struct container){.is_object = is_object};
    scanner->expects_key = is_object;
}

static void next_member(struct scanner *scanner)
{
    struct container *container = innermost(scanner);
    if (!container)
        return;
    scanner->expects_key = container->is_object;
    container->index++;
}

/* Reads the string that starts at text[at], a quote; returns the offset behind it. Escapes are kept as written. */
static size_t scan_string(struct scanner *scanner, const char *text, size_t at, size_t end)
{
    size_t start = ++at;
    while (at < end && text[at] != '"')
        at += text[at] == '\\' ? 2 : 1;
    if (at > end)
        at = end;
    struct container *container = innermost(scanner);
    if (scanner->expects_key && container) {
        size_t length = at - start < KEY_SIZE - 1 ? at - start : KEY_SIZE - 1;
        memcpy(container->key, text + start, length);
        container->key[length] = '\0';
        scanner->expects_key = false;
    }
    return at + 1;
}

static void write_pointer(const struct scanner *scanner, char ret_pointer[ERROR_POINTER_SIZE])
{
    ret_pointer[0] = '\0';
    for (size_t i = 0; i < scanner->depth && i < JSON_LOCATE_DEPTH_MAX; i++) {
        const struct container *container = &scanner->containers[i];
        if (!container->is_object)
            json_pointer_join_index(ret_pointer, container->index, ret_pointer);
        else if (container->key[0] != '\0')
            json_pointer_join(ret_pointer, container->key, ret_pointer);
    }
}

void json_locate(const char *text, size_t length, size_t offset,
                 char ret_pointer[ERROR_POINTER_SIZE])
{
    struct scanner scanner = {.depth = 0};
    size_t end = offset < length ? offset : length;
    for (size_t at = 0; at < end;) {
        char letter = text[at];
        if (letter == '"') {
            at = scan_string(&scanner, text, at, end);
            continue;
        }
        if (letter == '{' || letter == '[')
            enter(&scanner, letter == '{');
        else if ((letter == '}' || letter == ']') && scanner.depth > 0)
            scanner.depth--;
        else if (letter == ',')
            next_member(&scanner);
        at++;
    }
    write_pointer(&scanner, ret_pointer);
}
