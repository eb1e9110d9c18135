/* A table of trained architectures, as benchmarks of architecture search publish them: one row an architecture.
 *
 * CSV with a header line. The column `arch` holds the encoding in a space: one character a stage, which is the option's
 * number (0 to 9, then a to z), or numbers separated by anything else. The column `accuracy`, or else `mean_acc`, is the mean
 * accuracy; columns whose names begin with `acc_seed` are single trainings. Accuracies above 1 are percentages. Other
 * columns are ignored: costs are computed from the architecture. */
#ifndef TESTS_BENCH_QUALITY_TABLE_H
#define TESTS_BENCH_QUALITY_TABLE_H

#include "search/spec.h"

enum { QUALITY_RUNS_MAX = 8, QUALITY_COLUMNS_MAX = 64 };

struct quality_row {
    uint64_t hash; /* of the architecture */
    struct cost cost;
    double accuracy, runs[QUALITY_RUNS_MAX]; /* as fractions */
};

struct quality_table {
    struct quality_row *rows; /* by hash */
    size_t count;
    uint32_t run_count;
    double best;         /* accuracy */
    struct cost largest; /* of each cost */
};

/* Reads the table of the spec's space, or ends the program with a message. */
void quality_table_read(const char *path, const struct spec *spec, struct quality_table *ret_table);
void quality_table_release(struct quality_table *table);
/* NULL where the architecture is not in the table. */
const struct quality_row *quality_table_find(const struct quality_table *table, uint64_t hash);

#endif
