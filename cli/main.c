/* archscout: the command line of ArchScout. Reads the command, runs it, ends. */
#include "cli/command.h"
#include "cli/external.h"
#include "cli/problem.h"
#include "proto/http_client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char server_default[] = "http://127.0.0.1:7700";

/* Reads the options before the command. Returns the first word that is none, or NULL where the
 * command line is wrong. */
static char **parse_global(struct cli *cli, char **words)
{
    while (*words && strncmp(*words, "--", 2) == 0) {
        if (strcmp(*words, "--json") == 0) {
            cli->json = true;
        } else if (strncmp(*words, "--server=", 9) == 0) {
            cli->server = *words + 9;
        } else if (strcmp(*words, "--server") == 0 && words[1]) {
            cli->server = *++words;
        } else if (strcmp(*words, "--help") != 0 && strcmp(*words, "--version") != 0) {
            problem_say(cli, EXIT_CODE_USAGE,
                        "unknown option or missing value: %s. `archscout --help` lists them all.",
                        *words);
            return NULL;
        } else
            break;
        words++;
    }
    return words;
}

static enum exit_code help(struct cli *cli, const char *name)
{
    const struct command *command = name ? command_find(name) : NULL;
    if (name && !command)
        return problem_say(cli, EXIT_CODE_USAGE, "no command is called \"%s\"", name);
    static char *const help_word[] = {"--help", NULL};
    if (command && !command->run)
        return external_run(cli, name, help_word);
    if (command)
        command_help(command, stdout);
    else
        command_overview(stdout);
    return EXIT_CODE_OK;
}

static enum exit_code run(struct cli *cli, char **words)
{
    words = parse_global(cli, words);
    if (!words)
        return EXIT_CODE_USAGE;
    if (!*words) {
        command_overview(stderr);
        return EXIT_CODE_USAGE;
    }
    if (strcmp(*words, "help") == 0 || strcmp(*words, "--help") == 0 || strcmp(*words, "-h") == 0)
        return help(cli, words[1]);
    const char *name = strcmp(*words, "--version") == 0 ? "version" : *words;
    const struct command *command = command_find(name);
    if (!command)
        return problem_say(cli, EXIT_CODE_USAGE,
                           "no command is called \"%s\". `archscout --help` lists them all.", name);
    if (!command->run)
        return external_run(cli, name, words + 1);
    struct arguments arguments;
    switch (command_parse(command, cli, words + 1, &arguments)) {
    case COMMAND_PARSE_HELP:
        command_help(command, stdout);
        return EXIT_CODE_OK;
    case COMMAND_PARSE_WRONG:
        return EXIT_CODE_USAGE;
    case COMMAND_PARSE_RUN:
        break;
    }
    return command->run(cli, &arguments);
}

int main(int argc, char **argv)
{
    const char *server = getenv("ARCHSCOUT_SERVER");
    struct cli cli = {.server = server && *server ? server : server_default,
                      .terminal = terminal_of(STDOUT_FILENO),
                      .complaints = terminal_of(STDERR_FILENO)};
    if (http_startup())
        return (int)problem_say(&cli, EXIT_CODE_FAILED, "out of memory");
    enum exit_code code = run(&cli, argv + (argc > 0));
    http_client_free(cli.client);
    http_shutdown();
    /* What was printed has not been said before it is written: a full disk behind a redirection is
     * a failure. */
    if (fflush(stdout) != 0 && code == EXIT_CODE_OK)
        code = problem_say(&cli, EXIT_CODE_FAILED, "standard output: %m");
    return (int)code;
}
