/* candidate */
#include "cli/commands.h"

#include "cli/candidate_table.h"
#include "cli/find_search.h"
#include "cli/format.h"
#include "cli/query.h"

#include <math.h>
#include <string.h>

static void print_line(const char *label, const json_t *candidate, enum candidate_column column)
{
    char text[CANDIDATE_CELL_SIZE];
    candidate_cell(candidate, column, text);
    printf("%-12s%s\n", label, text);
}

static void print_step_time(const json_t *candidate)
{
    char median[FORMAT_SIZE], spread[FORMAT_SIZE], baseline[FORMAT_SIZE];
    const json_t *timing = api_field(candidate, "timing");
    if (!json_is_object(timing))
        return;
    format_step_time(api_number(timing, "median_seconds"), median);
    format_step_time(api_number(timing, "spread_seconds"), spread);
    format_step_time(api_number(timing, "baseline_seconds"), baseline);
    printf("step time   %s, spread %s, %.3f of the baseline's %s%s\n", median, spread,
           api_number(candidate, "step_time"), baseline,
           json_is_true(api_field(timing, "contended")) ? "; contended: not to be relied on" : "");
}

static void print_costs(const json_t *candidate)
{
    char params[FORMAT_SIZE], macs[FORMAT_SIZE], memory[FORMAT_SIZE];
    format_grouped(api_integer(candidate, "params"), params);
    format_grouped(api_integer(candidate, "macs"), macs);
    format_grouped(api_integer(candidate, "memory"), memory);
    printf("params      %s\nmacs        %s\nactivations %s bytes an image\n", params, macs, memory);
}

static void print_epoch(const json_t *epoch)
{
    char accuracy[FORMAT_SIZE], train_accuracy[FORMAT_SIZE], time[FORMAT_SIZE];
    format_percent(api_number(epoch, "validation_accuracy"), accuracy);
    format_percent(api_number(epoch, "train_accuracy"), train_accuracy);
    format_duration(api_number(epoch, "seconds"), time);
    printf("    epoch %llu: held-out %s, loss %.4f; training %s, loss %.4f; %s\n",
           (unsigned long long)api_integer(epoch, "number"), accuracy,
           api_number(epoch, "validation_loss"), train_accuracy, api_number(epoch, "train_loss"),
           time);
}

static void print_attempts(const json_t *candidate)
{
    size_t i, j;
    json_t *attempt, *epoch;
    json_array_foreach(api_field(candidate, "attempts"), i, attempt)
    {
        const char *outcome = api_text(attempt, "outcome"), *message = api_text(attempt, "message");
        printf("attempt %llu on %s, slot %llu: %s%s%s\n",
               (unsigned long long)api_integer(attempt, "attempt"), api_text(attempt, "worker"),
               (unsigned long long)api_integer(attempt, "slot"), *outcome ? outcome : "running",
               *message ? ": " : "", message);
        json_array_foreach(api_field(attempt, "epochs"), j, epoch) print_epoch(epoch);
    }
}

/* The daemon's own table for people. */
static enum exit_code print_stages(struct cli *cli, const json_t *candidate)
{
    struct query query;
    struct api_reply reply = {0};
    query_init(&query, "/v1/searches/%llu/export?format=markdown&candidate=%llu",
               (unsigned long long)api_integer(candidate, "search"),
               (unsigned long long)api_integer(candidate, "number"));
    enum exit_code code = api_get(cli, query.path, &reply);
    if (code)
        return code;
    printf("\n%s", reply.text);
    api_reply_release(&reply);
    return EXIT_CODE_OK;
}

static enum exit_code print_candidate(struct cli *cli, const json_t *candidate)
{
    print_line("candidate", candidate, CANDIDATE_NUMBER);
    print_line("state", candidate, CANDIDATE_STATE);
    if (json_is_number(api_field(candidate, "parent")))
        printf("parent      %llu\n", (unsigned long long)api_integer(candidate, "parent"));
    if (!isnan(api_number(candidate, "accuracy"))) {
        print_line("reward", candidate, CANDIDATE_REWARD);
        print_line("accuracy", candidate, CANDIDATE_ACCURACY);
        print_line("loss", candidate, CANDIDATE_LOSS);
    }
    print_step_time(candidate);
    print_costs(candidate);
    print_line("stages", candidate, CANDIDATE_STAGES);
    print_attempts(candidate);
    return print_stages(cli, candidate);
}

static enum exit_code run_candidate(struct cli *cli, const struct arguments *arguments)
{
    char id[API_ID_SIZE], path[API_PATH_SIZE];
    enum exit_code code = find_search(cli, arguments->operands[0], id);
    if (code)
        return code;
    const char *word = arguments->operands[1];
    if (!*word || strspn(word, "0123456789") != strlen(word) || strlen(word) >= API_ID_SIZE)
        return problem_say(cli, EXIT_CODE_USAGE, "a candidate has a number, not \"%s\"", word);
    struct api_reply reply = {0};
    snprintf(path, sizeof path, "/v1/searches/%s/candidates/%s", id, word);
    code = api_get_json(cli, path, &reply);
    if (code)
        return code;
    if (cli->json)
        printf("%s\n", reply.text);
    else
        code = print_candidate(cli, reply.json);
    api_reply_release(&reply);
    return code;
}

const struct command command_candidate = {
    "candidate", "ID N", "one candidate: measures, attempts, epochs, stage table",
    NULL,        {{0}},  run_candidate,
};
