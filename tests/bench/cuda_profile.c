/* Where a training step of the CUDA backend spends its time, launch by launch, beside the bytes that it moves (see usage). */
#include "tests/bench/cuda_network.h"
#include "worker/engine/cuda/cuda.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
    "usage: cuda_profile PRESET [PIXELS [IMAGES [ROUNDS]]] [--tune] [--launches]\n"
    "\n"
    "Trains on random images and prints a markdown row a kind of launch: how many, milliseconds a "
    "step, gigabytes a step, "
    "gigabytes a\n"
    "second. Milliseconds are the medians of ROUNDS (20) rounds, with events between the launches; "
    "the last row is the step as "
    "it is\n"
    "trained, one recorded graph. Exit status 77 where there is no device.\n"
    "  --tune      cuDNN's plans are timed first, and the fastest used (kept on disk)\n"
    "  --launches  a row a launch\n";

enum { KINDS_MAX = 64, ROUNDS_MAX = 1000, SKIPPED = 77 };

struct options {
    struct cuda_network network;
    uint32_t rounds;
    bool tune, launches;
};

struct kind {
    char name[64];
    size_t launches, bytes;
    double seconds;
};

struct profile {
    struct engine *engine;
    struct plan *plan;
    size_t count;    /* of launches */
    double *seconds; /* (rounds, count), later (count): medians */
};

static bool options_parse(int argc, char **argv, struct options *ret_options)
{
    const char *words[4] = {NULL, NULL, NULL, "20"};
    size_t word_count = 0;
    *ret_options = (struct options){0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--tune") == 0)
            ret_options->tune = true;
        else if (strcmp(argv[i], "--launches") == 0)
            ret_options->launches = true;
        else if (word_count < ARRAY_LENGTH(words) && argv[i][0] != '-')
            words[word_count++] = argv[i];
        else
            return false;
    }
    ret_options->network = (struct cuda_network){words[0], words[1], words[2]};
    ret_options->rounds = (uint32_t)strtoul(words[3], NULL, 10);
    return words[0] && ret_options->rounds >= 1 && ret_options->rounds <= ROUNDS_MAX;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

/* Of every launch. */
static void medians_make(struct profile *profile, uint32_t rounds)
{
    double of_one[ROUNDS_MAX];
    for (size_t i = 0; i < profile->count; i++) {
        for (uint32_t round = 0; round < rounds; round++)
            of_one[round] = profile->seconds[round * profile->count + i];
        profile->seconds[i] = median(of_one, rounds);
    }
}

static void row_print(const char *name, size_t launches, double seconds, size_t bytes)
{
    printf("| %s | %zu | %.3f | %.3f | %.0f |\n", name, launches, seconds * 1e3,
           (double)bytes / 1e9, seconds > 0 ? (double)bytes / 1e9 / seconds : 0.0);
}

static void kind_count(struct kind *kinds, const char *text, double seconds, size_t bytes)
{
    char name[sizeof kinds->name];
    cuda_launch_name(text, sizeof name, name);
    size_t k = 0;
    while (k + 1 < KINDS_MAX && kinds[k].launches > 0 && strcmp(kinds[k].name, name) != 0)
        k++;
    memcpy(kinds[k].name, name, sizeof name);
    kinds[k].launches++;
    kinds[k].bytes += bytes;
    kinds[k].seconds += seconds;
}

static void table_print(const struct profile *profile, const struct options *options,
                        double step_seconds)
{
    const struct program *program = plan_program(profile->plan);
    struct kind kinds[KINDS_MAX] = {0};
    double seconds = 0;
    size_t bytes = 0;
    puts("| launch | launches | ms | GB | GB/s |\n|---|---|---|---|---|");
    for (size_t i = 0; i < profile->count; i++) {
        char text[CUDA_LAUNCH_TEXT_SIZE];
        const size_t its_bytes = cuda_launch_bytes(program, i);
        cuda_launch_text(program, i, text);
        if (options->launches)
            row_print(text, 1, profile->seconds[i], its_bytes);
        kind_count(kinds, text, profile->seconds[i], its_bytes);
        seconds += profile->seconds[i];
        bytes += its_bytes;
    }
    for (size_t k = 0; k < KINDS_MAX && kinds[k].launches > 0; k++)
        row_print(kinds[k].name, kinds[k].launches, kinds[k].seconds, kinds[k].bytes);
    row_print("all, one by one", profile->count, seconds, bytes);
    row_print("the step, recorded", profile->count, step_seconds, bytes);
}

static int plan_open(struct profile *profile, const struct options *options, struct error *error)
{
    struct plan_options plan_options;
    int r = cuda_network_options(&options->network, &plan_options, error);
    if (r == 0)
        r = engine_new(backend_cuda(), &profile->engine, error);
    if (r == 0)
        r = plan_new(profile->engine, &plan_options, &profile->plan, error);
    if (r < 0 || !options->tune)
        return r;
    r = cuda_tune(plan_program(profile->plan), error);
    plan_free(profile->plan);
    profile->plan = NULL;
    return r < 0 ? r : plan_new(profile->engine, &plan_options, &profile->plan, error);
}

static int rounds_run(struct profile *profile, const struct options *options, struct error *error)
{
    struct program *program = plan_program(profile->plan);
    double steps[ROUNDS_MAX];
    int r = 0;
    cuda_network_fill(&options->network, profile->plan);
    for (uint32_t round = 0; r == 0 && round < options->rounds; round++) {
        struct batch_result result;
        r = plan_step(profile->plan, 1e-4, &result);
        steps[round] = plan_step_seconds(profile->plan);
    }
    if (r < 0)
        return error_set(error, r, "", "a step failed");
    for (uint32_t round = 0; r == 0 && round < options->rounds; round++)
        r = cuda_profile(program, profile->seconds + round * profile->count, error);
    if (r < 0)
        return r;
    medians_make(profile, options->rounds);
    table_print(profile, options, median(steps, options->rounds));
    return 0;
}

static int profile_run(struct profile *profile, const struct options *options, struct error *error)
{
    const int r = plan_open(profile, options, error);
    if (r < 0)
        return r;
    profile->count = cuda_launch_count(plan_program(profile->plan));
    profile->seconds = calloc(options->rounds * profile->count, sizeof *profile->seconds);
    return profile->seconds ? rounds_run(profile, options, error)
                            : error_set(error, -ENOMEM, "", "out of memory");
}

int main(int argc, char **argv)
{
    struct options options;
    struct profile profile = {0};
    struct error error = {{0}, {0}};
    if (!options_parse(argc, argv, &options)) {
        fputs(USAGE, stderr);
        return 2;
    }
    const int r = profile_run(&profile, &options, &error);
    if (r < 0)
        fprintf(stderr, "cuda_profile: %s%s %s\n", r == -ENODEV ? "SKIP: " : "", error.pointer,
                error.message);
    free(profile.seconds);
    plan_free(profile.plan);
    engine_free(profile.engine);
    return r == -ENODEV ? SKIPPED : r < 0 ? 1 : 0;
}
