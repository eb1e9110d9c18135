#include "cli/rehearsal_report.h"

#include "cli/format.h"
#include "cli/table.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

enum { CELL_SIZE = 64 };

static const double seconds_per_hour = 3600;

/* ---- means over the seeds ---- */

enum figure {
    FIGURE_ACCURACY,
    FIGURE_REWARD,
    FIGURE_REGRET,
    FIGURE_HYPERVOLUME,
    FIGURE_CLOCK,
    FIGURE_REACHED /* of the whole rehearsal, not of a mark */
};

static double figure_of(const struct rehearsal_score *score, size_t mark, enum figure figure)
{
    const struct rehearsal_standing *standing = &score->standings[mark];
    switch (figure) {
    case FIGURE_ACCURACY:
        return standing->accuracy;
    case FIGURE_REWARD:
        return standing->reward;
    case FIGURE_REGRET:
        return standing->regret;
    case FIGURE_HYPERVOLUME:
        return standing->hypervolume;
    case FIGURE_CLOCK:
        return standing->clock;
    case FIGURE_REACHED:
    default:
        return score->reached > 0 ? (double)score->reached : NAN;
    }
}

/* `values` has room for one a seed. */
static struct rehearsal_mean mean_of(const struct rehearsal_report *report,
                                     const struct rehearsed_strategy *strategy, size_t mark,
                                     enum figure figure, double *values)
{
    for (size_t i = 0; i < report->seed_count; i++)
        values[i] = figure_of(&strategy->scores[i], mark, figure);
    return rehearsal_mean_of(values, report->seed_count);
}

/* ---- for people ---- */

/* "92.871 +- 0.013", the mean alone of a single seed, "-" where there is none. */
static void format_mean(struct rehearsal_mean mean, double scale, int decimals,
                        char ret_cell[CELL_SIZE])
{
    if (isnan(mean.mean))
        snprintf(ret_cell, CELL_SIZE, "-");
    else if (isnan(mean.half_width))
        snprintf(ret_cell, CELL_SIZE, "%.*f", decimals, scale * mean.mean);
    else
        snprintf(ret_cell, CELL_SIZE, "%.*f +- %.*f", decimals, scale * mean.mean, decimals,
                 scale * mean.half_width);
}

static void print_heading(const struct rehearsal_report *report, FILE *file)
{
    const struct result_table *table = report->options->table;
    const struct spec *spec = report->spec;
    char rows[FORMAT_SIZE], architectures[FORMAT_SIZE], best[RESULT_NAME_SIZE];
    format_grouped(table->row_count, rows);
    format_grouped(table->count, architectures);
    result_encoding_name(spec->space, &report->truth.best->encoding, best);
    fprintf(file, "table       %s: %s rows, %s architectures%s; accuracy in %s", report->table_name,
            rows, architectures,
            table->complete ? ", all that meet the spec's limits"
                            : ", not all that the spec allows",
            table->unit == ACCURACY_UNIT_PERCENT ? "percent" : "fractions");
    if (table->run_count > 0)
        fprintf(file, ", %zu runs of each", table->run_count);
    fprintf(file, "\nbest        %s with accuracy %.3f %%; %zu on the front over", best,
            100 * report->truth.best->accuracy, report->truth.front_count);
    for (size_t i = 0; i < spec->objective_count; i++)
        fprintf(file, "%s %s", i > 0 ? "," : "", objective_name(spec->objectives[i]));
    fprintf(file, "\nrehearsed   %u candidates, %u workers%s, %zu seeds from %llu%s%s\n\n",
            spec->candidates_max, report->options->workers,
            report->options->workers > spec->parallel_max ? " (more than parallel_max: some idle)"
                                                          : "",
            report->seed_count, (unsigned long long)spec->seed,
            spec->deterministic ? ", deterministic" : "",
            report->options->noise ? ", each evaluation one run at random" : "");
}

