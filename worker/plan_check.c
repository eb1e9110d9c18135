#include "worker/plan_check.h"

#include "worker/data/file.h"
#include "worker/engine/convolution_list.h"
#include "worker/engine/cuda/plan_cache.h"
#include "worker/plan_check_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct check {
    struct plan_check_options options;
    struct space *space;
    char *description;
    struct planner *planner;
    struct plan_cache *cache;
    struct convolution_list list;
    size_t plans, missing, loaded, rebuilt;
    double seconds, slowest_ms;
    int64_t workspace_max;
};

static void check_release(struct check *check)
{
    convolution_list_release(&check->list);
    plan_cache_free(check->cache);
    planner_free(check->planner);
    free(check->description);
    space_free(check->space);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* $ARCHSCOUT_CACHE/cudnn and so on; made where it is not there. */
static int open_directory(char ret_path[FILE_PATH_SIZE], struct error *error)
{
    static const struct {
        const char *variable, *name;
    } places[] = {{"ARCHSCOUT_CACHE", "cudnn"},
                  {"XDG_CACHE_HOME", "archscout/cudnn"},
                  {"HOME", ".cache/archscout/cudnn"}};
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        const char *value = getenv(places[i].variable);
        if (!value || !value[0])
            continue;
        int r = file_join(ret_path, value, places[i].name, "", error);
        return r < 0 ? r : file_make_directories(ret_path, error);
    }
    return error_set(error, -ENOENT, "", "none of ARCHSCOUT_CACHE, XDG_CACHE_HOME and HOME is set");
}

static int open_planner(struct check *check, struct error *error)
{
    const char *path = check->options.description;
    int r = path ? plan_check_read(path, &check->description, error) : 0;
    if (r < 0)
        return r;
    const char *text = path ? check->description : h200_description();
    r = planner_new(text, strlen(text), &check->planner, error);
    if (r < 0)
        return r;
    char directory[FILE_PATH_SIZE];
    struct error reason = {0};
    bool disk = open_directory(directory, &reason) == 0;
    if (!disk)
        fprintf(stderr, "plans are not kept on disk: %s\n", reason.message);
    return plan_cache_new(check->planner, disk ? directory : NULL, &check->cache, error);
}

static int check_open(struct check *check, struct error *error)
{
    int r = plan_check_space(check->options.space, &check->space, error);
    if (r < 0)
        return r;
    const uint32_t channels = space_image_channels(check->space);
    const struct problem problem = {.image_size = check->options.image_size,
                                    .image_channels = channels ? channels : 3,
                                    .classes = check->options.classes};
    r = problem_validate(&problem, error);
    if (r == 0)
        r = convolution_list_new(check->space, &problem, check->options.batch, &check->list, error);
    return r < 0 ? r : open_planner(check, error);
}

/* One line of the table; -ENOMEM and the like end the check, a plan that is not there does not. */
static int check_pass(struct check *check, const struct convolution *convolution,
                      enum convolution_pass pass, struct error *error)
{
    static const char *const sources[] = {[PLAN_CACHE_MEMORY] = "memory",
                                          [PLAN_CACHE_DISK] = "disk",
                                          [PLAN_CACHE_BUILT] = "-",
                                          [PLAN_CACHE_REBUILT] = "unusable"};
    char text[CONVOLUTION_TEXT_SIZE];
    convolution_text(convolution, text);
    const struct plan_binary *plan;
    const double start = now_s();
    const int outcome = plan_cache_get(check->cache, convolution, pass, &plan, error);
    const double ms = (now_s() - start) * 1e3;
    check->plans++;
    check->seconds += ms * 1e-3;
    if (ms > check->slowest_ms)
        check->slowest_ms = ms;
    if (outcome == -ENOMEM || outcome == -E2BIG)
        return outcome;
    if (outcome < 0) {
        check->missing++;
        printf("%-15s  %-68s  MISSING: %s\n", convolution_pass_name(pass), text, error->message);
        return 0;
    }
    const int64_t workspace = plan_binary_workspace(plan);
    if (workspace > check->workspace_max)
        check->workspace_max = workspace;
    check->loaded += outcome == PLAN_CACHE_DISK;
    check->rebuilt += outcome == PLAN_CACHE_REBUILT;
    printf("%-15s  %-68s  %6lld  %13lld  %8.1f  %s\n", convolution_pass_name(pass), text,
           (long long)plan_binary_engine(plan), (long long)workspace, ms, sources[outcome]);
    return 0;
}

static int check_all(struct check *check, struct error *error)
{
    printf("%-15s  %-68s  %6s  %13s  %8s  %s\n", "pass", "shape", "engine", "workspace B", "ms",
           "cached");
    for (size_t i = 0; i < check->list.count; i++)
        for (int pass = 0; pass < CONVOLUTION_PASSES; pass++) {
            const struct convolution *convolution = &check->list.items[i];
            if (convolution->first && pass == CONVOLUTION_BACKWARD_DATA)
                continue;
            int r = check_pass(check, convolution, (enum convolution_pass)pass, error);
            if (r < 0)
                return r;
        }
    if (plan_cache_write_error(check->cache) < 0)
        fprintf(stderr, "some plans were not kept on disk: %s\n",
                strerror(-plan_cache_write_error(check->cache)));
    return 0;
}

static void print_summary(const struct check *check)
{
    printf("\n%s, batch %u, %u px, %u classes, cuDNN %zu, %s\n", check->options.space,
           check->options.batch, check->options.image_size, check->options.classes,
           planner_version(),
           check->options.description ? check->options.description : "an H200 as described");
    printf("%zu convolutions, %zu plans: %zu missing, %zu from disk, %zu built (%zu of them for "
           "files that could not be used)\n",
           check->list.count, check->plans, check->missing, check->loaded,
           check->plans - check->missing - check->loaded, check->rebuilt);
    if (!planner_has_driver(check->planner))
        puts("no driver (libcuda.so.1) here: engines that cuDNN compiles at run time were not "
             "offered; where a GPU is, others may be chosen");
    printf("%.2f s in all, the slowest %.0f ms; largest workspace %.1f MiB\n", check->seconds,
           check->slowest_ms, (double)check->workspace_max / (1 << 20));
}

int plan_check_main(int argc, char **argv)
{
    CLEANUP(check_release) struct check check = {0};
    struct error error = {0};
    if (plan_check_options_parse(argc, argv, &check.options, &error) < 0) {
        fprintf(stderr, "--plan-check: %s\n", error.message);
        return PLAN_CHECK_USAGE;
    }
    int r = check_open(&check, &error);
    if (r == 0)
        r = check_all(&check, &error);
    if (r < 0) {
        fprintf(stderr, "--plan-check: %s%s%s\n", error.pointer, error.pointer[0] ? ": " : "",
                error.message);
        return r == -EINVAL ? PLAN_CHECK_USAGE : PLAN_CHECK_FAILED;
    }
    print_summary(&check);
    return check.missing ? PLAN_CHECK_MISSING : EXIT_SUCCESS;
}
