/* candidates, candidate, ranking */
#include "cli/commands.h"

#include "cli/api.h"
#include "cli/candidate_table.h"
#include "cli/find_search.h"
#include "cli/format.h"
#include "cli/query.h"

#include <math.h>
#include <string.h>

/* Prints `candidates` as a table; the best, the one with number `best`, stands out (-1 = none
 * does). */
static enum exit_code print_table(const struct cli *cli, const json_t *candidates, unsigned columns,
                                  json_int_t best)
{
    struct candidate_table table;
    int r = candidate_table_init(&table, columns);
    size_t index;
    json_t *candidate;
    json_array_foreach(candidates, index, candidate)
    {
        bool is_best = json_integer_value(json_object_get(candidate, "number")) == best;
        if (r == 0)
            r = candidate_table_add(&table, is_best ? COLOUR_GREEN : COLOUR_NONE, candidate);
    }
    if (r == 0)
        table_print(table.table, &cli->terminal, stdout);
    candidate_table_release(&table);
    return r ? problem_say(cli, EXIT_CODE_FAILED, "out of memory") : EXIT_CODE_OK;
}

static enum exit_code print_list(const struct cli *cli, const struct api_reply *reply,
                                 unsigned columns)
{
    if (cli->json) {
        printf("%s\n", reply->text);
        return EXIT_CODE_OK;
    }
    enum exit_code code = print_table(cli, api_field(reply->json, "candidates"), columns, -1);
    const char *next = api_text(reply->json, "next_page_token");
    if (code == EXIT_CODE_OK && *next)
        printf("There are more: --page %s\n", next);
    return code;
}

enum { CANDIDATES_STATE_OPTION, CANDIDATES_SORT, CANDIDATES_LIMIT, CANDIDATES_PAGE };

static enum exit_code run_candidates(struct cli *cli, const struct arguments *arguments)
{
    char id[API_ID_SIZE];
    enum exit_code code = find_search(cli, arguments->operands[0], id);
    if (code)
        return code;
    struct query query;
    query_init(&query, "/v1/searches/%s/candidates", id);
    query_add(&query, "state", arguments->values[CANDIDATES_STATE_OPTION]);
    query_add(&query, "sort", arguments->values[CANDIDATES_SORT]);
    query_add(&query, "page_size", arguments->values[CANDIDATES_LIMIT]);
    query_add(&query, "page_token", arguments->values[CANDIDATES_PAGE]);
    struct api_reply reply = {0};
    code = query_get(cli, &query, &reply);
    if (code)
        return code;
    code = print_list(cli, &reply,
                      1u << CANDIDATE_NUMBER | 1u << CANDIDATE_STATE | 1u << CANDIDATE_ACCURACY |
                          1u << CANDIDATE_STEP | 1u << CANDIDATE_RELATIVE | 1u << CANDIDATE_PARAMS |
                          1u << CANDIDATE_STAGES);
    api_reply_release(&reply);
    return code;
}

const struct command command_candidates = {
    "candidates",
    "ID",
    "a search's candidates",
    "Stages are written as in M4k5se 3x96: MBConv (F: Fused-MBConv) of expansion 4 and kernel 5 (3 "
    "is left\nout) with squeeze and excitation, 3 layers of 96 channels. rel. is the step time "
    "over "
    "the baseline's.",
    {[CANDIDATES_STATE_OPTION] = {"state", "LIST",
                                  "only queued, leased, done, failed, cancelled; with commas"},
     [CANDIDATES_SORT] =
         {"sort", "KEY",
          "number, reward, accuracy, step_time, params, macs, memory or loss;"
          "\n                         best first, with a minus in front worst first"},
     [CANDIDATES_LIMIT] = {"limit", "N", "at most so many, 1 to 1000 (default 50)"},
     [CANDIDATES_PAGE] = {"page", "TOKEN", "go on where an earlier answer ended"}},
    run_candidates,
};

enum { RANKING_ACCURACY, RANKING_STEP_TIME, RANKING_PARAMS, RANKING_MACS, RANKING_LIMIT };

static enum exit_code run_ranking(struct cli *cli, const struct arguments *arguments)
{
    char id[API_ID_SIZE];
    enum exit_code code = find_search(cli, arguments->operands[0], id);
    if (code)
        return code;
    struct query query;
    query_init(&query, "/v1/searches/%s/ranking", id);
    query_add(&query, "accuracy", arguments->values[RANKING_ACCURACY]);
    query_add(&query, "step_time", arguments->values[RANKING_STEP_TIME]);
    query_add(&query, "params", arguments->values[RANKING_PARAMS]);
    query_add(&query, "macs", arguments->values[RANKING_MACS]);
    query_add(&query, "limit", arguments->values[RANKING_LIMIT]);
    struct api_reply reply = {0};
    code = query_get(cli, &query, &reply);
    if (code)
        return code;
    code = print_list(cli, &reply,
                      1u << CANDIDATE_NUMBER | 1u << CANDIDATE_REWARD | 1u << CANDIDATE_ACCURACY |
                          1u << CANDIDATE_STEP | 1u << CANDIDATE_RELATIVE | 1u << CANDIDATE_PARAMS |
                          1u << CANDIDATE_STAGES);
    api_reply_release(&reply);
    return code;
}

const struct command command_ranking = {
    "ranking",
    "ID",
    "the best candidates by another reward; nothing is trained again",
    "The reward is accuracy times each given quantity, over the baseline's, to the power of its "
    "exponent.\nWithout exponents it is the spec's.",
    {[RANKING_ACCURACY] = {"accuracy", "X", "exponent of the accuracy (default 1)"},
     [RANKING_STEP_TIME] = {"step-time", "X", "exponent of the step time, such as -0.07"},
     [RANKING_PARAMS] = {"params", "X", "exponent of the parameters, such as -0.05"},
     [RANKING_MACS] = {"macs", "X", "exponent of the multiply-adds"},
     [RANKING_LIMIT] = {"limit", "N", "at most so many (default 20)"}},
    run_ranking,
};
