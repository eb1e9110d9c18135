/* Reads comma-separated values out of a text in memory, in place (RFC 4180: fields in quotes may hold commas and doubled
 * quotes, lines may end in CR LF).
 *
 * Legal order: csv_reader_init, then csv_reader_next until CSV_READER_END or an error. Allocates nothing; fields point into
 * the text, which is changed, and hold until the text is freed. Empty lines are passed over; blanks around a field that is
 * not in quotes are not part of it; a quoted field does not go on in the next line. Single-threaded. */
#ifndef SEARCH_CSV_READER_H
#define SEARCH_CSV_READER_H

#include "search/error.h"

#include <stddef.h>

enum { CSV_READER_FIELDS_MAX = 256, CSV_READER_END = 1 };

struct csv_reader {
    char *next, *end;
    size_t line; /* of the latest record, 1-based */
    char *fields[CSV_READER_FIELDS_MAX];
    size_t field_count;
};

/* `text` has `length` bytes and a terminator behind them. A byte order mark at its start is passed over. */
void csv_reader_init(struct csv_reader *reader, char *text, size_t length);

/* Reads the next record into `fields`. 0, CSV_READER_END, or -EINVAL with a sentence that names the line: a byte of value
 * 0, a quote without its partner or in the wrong place, too many fields. */
int csv_reader_next(struct csv_reader *reader, struct error *error) MUST_USE;

#endif
