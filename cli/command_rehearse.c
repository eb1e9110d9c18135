/* rehearse: no daemon is asked */
#include "cli/commands.h"

#include "cli/file.h"
#include "cli/problem.h"
#include "cli/rehearsal_report.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_TABLE,
    OPTION_SEEDS,
    OPTION_WORKERS,
    OPTION_STRATEGY,
    OPTION_NOISE,
    OPTION_WITHIN,
    OPTION_MISSING,
    OPTION_ENCODING,
    OPTION_ACCURACY,
    OPTION_RUNS,
    OPTION_UNIT,
    OPTION_LOSS,
    OPTION_STEP_TIME,
    OPTION_SECONDS
};

enum { SEEDS_DEFAULT = 20, SEEDS_MAX = 10000 };

static const double WITHIN_DEFAULT = 0.001;

/* All that one call works with. */
struct play {
    struct cli *cli;
    const struct arguments *arguments;
    const char *spec_path, *table_path;
    char *spec_text;
    size_t spec_length;
    struct spec *spec;
    struct result_table table;
    struct rehearsal_options options;
    uint32_t seed_count;
    double within;
    struct spec *specs[COMMAND_REPEATS_MAX]; /* one a strategy */
    struct rehearsed_strategy strategies[COMMAND_REPEATS_MAX];
    size_t strategy_count;
};

static void play_release(struct play *play)
{
    for (size_t i = 0; i < play->strategy_count; i++) {
        spec_free(play->specs[i]);
        free(play->strategies[i].scores);
    }
    result_table_release(&play->table);
    spec_free(play->spec);
    free(play->spec_text);
}

static enum exit_code out_of_memory(const struct play *play)
{
    return problem_say(play->cli, EXIT_CODE_FAILED, "out of memory");
}

/* ---- the command line ---- */

static enum exit_code refuse_option(const struct play *play, size_t option, const char *wanted)
{
    return problem_say(play->cli, EXIT_CODE_USAGE, "--%s takes %s, not \"%s\"",
                       command_rehearse.options[option].name, wanted,
                       play->arguments->values[option]);
}

/* A whole number from 1 to `max`; *value stays where the option was not given. */
static enum exit_code read_whole(const struct play *play, size_t option, uint32_t max,
                                 uint32_t *value)
{
    const char *text = play->arguments->values[option];
    if (!text)
        return EXIT_CODE_OK;
    char *end, wanted[64];
    unsigned long number = strtoul(text, &end, 10);
    if (strspn(text, "0123456789") == 0 || *end || number < 1 || number > max) {
        snprintf(wanted, sizeof wanted, "a whole number from 1 to %u", max);
        return refuse_option(play, option, wanted);
    }
    *value = (uint32_t)number;
    return EXIT_CODE_OK;
}

static enum exit_code read_within(struct play *play)
{
    const char *text = play->arguments->values[OPTION_WITHIN];
    play->within = WITHIN_DEFAULT;
    if (!text)
        return EXIT_CODE_OK;
    char *end;
    double points = strtod(text, &end);
    if (end == text || *end || !isfinite(points) || points < 0)
        return refuse_option(play, OPTION_WITHIN, "a number of points from 0");
    play->within = points / REHEARSAL_POINTS;
    return EXIT_CODE_OK;
}

/* The place of the option's value in a list that NULL ends; 0 where it was not given. */
static enum exit_code read_choice(const struct play *play, size_t option,
                                  const char *const *choices, const char *wanted, int *ret_choice)
{
    const char *text = play->arguments->values[option];
    *ret_choice = 0;
    for (int i = 0; text && choices[i]; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *ret_choice = i;
            return EXIT_CODE_OK;
        }
    }
    return text ? refuse_option(play, option, wanted) : EXIT_CODE_OK;
}

static enum exit_code read_options(struct play *play, struct result_columns *ret_columns)
{
    static const char *const missing[] = {"fail", "refuse", NULL};
    static const char *const units[] = {"guess", "fraction", "percent", NULL};
    const char *const *values = play->arguments->values;
    int chosen_missing = 0, chosen_unit = 0;
    play->table_path = values[OPTION_TABLE];
    play->seed_count = SEEDS_DEFAULT;
    if (!play->table_path)
        return problem_say(play->cli, EXIT_CODE_USAGE,
                           "rehearse needs --table FILE, the results to play over");
    enum exit_code code = read_whole(play, OPTION_SEEDS, SEEDS_MAX, &play->seed_count);
    if (!code)
        code = read_whole(play, OPTION_WORKERS, SPEC_PARALLEL_MAX, &play->options.workers);
    if (!code)
        code = read_within(play);
    if (!code)
        code = read_choice(play, OPTION_MISSING, missing, "fail or refuse", &chosen_missing);
    if (!code)
        code = read_choice(play, OPTION_UNIT, units, "guess, fraction or percent", &chosen_unit);
    play->options.noise = values[OPTION_NOISE] != NULL;
    play->options.missing = (enum rehearsal_missing)chosen_missing;
    *ret_columns = (struct result_columns){.encoding = values[OPTION_ENCODING],
                                           .accuracy = values[OPTION_ACCURACY],
                                           .runs = values[OPTION_RUNS],
                                           .loss = values[OPTION_LOSS],
                                           .step_time = values[OPTION_STEP_TIME],
                                           .seconds = values[OPTION_SECONDS],
                                           .unit = (enum accuracy_unit)chosen_unit};
    return code;
}

