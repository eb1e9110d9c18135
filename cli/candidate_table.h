/* Tables of candidates as the API describes them: what candidates, frontier and ranking share. */
#ifndef CLI_CANDIDATE_TABLE_H
#define CLI_CANDIDATE_TABLE_H

#include "cli/table.h"

#include <jansson.h>
#include <stdint.h>

enum candidate_column {
    CANDIDATE_NUMBER,
    CANDIDATE_STATE, /* the outcome where it is worth a word */
    CANDIDATE_REWARD,
    CANDIDATE_ACCURACY,
    CANDIDATE_LOSS,
    CANDIDATE_STEP,     /* milliseconds */
    CANDIDATE_RELATIVE, /* step time over the baseline's */
    CANDIDATE_PARAMS,
    CANDIDATE_MACS,
    CANDIDATE_MEMORY,
    CANDIDATE_STAGES, /* the summary; last, because it may need more than one line */
    CANDIDATE_COLUMN_COUNT
};

struct candidate_table {
    enum candidate_column order[CANDIDATE_COLUMN_COUNT];
    struct table_column columns[CANDIDATE_COLUMN_COUNT];
    size_t count;
    struct table *table;
};

/* A table of the columns whose bit (1 << column) is set, in the order above. -ENOMEM. */
int candidate_table_init(struct candidate_table *table, unsigned columns) MUST_USE;
void candidate_table_release(struct candidate_table *table); /* a zeroed one is legal */

/* One candidate's row. -ENOMEM, -E2BIG. */
int candidate_table_add(struct candidate_table *table, enum colour colour,
                        const json_t *candidate) MUST_USE;

/* What one cell of a candidate says. */
enum { CANDIDATE_CELL_SIZE = 1024 };
void candidate_cell(const json_t *candidate, enum candidate_column column,
                    char ret_text[CANDIDATE_CELL_SIZE]);

#endif
