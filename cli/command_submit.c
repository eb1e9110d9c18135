/* submit */
#include "cli/commands.h"

#include "cli/api.h"
#include "cli/file.h"
#include "cli/watch.h"
#include "search/spec.h"

#include <stdlib.h>
#include <string.h>

enum { SUBMIT_WATCH };

static enum exit_code read_spec(const struct cli *cli, const char *path, char **ret_text,
                                struct problem_source *ret_source)
{
    char *text = NULL;
    size_t length = 0;
    int r = file_read(path, SPEC_TEXT_MAX, &text, &length);
    if (r)
        return problem_say(cli, EXIT_CODE_FAILED, "%s: %s", path, strerror(-r));
    bool is_standard_input = strcmp(path, "-") == 0;
    *ret_source = (struct problem_source){
        .name = is_standard_input ? "standard input" : path, .text = text, .length = length};
    *ret_text = text;
    return EXIT_CODE_OK;
}

static enum exit_code run_submit(struct cli *cli, const struct arguments *arguments)
{
    struct problem_source source;
    struct api_reply reply = {0};
    char *text = NULL;
    enum exit_code code = read_spec(cli, arguments->operands[0], &text, &source);
    if (code)
        return code;
    code = api_submit(cli, &source, &reply);
    free(text);
    if (code)
        return code;
    char id[API_ID_SIZE];
    snprintf(id, sizeof id, "%llu", (unsigned long long)api_integer(reply.json, "id"));
    printf("%s\n", cli->json ? reply.text : id);
    fflush(stdout);
    api_reply_release(&reply);
    return arguments->values[SUBMIT_WATCH] ? watch_search(cli, id) : EXIT_CODE_OK;
}

const struct command command_submit = {
    "submit",
    "FILE",
    "submit a search and print its number",
    "FILE holds the spec, JSON as docs/spec.md describes it; - is standard input. A submission "
    "whose "
    "answer\nis lost is sent again without making a second search.",
    {[SUBMIT_WATCH] = {"watch", NULL, "go on as `archscout watch` does"}},
    run_submit,
};
