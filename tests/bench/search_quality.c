/* How good strategies are: searches over a table of trained architectures, many times, with what they found after so many
 * evaluations as means over the seeds.
 *
 *   search_quality --table FILE.csv --space FILE.json [--strategy NAME] [--seeds 100] [--evaluations 25,50,100,200]
 *                  [--objectives accuracy,macs] [--accuracy 0.85] [--parallel 1] [--noisy] [--dataset cifar10]
 *
 * The space is in a spec's form. The table is one that `archscout rehearse` reads (docs/rehearsal.md); columns arch, mean_acc and
 * acc_seed1, acc_seed2, ... stand for its encoding, accuracy and runs where it has them. Without --strategy all strategies run that
 * need no options of their own, with those that a spec has by default. Regret: the table's best accuracy less the best found, in points. Hypervolume: of
 * what was found, as a part of the whole table's, against --accuracy and the largest cost. --noisy: an evaluation is one
 * training drawn from the columns of runs; regrets stay those of the means. --parallel: results arrive in random order.
 * Recommended: the regret, in the mean, of strategy_recommend after the last evaluation. Milliseconds are of processor time. */
#include "search/random.h"
#include "search/result_table.h"
#include "search/strategy.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MARKS_MAX = 8, EVALUATIONS_MAX = 100000, PARALLEL_MAX = 4096, TEXT_SIZE_MAX = 1 << 26 };

struct settings {
    const char *table, *space, *strategy, *objectives, *accuracy, *dataset;
    uint64_t seeds, parallel, marks[MARKS_MAX];
    size_t mark_count;
    bool noisy;
};

struct quality {
    double regret[MARKS_MAX], volume[MARKS_MAX];
    double found_sum, recommended, ask_seconds, slowest_ask;
    uint64_t found, asks, missing;
};

