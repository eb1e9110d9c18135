/* Commands: what each is called, takes and does. The tables from which the command line is read and
 * the help is written. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/exit_code.h"
#include "cli/terminal.h"
#include "search/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { COMMAND_OPTIONS_MAX = 16, COMMAND_OPERANDS_MAX = 2, COMMAND_REPEATS_MAX = 32 };

struct http_client;

/* What every command works with. */
struct cli {
    const char *server; /* base URL */
    bool json;
    struct terminal terminal;   /* of standard output */
    struct terminal complaints; /* of standard error */
    struct http_client *client; /* NULL until the first request */
};

struct option {
    const char *name; /* without dashes */
    /* What its value is called in the help; NULL for an option without one. It ends in "..." where the option may be given
     * several times, as one option of a command may. */
    const char *value;
    const char *help;
};

/* What was given: operands in order, and for each option of the command its value ("" where it
 * takes none) or NULL. */
struct arguments {
    const char *operands[COMMAND_OPERANDS_MAX];
    const char *values[COMMAND_OPTIONS_MAX];
    const char *repeated[COMMAND_REPEATS_MAX]; /* all values of the option that may be repeated */
    size_t repeated_count;
};

struct command {
    const char *name;
    const char *operands; /* "ID N" for the help; their number is the number of words */
    const char *summary;  /* one line */
    const char *details;  /* a paragraph, or NULL */
    struct option options[COMMAND_OPTIONS_MAX];
    /* NULL: the program archscout-NAME beside this one reads what follows the name, --help too (external.h) */
    enum exit_code (*run)(struct cli *cli, const struct arguments *arguments);
};

/* All commands, in the order of the help. */
extern const struct command *const commands[];
size_t command_count(void);
const struct command *command_find(const char *name); /* NULL */

/* Reads what follows the command's name, with the options that every command knows (--server,
 * --json, --help). The outcome; complaints go to standard error. */
enum command_parse { COMMAND_PARSE_RUN, COMMAND_PARSE_HELP, COMMAND_PARSE_WRONG };
enum command_parse command_parse(const struct command *command, struct cli *cli, char *const *words,
                                 struct arguments *ret_arguments) MUST_USE;

/* The page for one command; the page for all. */
void command_help(const struct command *command, FILE *file);
void command_overview(FILE *file);

#endif
