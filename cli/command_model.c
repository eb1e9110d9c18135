/* model, presets: no daemon is asked */
#include "cli/commands.h"

#include "cli/problem.h"
#include "search/model_report.h"

#include <errno.h>
#include <stdlib.h>

enum { OPTION_IMAGE_SIZE, OPTION_IMAGE_CHANNELS, OPTION_CLASSES };

static bool read_size(const char *text, uint32_t *ret_size)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || value == 0 || value > UINT32_MAX)
        return false;
    *ret_size = (uint32_t)value;
    return true;
}

static enum exit_code run_model(struct cli *cli, const struct arguments *arguments)
{
    struct model_query query = {.name = arguments->operands[0]};
    uint32_t *fields[] = {&query.problem.image_size, &query.problem.image_channels,
                          &query.problem.classes};
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        if (arguments->values[i] && !read_size(arguments->values[i], fields[i]))
            return problem_say(cli, EXIT_CODE_USAGE, "--%s takes a positive number, not \"%s\"",
                               command_model.options[i].name, arguments->values[i]);

    struct text text;
    struct error error = {0};
    text_init(&text, MODEL_REPORT_SIZE_MAX);
    int r = cli->json ? model_report_json(&query, &text, &error)
                      : model_report_text(&query, &text, &error);
    if (r == 0)
        r = text_status(&text);
    enum exit_code code = EXIT_CODE_OK;
    if (r)
        code = problem_say(cli,
                           r == -ENOENT   ? EXIT_CODE_NOT_FOUND
                           : r == -EINVAL ? EXIT_CODE_USAGE
                                          : EXIT_CODE_FAILED,
                           "%s", error.message[0] ? error.message : "out of memory");
    else
        printf("%s%s", text_string(&text), cli->json ? "\n" : "");
    text_release(&text);
    return code;
}

const struct command command_model = {
    "model",
    "NAME",
    "a preset's stage table and exact costs; needs no daemon",
    "NAME is one that `archscout presets` lists. Parameters, multiply-adds and activation bytes "
    "are "
    "exact.",
    {[OPTION_IMAGE_SIZE] = {"image-size", "N", "pixels (default: the size the model is meant for)"},
     [OPTION_IMAGE_CHANNELS] = {"image-channels", "N", "1 or 3 (default 3)"},
     [OPTION_CLASSES] = {"classes", "N", "classes (default 1000)"}},
    run_model,
};

static enum exit_code run_presets(struct cli *cli, const struct arguments *arguments)
{
    (void)arguments;
    struct text text;
    struct error error = {0};
    text_init(&text, MODEL_REPORT_SIZE_MAX);
    int r = cli->json ? preset_report_json(&text, &error) : preset_report_text(&text, &error);
    if (r == 0)
        r = text_status(&text);
    if (r == 0)
        printf("%s%s", text_string(&text), cli->json ? "\n" : "");
    text_release(&text);
    return r ? problem_say(cli, EXIT_CODE_FAILED, "out of memory") : EXIT_CODE_OK;
}

const struct command command_presets = {
    "presets",
    "",
    "the models, recipes and progressive schedules that a spec can name; needs no daemon",
    NULL,
    {{0}},
    run_presets,
};