static int add_standing(const struct rehearsal_report *report,
                        const struct rehearsed_strategy *strategy, size_t mark, uint32_t results,
                        double *values, struct table *table)
{
    const struct result_table *known = report->options->table;
    char cells[5][CELL_SIZE];
    snprintf(cells[0], CELL_SIZE, "%u", results);
    format_mean(mean_of(report, strategy, mark, FIGURE_ACCURACY, values), 100, 3, cells[1]);
    format_mean(mean_of(report, strategy, mark, FIGURE_HYPERVOLUME, values), 1, 4, cells[2]);
    format_mean(mean_of(report, strategy, mark, FIGURE_CLOCK, values),
                known->has_seconds ? 1 / seconds_per_hour : 1, 2, cells[3]);
    format_mean(mean_of(report, strategy, mark, FIGURE_REGRET, values), REHEARSAL_POINTS, 3,
                cells[4]);
    return table_add(table, COLOUR_NONE,
                     (const char *const[]){mark == 0 ? strategy->name : "", cells[0], cells[1],
                                           cells[2], cells[3], known->complete ? cells[4] : "-"});
}

static int print_standings(const struct rehearsal_report *report, const struct terminal *terminal,
                           double *values, FILE *file)
{
    const struct table_column columns[] = {
        {"strategy", false},
        {"results", true},
        {"accuracy %", true},
        {"hypervolume", true},
        {report->options->table->has_seconds ? "hours" : "trainings' time", true},
        {"regret, points", false}};
    uint32_t marks[REHEARSAL_MARKS_MAX];
    size_t mark_count = rehearsal_marks(report->spec->candidates_max, marks);
    struct table *table;
    int r = table_new(columns, ARRAY_LENGTH(columns), &table);
    if (r < 0)
        return r;
    for (size_t i = 0; i < report->strategy_count && r == 0; i++)
        for (size_t mark = 0; mark < mark_count && r == 0; mark++)
            r = add_standing(report, &report->strategies[i], mark, marks[mark], values, table);
    if (r == 0)
        table_print(table, terminal, file);
    table_free(table);
    return r;
}

static int print_reached(const struct rehearsal_report *report, const struct terminal *terminal,
                         double *values, FILE *file)
{
    static const struct table_column columns[] = {
        {"strategy", false}, {"seeds that came within", true}, {"after results", false}};
    struct table *table;
    int r = table_new(columns, ARRAY_LENGTH(columns), &table);
    if (r < 0)
        return r;
    for (size_t i = 0; i < report->strategy_count && r == 0; i++) {
        struct rehearsal_mean mean =
            mean_of(report, &report->strategies[i], 0, FIGURE_REACHED, values);
        char seeds[CELL_SIZE], results[CELL_SIZE];
        snprintf(seeds, sizeof seeds, "%zu of %zu", mean.count, report->seed_count);
        format_mean(mean, 1, 1, results);
        r = table_add(table, COLOUR_NONE,
                      (const char *const[]){report->strategies[i].name, seeds, results});
    }
    if (r == 0) {
        fprintf(file, "\nWithin %g points of the best in the table:\n",
                REHEARSAL_POINTS * report->within);
        table_print(table, terminal, file);
    }
    table_free(table);
    return r;
}

int rehearsal_report_print(const struct rehearsal_report *report, const struct terminal *terminal,
                           FILE *file)
{
    double *values = calloc(report->seed_count, sizeof *values);
    if (!values)
        return -ENOMEM;
    print_heading(report, file);
    int r = print_standings(report, terminal, values, file);
    if (r == 0)
        r = print_reached(report, terminal, values, file);
    free(values);
    return r;
}

/* ---- JSON ---- */

/* JSON has no NaN: null stands for it. */
static json_t *number_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *mean_json(struct rehearsal_mean mean)
{
    return json_pack("{s:o, s:o}", "mean", number_json(mean.mean), "half_width",
                     number_json(mean.half_width));
}

