/* How near each kernel comes to what a copy on the device moves in a second (see usage). */
#include "kernels/device.h"
#include "search/attributes.h"
#include "tests/bench/kernel_arrays.h"
#include "tests/bench/machine.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] = "usage: kernel_bench [--device NAME] [--block-ms X] [--blocks N] "
                            "[--only TEXT] [--small | --copy]\n"
                            "\n"
                            "For every kernel and shape a row: microseconds by the device's "
                            "events, the median of N blocks of launches that last X\n"
                            "milliseconds each, and the bytes that one has to move (each map read "
                            "or written once, halos and what is read again not\n"
                            "counted) over that time, also as a share of what a copy from device "
                            "memory to device memory moves. Arrays rotate through\n"
                            "sets that are four times the cache. --small: tiny shapes, so that "
                            "every launch can be tried in moments. --copy: the\n"
                            "copy's rate alone, in GB/s. Exit status 77 without a device.\n";

enum { BLOCKS_MAX = 99, LAUNCHES_MAX = 100000, CACHE_TIMES = 4, FIRST_LAUNCHES = 8 };
static const size_t COPY_BYTES = (size_t)1 << 30;

struct options {
    const char *device, *only;
    double block_ms;
    uint32_t blocks;
    bool small, copy;
};

struct bench {
    struct options options;
    struct device_facts facts;
    struct CUstream_st *stream;
    struct CUevent_st *start, *end;
    double copy_gb_s;
    double shares[512];
    size_t share_count;
};

/* One launch of something over its set-th arrays. */
struct work {
    int (*run)(struct bench *bench, const struct work *work, size_t set);
    const struct kernel_case *kernel;
    const struct kernel_shape *shape;
    const struct kernel_arrays *arrays;
    size_t set_count;
    void *const *copy; /* from, to */
    size_t copy_bytes;
};

/* ---- time ---- */

/* Seconds of `count` launches. */
static int block_time(struct bench *bench, const struct work *work, size_t count, double *ret_s,
                      struct error *error)
{
    int r = device_event_record(bench->start, bench->stream, error);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = work->run(bench, work, i % work->set_count) == 0
                ? 0
                : error_set(error, -EIO, "", "a launch failed");
    if (r == 0)
        r = device_event_record(bench->end, bench->stream, error);
    if (r == 0)
        r = device_event_wait(bench->end, error);
    return r < 0 ? r : device_event_seconds(bench->start, bench->end, ret_s, error);
}

/* Seconds of one launch: the median of the blocks. */
static int work_time(struct bench *bench, const struct work *work, double *ret_s,
                     struct error *error)
{
    double seconds[BLOCKS_MAX], first = 0;
    int r = block_time(bench, work, bench->options.small ? 1 : FIRST_LAUNCHES, &first, error);
    if (r == 0 && !bench->options.small)
        r = block_time(bench, work, FIRST_LAUNCHES, &first, error);
    if (r < 0)
        return r;
    const double wanted = 1e-3 * bench->options.block_ms * FIRST_LAUNCHES / fmax(first, 1e-9);
    const size_t count =
        bench->options.small ? 1 : (size_t)fmin(fmax(1, ceil(wanted)), LAUNCHES_MAX);
    for (uint32_t i = 0; r == 0 && i < bench->options.blocks; i++) {
        r = block_time(bench, work, count, &seconds[i], error);
        seconds[i] /= (double)count;
    }
    if (r == 0)
        *ret_s = machine_median(seconds, bench->options.blocks);
    return r;
}

/* ---- the copy ---- */

static int copy_run(struct bench *bench, const struct work *work, size_t set)
{
    struct error error = {{0}, {0}};
    (void)set;
    return device_copy_async(work->copy[1], work->copy[0], work->copy_bytes, bench->stream, &error);
}

/* GB/s read and written. */
static int copy_measure(struct bench *bench, double *ret_gb_s, struct error *error)
{
    void *buffers[2] = {NULL, NULL};
    const size_t bytes = bench->options.small ? 4096 : COPY_BYTES;
    const struct work work = {
        .run = copy_run, .set_count = 1, .copy = buffers, .copy_bytes = bytes};
    double seconds = 0;
    int r = device_buffer_new(bytes, &buffers[0], error);
    if (r == 0)
        r = device_buffer_new(bytes, &buffers[1], error);
    if (r == 0)
        r = device_fill_async(buffers[0], 0x5a, bytes, bench->stream, error);
    if (r == 0)
        r = work_time(bench, &work, &seconds, error);
    device_buffer_free(buffers[0]);
    device_buffer_free(buffers[1]);
    if (r == 0)
        *ret_gb_s = 2e-9 * (double)bytes / fmax(seconds, 1e-9);
    return r;
}

/* ---- kernels ---- */

static int kernel_run(struct bench *bench, const struct work *work, size_t set)
{
    return work->kernel->launch(work->shape, work->arrays->sets[set], bench->stream);
}

static struct kernel_shape shape_shrink(const struct kernel_shape *shape)
{
    struct kernel_shape small = *shape;
    small.images = shape->images > 4096 ? 1000 : 2;
    small.size = shape->size > 5 ? 5 : shape->size;
    small.channels = shape->channels > 24 ? 24 : shape->channels;
    return small;
}