/* ---- the files ---- */

static enum exit_code refuse_spec(const struct play *play, const struct error *error)
{
    struct problem_source source = {
        .name = play->spec_path, .text = play->spec_text, .length = play->spec_length};
    return problem_tell_spec(play->cli, error, &source);
}

static enum exit_code load_spec(struct play *play)
{
    struct error error = {0};
    int r = file_read(play->spec_path, SPEC_TEXT_MAX, &play->spec_text, &play->spec_length);
    if (r < 0)
        return problem_say(play->cli, EXIT_CODE_FAILED, "%s: %s", play->spec_path, strerror(-r));
    r = spec_parse(play->spec_text, play->spec_length, NULL, &play->spec, &error);
    if (r == -ENOMEM)
        return out_of_memory(play);
    if (r < 0)
        return refuse_spec(play, &error);
    if (play->options.workers == 0)
        play->options.workers = play->spec->parallel_max;
    return EXIT_CODE_OK;
}

static enum exit_code load_table(struct play *play, const struct result_columns *columns)
{
    struct error error = {0};
    char *text = NULL;
    size_t length = 0;
    int r = file_read(play->table_path, RESULT_TABLE_TEXT_MAX, &text, &length);
    if (r < 0)
        return problem_say(play->cli, EXIT_CODE_FAILED, "%s: %s", play->table_path, strerror(-r));
    r = result_table_read(text, length, columns, play->spec, &play->table, &error);
    free(text);
    if (r < 0)
        return problem_say(play->cli, EXIT_CODE_FAILED, "%s: %s", play->table_path, error.message);
    play->options.table = &play->table;
    return rehearsal_check(play->spec, &play->options, &error) < 0
               ? problem_say(play->cli, EXIT_CODE_FAILED, "%s", error.message)
               : EXIT_CODE_OK;
}

/* ---- the strategies ---- */

/* The spec with another strategy, at its defaults; NULL where memory is short. The spec has been parsed before. */
static char *with_strategy(const struct play *play, const char *name)
{
    json_t *document = json_loadb(play->spec_text, play->spec_length, 0, NULL);
    json_t *strategy = json_pack("{s:s}", "name", name);
    char *text = NULL;
    if (document && strategy && json_object_set(document, "strategy", strategy) == 0)
        text = json_dumps(document, JSON_COMPACT);
    json_decref(strategy);
    json_decref(document);
    return text;
}

static enum exit_code add_strategy(struct play *play, const char *name)
{
    struct error error = {0};
    bool own = strcmp(name, play->spec->strategy.name) == 0;
    char *text = own ? play->spec_text : with_strategy(play, name);
    if (!text)
        return problem_say(play->cli, EXIT_CODE_USAGE,
                           "--strategy %s: no memory is left, or it is no UTF-8", name);
    struct spec *spec = NULL;
    int r = spec_parse(text, own ? play->spec_length : strlen(text), NULL, &spec, &error);
    if (!own)
        free(text);
    if (r < 0)
        return problem_say(play->cli, EXIT_CODE_USAGE, "--strategy %s: %s", name, error.message);
    play->specs[play->strategy_count] = spec;
    play->strategies[play->strategy_count++].name = spec->strategy.name;
    return EXIT_CODE_OK;
}

static enum exit_code add_strategies(struct play *play)
{
    enum exit_code code = EXIT_CODE_OK;
    for (size_t i = 0; i < play->arguments->repeated_count && code == EXIT_CODE_OK; i++)
        code = add_strategy(play, play->arguments->repeated[i]);
    if (play->arguments->repeated_count == 0)
        code = add_strategy(play, play->spec->strategy.name);
    return code;
}

/* ---- playing ---- */

static void show_progress(const struct play *play, const char *strategy, uint32_t seed)
{
    if (!play->cli->complaints.is_terminal)
        return;
    fprintf(stderr, "\r\033[K");
    if (strategy)
        fprintf(stderr, "%s: %u of %u seeds", strategy, seed, play->seed_count);
    fflush(stderr);
}

