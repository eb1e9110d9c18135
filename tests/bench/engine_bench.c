/* Images a second of the CPU engine, one thread, beside what the machine can do at most (see usage). */
#include "search/cost.h"
#include "search/preset.h"
#include "search/random.h"
#include "tests/bench/machine.h"
#include "worker/engine/backend.h"
#include "worker/engine/onednn/onednn.h"
#include "worker/engine/onednn/primitive.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char USAGE[] =
    "usage: engine_bench [--preset NAME] [--size PIXELS] [--channels N] [--batch N] [--steps N] "
    "[--runs N] [--bf16]\n"
    "                    [--profile | --brief | --occasions N]\n"
    "       engine_bench --floors\n"
    "\n"
    "Trains a network on resident random images with the oneDNN backend and prints a markdown row: "
    "images a second as the median of\n"
    "RUNS runs of STEPS steps, the machine's matrix product in the same precision beside them, and "
    "how near the "
    "one is to the other (6 floating-point\n"
    "operations a multiply-add of the forward pass). --bf16 asks for bfloat16; the row says what "
    "was used.\n"
    "  --profile    also where the time went\n"
    "  --brief      only the images a second, by the clock on the wall\n"
    "  --occasions  the step time on N occasions, each a plan of its own, and how much it varies\n"
    "  --floors     what the machine can do at most: matrix products and copies, and no network\n";

enum { RUNS_MAX = 99, OCCASIONS_MAX = 99 };

struct options {
    const char *preset;
    uint32_t size, channels, batch, steps, runs, occasions;
    bool bf16, profile, brief, floors;
};

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

static bool flag_parse(const char *argument, struct options *options)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"--profile", &options->profile},
                 {"--bf16", &options->bf16},
                 {"--brief", &options->brief},
                 {"--floors", &options->floors}};
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++)
        if (strcmp(argument, flags[i].name) == 0)
            return *flags[i].flag = true;
    return false;
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
                   {"--runs", RUNS_MAX, &options->runs},
                   {"--occasions", OCCASIONS_MAX, &options->occasions}};
    for (int i = 1; i < argc; i++) {
        if (flag_parse(argv[i], options))
            continue;
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
    const struct duration started = {machine_clock_s(CLOCK_MONOTONIC),
                                     machine_clock_s(CLOCK_THREAD_CPUTIME_ID)};
    for (uint32_t i = 0; i < steps; i++) {
        struct batch_result result;
        int r = plan_step(plan, 1e-3, &result);
        if (r < 0)
            return r;
    }
    *ret_duration = (struct duration){machine_clock_s(CLOCK_MONOTONIC) - started.wall,
                                      machine_clock_s(CLOCK_THREAD_CPUTIME_ID) - started.processor};
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
                      enum precision used, struct rates *rates)
{
    const double floor =
        used == PRECISION_BF16 ? machine_bfloat_product() : machine_float_product();
    const struct cost cost = cost_of(&plan_options->architecture, &plan_options->problem);
    const double wall = machine_median(rates->wall, options->runs);
    const double processor = machine_median(rates->processor, options->runs);
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
    const double started = machine_clock_s(CLOCK_MONOTONIC);
    int r = plan_new(engine, options, ret_plan, error);
    if (r == 0 && which)
        printf("plan_new %s: %.1f ms, %.1f MB\n", which,
               1e3 * (machine_clock_s(CLOCK_MONOTONIC) - started),
               1e-6 * (double)plan_bytes(*ret_plan));
    return r;
}

/* The step time by this thread's processor time, and by the clock on the wall: the median of `runs` steps after two. */
static int occasion_measure(struct engine *engine, const struct options *options,
                            const struct plan_options *plan_options, struct duration *ret_step,
                            struct error *error)
{
    double wall[RUNS_MAX], processor[RUNS_MAX];
    struct plan *plan = NULL;
    struct duration duration;
    int r = plan_new(engine, plan_options, &plan, error);
    if (r < 0)
        return r;
    batch_fill(plan, plan_options);
    r = steps_time(plan, 2, &duration);
    for (uint32_t i = 0; r == 0 && i < options->runs; i++) {
        r = steps_time(plan, 1, &duration);
        wall[i] = duration.wall;
        processor[i] = duration.processor;
    }
    plan_free(plan);
    if (r == 0)
        *ret_step = (struct duration){machine_median(wall, options->runs),
                                      machine_median(processor, options->runs)};
    return r;
}

