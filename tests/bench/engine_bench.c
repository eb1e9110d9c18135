/* Images a second of the CPU engine, one thread, beside what the machine can do at most (see usage). */
#include "search/cost.h"
#include "search/preset.h"
#include "search/random.h"
#include "worker/engine/backend.h"
#include "worker/engine/onednn/onednn.h"
#include "worker/engine/onednn/primitive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char USAGE[] =
    "usage: engine_bench [--preset NAME] [--size PIXELS] [--channels N] "
    "[--batch N] [--steps N] [--runs N] [--bf16] [--profile]\n"
    "\n"
    "Trains a network on resident random images with the oneDNN backend "
    "and prints a markdown row: images a second as the\n"
    "median of RUNS runs of STEPS steps, the machine's float matrix "
    "product beside them, and how near the one is to the\n"
    "other (6 floating-point operations a multiply-add of the forward "
    "pass). --bf16 asks for bfloat16; the row says what was used. --profile adds where the time "
    "went.\n";

enum { RUNS_MAX = 99, MATRIX_SIZE = 512, MATRIX_PRODUCTS = 9 };

struct options {
    const char *preset;
    uint32_t size, channels, batch, steps, runs;
    bool bf16, profile;
};

static double clock_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

/* GFLOP/s of a float matrix product; 0 where memory is short. */
static double floor_gflops(void)
{
    const size_t count = (size_t)MATRIX_SIZE * MATRIX_SIZE;
    float *values = calloc(3 * count, sizeof *values);
    double rates[MATRIX_PRODUCTS];
    if (!values)
        return 0;
    for (size_t i = 0; i < 2 * count; i++)
        values[i] = (float)(i % 7) - 3;
    for (size_t i = 0; i < MATRIX_PRODUCTS; i++)
        rates[i] =
            primitive_matrix_product(MATRIX_SIZE, values, values + count, values + 2 * count);
    free(values);
    return median(rates, MATRIX_PRODUCTS);
}

static bool number_parse(const char *text, uint32_t most, uint32_t *ret_number)
{
    char *end = NULL;
    errno = 0;
    const unsigned long number = strtoul(text, &end, 10);
    if (errno || end == text || *end || number < 1 || number > most)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static bool options_parse(int argc, char **argv, struct options *options)
{
    const struct {
        const char *name;
        uint32_t most, *number;
    } numbers[] = {{"--size", IMAGE_SIZE_MAX, &options->size},
                   {"--channels", 3, &options->channels},
                   {"--batch", RECIPE_BATCH_MAX, &options->batch},
                   {"--steps", 1000, &options->steps},
                   {"--runs", RUNS_MAX, &options->runs}};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--profile") == 0) {
            options->profile = true;
            continue;
        }
        if (strcmp(argv[i], "--bf16") == 0) {
            options->bf16 = true;
            continue;
        }
        if (i + 1 == argc)
            return false;
        if (strcmp(argv[i], "--preset") == 0) {
            options->preset = argv[++i];
            continue;
        }
        size_t n = 0;
        while (n < ARRAY_LENGTH(numbers) && strcmp(argv[i], numbers[n].name) != 0)
            n++;
        if (n == ARRAY_LENGTH(numbers) ||
            !number_parse(argv[++i], numbers[n].most, numbers[n].number))
            return false;
    }
    return true;
}

static int plan_options_make(const struct options *options, struct plan_options *ret_options,
                             struct error *error)
{
    struct plan_options plan = {.problem = {.image_size = options->size,
                                            .image_channels = options->channels,
                                            .classes = 10},
                                .micro_batches = 1,
                                .seed = 1};
    int r = preset_find(options->preset, &plan.architecture, error);
    if (r < 0)
        return r;
    r = recipe_preset("search-short", &plan.recipe, error);
    if (r < 0)
        return r;
    plan.recipe.batch = options->batch;
    plan.recipe.precision = options->bf16 ? PRECISION_BF16 : PRECISION_F32;
    *ret_options = plan;
    return 0;
}

static void batch_fill(struct plan *plan, const struct plan_options *options)
{
    struct random_stream random = random_stream_of(1, 0, RANDOM_AUGMENT);
    const struct problem *problem = &options->problem;
    const size_t pixels =
        (size_t)problem->image_size * problem->image_size * problem->image_channels;
    for (size_t i = 0; i < options->recipe.batch * pixels; i++)
        plan_images(plan)[i] = (float)random_normal(&random);
    for (uint32_t n = 0; n < options->recipe.batch; n++)
        plan_labels(plan)[n] = n % problem->classes;
}

/* Seconds of the clock on the wall, and those that this thread had a processor: they differ on a busy machine. */
struct duration {
    double wall, processor;
};

static int steps_time(struct plan *plan, uint32_t steps, struct duration *ret_duration)
{
    const struct duration started = {clock_s(CLOCK_MONOTONIC), clock_s(CLOCK_THREAD_CPUTIME_ID)};
    for (uint32_t i = 0; i < steps; i++) {
        struct batch_result result;
        int r = plan_step(plan, 1e-3, &result);
        if (r < 0)
            return r;
    }
    *ret_duration = (struct duration){clock_s(CLOCK_MONOTONIC) - started.wall,
                                      clock_s(CLOCK_THREAD_CPUTIME_ID) - started.processor};
    return 0;
}

