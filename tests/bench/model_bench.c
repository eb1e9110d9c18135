/* What a proposal of the strategy "model" costs: processor milliseconds, the mean and the slowest, over the first 1,000
 * proposals and over 300 after so many random observations; and of the first one after all these were replayed, which
 * fits all weights at once.
 *
 *   model_bench [OBSERVATIONS...]     1000 10000 */
#include "search/random.h"
#include "search/strategy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIRST = 1000, MEASURED = 300, STAGES = 32, JSON_SIZE = 1 << 16 };

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "model_bench: %s\n", what);
    exit(1);
}

static double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

/* As many stages as there may be, with all kinds of choices. */
static void widest_space(char *ret_json)
{
    size_t used = (size_t)snprintf(ret_json, JSON_SIZE,
                                   "{\"stem\": {\"channels\": 16}, \"head\": {\"channels\": 64},"
                                   " \"stages\": [");
    for (int i = 0; i < STAGES; i++)
        used += (size_t)snprintf(ret_json + used, JSON_SIZE - used,
                                 "%s{\"block\": [\"mbconv\", \"fused_mbconv\"], \"layers\": [1, 2],"
                                 " \"kernel\": [3, 5], \"expansion\": %s, \"channels\": %d}",
                                 i > 0 ? ", " : "", i > 0 ? "[2, 4]" : "2", 16 + 8 * (i / 4));
    snprintf(ret_json + used, JSON_SIZE - used, "]}");
}

static struct spec *spec_of(const char *space, const char *objectives, const char *strategy)
{
    static char json[2 * JSON_SIZE];
    struct spec *spec = NULL;
    struct error error = {.message = "out of memory"};
    snprintf(json, sizeof json,
             "{\"dataset\": {\"name\": \"cifar10\"}, \"space\": %s, \"objectives\": [%s],"
             " \"strategy\": {\"name\": \"%s\"}, \"budget\": {\"candidates\": 1000000},"
             " \"recipe\": {\"image_size\": 64}}",
             space, objectives, strategy);
    if (spec_parse(json, strlen(json), NULL, &spec, &error) < 0)
        give_up(error.message);
    return spec;
}

/* Accuracy and step time that grow with cost, and chance. */
static struct observation observe(const struct spec *spec, uint64_t k,
                                  const struct encoding *encoding)
{
    struct random_stream random = random_stream_of(7, k, RANDOM_SHUFFLE);
    const struct cost cost = pricing_cost(spec->pricing, encoding);
    const double accuracy = 0.3 + 0.03 * log((double)cost.macs) + 0.01 * random_normal(&random);
    struct observation observation = {.candidate = k, .usable = true, .reward = accuracy};
    observation.measures.value[OBJECTIVE_ACCURACY] = accuracy;
    observation.measures.value[OBJECTIVE_STEP_TIME] =
        pow((double)cost.macs, 0.8) * (1 + 0.1 * random_unit(&random));
    observation.measures.value[OBJECTIVE_PARAMS] = (double)cost.params;
    return observation;
}

static void tell(struct strategy *strategy, const struct spec *spec, uint64_t k,
                 const struct encoding *encoding)
{
    const struct observation observation = observe(spec, k, encoding);
    if (strategy_tell(strategy, &observation) < 0)
        give_up("out of memory");
}

/* Milliseconds of the proposals first .. first + count - 1. */
static void propose(struct strategy *strategy, const struct spec *spec, uint64_t first,
                    uint64_t count, const char *what)
{
    double sum = 0, slowest = 0;
    for (uint64_t k = first; k < first + count; k++) {
        struct encoding encoding;
        const double start = now_ms();
        if (strategy_ask(strategy, k, &encoding) != 0)
            give_up("no proposal");
        const double taken = now_ms() - start;
        sum += taken;
        slowest = fmax(slowest, taken);
        tell(strategy, spec, k, &encoding);
    }
    printf("  %-36s %8.2f ms, slowest %6.2f\n", what, sum / (double)count, slowest);
    fflush(stdout);
}

/* Random proposals with their results. */
static void fill(struct strategy *strategy, const struct spec *spec, const char *space,
                 const char *objectives, uint64_t count)
{
    struct spec *random_spec = spec_of(space, objectives, "random");
    struct strategy *random = NULL;
    if (strategy_new(random_spec, &random, NULL) < 0)
        give_up("out of memory");
    for (uint64_t k = 0; k < count; k++) {
        struct encoding encoding;
        if (strategy_ask(random, k, &encoding) != 0 || strategy_replay(strategy, k, &encoding) < 0)
            give_up("no proposal");
        tell(strategy, spec, k, &encoding);
    }
    strategy_free(random);
    spec_free(random_spec);
}

static void measure(const char *name, const char *space, const char *objectives, int argc,
                    char **argv)
{
    struct spec *spec = spec_of(space, objectives, "model");
    printf("%s, %s\n", name, objectives);
    for (int i = 0; i < argc; i++) {
        const uint64_t observations = i > 0 ? strtoull(argv[i], NULL, 10) : 0;
        struct strategy *strategy = NULL;
        char what[64];
        if (strategy_new(spec, &strategy, NULL) < 0)
            give_up("out of memory");
        fill(strategy, spec, space, objectives, observations);
        snprintf(what, sizeof what, "after %llu observations", (unsigned long long)observations);
        if (observations > 0)
            propose(strategy, spec, observations, 1, "the first after replaying");
        propose(strategy, spec, observations + (observations > 0),
                observations > 0 ? MEASURED : FIRST, what);
        strategy_free(strategy);
    }
    spec_free(spec);
}

int main(int argc, char **argv)
{
    static char widest[JSON_SIZE];
    static char *defaults[] = {"", "1000", "10000"};
    static const char one[] = "\"accuracy\"", three[] = "\"accuracy\", \"step_time\", \"params\"";
    widest_space(widest);
    char **arguments = argc > 1 ? argv : defaults;
    const int count = argc > 1 ? argc : (int)ARRAY_LENGTH(defaults);
    measure("efficientnetv2-s", "{\"preset\": \"efficientnetv2-s\"}", one, count, arguments);
    measure("efficientnetv2-s", "{\"preset\": \"efficientnetv2-s\"}", three, count, arguments);
    measure("32 stages of 16 choices", widest, three, count, arguments);
    return 0;
}