static int row_run(struct bench *bench, const struct kernel_case *kernel,
                   const struct kernel_shape *shape, struct error *error)
{
    CLEANUP(kernel_arrays_release) struct kernel_arrays arrays = {.set_count = 0};
    const size_t cache = bench->options.small ? 0 : CACHE_TIMES * (size_t)bench->facts.cache_bytes;
    double seconds = 0;
    int r = kernel_arrays_init(&arrays, kernel, shape, cache, error);
    const struct work work = {.run = kernel_run,
                              .kernel = kernel,
                              .shape = shape,
                              .arrays = &arrays,
                              .set_count = arrays.set_count};
    if (r == 0)
        r = work_time(bench, &work, &seconds, error);
    if (r < 0)
        return r;
    const double gb_s = 1e-9 * arrays.bytes / fmax(seconds, 1e-9), share = gb_s / bench->copy_gb_s;
    printf("| %s | %s | %u x %u x %u x %u", kernel->name, shape->label, shape->images, shape->size,
           shape->size, shape->channels);
    if (shape->kernel)
        printf(", k%u s%u", shape->kernel, shape->stride);
    printf(" | %.1f | %.1f | %.0f | %.0f %% |\n", 1e-6 * arrays.bytes, 1e6 * seconds, gb_s,
           100 * share);
    fflush(stdout);
    if (bench->share_count < ARRAY_LENGTH(bench->shares))
        bench->shares[bench->share_count++] = share;
    return 0;
}

static int group_run(struct bench *bench, const struct kernel_group *group, struct error *error)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < group->case_count * group->shape_count; i++) {
        const struct kernel_case *kernel = &group->cases[i / group->shape_count];
        const struct kernel_shape *shape = &group->shapes[i % group->shape_count];
        const struct kernel_shape small = shape_shrink(shape);
        if (bench->options.only && !strstr(kernel->name, bench->options.only))
            continue;
        r = row_run(bench, kernel, bench->options.small ? &small : shape, error);
        if (r < 0)
            fprintf(stderr, "kernel_bench: %s, %s: %s\n", kernel->name, shape->label,
                    error->message);
    }
    return r;
}

static int groups_run(struct bench *bench, struct error *error)
{
    const struct kernel_group groups[] = {kernel_group_maps(), kernel_group_depthwise(),
                                          kernel_group_weights(), kernel_group_losses(),
                                          kernel_group_images()};
    int r = 0;
    printf("| kernel | of | shape | MB to move | microseconds | GB/s | of the copy |\n"
           "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(groups); i++)
        r = group_run(bench, &groups[i], error);
    return r;
}

/* ---- the command ---- */

static void bench_release(struct bench *bench)
{
    device_event_free(bench->start);
    device_event_free(bench->end);
    device_stream_free(bench->stream);
}

static int bench_open(struct bench *bench, struct error *error)
{
    int index = 0;
    int r = device_find(bench->options.device, &index, error);
    if (r == 0)
        r = device_facts_get(index, &bench->facts, error);
    if (r == 0)
        r = device_use(index, error);
    if (r == 0)
        r = device_stream_new(&bench->stream, error);
    if (r == 0)
        r = device_event_new(&bench->start, error);
    return r < 0 ? r : device_event_new(&bench->end, error);
}

static int bench_run(struct bench *bench, struct error *error)
{
    double before = 0, after = 0;
    int r = copy_measure(bench, &before, error);
    if (r == 0 && bench->options.copy) {
        printf("%.0f\n", before);
        return 0;
    }
    bench->copy_gb_s = before;
    if (r == 0)
        r = groups_run(bench, error);
    if (r == 0)
        r = copy_measure(bench, &after, error);
    if (r < 0)
        return r;
    printf("\n%s, copy before %.0f, after %.0f GB/s\n", bench->facts.name, before, after);
    if (bench->share_count)
        printf("figure: copy %.0f GB/s, %zu rows, median %.0f %% of it\n", before,
               bench->share_count, 100 * machine_median(bench->shares, bench->share_count));
    return 0;
}

static bool number_parse(const char *text, double least, double most, double *ret_number)
{
    char *end = NULL;
    const double number = strtod(text, &end);
    if (end == text || *end || !(number >= least && number <= most))
        return false;
    *ret_number = number;
    return true;
}

static bool options_parse(int argc, char **argv, struct options *options)
{
    double blocks = options->blocks;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(name, "--small") == 0)
            options->small = true;
        else if (strcmp(name, "--copy") == 0)
            options->copy = true;
        else if (value && strcmp(name, "--device") == 0)
            options->device = argv[++i];
        else if (value && strcmp(name, "--only") == 0)
            options->only = argv[++i];
        else if (value && strcmp(name, "--block-ms") == 0 &&
                 number_parse(value, 0.1, 10000, &options->block_ms))
            i++;
        else if (value && strcmp(name, "--blocks") == 0 &&
                 number_parse(value, 1, BLOCKS_MAX, &blocks))
            i++;
        else
            return false;
    }
    options->blocks = (uint32_t)blocks;
    return true;
}

int main(int argc, char **argv)
{
    CLEANUP(bench_release)
    struct bench bench = {.options = {.device = "cuda", .block_ms = 20, .blocks = 11}};
    struct error error = {{0}, {0}};
    if (!options_parse(argc, argv, &bench.options)) {
        fputs(USAGE, stderr);
        return 2;
    }
    int r = bench_open(&bench, &error);
    if (r == -ENODEV) {
        printf("SKIP: %s\n", error.message);
        return 77;
    }
    if (r == 0)
        r = bench_run(&bench, &error);
    if (r < 0) {
        fprintf(stderr, "kernel_bench: %s\n", error.message);
        return 1;
    }
    return 0;
}