static int play_seed(const struct play *play, size_t strategy, uint32_t index,
                     const struct rehearsal_truth *truth, struct error *error)
{
    struct spec spec = *play->specs[strategy];
    struct rehearsal rehearsal = {0};
    spec.seed += index;
    int r = rehearsal_run(&spec, &play->options, &rehearsal, error);
    if (r == 0 && rehearsal_score_of(&spec, &rehearsal, truth, play->within,
                                     &play->strategies[strategy].scores[index]) < 0)
        r = error_set(error, -ENOMEM, "", "out of memory");
    rehearsal_release(&rehearsal);
    return r;
}

static enum exit_code play_strategy(struct play *play, size_t strategy,
                                    const struct rehearsal_truth *truth)
{
    struct error error = {0};
    struct rehearsed_strategy *rehearsed = &play->strategies[strategy];
    rehearsed->scores = calloc(play->seed_count, sizeof rehearsed->scores[0]);
    if (!rehearsed->scores)
        return out_of_memory(play);
    int r = 0;
    for (uint32_t i = 0; i < play->seed_count && r == 0; i++) {
        show_progress(play, rehearsed->name, i);
        r = play_seed(play, strategy, i, truth, &error);
    }
    show_progress(play, NULL, 0);
    return r < 0 ? problem_say(play->cli, EXIT_CODE_FAILED, "%s", error.message) : EXIT_CODE_OK;
}

static enum exit_code play_all(struct play *play)
{
    struct rehearsal_report report = {.table_name = play->table_path,
                                      .spec = play->spec,
                                      .options = &play->options,
                                      .within = play->within,
                                      .seed_count = play->seed_count,
                                      .strategies = play->strategies,
                                      .strategy_count = play->strategy_count};
    if (rehearsal_truth_of(play->spec, &play->table, &report.truth) < 0)
        return out_of_memory(play);
    enum exit_code code = EXIT_CODE_OK;
    for (size_t i = 0; i < play->strategy_count && code == EXIT_CODE_OK; i++)
        code = play_strategy(play, i, &report.truth);
    if (code)
        return code;
    int r = play->cli->json ? rehearsal_report_json(&report, stdout)
                            : rehearsal_report_print(&report, &play->cli->terminal, stdout);
    return r == -ENOMEM ? out_of_memory(play) : EXIT_CODE_OK;
}

static enum exit_code run_rehearse(struct cli *cli, const struct arguments *arguments)
{
    struct play play = {.cli = cli, .arguments = arguments, .spec_path = arguments->operands[0]};
    struct result_columns columns;
    enum exit_code code = read_options(&play, &columns);
    if (!code)
        code = load_spec(&play);
    if (!code)
        code = load_table(&play, &columns);
    if (!code)
        code = add_strategies(&play);
    if (!code)
        code = play_all(&play);
    play_release(&play);
    return code;
}

const struct command command_rehearse = {
    "rehearse",
    "SPEC",
    "play a search over a table of known results; needs no daemon",
    "SPEC is a spec's file, and the table (docs/rehearsal.md) says what training each architecture "
    "came to. The\nstrategies are the daemon's; workers and time are simulated.",
    {[OPTION_TABLE] = {"table", "FILE", "the results, comma-separated values with a header"},
     [OPTION_SEEDS] = {"seeds", "N", "play each strategy N times, from the spec's seed on (20)"},
     [OPTION_WORKERS] = {"workers", "N", "workers (default: the spec's parallel_max)"},
     [OPTION_STRATEGY] = {"strategy", "NAME...",
                          "instead of the spec's, at its defaults; several compare them"},
     [OPTION_NOISE] = {"noise", NULL, "an evaluation gives one of the runs at random"},
     [OPTION_WITHIN] = {"within", "POINTS", "when is a strategy close to the best? (0.1)"},
     [OPTION_MISSING] =
         {"missing", "WHAT",
          "a proposal that is not in the table: fail ends it all (default), refuse goes on"},
     [OPTION_ENCODING] = {"encoding", "COLUMN", "that names the architecture (encoding)"},
     [OPTION_ACCURACY] = {"accuracy", "COLUMN", "the accuracy (accuracy, if there is one)"},
     [OPTION_RUNS] = {"runs", "COLUMN,COLUMN", "the accuracy of each run (accuracy_1, ...)"},
     [OPTION_UNIT] = {"unit", "UNIT",
                      "of accuracies: fraction, percent, or guess (percent if any is above 1)"},
     [OPTION_LOSS] = {"loss", "COLUMN", "the loss (loss)"},
     [OPTION_STEP_TIME] = {"step-time", "COLUMN", "relative to the baseline's (step_time)"},
     [OPTION_SECONDS] = {"seconds", "COLUMN", "that the training took (seconds)"}},
    run_rehearse,
};