static json_t *standing_json(const struct rehearsal_report *report,
                             const struct rehearsed_strategy *strategy, size_t mark,
                             uint32_t results, double *values)
{
    static const struct {
        const char *key;
        enum figure figure;
    } members[] = {{"accuracy", FIGURE_ACCURACY},
                   {"reward", FIGURE_REWARD},
                   {"regret", FIGURE_REGRET},
                   {"hypervolume_ratio", FIGURE_HYPERVOLUME},
                   {"time", FIGURE_CLOCK}};
    json_t *object = json_pack("{s:I}", "results", (json_int_t)results);
    for (size_t i = 0; object && i < ARRAY_LENGTH(members); i++) {
        enum figure figure = members[i].figure;
        bool known = figure != FIGURE_REGRET || report->options->table->complete;
        json_t *value =
            known ? mean_json(mean_of(report, strategy, mark, figure, values)) : json_null();
        if (json_object_set_new(object, members[i].key, value) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *strategy_json(const struct rehearsal_report *report,
                             const struct rehearsed_strategy *strategy, double *values)
{
    uint32_t marks[REHEARSAL_MARKS_MAX];
    size_t mark_count = rehearsal_marks(report->spec->candidates_max, marks);
    json_t *standings = json_array();
    for (size_t mark = 0; standings && mark < mark_count; mark++) {
        json_t *standing = standing_json(report, strategy, mark, marks[mark], values);
        if (json_array_append_new(standings, standing) < 0) {
            json_decref(standings);
            return NULL;
        }
    }
    struct rehearsal_mean reached = mean_of(report, strategy, 0, FIGURE_REACHED, values);
    return json_pack("{s:s, s:o, s:{s:I, s:o}}", "name", strategy->name, "standings", standings,
                     "reached", "seeds", (json_int_t)reached.count, "results", mean_json(reached));
}

static json_t *strategies_json(const struct rehearsal_report *report, double *values)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < report->strategy_count; i++) {
        json_t *strategy = strategy_json(report, &report->strategies[i], values);
        if (json_array_append_new(list, strategy) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *table_json(const struct rehearsal_report *report)
{
    const struct result_table *table = report->options->table;
    const struct result_entry *best = report->truth.best;
    char name[RESULT_NAME_SIZE];
    result_encoding_name(report->spec->space, &best->encoding, name);
    return json_pack("{s:I, s:I, s:I, s:b, s:s, s:I, s:{s:s, s:o, s:o}}", "rows",
                     (json_int_t)table->row_count, "architectures", (json_int_t)table->count,
                     "runs", (json_int_t)table->run_count, "complete", (int)table->complete,
                     "accuracy_unit", table->unit == ACCURACY_UNIT_PERCENT ? "percent" : "fraction",
                     "front", (json_int_t)report->truth.front_count, "best", "encoding", name,
                     "accuracy", number_json(best->accuracy), "reward",
                     number_json(report->truth.reward));
}

int rehearsal_report_json(const struct rehearsal_report *report, FILE *file)
{
    double *values = calloc(report->seed_count, sizeof *values);
    if (!values)
        return -ENOMEM;
    json_t *document =
        json_pack("{s:o, s:I, s:I, s:I, s:b, s:o, s:s, s:o}", "table", table_json(report),
                  "candidates", (json_int_t)report->spec->candidates_max, "workers",
                  (json_int_t)report->options->workers, "seeds", (json_int_t)report->seed_count,
                  "noise", (int)report->options->noise, "within", number_json(report->within),
                  "time_unit", report->options->table->has_seconds ? "second" : "training",
                  "strategies", strategies_json(report, values));
    free(values);
    if (!document)
        return -ENOMEM;
    int r = json_dumpf(document, file, JSON_REAL_PRECISION(12)) < 0 ? -EIO : 0;
    json_decref(document);
    fputc('\n', file);
    return r;
}
