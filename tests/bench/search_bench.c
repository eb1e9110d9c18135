/* Times the search library: nanoseconds a call of ask, tell and replay, of pareto_add and of hypervolumes, at 10,000 and
 * 100,000 candidates.
 *
 *   search_bench [CANDIDATES...] */
#include "search/random.h"
#include "search/strategy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXIT_OUT_OF_MEMORY = 1 };

static const char spec_text[] =
    "{\"dataset\": {\"name\": \"fashion-mnist\", \"train\": 8000, \"validation\": 2000},"
    " \"space\": {\"preset\": \"%s\"}, \"strategy\": {\"name\": \"%s\"%s},"
    " \"constraints\": {\"params_max\": %s}, \"budget\": {\"candidates\": 1000000},"
    " \"recipe\": {\"image_size\": %s}, \"seed\": 1}";

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void print_row(const char *what, uint64_t count, double total_ns)
{
    printf("%-52s %8llu %12.0f ns each %10.1f ms in all\n", what, (unsigned long long)count,
           total_ns / (double)count, total_ns / 1e6);
}

static void check(int r, const struct error *error)
{
    if (r >= 0)
        return;
    fprintf(stderr, "search_bench: %s\n", error ? error->message : "out of memory");
    exit(EXIT_OUT_OF_MEMORY);
}

/* A search to measure: its space is large enough for all candidates. */
struct bench {
    const char *space, *strategy, *options, *params_max, *image_size;
};

static struct spec *bench_spec(const struct bench *bench)
{
    char json[1024];
    struct spec *spec = NULL;
    struct error error = {.message = ""};
    double start = now_ns();
    int length = snprintf(json, sizeof json, spec_text, bench->space, bench->strategy,
                          bench->options, bench->params_max, bench->image_size);
    check(spec_parse(json, (size_t)length, NULL, &spec, &error), &error);
    print_row("spec_parse", 1, now_ns() - start);
    return spec;
}

/* A result: smaller networks have the better reward, larger ones the better accuracy. */
static struct observation result(const struct spec *spec, uint64_t k,
                                 const struct encoding *encoding)
{
    struct cost cost = pricing_cost(spec->pricing, encoding);
    struct observation observation = {k, true, 1e9 / (double)cost.macs, {{0}}};
    observation.measures.value[OBJECTIVE_ACCURACY] =
        (double)cost.params / (1e9 + (double)cost.params);
    observation.measures.value[OBJECTIVE_STEP_TIME] = (double)cost.macs;
    observation.measures.value[OBJECTIVE_PARAMS] = (double)cost.params;
    return observation;
}

static void bench_strategy(const struct bench *bench, uint64_t count)
{
    printf("\n%s, %s, params_max %s\n", bench->space, bench->strategy, bench->params_max);
    struct spec *spec = bench_spec(bench);
    struct strategy *strategy = NULL, *replayed = NULL;
    struct encoding *encodings = calloc(count, sizeof *encodings);
    check(encodings ? 0 : -1, NULL);
    check(strategy_new(spec, &strategy, NULL), NULL);
    check(strategy_new(spec, &replayed, NULL), NULL);
    double start = now_ns(), slowest = 0;
    for (uint64_t k = 0; k < count; k++) {
        double before = now_ns();
        int r = strategy_ask(strategy, k, &encodings[k]);
        check(r, NULL);
        double taken = now_ns() - before;
        slowest = taken > slowest ? taken : slowest;
        if (r == STRATEGY_EXHAUSTED) {
            printf("exhausted after %llu\n", (unsigned long long)k);
            count = k;
            break;
        }
        struct observation observation = result(spec, k, &encodings[k]);
        check(strategy_tell(strategy, &observation), NULL);
    }
    print_row("strategy_ask + strategy_tell", count, now_ns() - start);
    print_row("slowest strategy_ask", 1, slowest);
    start = now_ns();
    for (uint64_t k = 0; k < count; k++) {
        check(strategy_replay(replayed, k, &encodings[k]), NULL);
        struct observation observation = result(spec, k, &encodings[k]);
        check(strategy_tell(replayed, &observation), NULL);
    }
    print_row("strategy_replay + strategy_tell", count, now_ns() - start);
    strategy_free(strategy);
    strategy_free(replayed);
    free(encodings);
    spec_free(spec);
}

