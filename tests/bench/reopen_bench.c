/* usage: reopen_bench [CANDIDATES]   (10,000 and 100,000 where not given)
 *
 * In one process, without HTTP: candidate lifecycles a second through the coordinator (propose, lease, three reports of
 * which one has an epoch, result; 32 in a tick that ends with a commit), reopening the store with all of them, and
 * frontier queries. Writes to the current directory's file system and cleans up. Prints a Markdown table. */
#include "search/random.h"
#include "tests/sim/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 32, QUERIES = 20, SPEC_SIZE = 1024 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void must(int code, const char *what)
{
    if (code == 0)
        return;
    fprintf(stderr, "reopen_bench: %s: %d\n", what, code);
    exit(EXIT_FAILURE);
}

/* Values that trade off against each other, so that the front is long. */
static struct result result_of(const struct task *task)
{
    struct random_stream random = random_stream_of(1, task->candidate, RANDOM_WEIGHTS);
    double effort = random_unit(&random);
    return (struct result){
        .outcome = OUTCOME_DONE,
        .accuracy = 0.5 + 0.3 * effort + 0.02 * random_normal(&random) * random_unit(&random),
        .loss = 1,
        .step_time = {.median_s = 0.05 + 0.1 * effort + 0.02 * random_unit(&random),
                      .spread_s = 0.001,
                      .blocks = 5,
                      .baseline_s = 0.1},
        .seconds = 1,
        .images = 1000};
}

static void report_thrice(struct rig *rig, const struct task *task)
{
    struct epoch_metrics epoch = {.number = 1, .validation_accuracy = 0.5, .validation_loss = 1};
    struct report report = {
        .worker = "w", .attempt = task->attempt, .epoch = task->epoch, .epochs = &epoch};
    for (int i = 0; i < 3; i++) {
        report.epoch_count = i == 1;
        must(coordinator_report(rig->coordinator, &report), "report");
    }
}

/* All lifecycles, SLOTS at a time. */
static double fill(struct rig *rig, uint32_t candidates)
{
    double start = seconds();
    struct task tasks[SLOTS];
    for (uint32_t done = 0; done < candidates;) {
        uint32_t leased = 0;
        rig_begin(rig, 1);
        for (; leased < SLOTS && leased + done < candidates; leased++)
            must(coordinator_lease(rig->coordinator, "w", leased, &tasks[leased]), "lease");
        must(rig_commit(rig), "commit");
        rig_begin(rig, 1);
        for (uint32_t i = 0; i < leased; i++)
            report_thrice(rig, &tasks[i]);
        must(rig_commit(rig), "commit");
        rig_begin(rig, 1);
        for (uint32_t i = 0; i < leased; i++) {
            struct result result = result_of(&tasks[i]);
            must(coordinator_result(rig->coordinator, "w", tasks[i].attempt, tasks[i].epoch,
                                    &result),
                 "result");
        }
        must(rig_commit(rig), "commit");
        done += leased;
    }
    return seconds() - start;
}

static double time_frontier(struct rig *rig, uint64_t search, const enum objective *objectives,
                            size_t count, size_t *ret_points)
{
    struct frontier_view view;
    struct error error;
    double start = seconds();
    must(coordinator_frontier(rig->coordinator, search, objectives, count, &view, &error),
         "frontier");
    *ret_points = view.point_count;
    return seconds() - start;
}