/* Median of the values, and median absolute deviation over it in percent. */
static void spread_print(const char *what, double *seconds, size_t count)
{
    double off[OCCASIONS_MAX];
    const double middle = machine_median(seconds, count);
    for (size_t i = 0; i < count; i++)
        off[i] = fabs(seconds[i] - middle);
    printf("%s: %.2f ms (%.2f .. %.2f), median absolute deviation %.2f %%\n", what, 1e3 * middle,
           1e3 * seconds[0], 1e3 * seconds[count - 1], 100 * machine_median(off, count) / middle);
}

static int occasions_run(struct engine *engine, const struct options *options,
                         const struct plan_options *plan_options, struct error *error)
{
    double wall[OCCASIONS_MAX], processor[OCCASIONS_MAX];
    for (uint32_t i = 0; i < options->occasions; i++) {
        struct duration step = {0, 0};
        int r = occasion_measure(engine, options, plan_options, &step, error);
        if (r < 0)
            return r;
        wall[i] = step.wall;
        processor[i] = step.processor;
    }
    spread_print("step, processor time", processor, options->occasions);
    spread_print("step, clock on the wall", wall, options->occasions);
    return 0;
}

/* The first plan is the cold one. */
static int plans_time(struct engine *engine, const struct plan_options *plan_options,
                      struct plan **ret_plan, struct error *error)
{
    struct duration first_step;
    struct plan *plan = NULL;
    int r = plan_time(engine, plan_options, "cold", &plan, error);
    if (r < 0)
        return r;
    batch_fill(plan, plan_options);
    r = steps_time(plan, 1, &first_step);
    plan_free(plan);
    if (r < 0)
        return r;
    printf("first step: %.1f ms\n", 1e3 * first_step.wall);
    return plan_time(engine, plan_options, "warm", ret_plan, error);
}

static int network_run(struct engine *engine, const struct options *options,
                       const struct plan_options *plan_options, struct error *error)
{
    struct plan *plan = NULL;
    struct rates rates;
    int r = options->brief ? plan_new(engine, plan_options, &plan, error)
                           : plans_time(engine, plan_options, &plan, error);
    if (r < 0)
        return r;
    batch_fill(plan, plan_options);
    r = measure(plan, options, &rates);
    if (r == 0 && options->brief)
        printf("%.1f\n", machine_median(rates.wall, options->runs));
    else if (r == 0)
        row_print(options, plan_options, plan_precision(plan), &rates);
    if (r == 0 && options->profile)
        r = profile_print(plan, options);
    plan_free(plan);
    return r;
}

static int run(const struct options *options, struct error *error)
{
    struct plan_options plan_options;
    struct engine *engine = NULL;
    int r = plan_options_make(options, &plan_options, error);
    if (r == 0)
        r = engine_new(backend_onednn(), &engine, error);
    if (r < 0)
        return r;
    r = options->occasions ? occasions_run(engine, options, &plan_options, error)
                           : network_run(engine, options, &plan_options, error);
    engine_free(engine);
    return r;
}

static void floors_print(void)
{
    printf("| matrix product f32, GFLOP/s | bf16, GFLOP/s | copy, GB/s | oneDNN |\n"
           "|---|---|---|---|\n| %.0f | %.0f | %.1f | %s |\n",
           machine_float_product(), machine_bfloat_product(), machine_copy_rate(),
           primitive_library_version());
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
    if (options.floors) {
        floors_print();
        return 0;
    }
    int r = run(&options, &error);
    if (r < 0) {
        fprintf(stderr, "engine_bench: %s (%s)\n",
                error.message[0] ? error.message : "a step failed", strerror(-r));
        return 1;
    }
    return 0;
}
