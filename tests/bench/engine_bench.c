/* Images a second of the engine on one device, beside what a processor can do at most (see usage). */
#include "search/cost.h"
#include "search/preset.h"
#include "tests/bench/engine_device.h"
#include "tests/bench/engine_measure.h"
#include "tests/bench/engine_profile.h"
#include "tests/bench/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
    "usage: engine_bench [--backend NAME] [--device NAME] [--preset NAME] [--size PIXELS] "
    "[--channels N] [--classes N]\n"
    "                    [--batch N|best] [--steps N] [--runs N] [--bf16] [--memory-mib N] "
    "[--tune]\n"
    "                    [--profile | --brief | --occasions N | --serve | --turnaround]\n"
    "       engine_bench --floors\n"
    "\n"
    "Trains a network on resident random images and prints a markdown row: images a second as the "
    "median of RUNS runs of\n"
    "STEPS steps; with oneDNN the machine's matrix product in the same precision beside them, and "
    "how near the one is to\n"
    "the other (6 floating-point operations a multiply-add of the forward pass). The backend is "
    "oneDNN, or CUDA where the\n"
    "build has no oneDNN. --bf16 asks for bfloat16; the row says what was used. --batch best: the "
    "batch at which most\n"
    "images a second are trained, in at most --memory-mib.\n"
    "  --tune       what cuDNN offers for each convolution is timed first, and the fastest used "
    "(kept on disk)\n"
    "  --profile    also where the time went (oneDNN)\n"
    "  --brief      only the images a second, by the clock on the wall\n"
    "  --occasions  the step time on N occasions, each a plan of its own, and how much it varies\n"
    "  --serve      a line of JSON when ready; then each line \"run S\" on the standard input is "
    "answered by the images a\n"
    "               second of some S seconds\n"
    "  --turnaround milliseconds until the engine is there, until a plan's first step is done, and "
    "of a second plan\n"
    "  --floors     what the processor can do at most: matrix products and copies, and no "
    "network\n";

struct options {
    const char *preset, *device;
    const struct backend *backend;
    uint32_t size, channels, classes, batch, steps, runs, occasions, memory_mib;
    bool bf16, profile, brief, floors, serve, turnaround, best, tune;
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
    } flags[] = {
        {"--profile", &options->profile}, {"--bf16", &options->bf16},
        {"--brief", &options->brief},     {"--floors", &options->floors},
        {"--serve", &options->serve},     {"--turnaround", &options->turnaround},
        {"--tune", &options->tune},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++)
        if (strcmp(argument, flags[i].name) == 0)
            return *flags[i].flag = true;
    return false;
}

/* An option with a value that is no number; -ENOENT where `name` is none. */
static int word_parse(const char *name, const char *value, struct options *options)
{
    if (strcmp(name, "--preset") == 0)
        options->preset = value;
    else if (strcmp(name, "--device") == 0)
        options->device = value;
    else if (strcmp(name, "--backend") == 0)
        options->backend = backend_find(value);
    else if (strcmp(name, "--batch") == 0 && strcmp(value, "best") == 0)
        options->best = true;
    else
        return -ENOENT;
    return 0;
}

static bool options_parse(int argc, char **argv, struct options *options)
{
    const struct {
        const char *name;
        uint32_t most, *number;
    } numbers[] = {{"--size", IMAGE_SIZE_MAX, &options->size},
                   {"--channels", 3, &options->channels},
                   {"--classes", CLASSES_MAX, &options->classes},
                   {"--batch", RECIPE_BATCH_MAX, &options->batch},
                   {"--steps", 1000, &options->steps},
                   {"--runs", RUNS_MAX, &options->runs},
                   {"--memory-mib", 1 << 30, &options->memory_mib},
                   {"--occasions", OCCASIONS_MAX, &options->occasions}};
    for (int i = 1; i < argc; i++) {
        if (flag_parse(argv[i], options))
            continue;
        if (i + 1 == argc)
            return false;
        if (word_parse(argv[i], argv[i + 1], options) == 0) {
            i++;
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
                                            .classes = options->classes},
                                .micro_batches = 1,
                                .seed = 1};
    int r = preset_find(options->preset, &plan.architecture, error);
    if (r < 0)
        return r;
    r = recipe_preset("search-short", &plan.recipe, error);
    if (r < 0)
        return r;
    plan.recipe.batch = options->best ? RECIPE_BATCH_MAX : options->batch;
    plan.recipe.precision = options->bf16 ? PRECISION_BF16 : PRECISION_F32;
    *ret_options = plan;
    return 0;
}

