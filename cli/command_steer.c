/* pause, resume, cancel */
#include "cli/commands.h"

#include "cli/api.h"
#include "cli/find_search.h"

enum { PAUSE_FINISH };

/* `body` is JSON, or NULL. */
static enum exit_code steer(struct cli *cli, const struct arguments *arguments, const char *verb,
                            const char *body)
{
    char id[API_ID_SIZE], path[API_PATH_SIZE];
    enum exit_code code = find_search(cli, arguments->operands[0], id);
    if (code)
        return code;
    struct api_reply reply = {0};
    snprintf(path, sizeof path, "/v1/searches/%s:%s", id, verb);
    code = api_post(cli, path, body, &reply);
    if (code)
        return code;
    if (cli->json)
        printf("%s\n", reply.text);
    else
        printf("search %s: %s\n", id, api_text(reply.json, "state"));
    api_reply_release(&reply);
    return EXIT_CODE_OK;
}

static enum exit_code run_pause(struct cli *cli, const struct arguments *arguments)
{
    return steer(cli, arguments, "pause",
                 arguments->values[PAUSE_FINISH] ? "{\"running\": \"finish\"}" : NULL);
}

static enum exit_code run_resume(struct cli *cli, const struct arguments *arguments)
{
    return steer(cli, arguments, "resume", NULL);
}

static enum exit_code run_cancel(struct cli *cli, const struct arguments *arguments)
{
    return steer(cli, arguments, "cancel", NULL);
}

const struct command command_pause = {
    "pause",
    "ID",
    "give out no more work; what runs is handed back with a checkpoint",
    "A worker whose trainer writes no checkpoints finishes what it runs. After `archscout resume` "
    "training\ngoes on from the checkpoints, on any worker.",
    {[PAUSE_FINISH] = {"finish", NULL, "let what runs be finished and counted"}},
    run_pause,
};

const struct command command_resume = {
    "resume", "ID", "go on with a paused search", NULL, {{0}}, run_resume,
};

const struct command command_cancel = {
    "cancel", "ID",  "end a search for good; results that arrive later are kept and not counted",
    NULL,     {{0}}, run_cancel,
};
