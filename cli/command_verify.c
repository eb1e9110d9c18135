/* verify */
#include "cli/commands.h"

#include "cli/find_search.h"
#include "cli/problem.h"
#include "cli/stored_search.h"

#include <stdlib.h>
#include <string.h>

/* Prints the answer, whose reference is taken. Returns `code`. */
static enum exit_code print_json(const struct cli *cli, enum exit_code code, json_t *answer)
{
    if (!answer || json_dumpf(answer, stdout, 0) < 0)
        code = problem_say(cli, EXIT_CODE_FAILED, "out of memory");
    else
        printf("\n");
    json_decref(answer);
    return code;
}

static enum exit_code say_verified(const struct cli *cli, const char *id,
                                   const struct stored_search *stored)
{
    const uint64_t count = stored->trajectory.count;
    if (cli->json)
        return print_json(cli, EXIT_CODE_OK,
                          json_pack("{s:I, s:b, s:I, s:I, s:n, s:n}", "search",
                                    (json_int_t)strtoll(id, NULL, 10), "verified", 1, "candidates",
                                    (json_int_t)count, "results", (json_int_t)stored->results,
                                    "difference", "problem"));
    printf("search %s is verified: %llu candidates and %llu results follow from its spec, seed and "
           "observations\n",
           id, (unsigned long long)count, (unsigned long long)stored->results);
    return EXIT_CODE_OK;
}

static enum exit_code say_different(const struct cli *cli, const char *id,
                                    const struct trajectory_difference *difference)
{
    if (!cli->json)
        return problem_say(
            cli, EXIT_CODE_DIFFERS,
            "search %s is not verified: candidate %llu, %s: stored is %s, expected %s", id,
            (unsigned long long)difference->candidate, difference->field, difference->stored,
            difference->expected);
    return print_json(cli, EXIT_CODE_DIFFERS,
                      json_pack("{s:I, s:b, s:{s:I, s:s, s:s, s:s}, s:n}", "search",
                                (json_int_t)strtoll(id, NULL, 10), "verified", 0, "difference",
                                "candidate", (json_int_t)difference->candidate, "field",
                                difference->field, "stored", difference->stored, "expected",
                                difference->expected, "problem"));
}

/* A search whose rows the daemon could not even load: its problem says where. */
static enum exit_code check_readable(struct cli *cli, const char *id)
{
    char path[API_PATH_SIZE];
    struct api_reply reply = {0};
    snprintf(path, sizeof path, "/v1/searches/%s", id);
    enum exit_code code = api_get_json(cli, path, &reply);
    if (code)
        return code;
    const char *problem = api_text(reply.json, "problem");
    bool failed = strcmp(api_text(reply.json, "state"), "failed") == 0;
    if (failed && cli->json)
        code = print_json(cli, EXIT_CODE_DIFFERS,
                          json_pack("{s:I, s:b, s:n, s:s}", "search",
                                    (json_int_t)strtoll(id, NULL, 10), "verified", 0, "difference",
                                    "problem", problem));
    else if (failed)
        code = problem_say(cli, EXIT_CODE_DIFFERS, "search %s is not verified: %s", id, problem);
    api_reply_release(&reply);
    return code;
}

static enum exit_code run_verify(struct cli *cli, const struct arguments *arguments)
{
    char id[API_ID_SIZE];
    struct stored_search stored = {0};
    enum exit_code code = find_search(cli, arguments->operands[0], id);
    if (code == EXIT_CODE_OK)
        code = check_readable(cli, id);
    if (code == EXIT_CODE_OK)
        code = stored_search_get(cli, id, &stored);
    if (code == EXIT_CODE_OK) {
        struct error error = {0};
        struct trajectory_difference difference;
        int r = trajectory_verify(&stored.trajectory, &difference, &error);
        if (r < 0)
            code = problem_say(cli, EXIT_CODE_FAILED, "%s", error.message);
        else
            code = r == 0 ? say_verified(cli, id, &stored) : say_different(cli, id, &difference);
    }
    stored_search_release(&stored);
    return code;
}

const struct command command_verify = {
    "verify",
    "ID",
    "proves that a search's candidates follow from its spec, seed and results",
    "The search's log is fetched and its strategy asked anew here; the first difference is named. "
    "The "
    "measured\nvalues themselves are taken as they are.",
    {{0}},
    run_verify,
};
