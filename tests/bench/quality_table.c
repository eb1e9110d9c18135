#include "tests/bench/quality_table.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 4096 };

/* Numbers of columns; -1: there is none. */
struct columns {
    int arch, accuracy, runs[QUALITY_RUNS_MAX];
    uint32_t run_count;
};

static _Noreturn void give_up(const char *path, size_t line, const char *what)
{
    fprintf(stderr, "%s:%zu: %s\n", path, line, what);
    exit(1);
}

/* Cuts a line at its commas, in place. */
static size_t split(char *line, char *ret_fields[QUALITY_COLUMNS_MAX])
{
    size_t count = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *field = line; field && count < QUALITY_COLUMNS_MAX;) {
        ret_fields[count++] = field;
        field = strchr(field, ',');
        if (field)
            *field++ = '\0';
    }
    return count;
}

static struct columns columns_read(char *header)
{
    struct columns columns = {.arch = -1, .accuracy = -1};
    char *names[QUALITY_COLUMNS_MAX];
    const size_t count = split(header, names);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], "arch") == 0)
            columns.arch = (int)i;
        if (strcmp(names[i], "accuracy") == 0 || strcmp(names[i], "mean_acc") == 0)
            columns.accuracy = (int)i;
        if (strncmp(names[i], "acc_seed", 8) == 0 && columns.run_count < QUALITY_RUNS_MAX)
            columns.runs[columns.run_count++] = (int)i;
    }
    return columns;
}

static uint32_t option_of(char digit)
{
    return (uint32_t)(isdigit((unsigned char)digit) ? digit - '0' : tolower(digit) - 'a' + 10);
}

/* False where the text does not name one option a stage. */
static bool encoding_read(const struct space *space, const char *text, struct encoding *ret)
{
    const uint32_t stages = space_stage_count(space);
    const bool packed = strlen(text) == stages;
    *ret = (struct encoding){{0}};
    for (uint32_t i = 0; i < stages; i++) {
        if (packed) {
            ret->choices[i] =
                (uint16_t)(isalnum((unsigned char)text[i]) ? option_of(text[i]) : UINT16_MAX);
            continue;
        }
        text += strcspn(text, "0123456789");
        if (!*text)
            return false;
        char *end;
        ret->choices[i] = (uint16_t)strtoul(text, &end, 10);
        text = end;
    }
    return space_contains(space, ret);
}

static double fraction_of(const char *text)
{
    const double value = strtod(text, NULL);
    return value > 1 ? value / 100 : value;
}

/* False where a column is missing or the encoding is not of the space. */
static bool row_read(const struct spec *spec, const struct columns *columns, char *line,
                     struct quality_row *ret_row)
{
    char *fields[QUALITY_COLUMNS_MAX];
    struct encoding encoding;
    struct architecture architecture;
    const int count = (int)split(line, fields);
    if (columns->arch >= count || columns->accuracy >= count ||
        !encoding_read(spec->space, fields[columns->arch], &encoding))
        return false;
    space_architecture(spec->space, &encoding, &architecture);
    *ret_row = (struct quality_row){.hash = architecture_hash(&architecture),
                                    .cost = pricing_cost(spec->pricing, &encoding),
                                    .accuracy = fraction_of(fields[columns->accuracy])};
    for (uint32_t i = 0; i < columns->run_count; i++)
        ret_row->runs[i] = columns->runs[i] < count ? fraction_of(fields[columns->runs[i]]) : NAN;
    return true;
}

static int by_hash(const void *a, const void *b)
{
    const struct quality_row *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void table_add(struct quality_table *table, const struct quality_row *row)
{
    if ((table->count & (table->count - 1)) == 0) {
        const size_t capacity = table->count > 0 ? 2 * table->count : 1;
        table->rows = realloc(table->rows, capacity * sizeof *table->rows);
        if (!table->rows)
            abort();
    }
    table->rows[table->count++] = *row;
    table->best = fmax(table->best, row->accuracy);
    table->largest.params = larger(table->largest.params, row->cost.params);
    table->largest.macs = larger(table->largest.macs, row->cost.macs);
    table->largest.activation_bytes =
        larger(table->largest.activation_bytes, row->cost.activation_bytes);
}

void quality_table_read(const char *path, const struct spec *spec, struct quality_table *ret_table)
{
    struct quality_table table = {.rows = NULL};
    char line[LINE_SIZE];
    size_t number = 1;
    FILE *file = fopen(path, "r");
    if (!file || !fgets(line, sizeof line, file))
        give_up(path, number, "cannot be read");
    const struct columns columns = columns_read(line);
    if (columns.arch < 0 || columns.accuracy < 0)
        give_up(path, number, "there must be columns arch and accuracy (or mean_acc)");
    while (number++, fgets(line, sizeof line, file)) {
        struct quality_row row;
        if (!row_read(spec, &columns, line, &row))
            give_up(path, number, "is no row of this space");
        table_add(&table, &row);
    }
    fclose(file);
    if (table.count == 0)
        give_up(path, number, "there are no rows");
    table.run_count = columns.run_count;
    qsort(table.rows, table.count, sizeof *table.rows, by_hash);
    *ret_table = table;
}

void quality_table_release(struct quality_table *table)
{
    free(table->rows);
    *table = (struct quality_table){.rows = NULL};
}

const struct quality_row *quality_table_find(const struct quality_table *table, uint64_t hash)
{
    const struct quality_row key = {.hash = hash};
    return bsearch(&key, table->rows, table->count, sizeof key, by_hash);
}
