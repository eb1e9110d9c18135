/* Reads the comma-separated figures that tests compare with. Fields hold no quotes. */
#ifndef TESTS_UNIT_SEARCH_CSV_H
#define TESTS_UNIT_SEARCH_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CSV_FIELDS_MAX = 24, CSV_LINE_SIZE = 1024 };

struct csv {
    FILE *file;
    char line[CSV_LINE_SIZE];
    const char *fields[CSV_FIELDS_MAX];
    size_t field_count;
};

/* Opens `name` in the folder of these tests and skips its heading. Fails the test where it cannot.
 */
void csv_open(struct csv *csv, const char *name);
/* The next row; false at the end. */
bool csv_next(struct csv *csv);
void csv_close(struct csv *csv);

/* Field of the current row as a whole number; fails the test where it is none. */
uint64_t csv_u64(const struct csv *csv, size_t field);

#endif
