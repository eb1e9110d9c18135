/* version */
#include "cli/commands.h"

static enum exit_code run_version(struct cli *cli, const struct arguments *arguments)
{
    (void)arguments;
    printf(cli->json ? "{\"version\": \"%s\"}\n" : "archscout %s\n", ARCHSCOUT_VERSION);
    return EXIT_CODE_OK;
}

const struct command command_version = {
    "version", "", "the version of this program", NULL, {{0}}, run_version,
};