/* Images a second of each run, by either clock. */
struct rates {
    double wall[RUNS_MAX], processor[RUNS_MAX];
};

static int measure(struct plan *plan, const struct options *options, struct rates *ret_rates)
{
    const double images = (double)options->steps * options->batch;
    struct duration duration;
    int r = steps_time(plan, 2, &duration);
    for (uint32_t run = 0; r == 0 && run < options->runs; run++) {
        r = steps_time(plan, options->steps, &duration);
        ret_rates->wall[run] = images / duration.wall;
        ret_rates->processor[run] = images / duration.processor;
    }
    return r;
}

static int profile_print(struct plan *plan, const struct options *options)
{
    struct profile profile = {{0}, 0};
    struct duration duration = {0, 0};
    double booked = 0;
    onednn_profile(plan_program(plan), &profile);
    int r = steps_time(plan, options->steps, &duration);
    onednn_profile(plan_program(plan), NULL);
    if (r < 0)
        return r;
    const double seconds = duration.processor;
    printf("\n| kind | ms a step | share |\n|---|---|---|\n");
    for (int kind = 0; kind < PROFILE_COUNT; kind++) {
        booked += profile.seconds[kind];
        printf("| %s | %.2f | %.1f %% |\n", profile_kind_name((enum profile_kind)kind),
               1e3 * profile.seconds[kind] / options->steps, 100 * profile.seconds[kind] / seconds);
    }
    printf("| not booked | %.2f | %.1f %% |\n", 1e3 * (seconds - booked) / options->steps,
           100 * (seconds - booked) / seconds);
    return 0;
}

static void row_print(const struct options *options, const struct plan_options *plan_options,
                      enum precision used, struct rates *rates, double floor)
{
    const struct cost cost = cost_of(&plan_options->architecture, &plan_options->problem);
    const double wall = median(rates->wall, options->runs);
    const double processor = median(rates->processor, options->runs);
    const double gflops = processor * 6e-9 * (double)cost.macs;
    printf("| network | images | MMAC | batch | precision | kernels | oneDNN | images/s (min .. "
           "max) | images a processor second | "
           "GFLOP/s | matrix product | ratio "
           "|\n|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    printf(
        "| %s | %ux%ux%u | %.2f | %u | %s | %s | %s | %.0f (%.0f .. %.0f) | %.0f | %.1f | %.1f | "
        "%.2f |\n",
        options->preset, options->size, options->size, options->channels, 1e-6 * (double)cost.macs,
        options->batch, precision_name(used), kernels_at(0)->name, primitive_library_version(),
        wall, rates->wall[0], rates->wall[options->runs - 1], processor, gflops, floor,
        gflops / floor);
}

static int plan_time(struct engine *engine, const struct plan_options *options, const char *which,
                     struct plan **ret_plan, struct error *error)
{
    const double started = clock_s(CLOCK_MONOTONIC);
    int r = plan_new(engine, options, ret_plan, error);
    if (r == 0)
        printf("plan_new %s: %.1f ms, %.1f MB\n", which, 1e3 * (clock_s(CLOCK_MONOTONIC) - started),
               1e-6 * (double)plan_bytes(*ret_plan));
    return r;
}

static int run(const struct options *options, struct error *error)
{
    struct plan_options plan_options;
    struct engine *engine = NULL;
    struct plan *plan = NULL;
    struct rates rates;
    struct duration first_step;
    int r = plan_options_make(options, &plan_options, error);
    if (r < 0)
        return r;
    r = engine_new(backend_onednn(), &engine, error);
    if (r < 0)
        return r;
    const double floor = floor_gflops();
    r = plan_time(engine, &plan_options, "cold", &plan, error);
    if (r < 0)
        goto out;
    batch_fill(plan, &plan_options);
    r = steps_time(plan, 1, &first_step);
    if (r < 0)
        goto out;
    printf("first step: %.1f ms\n", 1e3 * first_step.wall);
    plan_free(plan);
    plan = NULL;
    r = plan_time(engine, &plan_options, "warm", &plan, error);
    if (r < 0)
        goto out;
    batch_fill(plan, &plan_options);
    r = measure(plan, options, &rates);
    if (r < 0)
        goto out;
    row_print(options, &plan_options, plan_precision(plan), &rates, floor);
    if (options->profile)
        r = profile_print(plan, options);
out:
    plan_free(plan);
    engine_free(engine);
    return r;
}

int main(int argc, char **argv)
{
    struct options options = {.preset = "archscout-reference",
                              .size = 32,
                              .channels = 3,
                              .batch = 128,
                              .steps = 4,
                              .runs = 5};
    struct error error = {{0}, {0}};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(USAGE, stdout);
        return 0;
    }
    if (!options_parse(argc, argv, &options)) {
        fputs(USAGE, stderr);
        return 2;
    }
    int r = run(&options, &error);
    if (r < 0) {
        fprintf(stderr, "engine_bench: %s (%s)\n",
                error.message[0] ? error.message : "a step failed", strerror(-r));
        return 1;
    }
    return 0;
}
