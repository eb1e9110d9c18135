#include "cli/json_place.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

struct scan {
    const char *text;
    size_t length, at;
};

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->length && strchr(" \t\r\n", scan->text[scan->at]))
        scan->at++;
}

static bool take(struct scan *scan, char expected)
{
    skip_space(scan);
    if (scan->at >= scan->length || scan->text[scan->at] != expected)
        return false;
    scan->at++;
    return true;
}

/* Moves past a string; the first byte is its quote. */
static bool skip_string(struct scan *scan)
{
    if (!take(scan, '"'))
        return false;
    for (; scan->at < scan->length; scan->at++) {
        if (scan->text[scan->at] == '\\')
            scan->at++;
        else if (scan->text[scan->at] == '"') {
            scan->at++;
            return true;
        }
    }
    return false;
}

/* Moves past one value of any kind, without recursion. */
static bool skip_value(struct scan *scan)
{
    size_t depth = 0;
    do {
        skip_space(scan);
        if (scan->at >= scan->length)
            return false;
        char c = scan->text[scan->at];
        if (c == '"') {
            if (!skip_string(scan))
                return false;
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']') {
            if (depth == 0)
                return false;
            depth--;
        } else if (depth == 0) {
            size_t plain = scan->at;
            while (scan->at < scan->length && !strchr(",]} \t\r\n", scan->text[scan->at]))
                scan->at++;
            return scan->at > plain;
        }
        scan->at++;
    } while (depth > 0);
    return true;
}

/* Takes the pointer's next step into `ret_step`, unescaped. False at its end or where a step is
 * longer than any key. */
static bool next_step(const char **pointer, char *ret_step, size_t size)
{
    const char *p = *pointer;
    if (*p != '/')
        return false;
    size_t length = 0;
    for (p++; *p && *p != '/'; p++) {
        char c = *p;
        if (c == '~' && (p[1] == '0' || p[1] == '1'))
            c = *++p == '0' ? '~' : '/';
        if (length + 1 >= size)
            return false;
        ret_step[length++] = c;
    }
    ret_step[length] = '\0';
    *pointer = p;
    return true;
}

/* Stands at the value of member `key` afterwards; false where the object has none. Keys with
 * escapes are not compared. */
static bool enter_member(struct scan *scan, const char *key)
{
    if (!take(scan, '{'))
        return false;
    size_t key_length = strlen(key);
    do {
        skip_space(scan);
        size_t start = scan->at + 1;
        if (!skip_string(scan))
            return false;
        bool same =
            scan->at - 1 - start == key_length && memcmp(scan->text + start, key, key_length) == 0;
        if (!take(scan, ':'))
            return false;
        skip_space(scan);
        if (same)
            return true;
        if (!skip_value(scan))
            return false;
    } while (take(scan, ','));
    return false;
}

static bool enter_element(struct scan *scan, const char *index_text)
{
    size_t index = 0;
    for (const char *p = index_text; *p; p++) {
        if (*p < '0' || *p > '9' || index > 100000000)
            return false;
        index = 10 * index + (size_t)(*p - '0');
    }
    if (!take(scan, '['))
        return false;
    for (; index > 0; index--)
        if (!skip_value(scan) || !take(scan, ','))
            return false;
    skip_space(scan);
    return scan->at < scan->length && scan->text[scan->at] != ']';
}

struct json_place json_place_at(const char *text, size_t length, size_t offset)
{
    struct json_place place = {.line = 1};
    if (offset > length)
        offset = length;
    for (size_t i = 0; i < offset; i++)
        if (text[i] == '\n') {
            place.line++;
            place.line_start = i + 1;
        }
    place.column = offset - place.line_start + 1;
    const char *end = memchr(text + place.line_start, '\n', length - place.line_start);
    place.line_length = end ? (size_t)(end - text) - place.line_start : length - place.line_start;
    return place;
}

int json_place_find(const char *text, size_t length, const char *pointer,
                    struct json_place *ret_place)
{
    struct scan scan = {.text = text, .length = length};
    char step[256];
    skip_space(&scan);
    if (scan.at >= length)
        return -EINVAL;
    size_t found = scan.at;
    for (size_t depth = 0; next_step(&pointer, step, sizeof step); depth++) {
        if (depth >= DEPTH_MAX)
            return -EINVAL;
        bool entered =
            scan.text[scan.at] == '[' ? enter_element(&scan, step) : enter_member(&scan, step);
        if (!entered || scan.at >= length)
            break;
        found = scan.at;
    }
    *ret_place = json_place_at(text, length, found);
    return 0;
}