/* How candidates lie: chance; accuracy that grows with cost, as real ones do; none better than another. */
enum spread { SPREAD_UNIFORM, SPREAD_TRADE_OFF, SPREAD_SURFACE, SPREAD_COUNT };

static const char *const spread_names[SPREAD_COUNT] = {"uniform", "accuracy grows with cost",
                                                       "all on the front"};

static struct pareto_point random_point(struct random_stream *random, uint64_t candidate,
                                        enum spread spread)
{
    double time = random_unit(random), params = random_unit(random), noise = random_unit(random);
    struct pareto_point point = {candidate, {noise, time, params}};
    if (spread == SPREAD_TRADE_OFF)
        point.value[0] = 0.8 + 0.1 * (time + params) / 2 - 0.05 * noise;
    if (spread == SPREAD_SURFACE)
        point.value[0] = time + params;
    return point;
}

static void bench_front(enum spread spread, uint64_t count)
{
    static const enum objective objectives[] = {OBJECTIVE_ACCURACY, OBJECTIVE_STEP_TIME,
                                                OBJECTIVE_PARAMS};
    struct random_stream random = random_stream_of(1, 0, RANDOM_PROPOSAL);
    struct pareto_point *points = calloc(count, sizeof *points);
    struct pareto *pareto = NULL;
    check(points ? 0 : -1, NULL);
    check(pareto_new(objectives, 3, &pareto), NULL);
    for (uint64_t i = 0; i < count; i++)
        points[i] = random_point(&random, i, spread);
    double start = now_ns();
    for (uint64_t i = 0; i < count; i++)
        check(pareto_add(pareto, &points[i]), NULL);
    printf("\nfront, %s: %zu of %llu\n", spread_names[spread], pareto_count(pareto),
           (unsigned long long)count);
    print_row("pareto_add", count, now_ns() - start);
    start = now_ns();
    (void)pareto_points(pareto);
    print_row("pareto_points, sorted", 1, now_ns() - start);
    start = now_ns();
    double volume = pareto_hypervolume(pareto, (double[]){0, 1, 1});
    print_row("pareto_hypervolume", 1, now_ns() - start);
    printf("hypervolume %.9g\n", volume);
    pareto_free(pareto);
    free(points);
}

int main(int argc, char **argv)
{
    static const char *const defaults[] = {"10000", "100000"};
    static const struct bench benches[] = {
        {"efficientnetv2-b0", "random", "", "9000000", "64"},
        {"efficientnetv2-b0", "evolution", ", \"population\": 100, \"sample\": 25", "9000000",
         "64"},
        {"efficientnetv2-small-images", "evolution", "", "300000", "28"},
        {"efficientnetv2-b0", "grid", "", "9000000", "64"},
        {"efficientnetv2-b0", "local", "", "9000000", "64"},
        {"efficientnetv2-b0", "nsga2", "", "9000000", "64"},
        {"efficientnetv2-b0", "policy", "", "9000000", "64"},
    };
    const char *const *counts = argc > 1 ? (const char *const *)argv + 1 : defaults;
    size_t count_count = argc > 1 ? (size_t)argc - 1 : ARRAY_LENGTH(defaults);
    for (size_t i = 0; i < count_count; i++) {
        uint64_t count = strtoull(counts[i], NULL, 10);
        if (count < 1 || count > SPEC_CANDIDATES_MAX) {
            fprintf(stderr, "search_bench: candidates must be 1 to %d\n", SPEC_CANDIDATES_MAX);
            return 2;
        }
        printf("\n==== %llu candidates\n", (unsigned long long)count);
        for (size_t j = 0; j < ARRAY_LENGTH(benches); j++)
            bench_strategy(&benches[j], count);
        for (int j = 0; j < SPREAD_COUNT; j++)
            bench_front((enum spread)j, count);
    }
    return 0;
}
