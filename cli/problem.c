#include "cli/problem.h"

#include "cli/json_place.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum { SHOWN_COLUMNS_MAX = 160 };

static void print_heading(const struct cli *cli)
{
    fprintf(stderr, "%sarchscout:%s ", terminal_begin(&cli->complaints, COLOUR_RED),
            terminal_end(&cli->complaints, COLOUR_RED));
}

enum exit_code problem_say(const struct cli *cli, enum exit_code code, const char *format, ...)
{
    print_heading(cli);
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    return code;
}

enum exit_code problem_tell_unreachable(const struct cli *cli, int code, const char *message)
{
    if (code == -EINVAL)
        return problem_say(cli, EXIT_CODE_USAGE, "%s", message);
    if (code == -ENOMEM || code == -EMSGSIZE)
        return problem_say(cli, EXIT_CODE_FAILED, "%s", message);
    return problem_say(cli, EXIT_CODE_UNREACHABLE,
                       "no answer from %s (%s)\n"
                       "Start a daemon with a worker on this machine:  archscoutd --local-worker\n"
                       "or say where one is:  archscout --server URL, or ARCHSCOUT_SERVER",
                       cli->server, message);
}

/* The line with the offending value and a mark below it. */
static void print_source(const struct cli *cli, const struct problem_source *source,
                         const char *pointer)
{
    struct json_place place;
    if (json_place_find(source->text, source->length, pointer, &place))
        return;
    fprintf(stderr, "  %s:%zu:%zu\n", source->name, place.line, place.column);
    if (place.line_length > SHOWN_COLUMNS_MAX)
        return;
    const char *line = source->text + place.line_start;
    fprintf(stderr, "  %5zu | %.*s\n        | ", place.line, (int)place.line_length, line);
    for (size_t i = 0; i + 1 < place.column; i++)
        fputc(line[i] == '\t' ? '\t' : ' ', stderr);
    fprintf(stderr, "%s^%s\n", terminal_begin(&cli->complaints, COLOUR_GREEN),
            terminal_end(&cli->complaints, COLOUR_GREEN));
}

enum exit_code problem_tell_spec(const struct cli *cli, const struct error *error,
                                 const struct problem_source *source)
{
    problem_say(cli, EXIT_CODE_REFUSED, "The spec is invalid: %s", error->message);
    if (error->pointer[0])
        fprintf(stderr, "  at %s\n", error->pointer);
    print_source(cli, source, error->pointer);
    return EXIT_CODE_REFUSED;
}

static enum exit_code code_of_status(long status)
{
    if (status == 404)
        return EXIT_CODE_NOT_FOUND;
    return status >= 500 ? EXIT_CODE_UNREACHABLE : EXIT_CODE_REFUSED;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

enum exit_code problem_tell(const struct cli *cli, long status, const char *body,
                            const struct problem_source *source)
{
    enum exit_code code = code_of_status(status);
    json_t *problem = json_loads(body, 0, NULL);
    const char *title = text_of(problem, "title"), *detail = text_of(problem, "detail");
    const char *pointer = text_of(problem, "pointer"), *parameter = text_of(problem, "parameter");
    if (cli->json) {
        fprintf(stderr, "%s\n", body);
    } else if (!*title && !*detail) {
        problem_say(cli, code, "%s answered with HTTP status %ld; is it an archscoutd?",
                    cli->server, status);
    } else {
        problem_say(cli, code, "%s%s%s", title, *title && *detail ? ": " : "", detail);
        if (*pointer)
            fprintf(stderr, "  at %s\n", pointer);
        if (*parameter)
            fprintf(stderr, "  parameter %s\n", parameter);
        if (source && json_object_get(problem, "pointer"))
            print_source(cli, source, pointer);
    }
    json_decref(problem);
    return code;
}
