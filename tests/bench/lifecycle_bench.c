/* Durable candidate lifecycles a second through HTTP: propose and lease, three reports, one result, each acknowledged only
 * once it is on the disk. A real archscoutd with its store on the disk under /tmp; fake workers on keep-alive connections
 * share one thread of this process.
 *
 *   lifecycle_bench [WORKERS [LIFECYCLES [RUNS [STRATEGY]]]]     32 4000 5 evolution
 *
 * Each run has a daemon and a store of its own. Beside the median it prints what the disk can do at most: how often a
 * second 4 KiB appended to a file reach it (the floor of a commit), measured before each run. */
#include "tests/bench/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS_MAX = 64, PAGE_BYTES = 4096, FLOOR_SECONDS = 1, LIFECYCLES_MAX = 1000000 };

struct bench {
    int workers, runs;
    uint64_t lifecycles;
    const char *strategy;
    float *latencies_s;
};

/* The store must agree with what the workers think. */
static void check(const struct daemon_process *process, int64_t search, uint64_t lifecycles)
{
    struct answer shown = get(process, "/v1/searches/%lld", (long long)search);
    if (strcmp(text_at(&shown, "state"), "done") != 0 ||
        integer_at(&shown, "progress.done") != (int64_t)lifecycles)
        bench_die("the search is not done");
    answer_release(&shown);
}

/* Lifecycles a second, on a daemon and store of their own. */
static double run(const struct bench *bench)
{
    struct daemon_process process;
    daemon_prepare(&process);
    daemon_start(&process, NULL);
    int64_t search = fleet_submit(&process, bench->lifecycles, bench->strategy);
    struct fleet *fleet = fleet_new(&process, bench->workers);
    double rate = fleet_run(fleet, bench->lifecycles, bench->latencies_s);
    fleet_free(fleet);
    check(&process, search, bench->lifecycles);
    daemon_stop(&process);
    daemon_remove(&process);
    return rate;
}

/* Appends of a page that reach the disk, a second. */
static double measure_floor(void)
{
    char path[] = "/tmp/archscout-floor-XXXXXX", page[PAGE_BYTES] = {1};
    int fd = mkstemp(path);
    int count = 0;
    if (fd < 0)
        bench_die("cannot make a file in /tmp");
    unlink(path);
    double from_s = bench_now_s();
    while (bench_now_s() - from_s < FLOOR_SECONDS) {
        if (write(fd, page, sizeof page) != sizeof page || fdatasync(fd) < 0)
            bench_die("cannot write to /tmp");
        count++;
    }
    double rate = count / (bench_now_s() - from_s);
    close(fd);
    return rate;
}

static int compare_floats(const void *a_pointer, const void *b_pointer)
{
    float a = *(const float *)a_pointer, b = *(const float *)b_pointer;
    return (a > b) - (a < b);
}

static int number(int argc, char **argv, int index, int fallback, int max)
{
    long value = argc > index ? strtol(argv[index], NULL, 10) : fallback;
    if (value < 1 || value > max)
        bench_die("usage: lifecycle_bench [WORKERS [LIFECYCLES [RUNS [STRATEGY]]]]");
    return (int)value;
}

int main(int argc, char **argv)
{
    double rates[RUNS_MAX], floors[RUNS_MAX];
    struct bench bench = {.workers = number(argc, argv, 1, 32, FLEET_WORKERS_MAX),
                          .lifecycles = (uint64_t)number(argc, argv, 2, 4000, LIFECYCLES_MAX),
                          .runs = number(argc, argv, 3, 5, RUNS_MAX),
                          .strategy = argc > 4 ? argv[4] : "evolution"};
    size_t requests = bench.lifecycles * FLEET_REQUESTS;
    bench.latencies_s = calloc(requests, sizeof *bench.latencies_s);
    if (!bench.latencies_s)
        bench_die("out of memory");
    for (int i = 0; i < bench.runs; i++) {
        floors[i] = measure_floor();
        rates[i] = run(&bench);
        qsort(bench.latencies_s, requests, sizeof *bench.latencies_s, compare_floats);
        printf("run %d: %.0f lifecycles/s, requests p50 %.2f ms p99 %.2f ms; floor %.0f syncs/s\n",
               i + 1, rates[i], 1e3 * (double)bench.latencies_s[requests / 2],
               1e3 * (double)bench.latencies_s[requests * 99 / 100], floors[i]);
        fflush(stdout);
    }
    double rate = bench_median(rates, bench.runs), floor = bench_median(floors, bench.runs);
    printf("median of %d runs, %d workers: %.0f durable lifecycles/s (%.0f requests/s); floor %.0f "
           "syncs/s; %.2f lifecycles a sync\n",
           bench.runs, bench.workers, rate, rate * FLEET_REQUESTS, floor, rate / floor);
    free(bench.latencies_s);
    return EXIT_SUCCESS;
}