/* What is measured, on what. */
struct bench {
    const struct options *options;
    struct plan_options plan_options;
    struct engine *engine;
    struct made_images images;
    double opened_s; /* how long the engine took to come up */
};

static int bench_plan(struct bench *bench, struct plan **ret_plan, struct error *error)
{
    int r = plan_new(bench->engine, &bench->plan_options, ret_plan, error);
    if (r == 0)
        batch_fill(*ret_plan, &bench->plan_options, &bench->images);
    return r;
}

/* ---- the row ---- */

static void onednn_row_print(const struct bench *bench, enum precision used, struct rates *rates)
{
    const struct options *options = bench->options;
    const double floor =
        used == PRECISION_BF16 ? machine_bfloat_product() : machine_float_product();
    const struct cost cost =
        cost_of(&bench->plan_options.architecture, &bench->plan_options.problem);
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
        bench->plan_options.recipe.batch, precision_name(used), profile_kernels(),
        machine_library_version(), wall, rates->wall[0], rates->wall[options->runs - 1], processor,
        gflops, floor, gflops / floor);
}

/* A device with a memory of its own: nothing that a processor does says how near it is to what it can do. */
static void device_row_print(const struct bench *bench, struct plan *plan, struct rates *rates)
{
    const struct options *options = bench->options;
    const struct cost cost =
        cost_of(&bench->plan_options.architecture, &bench->plan_options.problem);
    const uint32_t batch = bench->plan_options.recipe.batch;
    const double wall = machine_median(rates->wall, options->runs);
    const double device = machine_median(rates->device, options->runs);
    const double gb = 1e-9 * (double)device_step_bytes(plan, options->backend);
    printf("| network | images | MMAC | batch | precision | backend | images/s (min .. max) | "
           "ms a step by the device's clock | TFLOP/s | GB a step | GB/s | plan, MB |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    printf("| %s | %ux%ux%u | %.2f | %u | %s | %s | %.0f (%.0f .. %.0f) | ", options->preset,
           options->size, options->size, options->channels, 1e-6 * (double)cost.macs, batch,
           precision_name(plan_precision(plan)), backend_name(options->backend), wall,
           rates->wall[0], rates->wall[options->runs - 1]);
    if (device > 0)
        printf("%.3f | ", 1e3 * batch / device);
    else
        printf("- | ");
    printf("%.1f | %.2f | %.0f | %.1f |\n", wall * 6e-12 * (double)cost.macs, gb, gb * wall / batch,
           1e-6 * (double)plan_bytes(plan));
}

/* ---- modes ---- */

static int plan_time(struct bench *bench, const char *which, struct plan **ret_plan,
                     struct error *error)
{
    const double started = machine_clock_s(CLOCK_MONOTONIC);
    int r = plan_new(bench->engine, &bench->plan_options, ret_plan, error);
    if (r == 0)
        printf("plan_new %s: %.1f ms, %.1f MB\n", which,
               1e3 * (machine_clock_s(CLOCK_MONOTONIC) - started),
               1e-6 * (double)plan_bytes(*ret_plan));
    return r;
}

