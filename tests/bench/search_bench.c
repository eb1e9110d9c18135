/* Times the search library: nanoseconds a call of ask, tell and replay, of pareto_add and of hypervolumes, at 10,000 and
 * 100,000 candidates.
 *
 *   search_bench [CANDIDATES...]
 *   search_bench --feasible      how fast architectures are drawn where hardly any meets the limits */
#include "search/feasible.h"
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

/* A space, and the share of its encodings that limits leave. */
struct scarce {
    const char *name, *space, *image_size;
    double share;
};

#define SCARCE_CHOICES(layers, channels, strides)                                                  \
    "\"layers\": [" layers                                                                         \
    "], \"kernel\": [3, 5], \"expansion\": [1, 4, 6], \"channels\": [" channels                    \
    "], \"stride\": [" strides "]}"
#define SCARCE_STAGE(...)                                                                          \
    "{\"alternatives\": [{\"block\": \"identity\"},"                                               \
    " {\"block\": \"mbconv\", \"se\": 0.25, " SCARCE_CHOICES(                                      \
        __VA_ARGS__) ","                                                                           \
                     " {\"block\": \"fused_mbconv\", " SCARCE_CHOICES(__VA_ARGS__) "]}"

#define STAGE_1 SCARCE_STAGE("1, 2, 3", "16, 24, 32", "1")
#define STAGE_2 SCARCE_STAGE("3, 4, 5", "32, 48, 64", "1, 2")
#define STAGE_3 SCARCE_STAGE("3, 4, 5", "48, 64, 80", "2")
#define STAGE_4 SCARCE_STAGE("4, 5, 6", "96, 128, 160", "1, 2")
#define STAGE_5 SCARCE_STAGE("7, 8, 9", "128, 160, 192", "1")
#define STAGE_6 SCARCE_STAGE("12, 13, 14", "224, 256, 288", "2")

/* A stage can stand in many places: stages before it may be missing, and have several channels and strides. */
static const char many_places[] =
    "{\"stem\": {\"stride\": 2, \"channels\": 24}, \"head\": {\"channels\": 1280}, \"stages\": "
    "[" STAGE_1 "," STAGE_2 "," STAGE_3 "," STAGE_4 "," STAGE_5 "," STAGE_6 "]}";

enum {
    SCARCE_CANDIDATES = 10000,
    SCARCE_SAMPLE = 1000,
    SCARCE_BISECTIONS = 40,
    SCARCE_JSON_SIZE = 4096
};

static struct spec *scarce_spec(const struct scarce *scarce, const uint64_t limits[LIMIT_COUNT])
{
    char json[SCARCE_JSON_SIZE], members[256] = "";
    size_t used = 0;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        if (limits[i] == 0)
            continue;
        used += (size_t)snprintf(members + used, sizeof members - used, "%s\"%s\": %llu",
                                 used > 0 ? ", " : "", limit_name((enum limit)i),
                                 (unsigned long long)limits[i]);
    }
    int length = snprintf(json, sizeof json,
                          "{\"dataset\": {\"name\": \"fashion-mnist\"},"
                          " \"space\": %s, \"strategy\": {\"name\": \"random\"},"
                          " \"constraints\": {%s}, \"budget\": {\"candidates\": 1000000},"
                          " \"recipe\": {\"image_size\": %s}, \"seed\": 1}",
                          scarce->space, members, scarce->image_size);
    struct spec *spec = NULL;
    struct error error = {.message = ""};
    check(spec_parse(json, (size_t)length, NULL, &spec, &error), &error);
    return spec;
}

/* The share of all encodings that meets the limits: those counted, times the part of their draws that does. */
static double feasible_share(const struct spec *spec, const struct constraints *constraints)
{
    struct feasible *feasible = NULL;
    struct random_stream random = random_stream_of(1, 0, RANDOM_PROPOSAL);
    char encodings[SPACE_COUNT_SIZE];
    check(feasible_new(spec->pricing, constraints, &feasible), NULL);
    uint32_t met = 0;
    for (uint32_t i = 0; i < SCARCE_SAMPLE; i++) {
        struct encoding encoding;
        met += feasible_draw(feasible, &random, &encoding);
    }
    space_count_encodings(spec->space, encodings);
    double share = feasible_count(feasible) * met / SCARCE_SAMPLE / strtod(encodings, NULL);
    feasible_free(feasible);
    return share;
}

