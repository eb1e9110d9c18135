/* export */
#include "cli/commands.h"

#include "cli/file.h"
#include "cli/find_search.h"
#include "cli/query.h"

#include <string.h>

enum { EXPORT_FORMAT, EXPORT_CANDIDATE, EXPORT_OUTPUT };

static enum exit_code run_export(struct cli *cli, const struct arguments *arguments)
{
    char id[API_ID_SIZE];
    enum exit_code code = find_search(cli, arguments->operands[0], id);
    if (code)
        return code;
    struct query query;
    struct api_reply reply = {0};
    query_init(&query, "/v1/searches/%s/export", id);
    query_add(&query, "format", arguments->values[EXPORT_FORMAT]);
    query_add(&query, "candidate", arguments->values[EXPORT_CANDIDATE]);
    if (query.too_long)
        return problem_say(cli, EXIT_CODE_USAGE, "the values are too long");
    code = api_get(cli, query.path, &reply);
    if (code)
        return code;
    const char *output = arguments->values[EXPORT_OUTPUT];
    bool needs_line_end = reply.length == 0 || reply.text[reply.length - 1] != '\n';
    if (!output) {
        printf("%s%s", reply.text, needs_line_end ? "\n" : "");
    } else {
        int r = file_write(output, reply.text, reply.length);
        if (r)
            code = problem_say(cli, EXIT_CODE_FAILED, "%s: %s", output, strerror(-r));
    }
    api_reply_release(&reply);
    return code;
}

const struct command command_export = {
    "export",
    "ID",
    "a stage table in a form that other code reads",
    NULL,
    {[EXPORT_FORMAT] = {"format", "NAME", "json (default), csv or markdown"},
     [EXPORT_CANDIDATE] = {"candidate", "N", "which one (default: the best by reward)"},
     [EXPORT_OUTPUT] = {"output", "FILE",
                        "write there instead of standard output, whole or not at all"}},
    run_export,
};
