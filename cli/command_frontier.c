/* frontier */
#include "cli/commands.h"

#include "cli/candidate_table.h"
#include "cli/find_search.h"
#include "cli/format.h"
#include "cli/query.h"

#include <math.h>
#include <string.h>

enum { FRONTIER_OBJECTIVES };

/* Columns for what the frontier's objectives are, beside those that are always of interest. */
static unsigned columns_for(const json_t *frontier)
{
    static const struct {
        const char *objective;
        enum candidate_column column;
    } extra[] = {{"loss", CANDIDATE_LOSS}, {"macs", CANDIDATE_MACS}, {"memory", CANDIDATE_MEMORY}};
    unsigned columns = 1u << CANDIDATE_NUMBER | 1u << CANDIDATE_ACCURACY | 1u << CANDIDATE_STEP |
                       1u << CANDIDATE_RELATIVE | 1u << CANDIDATE_PARAMS | 1u << CANDIDATE_STAGES;
    size_t index;
    json_t *objective;
    json_array_foreach(
        api_field(frontier, "objectives"), index,
        objective) for (size_t i = 0; i < ARRAY_LENGTH(extra);
                        i++) if (strcmp(json_string_value(objective), extra[i].objective) == 0)
        columns |= 1u << extra[i].column;
    return columns;
}

/* A point names its candidate; the rest of the row is asked for. */
static enum exit_code add_point(struct cli *cli, struct candidate_table *table, uint64_t search,
                                const json_t *point)
{
    struct query query;
    struct api_reply reply = {0};
    query_init(&query, "/v1/searches/%llu/candidates/%llu", (unsigned long long)search,
               (unsigned long long)api_integer(point, "candidate"));
    enum exit_code code = query_get(cli, &query, &reply);
    if (code)
        return code;
    if (candidate_table_add(table, COLOUR_NONE, reply.json))
        code = problem_say(cli, EXIT_CODE_FAILED, "out of memory");
    api_reply_release(&reply);
    return code;
}

static void print_reference_value(const char *objective, double value)
{
    char text[FORMAT_SIZE];
    if (strcmp(objective, "accuracy") == 0)
        format_percent(value, text);
    else if (value >= 1000)
        format_count((uint64_t)value, text);
    else
        snprintf(text, sizeof text, "%g", value);
    printf("%s %s", objective, text);
}

static void print_hypervolume(const json_t *frontier)
{
    double fraction = api_number(frontier, "hypervolume_fraction");
    printf("hypervolume %.4g", api_number(frontier, "hypervolume"));
    if (!isnan(fraction))
        printf(", %.1f %% of the box between reference and ideal", 100 * fraction);
    printf("\nreference   ");
    size_t index;
    json_t *objective;
    json_array_foreach(api_field(frontier, "objectives"), index, objective)
    {
        const char *name = json_string_value(objective);
        printf("%s", index ? ", " : "");
        print_reference_value(name, api_number(api_field(frontier, "reference"), name));
    }
    printf("\n");
}

static enum exit_code print_frontier(struct cli *cli, const json_t *frontier)
{
    struct candidate_table table;
    if (candidate_table_init(&table, columns_for(frontier)))
        return problem_say(cli, EXIT_CODE_FAILED, "out of memory");
    enum exit_code code = EXIT_CODE_OK;
    size_t index;
    json_t *point;
    json_array_foreach(api_field(frontier, "points"), index, point) if (code == EXIT_CODE_OK) code =
        add_point(cli, &table, api_integer(frontier, "search"), point);
    if (code == EXIT_CODE_OK) {
        table_print(table.table, &cli->terminal, stdout);
        print_hypervolume(frontier);
    }
    candidate_table_release(&table);
    return code;
}

static enum exit_code run_frontier(struct cli *cli, const struct arguments *arguments)
{
    char id[API_ID_SIZE];
    enum exit_code code = find_search(cli, arguments->operands[0], id);
    if (code)
        return code;
    struct query query;
    struct api_reply reply = {0};
    query_init(&query, "/v1/searches/%s/frontier", id);
    query_add(&query, "objectives", arguments->values[FRONTIER_OBJECTIVES]);
    code = query_get(cli, &query, &reply);
    if (code)
        return code;
    if (cli->json)
        printf("%s\n", reply.text);
    else
        code = print_frontier(cli, reply.json);
    api_reply_release(&reply);
    return code;
}

const struct command command_frontier = {
    "frontier",
    "ID",
    "the candidates that no other one beats in all objectives, and their hypervolume",
    NULL,
    {[FRONTIER_OBJECTIVES] =
         {"objectives", "LIST",
          "one to three of accuracy, step_time, params, macs, memory,"
          "\n                         loss; with commas (default: the spec's)"}},
    run_frontier,
};