/* The mean cost of random encodings. */
static void mean_costs(const struct spec *spec, double ret_means[LIMIT_COUNT])
{
    struct random_stream random = random_stream_of(2, 0, RANDOM_PROPOSAL);
    memset(ret_means, 0, LIMIT_COUNT * sizeof *ret_means);
    for (uint32_t i = 0; i < SCARCE_SAMPLE; i++) {
        struct encoding encoding = {{0}};
        for (uint32_t j = 0; j < space_stage_count(spec->space); j++)
            encoding.choices[j] =
                (uint16_t)random_below(&random, space_option_count(spec->space, j));
        struct cost cost = pricing_cost(spec->pricing, &encoding);
        for (int j = 0; j < LIMIT_COUNT; j++)
            ret_means[j] += (double)limit_of_cost(&cost, (enum limit)j) / SCARCE_SAMPLE;
    }
}

/* Limits on the figures in the set `limited`, equally far from the least to the mean, that leave the share; its value. */
static double scarce_limits(const struct scarce *scarce, unsigned limited,
                            uint64_t ret_limits[LIMIT_COUNT])
{
    memset(ret_limits, 0, LIMIT_COUNT * sizeof *ret_limits);
    struct spec *spec = scarce_spec(scarce, ret_limits);
    struct cost least = pricing_minimum(spec->pricing);
    double means[LIMIT_COUNT], low = 0, high = 2, share = 0;
    mean_costs(spec, means);
    for (int i = 0; i < SCARCE_BISECTIONS; i++) {
        double part = (low + high) / 2;
        uint64_t limits[LIMIT_COUNT] = {0};
        for (int j = 0; j < LIMIT_COUNT; j++) {
            double from = (double)limit_of_cost(&least, (enum limit)j);
            if (limited >> j & 1)
                limits[j] = (uint64_t)(from + part * (means[j] - from));
        }
        struct constraints constraints = {limits[0], limits[1], limits[2]};
        double found = feasible_share(spec, &constraints);
        if (found > scarce->share) {
            high = part;
            continue;
        }
        low = part;
        if (found > 0) {
            share = found;
            memcpy(ret_limits, limits, sizeof limits);
        }
    }
    spec_free(spec);
    return share;
}

static void bench_scarce(const struct scarce *scarce, unsigned limited)
{
    uint64_t limits[LIMIT_COUNT];
    double share = scarce_limits(scarce, limited, limits);
    struct spec *spec = scarce_spec(scarce, limits);
    struct strategy *strategy = NULL;
    check(strategy_new(spec, &strategy, NULL), NULL);
    printf("\n%s, %s pixels, one encoding in %.0f:", scarce->name, scarce->image_size, 1 / share);
    for (int i = 0; i < LIMIT_COUNT; i++) {
        if (limits[i] != 0)
            printf(" %s %llu", limit_name((enum limit)i), (unsigned long long)limits[i]);
    }
    printf("\n");
    double start = now_ns(), first = 0, slowest = 0;
    uint64_t k = 0;
    for (int r = 0; k < SCARCE_CANDIDATES && r == 0; k += r == 0) {
        struct encoding encoding;
        double before = now_ns();
        r = strategy_ask(strategy, k, &encoding);
        check(r, NULL);
        double taken = now_ns() - before;
        if (k == 0)
            first = taken;
        else if (taken > slowest)
            slowest = taken;
    }
    double total = now_ns() - start;
    print_row(k < SCARCE_CANDIDATES ? "strategy_ask, to the last architecture" : "strategy_ask", k,
              total);
    printf("%.0f a second; the first after %.1f ms, the slowest of the others %.2f ms\n",
           (double)k * 1e9 / total, first / 1e6, slowest / 1e6);
    strategy_free(strategy);
    spec_free(spec);
}

static int bench_feasible(void)
{
    static const char v2_s[] = "{\"preset\": \"efficientnetv2-s\"}";
    static const char small[] = "{\"preset\": \"efficientnetv2-small-images\"}";
    static const struct scarce spaces[] = {
        {"efficientnetv2-s", v2_s, "128", 1e-6},
        {"efficientnetv2-s", v2_s, "128", 1e-8},
        {"efficientnetv2-small-images", small, "28", 1e-3},
        {"stages in many places", many_places, "128", 1e-6},
        {"stages in many places", many_places, "128", 1e-9},
    };
    static const unsigned limited[] = {1, 2, 4, 3, 5, 6, 7}; /* sets of limits */
    for (size_t i = 0; i < ARRAY_LENGTH(spaces); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(limited); j++)
            bench_scarce(&spaces[i], limited[j]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--feasible") == 0)
        return bench_feasible();
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