/* The step time by this thread's processor time, and by the clock on the wall: the median of `runs` steps after two. */
static int occasion_measure(struct bench *bench, struct duration *ret_step, struct error *error)
{
    double wall[RUNS_MAX], processor[RUNS_MAX];
    const uint32_t runs = bench->options->runs;
    struct plan *plan = NULL;
    struct duration duration;
    int r = bench_plan(bench, &plan, error);
    if (r < 0)
        return r;
    r = steps_time(plan, 2, &duration);
    for (uint32_t i = 0; r == 0 && i < runs; i++) {
        r = steps_time(plan, 1, &duration);
        wall[i] = duration.wall;
        processor[i] = duration.processor;
    }
    plan_free(plan);
    if (r == 0)
        *ret_step =
            (struct duration){machine_median(wall, runs), machine_median(processor, runs), -1};
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

static int occasions_run(struct bench *bench, struct error *error)
{
    double wall[OCCASIONS_MAX], processor[OCCASIONS_MAX];
    const uint32_t occasions = bench->options->occasions;
    for (uint32_t i = 0; i < occasions; i++) {
        struct duration step = {0, 0, 0};
        int r = occasion_measure(bench, &step, error);
        if (r < 0)
            return r;
        wall[i] = step.wall;
        processor[i] = step.processor;
    }
    spread_print("step, processor time", processor, occasions);
    spread_print("step, clock on the wall", wall, occasions);
    return 0;
}

/* The first plan is the cold one. */
static int plans_time(struct bench *bench, struct plan **ret_plan, struct error *error)
{
    struct duration first_step;
    struct plan *plan = NULL;
    int r = plan_time(bench, "cold", &plan, error);
    if (r < 0)
        return r;
    batch_fill(plan, &bench->plan_options, &bench->images);
    r = steps_time(plan, 1, &first_step);
    plan_free(plan);
    if (r < 0)
        return r;
    printf("first step: %.1f ms\n", 1e3 * first_step.wall);
    r = plan_time(bench, "warm", ret_plan, error);
    if (r == 0)
        batch_fill(*ret_plan, &bench->plan_options, &bench->images);
    return r;
}

static int network_run(struct bench *bench, struct error *error)
{
    const struct options *options = bench->options;
    struct plan *plan = NULL;
    struct rates rates;
    int r = options->brief ? bench_plan(bench, &plan, error) : plans_time(bench, &plan, error);
    if (r < 0)
        return r;
    r = rates_measure(plan, bench->plan_options.recipe.batch, options->steps, options->runs,
                      &rates);
    if (r == 0 && options->brief)
        printf("%.1f\n", machine_median(rates.wall, options->runs));
    else if (r == 0 && options->backend == backend_onednn())
        onednn_row_print(bench, plan_precision(plan), &rates);
    else if (r == 0)
        device_row_print(bench, plan, &rates);
    if (r == 0 && options->profile)
        r = profile_print(plan, options->backend, options->steps);
    plan_free(plan);
    return r == -EOPNOTSUPP ? error_set(error, r, "", "only oneDNN's backend is profiled") : r;
}

static int serve_run(struct bench *bench, struct error *error)
{
    const uint32_t batch = bench->plan_options.recipe.batch;
    struct plan *plan = NULL;
    struct duration first = {0, 0, 0};
    char line[64];
    double seconds, rate = 0;
    int r = bench_plan(bench, &plan, error);
    if (r == 0)
        r = steps_time(plan, 3, &first);
    if (r == 0)
        printf("{\"ready\": \"%s\", \"batch\": %u, \"precision\": \"%s\", "
               "\"plan_bytes\": %zu, \"step_bytes\": %zu}\n",
               backend_name(bench->options->backend), batch, precision_name(plan_precision(plan)),
               plan_bytes(plan), device_step_bytes(plan, bench->options->backend));
    fflush(stdout);
    while (r == 0 && fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "run %lf", &seconds) != 1) {
            r = error_set(error, -EINVAL, "", "expected: run SECONDS");
            break;
        }
        r = rate_for(plan, batch, seconds, &rate);
        if (r == 0)
            printf("%.1f\n", rate);
        fflush(stdout);
    }
    plan_free(plan);
    return r;
}

