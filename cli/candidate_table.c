#include "cli/candidate_table.h"

#include "cli/api.h"
#include "cli/format.h"
#include "cli/summary.h"

#include <math.h>
#include <string.h>

static const struct table_column column_table[CANDIDATE_COLUMN_COUNT] = {
    [CANDIDATE_NUMBER] = {"#", true},       [CANDIDATE_STATE] = {"state", false},
    [CANDIDATE_REWARD] = {"reward", true},  [CANDIDATE_ACCURACY] = {"accuracy", true},
    [CANDIDATE_LOSS] = {"loss", true},      [CANDIDATE_STEP] = {"step", true},
    [CANDIDATE_RELATIVE] = {"rel.", true},  [CANDIDATE_PARAMS] = {"params", true},
    [CANDIDATE_MACS] = {"macs", true},      [CANDIDATE_MEMORY] = {"memory", true},
    [CANDIDATE_STAGES] = {"stages", false},
};

static void fixed(double value, int decimals, char ret_text[CANDIDATE_CELL_SIZE])
{
    if (isnan(value))
        snprintf(ret_text, CANDIDATE_CELL_SIZE, "-");
    else
        snprintf(ret_text, CANDIDATE_CELL_SIZE, "%.*f", decimals, value);
}

/* "done", "queued", ...; of a failed one the reason. */
static const char *state_text(const json_t *candidate)
{
    const char *state = api_text(candidate, "state"), *outcome = api_text(candidate, "outcome");
    return strcmp(state, "failed") == 0 && *outcome ? outcome : state;
}

void candidate_cell(const json_t *candidate, enum candidate_column column,
                    char ret_text[CANDIDATE_CELL_SIZE])
{
    switch (column) {
    case CANDIDATE_NUMBER:
        snprintf(ret_text, CANDIDATE_CELL_SIZE, "%llu",
                 (unsigned long long)api_integer(candidate, "number"));
        break;
    case CANDIDATE_STATE:
        snprintf(ret_text, CANDIDATE_CELL_SIZE, "%s", state_text(candidate));
        break;
    case CANDIDATE_REWARD:
        fixed(api_number(candidate, "reward"), 4, ret_text);
        break;
    case CANDIDATE_ACCURACY:
        format_percent(api_number(candidate, "accuracy"), ret_text);
        break;
    case CANDIDATE_LOSS:
        fixed(api_number(candidate, "loss"), 4, ret_text);
        break;
    case CANDIDATE_STEP:
        format_step_time(api_number(candidate, "timing.median_seconds"), ret_text);
        break;
    case CANDIDATE_RELATIVE:
        fixed(api_number(candidate, "step_time"), 2, ret_text);
        break;
    case CANDIDATE_PARAMS:
        format_count(api_integer(candidate, "params"), ret_text);
        break;
    case CANDIDATE_MACS:
        format_count(api_integer(candidate, "macs"), ret_text);
        break;
    case CANDIDATE_MEMORY:
        format_count(api_integer(candidate, "memory"), ret_text);
        break;
    case CANDIDATE_STAGES:
        summary_of(api_text(candidate, "architecture"), ret_text);
        break;
    case CANDIDATE_COLUMN_COUNT:
        ret_text[0] = '\0';
    }
}

int candidate_table_init(struct candidate_table *table, unsigned columns)
{
    *table = (struct candidate_table){.count = 0};
    for (enum candidate_column i = 0; i < CANDIDATE_COLUMN_COUNT; i++)
        if (columns & 1u << i) {
            table->order[table->count] = i;
            table->columns[table->count++] = column_table[i];
        }
    return table_new(table->columns, table->count, &table->table);
}

void candidate_table_release(struct candidate_table *table)
{
    table_free(table->table);
    table->table = NULL;
}

int candidate_table_add(struct candidate_table *table, enum colour colour, const json_t *candidate)
{
    char texts[CANDIDATE_COLUMN_COUNT][CANDIDATE_CELL_SIZE];
    const char *cells[CANDIDATE_COLUMN_COUNT];
    for (size_t i = 0; i < table->count; i++) {
        candidate_cell(candidate, table->order[i], texts[i]);
        cells[i] = texts[i];
    }
    return table_add(table->table, colour, cells);
}
