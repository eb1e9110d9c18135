#include "cli/command.h"

#include <string.h>

static const struct option common_options[] = {
    {"server", "URL", "where the daemon is (default: $ARCHSCOUT_SERVER, or http://127.0.0.1:7700)"},
    {"json", NULL, "print the daemon's JSON as it is"},
    {"help", NULL, "print this page"},
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < command_count(); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static size_t operand_count(const struct command *command)
{
    size_t count = command->operands[0] != '\0';
    for (const char *c = command->operands; *c; c++)
        count += *c == ' ';
    return count;
}

/* An option's place in a table by the first `length` bytes of `name`; `count` where it is not
 * there. */
static size_t option_find(const struct option *options, size_t count, const char *name,
                          size_t length)
{
    size_t i = 0;
    while (i < count && options[i].name &&
           !(strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0))
        i++;
    return i < count && options[i].name ? i : count;
}

static enum command_parse complain(const struct command *command, const char *what,
                                   const char *word)
{
    fprintf(stderr, "archscout %s: %s%s. `archscout help %s` says what it takes.\n", command->name,
            what, word, command->name);
    return COMMAND_PARSE_WRONG;
}

/* Sets what a common option asks for; true where `index` is --help. */
static bool take_common(struct cli *cli, size_t index, const char *value)
{
    if (index == 0)
        cli->server = value;
    else if (index == 1)
        cli->json = true;
    return index == 2;
}

static bool may_repeat(const struct option *option)
{
    size_t length = option->value ? strlen(option->value) : 0;
    return length > 3 && strcmp(option->value + length - 3, "...") == 0;
}

/* Keeps the value of one of the command's own options. */
static enum command_parse take_own(const struct command *command, size_t index, const char *value,
                                   struct arguments *arguments)
{
    arguments->values[index] = value ? value : "";
    if (!may_repeat(&command->options[index]))
        return COMMAND_PARSE_RUN;
    if (arguments->repeated_count == COMMAND_REPEATS_MAX)
        return complain(command, "given too often: --", command->options[index].name);
    arguments->repeated[arguments->repeated_count++] = value;
    return COMMAND_PARSE_RUN;
}

/* Reads the option in (*words)[0] and moves past its value where that is a word of its own. */
static enum command_parse parse_option(const struct command *command, struct cli *cli,
                                       char *const **words, struct arguments *arguments)
{
    const char *name = (*words)[0] + 2;
    size_t length = strcspn(name, "=");
    size_t index = option_find(command->options, COMMAND_OPTIONS_MAX, name, length);
    bool common = index == COMMAND_OPTIONS_MAX;
    const struct option *option = &command->options[common ? 0 : index];
    if (common) {
        index = option_find(common_options, ARRAY_LENGTH(common_options), name, length);
        if (index == ARRAY_LENGTH(common_options))
            return complain(command, "unknown option ", (*words)[0]);
        option = &common_options[index];
    }
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    if (!option->value && value)
        return complain(command, "takes no value: --", option->name);
    if (option->value && !value) {
        value = (*words)[1];
        if (!value)
            return complain(command, "needs a value: --", option->name);
        (*words)++;
    }
    if (!common)
        return take_own(command, index, value, arguments);
    if (take_common(cli, index, value))
        return COMMAND_PARSE_HELP;
    return COMMAND_PARSE_RUN;
}

enum command_parse command_parse(const struct command *command, struct cli *cli, char *const *words,
                                 struct arguments *ret_arguments)
{
    struct arguments arguments = {0};
    size_t expected = operand_count(command), count = 0;
    bool options_over = false;
    for (; *words; words++) {
        if (!options_over && strcmp(*words, "--") == 0) {
            options_over = true;
        } else if (!options_over && strcmp(*words, "-h") == 0) {
            return COMMAND_PARSE_HELP;
        } else if (!options_over && strncmp(*words, "--", 2) == 0) {
            enum command_parse parse = parse_option(command, cli, &words, &arguments);
            if (parse != COMMAND_PARSE_RUN)
                return parse;
        } else if (!options_over && (*words)[0] == '-' && (*words)[1] != '\0') {
            return complain(command, "unknown option ", *words);
        } else {
            if (count == expected)
                return complain(command, "one word too many: ", *words);
            arguments.operands[count++] = *words;
        }
    }
    if (count < expected)
        return complain(command, "needs ", command->operands);
    *ret_arguments = arguments;
    return COMMAND_PARSE_RUN;
}

static void print_option(const struct option *option, FILE *file)
{
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", option->name, option->value ? " " : "",
             option->value ? option->value : "");
    fprintf(file, "  %-22s %s\n", left, option->help);
}

void command_help(const struct command *command, FILE *file)
{
    fprintf(file, "usage: archscout %s%s%s%s\n\n%s\n", command->name,
            command->operands[0] ? " " : "", command->operands, " [OPTION...]", command->summary);
    if (command->details)
        fprintf(file, "\n%s\n", command->details);
    fprintf(file, "\n");
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX && command->options[i].name; i++)
        print_option(&command->options[i], file);
    for (size_t i = 0; i < ARRAY_LENGTH(common_options); i++)
        print_option(&common_options[i], file);
}

void command_overview(FILE *file)
{
    fprintf(file, "usage: archscout [--server URL] [--json] COMMAND\n\n"
                  "Submits neural architecture searches to archscoutd, watches them, and takes the "
                  "results away.\n\n");
    for (size_t i = 0; i < command_count(); i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", commands[i]->name, commands[i]->operands);
        fprintf(file, "  %-16s %s\n", left, commands[i]->summary);
    }
    fprintf(file, "\nID is a search's number, its name where only one search has it, or `latest`. "
                  "`archscout help COMMAND` says more.\n\n");
    for (size_t i = 0; i < ARRAY_LENGTH(common_options); i++)
        print_option(&common_options[i], file);
    fprintf(file,
            "  %-22s %s\n\n"
            "Exit status: 0 done; 1 something here failed (a file, memory); 2 wrong usage; 3 not "
            "found;\n4 refused by the daemon; 5 daemon unreachable or unable at present; 6 the "
            "watched search\nended cancelled or failed; 7 what is stored could not be verified. "
            "Colours: on a "
            "terminal, unless\nNO_COLOR is set.\n",
            "--version", "print the version");
}
