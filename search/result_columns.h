/* Which columns of a table's file hold what, and reading one line by them. Used by result_table.c only. */
#ifndef SEARCH_RESULT_COLUMNS_H
#define SEARCH_RESULT_COLUMNS_H

#include "search/csv_reader.h"
#include "search/result_table.h"

enum { RESULT_COLUMN_NONE = CSV_READER_FIELDS_MAX };

struct result_layout {
    size_t encoding, accuracy, loss, step_time, seconds; /* columns; RESULT_COLUMN_NONE */
    size_t runs[RESULT_TABLE_RUNS_MAX];
    size_t run_count;
    size_t field_count;                     /* of the header and of every line */
    char titles[CSV_READER_FIELDS_MAX][64]; /* for messages; cut where they are longer */
};

/* Reads the header, the reader's latest record. -EINVAL naming the column that is missing, twice there or no column. */
int result_layout_read(const struct csv_reader *header, const struct result_columns *columns,
                       struct result_layout *ret_layout, struct error *error) MUST_USE;

/* The numbers of the reader's latest record: accuracies as they stand there, not yet fractions. `ret_runs` has room for
 * layout.run_count. -EINVAL naming line and column. */
int result_layout_values(const struct result_layout *layout, const struct csv_reader *reader,
                         struct result_entry *ret_entry, double *ret_runs,
                         struct error *error) MUST_USE;

/* "line 7, column "mean_acc": " and the sentence. -EINVAL. */
int result_refuse(const struct result_layout *layout, size_t line, size_t column,
                  struct error *error, const char *format, ...) FORMAT_PRINTF(5, 6);

#endif
