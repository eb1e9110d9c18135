#include "worker/plan_check.h"

#include "worker/engine/convolution_list.h"
#include "worker/engine/cuda/convolver_layout.h"
#include "worker/engine/cuda/plan_cache.h"
#include "worker/engine/cuda/plan_directory.h"
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
    size_t ours, plans, missing, loaded, rebuilt;
    double seconds, slowest_ms;
    size_t workspace_max; /* bytes */
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
    char directory[PLAN_DIRECTORY_SIZE];
    struct error reason = {0};
    bool disk = plan_directory(directory, &reason) == 0;
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

/* One line of the table. */
static void print_plan(struct check *check, const struct plan_request *request,
                       const struct plan_binary *plan, double ms, int outcome)
{
    static const char *const sources[] = {[PLAN_CACHE_MEMORY] = "memory",
                                          [PLAN_CACHE_DISK] = "disk",
                                          [PLAN_CACHE_BUILT] = "-",
                                          [PLAN_CACHE_REBUILT] = "unusable"};
    char text[CONVOLUTION_TEXT_SIZE];
    convolution_text(&request->convolution, text);
    const size_t workspace = convolver_workspace_bytes(&request->convolution, request->pass,
                                                       (size_t)plan_binary_workspace(plan));
    if (workspace > check->workspace_max)
        check->workspace_max = workspace;
    check->loaded += outcome == PLAN_CACHE_DISK;
    check->rebuilt += outcome == PLAN_CACHE_REBUILT;
    printf("%-15s  %-68s  %6lld  %13zu  %8.1f  %s\n", convolution_pass_name(request->pass), text,
           (long long)plan_binary_engine(plan), workspace, ms, sources[outcome]);
}

/* -ENOMEM and the like end the check, a plan that is not there does not. */
static int check_pass(struct check *check, const struct convolution *convolution,
                      enum convolution_pass pass, struct error *error)
{
    struct plan_request request;
    const struct plan_binary *plan;
    const size_t bytes_max = (size_t)check->options.workspace_mib << 20;
    const double start = now_s();
    int outcome = convolver_request(convolution, pass, bytes_max, &request, error);
    if (outcome == 0)
        outcome = plan_cache_get(check->cache, &request, &plan, error);
    const double ms = (now_s() - start) * 1e3;
    check->plans++;
    check->seconds += ms * 1e-3;
    if (ms > check->slowest_ms)
        check->slowest_ms = ms;
    if (outcome == -ENOMEM || outcome == -E2BIG)
        return outcome;
    if (outcome < 0) {
        char text[CONVOLUTION_TEXT_SIZE];
        convolution_text(convolution, text);
        check->missing++;
        printf("%-15s  %-68s  MISSING: %s\n", convolution_pass_name(pass), text, error->message);
        return 0;
    }
    print_plan(check, &request, plan, ms, outcome);
    return 0;
}

static int check_convolution(struct check *check, const struct convolution *convolution,
                             struct error *error)
{
    if (convolution->depthwise) {
        char text[CONVOLUTION_TEXT_SIZE];
        convolution_text(convolution, text);
        check->ours++;
        printf("%-15s  %-68s  own kernel\n", "all", text);
        return 0;
    }
    int r = 0;
    for (int pass = 0; r == 0 && pass < CONVOLUTION_PASSES; pass++)
        if (!convolution->first || pass != CONVOLUTION_BACKWARD_DATA)
            r = check_pass(check, convolution, (enum convolution_pass)pass, error);
    return r;
}

static int check_all(struct check *check, struct error *error)
{
    printf("%-15s  %-68s  %6s  %13s  %8s  %s\n", "pass", "shape", "engine", "workspace B", "ms",
           "cached");
    int r = 0;
    for (size_t i = 0; r == 0 && i < check->list.count; i++)
        r = check_convolution(check, &check->list.items[i], error);
    if (plan_cache_write_error(check->cache) < 0)
        fprintf(stderr, "some plans were not kept on disk: %s\n",
                strerror(-plan_cache_write_error(check->cache)));
    return r;
}

static void print_summary(const struct check *check)
{
    printf("\n%s, batch %u, %u px, %u classes, cuDNN %zu, %s\n", check->options.space,
           check->options.batch, check->options.image_size, check->options.classes,
           planner_version(),
           check->options.description ? check->options.description : "an H200 as described");
    printf("%zu convolutions, %zu of them depthwise and by our own kernel; %zu plans: %zu missing, "
           "%zu from disk, %zu built (%zu of them for files that could not be used)\n",
           check->list.count, check->ours, check->plans, check->missing, check->loaded,
           check->plans - check->missing - check->loaded, check->rebuilt);
    if (!planner_has_driver(check->planner))
        puts("no driver (libcuda.so.1) here: engines that cuDNN compiles at run time were not "
             "offered; where a GPU is, others may be chosen");
    printf("%.2f s in all, the slowest %.0f ms; largest workspace %.1f MiB, allowed ",
           check->seconds, check->slowest_ms, (double)check->workspace_max / (1 << 20));
    if (check->options.workspace_mib == 0)
        puts("any");
    else
        printf("%u\n", check->options.workspace_mib);
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
