/* list, show */
#include "cli/commands.h"

#include "cli/candidate_table.h"
#include "cli/find_search.h"
#include "cli/format.h"
#include "cli/query.h"
#include "cli/search_view.h"
#include "cli/table.h"
#include "cli/waiting.h"

#include <math.h>
#include <string.h>

enum { LIST_LIMIT, LIST_PAGE };

static const struct table_column list_columns[] = {
    {"id", true},   {"state", false},         {"done", true}, {"best", true},
    {"left", true}, {"created (UTC)", false}, {"name", false}};

static int add_search(struct table *table, const json_t *search)
{
    struct search_view view = search_view_of(search);
    char id[FORMAT_SIZE], done[2 * FORMAT_SIZE], best[FORMAT_SIZE], left[FORMAT_SIZE] = "";
    snprintf(id, sizeof id, "%llu", (unsigned long long)view.id);
    snprintf(done, sizeof done, "%llu/%llu", (unsigned long long)view.finished,
             (unsigned long long)view.budget);
    format_percent(view.best ? api_number(view.best, "accuracy") : NAN, best);
    if (view.eta_s >= 0)
        format_duration(view.eta_s, left);
    char created[sizeof "2026-01-31T12:00:00"];
    snprintf(created, sizeof created, "%s", api_text(search, "created_at"));
    if (strlen(created) > 10)
        created[10] = ' ';
    const char *const cells[] = {id, view.state, done, best, left, created, view.name};
    return table_add(table, view.is_final ? COLOUR_NONE : COLOUR_BOLD, cells);
}

static enum exit_code print_searches(const struct cli *cli, const json_t *answer)
{
    struct table *table = NULL;
    int r = table_new(list_columns, ARRAY_LENGTH(list_columns), &table);
    size_t index;
    json_t *search;
    json_array_foreach(api_field(answer, "searches"), index, search) if (r == 0) r =
        add_search(table, search);
    if (r == 0)
        table_print(table, &cli->terminal, stdout);
    table_free(table);
    if (r)
        return problem_say(cli, EXIT_CODE_FAILED, "out of memory");
    const char *next = api_text(answer, "next_page_token");
    if (*next)
        printf("There are more: --page %s\n", next);
    return EXIT_CODE_OK;
}

static enum exit_code run_list(struct cli *cli, const struct arguments *arguments)
{
    struct query query;
    query_init(&query, "/v1/searches");
    query_add(&query, "page_size", arguments->values[LIST_LIMIT]);
    query_add(&query, "page_token", arguments->values[LIST_PAGE]);
    struct api_reply reply = {0};
    enum exit_code code = query_get(cli, &query, &reply);
    if (code)
        return code;
    if (cli->json)
        printf("%s\n", reply.text);
    else
        code = print_searches(cli, reply.json);
    api_reply_release(&reply);
    return code;
}

const struct command command_list = {
    "list",
    "",
    "all searches, the newest first",
    NULL,
    {[LIST_LIMIT] = {"limit", "N", "at most so many, 1 to 1000 (default 50)"},
     [LIST_PAGE] = {"page", "TOKEN", "go on where an earlier answer ended"}},
    run_list,
};

static enum exit_code run_show(struct cli *cli, const struct arguments *arguments)
{
    char id[API_ID_SIZE], path[API_PATH_SIZE];
    enum exit_code code = find_search(cli, arguments->operands[0], id);
    if (code)
        return code;
    struct api_reply reply = {0};
    snprintf(path, sizeof path, "/v1/searches/%s", id);
    code = api_get_json(cli, path, &reply);
    if (code)
        return code;
    char waiting[WAITING_SIZE] = "";
    if (cli->json)
        printf("%s\n", reply.text);
    else
        search_view_print(cli, reply.json, waiting_reason(cli, reply.json, waiting) ? waiting : "");
    api_reply_release(&reply);
    return EXIT_CODE_OK;
}

const struct command command_show = {
    "show", "ID", "one search: state, progress, best so far, time left", NULL, {{0}}, run_show,
};
