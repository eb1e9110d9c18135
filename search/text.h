/* A growable text that demands a maximum, so that no input can make it grow without end.
 *
 * Legal order: text_init -> text_add and text_format ... -> text_status -> read `data` ->
 * text_release. The first failure sticks: what is added afterwards is ignored, so that a caller may
 * add a whole page and look once, at the end. The caller owns the struct; the text owns `data`.
 * Single-threaded. */
#ifndef SEARCH_TEXT_H
#define SEARCH_TEXT_H

#include "search/attributes.h"

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data;        /* always terminated once something was added; NULL before that */
    size_t length;     /* bytes, terminator not counted */
    size_t capacity;   /* bytes allocated */
    size_t length_max; /* never exceeded */
    int status;        /* 0, -ENOMEM or -E2BIG */
};

/* An empty text that may grow to `length_max` bytes. Allocates nothing. */
void text_init(struct text *text, size_t length_max);
/* Frees the data and leaves an empty text with the same maximum. A text of zeros is legal. */
void text_release(struct text *text);

void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const char *bytes, size_t length);
void text_format(struct text *text, const char *format, ...) FORMAT_PRINTF(2, 3);

/* 0, -ENOMEM, or -E2BIG where the maximum was reached: the data are then incomplete and must not be
 * used. */
int text_status(const struct text *text) MUST_USE;

/* The data, "" for an empty text; never NULL. */
const char *text_string(const struct text *text);

#endif
