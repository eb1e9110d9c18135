/* Tables of known results: what training each architecture of a space came to. A rehearsal looks results up in one
 * instead of training. docs/rehearsal.md describes the file.
 *
 * A table belongs to the space and the problem of the spec that it was read for, and may be used with every spec that
 * agrees with it in both. Immutable once read; may be shared between threads. */
#ifndef SEARCH_RESULT_TABLE_H
#define SEARCH_RESULT_TABLE_H

#include "search/spec.h"

enum {
    RESULT_TABLE_TEXT_MAX = 1 << 28, /* bytes */
    RESULT_TABLE_ROWS_MAX = 1 << 20,
    RESULT_TABLE_RUNS_MAX = 64,
    /* Encodings of a space that is gone through: to find architectures that the table names by hash or text, and to see
     * whether the table is complete. */
    RESULT_TABLE_ENCODINGS_MAX = 1 << 20
};

enum accuracy_unit {
    ACCURACY_UNIT_GUESSED, /* percent where any accuracy is above 1 */
    ACCURACY_UNIT_FRACTION,
    ACCURACY_UNIT_PERCENT
};

/* The columns by their titles. NULL: "encoding"; "accuracy", where the table has it; "accuracy_1", "accuracy_2", ... as far
 * as the table has them; "loss", "step_time" and "seconds", where the table has them. */
struct result_columns {
    const char *encoding;
    const char *accuracy;
    const char
        *runs; /* titles separated by commas: one column for each training of the architecture */
    const char *loss;
    const char *step_time;
    const char *seconds;
    enum accuracy_unit unit;
};

struct result_entry {
    struct encoding encoding; /* one of those that make the architecture */
    uint64_t hash;            /* of the architecture */
    size_t line;              /* of the file */
    struct cost cost;
    bool feasible;     /* meets the limits of the spec */
    double accuracy;   /* fraction; the mean of the runs where the table has no column for it */
    double loss;       /* NaN where the table has no such column; so are the next two */
    double step_time;  /* relative to the baseline's */
    double seconds;    /* that the training took */
    const double *run; /* accuracy of each run, fractions; result_table.run_count of them */
};

struct result_table {
    struct result_entry *entries; /* one an architecture, in the order of the file */
    size_t count;
    size_t row_count; /* of the file: several encodings may make one architecture */
    size_t run_count; /* 0 where the table has no runs */
    bool has_loss, has_step_time, has_seconds;
    enum accuracy_unit unit; /* not guessed any more */
    bool
        complete; /* has all architectures of the space that meet the limits, as far as could be told */
    double *runs;
    uint32_t *slots; /* by hash, open addressing: entry + 1, 0 = free */
    size_t slot_count;
};

/* Reads a whole file. -EINVAL with a sentence that names line and column; -E2BIG, -ENOMEM. */
int result_table_read(const char *text, size_t length, const struct result_columns *columns,
                      const struct spec *spec, struct result_table *ret_table,
                      struct error *error) MUST_USE;
void result_table_release(struct result_table *table); /* a table of zeros is legal */

/* NULL where the table has no such architecture. */
const struct result_entry *result_table_find(const struct result_table *table, uint64_t hash);

/* An encoding as a table writes it, "2:0:1". */
enum { RESULT_NAME_SIZE = ARCHITECTURE_STAGES_MAX * 6 };
void result_encoding_name(const struct space *space, const struct encoding *encoding,
                          char ret_name[RESULT_NAME_SIZE]);

#endif