static _Noreturn void give_up(const char *what, const char *detail)
{
    fprintf(stderr, "search_quality: %s%s\n", what, detail);
    exit(2);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- specs ---- */

static char *file_text(const char *path)
{
    char *text = calloc(1, TEXT_SIZE_MAX);
    FILE *file = fopen(path, "r");
    if (!text || !file || fread(text, 1, TEXT_SIZE_MAX - 1, file) == 0)
        give_up("cannot read ", path);
    fclose(file);
    return text;
}

/* "accuracy,macs" as a list of JSON strings. */
static void objectives_json(const char *names, char *ret_text, size_t size)
{
    size_t used = (size_t)snprintf(ret_text, size, "\"");
    for (; *names && used + 8 < size; names++)
        used +=
            (size_t)snprintf(ret_text + used, size - used, *names == ',' ? "\",\"" : "%c", *names);
    snprintf(ret_text + used, size - used, "\"");
}

static struct spec *spec_of(const struct settings *settings, const char *space,
                            const char *strategy, const char *reference, uint64_t seed)
{
    const size_t size = strlen(space) + 2048;
    char *json = malloc(size), objectives[256];
    struct spec *spec = NULL;
    struct error error = {.message = "out of memory"};
    if (!json)
        give_up("out of memory", "");
    objectives_json(settings->objectives, objectives, sizeof objectives);
    snprintf(json, size,
             "{\"dataset\": {\"name\": \"%s\"}, \"space\": %s, \"objectives\": [%s],"
             " \"reward\": {\"accuracy\": 1}, \"strategy\": {\"name\": \"%s\"},"
             " \"budget\": {\"candidates\": %llu}, \"seed\": %llu%s}",
             settings->dataset, space, objectives, strategy,
             (unsigned long long)settings->marks[settings->mark_count - 1],
             (unsigned long long)seed, reference);
    if (spec_parse(json, strlen(json), NULL, &spec, &error) < 0)
        give_up("the spec is refused: ", error.message);
    free(json);
    return spec;
}

/* ---- the table ---- */

/* A table, and what is best and largest in it. */
struct known {
    struct result_table results;
    double best;
    struct cost largest;
};

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Whether a header line has the title. */
static bool has_title(const char *header, const char *title)
{
    const size_t length = strlen(title);
    while (strcspn(header, ",\r\n") != length || strncmp(header, title, length) != 0) {
        header += strcspn(header, ",\n");
        if (*header++ != ',')
            return false;
    }
    return true;
}

/* "acc_seed1,acc_seed2,..." as far as the header has them. */
static void runs_find(const char *header, char *ret_titles, size_t size)
{
    char title[32] = "acc_seed1";
    size_t used = 0;
    ret_titles[0] = '\0';
    for (int i = 1; i <= RESULT_TABLE_RUNS_MAX && has_title(header, title); i++) {
        used += (size_t)snprintf(ret_titles + used, size - used, "%s%s", i > 1 ? "," : "", title);
        snprintf(title, sizeof title, "acc_seed%d", i + 1);
    }
}

static void known_read(const char *path, const struct spec *spec, struct known *ret_known)
{
    char runs[RESULT_TABLE_RUNS_MAX * 16];
    char *text = file_text(path);
    struct error error = {.message = "out of memory"};
    runs_find(text, runs, sizeof runs);
    const struct result_columns columns = {.encoding = has_title(text, "arch") ? "arch" : NULL,
                                           .accuracy =
                                               has_title(text, "mean_acc") ? "mean_acc" : NULL,
                                           .runs = runs[0] ? runs : NULL};
    *ret_known = (struct known){.best = 0};
    if (result_table_read(text, strlen(text), &columns, spec, &ret_known->results, &error) < 0)
        give_up("the table is refused: ", error.message);
    for (size_t i = 0; i < ret_known->results.count; i++) {
        const struct result_entry *entry = &ret_known->results.entries[i];
        struct cost *largest = &ret_known->largest;
        ret_known->best = fmax(ret_known->best, entry->accuracy);
        largest->params = larger(largest->params, entry->cost.params);
        largest->macs = larger(largest->macs, entry->cost.macs);
        largest->activation_bytes = larger(largest->activation_bytes, entry->cost.activation_bytes);
    }
    free(text);
}

/* Against the accuracy given and the largest costs of the table. */
static void reference_json(const struct spec *spec, const struct known *table, const char *accuracy,
                           char *ret_text, size_t size)
{
    size_t used = (size_t)snprintf(ret_text, size, ", \"reference\": {\"accuracy\": %s", accuracy);
    const double largest[OBJECTIVE_COUNT] = {[OBJECTIVE_PARAMS] = (double)table->largest.params,
                                             [OBJECTIVE_MACS] = (double)table->largest.macs,
                                             [OBJECTIVE_MEMORY] =
                                                 (double)table->largest.activation_bytes};
    for (size_t i = 0; i < spec->objective_count; i++) {
        const enum objective objective = spec->objectives[i];
        if (objective == OBJECTIVE_ACCURACY)
            continue;
        if (largest[objective] <= 0)
            give_up("a table knows accuracy, params, macs and memory, not ",
                    objective_name(objective));
        used += (size_t)snprintf(ret_text + used, size - used, ", \"%s\": %.0f",
                                 objective_name(objective), largest[objective]);
    }
    snprintf(ret_text + used, size - used, "}");
}

/* ---- one search ---- */

struct run {
    const struct settings *settings;
    const struct spec *spec;
    const struct known *table;
    struct strategy *strategy;
    struct pareto *pareto;
    double whole; /* the table's hypervolume */
    struct random_stream random;
    const struct result_entry **rows; /* of the candidates */
    double best;
    bool found;
};

static struct measures measures_of(const struct result_entry *row, double accuracy)
{
    struct measures measures = {{0}};
    measures.value[OBJECTIVE_ACCURACY] = accuracy;
    measures.value[OBJECTIVE_PARAMS] = (double)row->cost.params;
    measures.value[OBJECTIVE_MACS] = (double)row->cost.macs;
    measures.value[OBJECTIVE_MEMORY] = (double)row->cost.activation_bytes;
    return measures;
}

static void front_add(const struct spec *spec, const struct result_entry *row,
                      struct pareto *pareto)
{
    const struct measures measures = measures_of(row, row->accuracy);
    struct pareto_point point = {.candidate = row->hash};
    for (size_t i = 0; i < spec->objective_count; i++)
        point.value[i] = measures.value[spec->objectives[i]];
    if (pareto_add(pareto, &point) < 0)
        give_up("out of memory", "");
}

static double volume_of(const struct spec *spec, const struct pareto *pareto)
{
    double reference[PARETO_OBJECTIVES_MAX];
    for (size_t i = 0; i < spec->objective_count; i++)
        reference[i] = spec->reference.value[spec->objectives[i]];
    return pareto_hypervolume(pareto, reference);
}

static double whole_volume(const struct spec *spec, const struct known *table)
{
    struct pareto *pareto = NULL;
    if (pareto_new(spec->objectives, spec->objective_count, &pareto) < 0)
        give_up("out of memory", "");
    for (size_t i = 0; i < table->results.count; i++)
        front_add(spec, &table->results.entries[i], pareto);
    const double volume = volume_of(spec, pareto);
    pareto_free(pareto);
    return volume;
}

/* False where the space is exhausted. */
static bool ask(struct run *run, uint64_t k, struct quality *quality)
{
    struct encoding encoding;
    struct architecture architecture;
    const double start = now();
    const int r = strategy_ask(run->strategy, k, &encoding);
    const double taken = now() - start;
    if (r < 0)
        give_up("out of memory", "");
    if (r != 0)
        return false;
    quality->asks++;
    quality->ask_seconds += taken;
    quality->slowest_ask = fmax(quality->slowest_ask, taken);
    space_architecture(run->spec->space, &encoding, &architecture);
    run->rows[k] = result_table_find(&run->table->results, architecture_hash(&architecture));
    quality->missing += !run->rows[k];
    return true;
}

static void tell(struct run *run, uint64_t candidate)
{
    const struct result_entry *row = run->rows[candidate];
    struct observation observation = {.candidate = candidate, .usable = row != NULL};
    if (row) {
        const double accuracy =
            run->settings->noisy
                ? row->run[random_below(&run->random, run->table->results.run_count)]
                : row->accuracy;
        observation.reward = accuracy;
        observation.measures = measures_of(row, accuracy);
        run->best = fmax(run->best, row->accuracy);
        front_add(run->spec, row, run->pareto);
    }
    if (strategy_tell(run->strategy, &observation) < 0)
        give_up("out of memory", "");
}

static void note(struct run *run, uint64_t done, struct quality *quality)
{
    if (!run->found && run->best >= run->table->best) {
        run->found = true;
        quality->found++;
        quality->found_sum += (double)done;
    }
    for (size_t i = 0; i < run->settings->mark_count; i++) {
        if (run->settings->marks[i] != done)
            continue;
        quality->regret[i] += run->table->best - run->best;
        quality->volume[i] += volume_of(run->spec, run->pareto) / run->whole;
    }
}

static void search(struct run *run, struct quality *quality)
{
    const uint64_t wanted = run->settings->marks[run->settings->mark_count - 1];
    uint64_t pending[PARALLEL_MAX], pending_count = 0, asked = 0, candidate = 0;
    for (uint64_t done = 0; done < wanted;) {
        while (pending_count < run->settings->parallel && asked < wanted &&
               ask(run, asked, quality))
            pending[pending_count++] = asked++;
        if (pending_count > 0) {
            const uint64_t which = random_below(&run->random, pending_count);
            tell(run, pending[which]);
            pending[which] = pending[--pending_count];
        }
        note(run, ++done, quality);
    }
    if (strategy_recommend(run->strategy, &candidate) == 0)
        quality->recommended += run->table->best - run->rows[candidate]->accuracy;
}

/* ---- all of them ---- */

static void print_quality(const struct settings *settings, const char *name,
                          const struct quality *quality)
{
    const double seeds = (double)settings->seeds;
    const bool several = strchr(settings->objectives, ',') != NULL;
    printf("| %s |", name);
    for (size_t i = 0; i < settings->mark_count; i++)
        printf(several ? " %.4f |" : " %.3f |",
               several ? quality->volume[i] / seeds : 100 * quality->regret[i] / seeds);
    if (!several && quality->found > 0)
        printf(" %.0f (%llu of %llu) |", quality->found_sum / (double)quality->found,
               (unsigned long long)quality->found, (unsigned long long)settings->seeds);
    else if (!several)
        printf(" never |");
    if (!several)
        printf(" %.3f |", 100 * quality->recommended / seeds);
    printf(" %.2f | %.1f |\n", 1e3 * quality->ask_seconds / (double)quality->asks,
           1e3 * quality->slowest_ask);
    if (quality->missing > 0)
        printf("%llu proposals were not in the table.\n", (unsigned long long)quality->missing);
    fflush(stdout);
}

static void measure(const struct settings *settings, const char *space, const char *reference,
                    const struct known *table, const char *strategy)
{
    struct quality quality = {.asks = 0};
    const uint64_t wanted = settings->marks[settings->mark_count - 1];
    for (uint64_t seed = 0; seed < settings->seeds; seed++) {
        struct spec *spec = spec_of(settings, space, strategy, reference, seed);
        struct run run = {.settings = settings, .spec = spec, .table = table};
        run.random = random_stream_of(seed, 1, RANDOM_SHUFFLE);
        run.rows = calloc(wanted, sizeof *run.rows);
        if (!run.rows || strategy_new(spec, &run.strategy, NULL) < 0 ||
            pareto_new(spec->objectives, spec->objective_count, &run.pareto) < 0)
            give_up("out of memory", "");
        run.whole = whole_volume(spec, table);
        search(&run, &quality);
        strategy_free(run.strategy);
        pareto_free(run.pareto);
        free(run.rows);
        spec_free(spec);
    }
    print_quality(settings, strategy, &quality);
}

static void print_header(const struct settings *settings)
{
    const bool several = strchr(settings->objectives, ',') != NULL;
    printf("%s of %llu seeds, %llu at a time%s\n\n| strategy |", several ? "hypervolume" : "regret",
           (unsigned long long)settings->seeds, (unsigned long long)settings->parallel,
           settings->noisy ? ", one training an evaluation" : "");
    for (size_t i = 0; i < settings->mark_count; i++)
        printf(" at %llu |", (unsigned long long)settings->marks[i]);
    printf("%s ms a proposal | slowest |\n|---|",
           several ? "" : " found the best at | recommended |");
    for (size_t i = 0; i < settings->mark_count + (several ? 2 : 4); i++)
        printf("---|");
    printf("\n");
}

static uint64_t number_of(const char *text, uint64_t max)
{
    char *end;
    const unsigned long long value = strtoull(text, &end, 10);
    if (*end != '\0' || value < 1 || value > max)
        give_up("not a number in range: ", text);
    return value;
}

static void marks_read(char *text, struct settings *settings)
{
    settings->mark_count = 0;
    for (char *next; text && settings->mark_count < MARKS_MAX; text = next) {
        next = strchr(text, ',');
        if (next)
            *next++ = '\0';
        settings->marks[settings->mark_count++] = number_of(text, EVALUATIONS_MAX);
    }
}

static void settings_read(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {{"table", required_argument, NULL, 't'},
                                            {"space", required_argument, NULL, 's'},
                                            {"strategy", required_argument, NULL, 'n'},
                                            {"seeds", required_argument, NULL, 'r'},
                                            {"objectives", required_argument, NULL, 'o'},
                                            {"evaluations", required_argument, NULL, 'e'},
                                            {"accuracy", required_argument, NULL, 'a'},
                                            {"parallel", required_argument, NULL, 'p'},
                                            {"dataset", required_argument, NULL, 'd'},
                                            {"noisy", no_argument, NULL, 'y'},
                                            {NULL, 0, NULL, 0}};
    const char **texts[128] = {
        ['t'] = &settings->table,      ['s'] = &settings->space,    ['n'] = &settings->strategy,
        ['o'] = &settings->objectives, ['a'] = &settings->accuracy, ['d'] = &settings->dataset};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == '?')
            exit(2);
        if (c == 'r')
            settings->seeds = number_of(optarg, EVALUATIONS_MAX);
        else if (c == 'p')
            settings->parallel = number_of(optarg, PARALLEL_MAX);
        else if (c == 'e')
            marks_read(optarg, settings);
        else if (c == 'y')
            settings->noisy = true;
        else
            *texts[c] = optarg;
    }
    if (!settings->table || !settings->space || optind < argc)
        give_up("--table FILE.csv and --space FILE.json are needed", "");
}

int main(int argc, char **argv)
{
    struct settings settings = {.objectives = "accuracy",
                                .accuracy = "0.85",
                                .dataset = "cifar10",
                                .seeds = 100,
                                .parallel = 1,
                                .marks = {25, 50, 100, 200},
                                .mark_count = 4};
    struct known table;
    char reference[512];
    settings_read(argc, argv, &settings);
    char *space = file_text(settings.space);
    struct spec *spec = spec_of(&settings, space, "random", "", 0);
    known_read(settings.table, spec, &table);
    reference_json(spec, &table, settings.accuracy, reference, sizeof reference);
    spec_free(spec);
    if (settings.noisy && table.results.run_count == 0)
        give_up("--noisy needs a table with single trainings", "");
    print_header(&settings);
    if (settings.strategy)
        measure(&settings, space, reference, &table, settings.strategy);
    for (size_t i = 0; !settings.strategy && strategy_name(i); i++) {
        if (strcmp(strategy_name(i), "list") == 0) /* proposes what a spec lists */
            continue;
        measure(&settings, space, reference, &table, strategy_name(i));
    }
    result_table_release(&table.results);
    free(space);
    return 0;
}