/* Milliseconds of making a plan and of its first step. */
static int turnaround_once(struct bench *bench, double ret_ms[2], struct error *error)
{
    const double started = machine_clock_s(CLOCK_MONOTONIC);
    struct plan *plan = NULL;
    struct duration step;
    int r = plan_new(bench->engine, &bench->plan_options, &plan, error);
    if (r < 0)
        return r;
    ret_ms[0] = 1e3 * (machine_clock_s(CLOCK_MONOTONIC) - started);
    batch_fill(plan, &bench->plan_options, &bench->images);
    r = steps_time(plan, 1, &step);
    ret_ms[1] = 1e3 * step.wall;
    plan_free(plan);
    return r;
}

static int turnaround_run(struct bench *bench, struct error *error)
{
    double first[2], second[2];
    int r = turnaround_once(bench, first, error);
    if (r == 0)
        r = turnaround_once(bench, second, error);
    if (r < 0)
        return r;
    printf("| network | batch | engine, ms | plan, ms | its first step, ms | second plan, ms | its "
           "first step, ms |\n|---|---|---|---|---|---|---|\n"
           "| %s, %u px | %u | %.0f | %.1f | %.1f | %.1f | %.1f |\n",
           bench->options->preset, bench->options->size, bench->plan_options.recipe.batch,
           1e3 * bench->opened_s, first[0], first[1], second[0], second[1]);
    return 0;
}

static int plans_tune(struct bench *bench, struct error *error)
{
    struct plan *plan = NULL;
    struct duration first;
    int r = bench_plan(bench, &plan, error);
    if (r == 0)
        r = steps_time(plan, 1, &first);
    if (r == 0)
        r = device_tune(plan, bench->options->backend, error);
    plan_free(plan);
    return r;
}

static int mode_run(struct bench *bench, struct error *error)
{
    const struct options *options = bench->options;
    int r = made_images_init(&bench->images, bench->engine, &bench->plan_options, error);
    if (r == 0 && options->best)
        r = batch_best(bench->engine, &bench->plan_options, &bench->images,
                       &bench->plan_options.recipe.batch, error);
    if (r == 0 && options->tune)
        r = plans_tune(bench, error);
    if (r < 0)
        return r;
    if (options->occasions)
        return occasions_run(bench, error);
    if (options->serve)
        return serve_run(bench, error);
    return options->turnaround ? turnaround_run(bench, error) : network_run(bench, error);
}

static int run(const struct options *options, struct error *error)
{
    struct bench bench = {.options = options};
    const double started = machine_clock_s(CLOCK_MONOTONIC);
    int r = plan_options_make(options, &bench.plan_options, error);
    if (r == 0)
        r = engine_new_on(options->backend, options->device, &bench.engine, error);
    if (r < 0)
        return r;
    bench.opened_s = machine_clock_s(CLOCK_MONOTONIC) - started;
    engine_limit_memory(bench.engine, (size_t)options->memory_mib << 20);
    r = mode_run(&bench, error);
    engine_free(bench.engine);
    made_images_release(&bench.images);
    return r;
}

static void floors_print(void)
{
    printf("| matrix product f32, GFLOP/s | bf16, GFLOP/s | copy, GB/s | oneDNN |\n"
           "|---|---|---|---|\n| %.0f | %.0f | %.1f | %s |\n",
           machine_float_product(), machine_bfloat_product(), machine_copy_rate(),
           machine_library_version());
}

static const struct backend *backend_default(void)
{
    return backend_onednn() ? backend_onednn() : backend_find("cuda");
}

int main(int argc, char **argv)
{
    struct options options = {.preset = "archscout-reference",
                              .backend = backend_default(),
                              .size = 32,
                              .channels = 3,
                              .classes = 10,
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
    if (!options.backend) {
        fputs("engine_bench: this build has no such backend\n", stderr);
        return 1;
    }
    int r = run(&options, &error);
    if (r < 0) {
        fprintf(stderr, "engine_bench: %s (%s)\n",
                error.message[0] ? error.message : "a step failed", strerror(-r));
        return 1;
    }
    return 0;
}