static void bench_frontier(struct rig *rig, uint64_t search, uint32_t candidates)
{
    static const enum objective others[] = {OBJECTIVE_ACCURACY, OBJECTIVE_STEP_TIME,
                                            OBJECTIVE_MACS};
    size_t points;
    double first = time_frontier(rig, search, NULL, 0, &points);
    printf("| frontier of %u candidates, the spec's objectives, first query (%zu points) | %.2f ms "
           "|\n",
           candidates, points, 1e3 * first);
    double again = 0;
    for (int i = 0; i < QUERIES; i++)
        again += time_frontier(rig, search, NULL, 0, &points) / QUERIES;
    printf("| frontier of %u candidates, asked again | %.3f ms |\n", candidates, 1e3 * again);
    double other = time_frontier(rig, search, others, 3, &points);
    printf("| frontier of %u candidates, other objectives, first query (%zu points) | %.2f ms |\n",
           candidates, points, 1e3 * other);
    double two = time_frontier(rig, search, others, 2, &points);
    printf("| frontier of %u candidates, two objectives, first query (%zu points) | %.2f ms |\n",
           candidates, points, 1e3 * two);
}

static int count(void *context, const struct candidate_view *view)
{
    (void)view;
    ++*(unsigned *)context;
    return 0;
}

static void bench_ranking(struct rig *rig, uint64_t search, uint32_t candidates)
{
    struct reward reward = {.exponent = {[OBJECTIVE_ACCURACY] = 1, [OBJECTIVE_STEP_TIME] = -0.1}};
    struct candidate_query query = {.sort = CANDIDATE_SORT_REWARD, .reward = &reward, .limit = 50};
    struct candidate_cursor next;
    unsigned seen = 0;
    double start = seconds();
    must(coordinator_candidates(rig->coordinator, search, &query, count, &seen, &next), "ranking");
    printf("| ranking of %u candidates with other exponents, first 50 | %.2f ms |\n", candidates,
           1e3 * (seconds() - start));
}

static void bench(struct rig *rig, uint32_t candidates)
{
    char text[SPEC_SIZE];
    snprintf(text, sizeof(text),
             "{\"dataset\": {\"name\": \"fashion-mnist\"}, \"space\": {\"preset\": "
             "\"efficientnetv2-small-images\"},"
             " \"budget\": {\"candidates\": %u, \"epochs\": 1}, \"parallel_max\": %d, \"seed\": 1}",
             candidates + 1, SLOTS); /* unfinished, so that its strategy is replayed too */
    must(rig_start(rig), "start");
    rig_begin(rig, 1);
    uint64_t search = rig_submit(rig, text);
    must(rig_register(rig, "w", SLOTS), "register");
    must(rig_commit(rig), "commit");
    double filled = fill(rig, candidates);
    printf("| lifecycles a second in process, %u of them, 3 commits for every %d | %.0f |\n",
           candidates, SLOTS, candidates / filled);
    struct coordinator_statistics statistics;
    coordinator_statistics(rig->coordinator, &statistics);
    printf("| bytes of database a candidate | %.0f |\n",
           (double)statistics.database_bytes / candidates);
    rig_kill(rig);
    double start = seconds();
    must(rig_start(rig), "start");
    printf("| reopening %u candidates | %.0f ms |\n", candidates, 1e3 * (seconds() - start));
    bench_frontier(rig, search, candidates);
    bench_ranking(rig, search, candidates);
}

static void bench_in(const char *directory, uint32_t candidates)
{
    static const char *const names[] = {"archscout.db", "archscout.db-wal", "archscout.db-shm",
                                        "archscout.lock", "archscout.reserve"};
    struct rig rig;
    rig_init_on_disk(&rig, directory);
    bench(&rig, candidates);
    rig_release(&rig);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
}

int main(int argument_count, char **arguments)
{
    static const uint32_t defaults[] = {10000, 100000};
    char directory[] = "reopen_bench_XXXXXX";
    if (!mkdtemp(directory)) {
        perror("reopen_bench");
        return EXIT_FAILURE;
    }
    printf("| what | figure |\n|---|---|\n");
    if (argument_count > 1)
        bench_in(directory, (uint32_t)strtoul(arguments[1], NULL, 10));
    for (size_t i = 0; i < ARRAY_LENGTH(defaults) && argument_count == 1; i++)
        bench_in(directory, defaults[i]);
    rmdir(directory);
    return EXIT_SUCCESS;
}
