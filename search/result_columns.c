#include "search/result_columns.h"

#include "search/suggest.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_TITLE_SIZE = 32 };

int result_refuse(const struct result_layout *layout, size_t line, size_t column,
                  struct error *error, const char *format, ...)
{
    char sentence[ERROR_MESSAGE_SIZE];
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    return error_set(error, -EINVAL, "", "line %zu, column \"%s\": %s", line,
                     layout->titles[column], sentence);
}

/* ---- the header ---- */

/* The column with the title of `length` bytes; RESULT_COLUMN_NONE. */
static size_t column_of(const struct csv_reader *header, const char *title, size_t length)
{
    for (size_t i = 0; i < header->field_count; i++)
        if (strlen(header->fields[i]) == length && memcmp(header->fields[i], title, length) == 0)
            return i;
    return RESULT_COLUMN_NONE;
}

/* Finds a column that must be there. `what` says what it was to hold. */
static int column_find(const struct csv_reader *header, const char *what, const char *title,
                       size_t length, size_t *ret_column, struct error *error)
{
    *ret_column = column_of(header, title, length);
    if (*ret_column != RESULT_COLUMN_NONE)
        return 0;
    char wanted[SUGGEST_LENGTH_MAX];
    snprintf(wanted, sizeof wanted, "%.*s", (int)length, title);
    const char *near = suggest(wanted, (const char *const *)header->fields, header->field_count);
    return error_set(error, -EINVAL, "",
                     "line %zu: the header has no column \"%s\" for the %s%s%.64s%s", header->line,
                     wanted, what, near ? "; did you mean \"" : "; name the one that has it",
                     near ? near : "", near ? "\"?" : ".");
}

/* A column that need not be there unless its title was given. */
static int optional_find(const struct csv_reader *header, const char *what, const char *title,
                         size_t *ret_column, struct error *error)
{
    if (title)
        return column_find(header, what, title, strlen(title), ret_column, error);
    *ret_column = column_of(header, what, strlen(what));
    return 0;
}

static int named_runs_find(const struct csv_reader *header, const char *titles,
                           struct result_layout *layout, struct error *error)
{
    for (const char *title = titles;;) {
        size_t length = strcspn(title, ","), column;
        if (layout->run_count == RESULT_TABLE_RUNS_MAX)
            return error_set(error, -EINVAL, "", "More than %d columns of runs.",
                             RESULT_TABLE_RUNS_MAX);
        int r = column_find(header, "accuracy of a run", title, length, &column, error);
        if (r < 0)
            return r;
        layout->runs[layout->run_count++] = column;
        if (title[length] == '\0')
            return 0;
        title += length + 1;
    }
}

static void numbered_runs_find(const struct csv_reader *header, struct result_layout *layout)
{
    while (layout->run_count < RESULT_TABLE_RUNS_MAX) {
        char title[RUN_TITLE_SIZE];
        int length = snprintf(title, sizeof title, "accuracy_%zu", layout->run_count + 1);
        size_t column = column_of(header, title, (size_t)length);
        if (column == RESULT_COLUMN_NONE)
            return;
        layout->runs[layout->run_count++] = column;
    }
}

static int titles_read(const struct csv_reader *header, struct result_layout *layout,
                       struct error *error)
{
    layout->field_count = header->field_count;
    for (size_t i = 0; i < header->field_count; i++) {
        const char *title = header->fields[i];
        size_t first = column_of(header, title, strlen(title));
        if (*title != '\0' && first != i)
            return error_set(error, -EINVAL, "",
                             "line %zu: columns %zu and %zu are both called \"%.64s\".",
                             header->line, first + 1, i + 1, title);
        snprintf(layout->titles[i], sizeof layout->titles[i], "%.60s", title);
    }
    return 0;
}

int result_layout_read(const struct csv_reader *header, const struct result_columns *columns,
                       struct result_layout *ret_layout, struct error *error)
{
    struct result_layout *layout = ret_layout;
    layout->run_count = 0;
    const char *encoding = columns->encoding ? columns->encoding : "encoding";
    int r = titles_read(header, layout, error);
    if (r == 0)
        r = column_find(header, "architecture", encoding, strlen(encoding), &layout->encoding,
                        error);
    if (r == 0)
        r = optional_find(header, "accuracy", columns->accuracy, &layout->accuracy, error);
    if (r == 0)
        r = optional_find(header, "loss", columns->loss, &layout->loss, error);
    if (r == 0)
        r = optional_find(header, "step_time", columns->step_time, &layout->step_time, error);
    if (r == 0)
        r = optional_find(header, "seconds", columns->seconds, &layout->seconds, error);
    if (r == 0 && columns->runs)
        r = named_runs_find(header, columns->runs, layout, error);
    else if (r == 0)
        numbered_runs_find(header, layout);
    if (r == 0 && layout->accuracy == RESULT_COLUMN_NONE && layout->run_count == 0)
        r = error_set(error, -EINVAL, "",
                      "line %zu: the header has neither a column \"accuracy\" nor \"accuracy_1\"; "
                      "name the one that has it.",
                      header->line);
    return r;
}

/* ---- a line ---- */

/* The number in a column; NaN where the layout has none. */
static int number_read(const struct result_layout *layout, const struct csv_reader *reader,
                       size_t column, double *ret_number, struct error *error)
{
    *ret_number = NAN;
    if (column == RESULT_COLUMN_NONE)
        return 0;
    const char *text = reader->fields[column];
    char *end;
    double number = strtod(text, &end);
    if (*text == '\0')
        return result_refuse(layout, reader->line, column, error, "there is nothing.");
    if (end == text || *end != '\0')
        return result_refuse(layout, reader->line, column, error, "\"%.40s\" is no number.", text);
    if (!isfinite(number))
        return result_refuse(layout, reader->line, column, error,
                             "\"%.40s\" is no finite number; leave out what could not be trained.",
                             text);
    *ret_number = number;
    return 0;
}

/* A number that must be above 0, or at least 0. */
static int positive_read(const struct result_layout *layout, const struct csv_reader *reader,
                         size_t column, double *ret_number, struct error *error)
{
    bool may_be_zero = column == layout->loss;
    int r = number_read(layout, reader, column, ret_number, error);
    if (r < 0 || *ret_number > 0 || isnan(*ret_number) || (may_be_zero && *ret_number == 0))
        return r;
    return result_refuse(layout, reader->line, column, error, "\"%.40s\" must be %s 0.",
                         reader->fields[column], may_be_zero ? "at least" : "above");
}

int result_layout_values(const struct result_layout *layout, const struct csv_reader *reader,
                         struct result_entry *ret_entry, double *ret_runs, struct error *error)
{
    double sum = 0;
    int r = number_read(layout, reader, layout->accuracy, &ret_entry->accuracy, error);
    for (size_t i = 0; i < layout->run_count && r == 0; i++) {
        r = number_read(layout, reader, layout->runs[i], &ret_runs[i], error);
        sum += ret_runs[i];
    }
    if (layout->accuracy == RESULT_COLUMN_NONE)
        ret_entry->accuracy = sum / (double)layout->run_count;
    if (r == 0)
        r = positive_read(layout, reader, layout->loss, &ret_entry->loss, error);
    if (r == 0)
        r = positive_read(layout, reader, layout->step_time, &ret_entry->step_time, error);
    if (r == 0)
        r = positive_read(layout, reader, layout->seconds, &ret_entry->seconds, error);
    return r;
}
