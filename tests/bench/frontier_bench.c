/* How long queries of a big search take through HTTP: frontier, ranking, a page of candidates, one search.
 *
 *   frontier_bench [CANDIDATES...]     10000 100000
 *
 * Fills a real archscoutd by way of fake workers, then asks for each page QUERIES times on one keep-alive connection; also
 * how long the daemon takes to be there again when it is started on that store. */
#include "tests/bench/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS = 64, QUERIES = 51, RESTARTS = 5, CANDIDATES_MAX = 1000000 };

/* Seconds from the request to the last byte of its answer. */
static double query(const struct daemon_process *process, int fd, const char *path)
{
    char request[256];
    struct answer answer;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost:%d\r\n\r\n", path,
             process->port);
    double from_s = bench_now_s();
    if (!connection_send(fd, request, strlen(request)) || !connection_receive(fd, &answer))
        bench_die("no answer");
    double took_s = bench_now_s() - from_s;
    if (answer.status != 200)
        bench_die(answer.body);
    answer_release(&answer);
    return took_s;
}

static void measure_queries(const struct daemon_process *process, uint64_t candidates)
{
    static const char *const paths[] = {
        "/v1/searches/1/frontier",
        "/v1/searches/1/frontier?objectives=accuracy,macs",
        "/v1/searches/1/frontier?objectives=loss,memory,step_time",
        "/v1/searches/1/ranking?params=-0.3",
        "/v1/searches/1/candidates?sort=-accuracy",
        "/v1/searches/1/candidates?page_size=1000",
        "/v1/searches/1",
    };
    int fd = connection_open(process);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        double seconds[QUERIES];
        double first_s = query(process, fd, paths[i]);
        for (int k = 0; k < QUERIES; k++)
            seconds[k] = query(process, fd, paths[i]);
        double median_s = bench_median(seconds, QUERIES);
        printf("%7llu candidates: %8.3f ms (first %.3f, worst %.3f)  %s\n",
               (unsigned long long)candidates, 1e3 * median_s, 1e3 * first_s,
               1e3 * seconds[QUERIES - 1], paths[i]);
    }
    struct answer front = get(process, "/v1/searches/1/frontier");
    printf("%7llu candidates: %zu points on the frontier\n", (unsigned long long)candidates,
           json_array_size(member(&front, "points")));
    answer_release(&front);
    close(fd);
}

static void measure_restart(struct daemon_process *process, uint64_t candidates)
{
    double seconds[RESTARTS];
    for (int i = 0; i < RESTARTS; i++) {
        daemon_kill(process);
        double from_s = bench_now_s();
        daemon_start(process, NULL);
        struct answer ready = get(process, "/readyz");
        seconds[i] = bench_now_s() - from_s;
        answer_release(&ready);
    }
    printf("%7llu candidates: %8.3f s from start to ready\n", (unsigned long long)candidates,
           bench_median(seconds, RESTARTS));
}

int main(int argc, char **argv)
{
    static char small[] = "10000", large[] = "100000";
    char *const defaults[] = {small, large};
    char *const *counts = argc > 1 ? argv + 1 : defaults;
    int count = argc > 1 ? argc - 1 : 2;
    for (int i = 0; i < count; i++) {
        struct daemon_process process;
        uint64_t candidates = strtoul(counts[i], NULL, 10);
        if (candidates < 1 || candidates > CANDIDATES_MAX)
            bench_die("usage: frontier_bench [CANDIDATES...]");
        daemon_prepare(&process);
        daemon_start(&process, NULL);
        fleet_submit(&process, candidates, "random");
        struct fleet *fleet = fleet_new(&process, WORKERS);
        double rate = fleet_run(fleet, candidates, NULL);
        printf("%7llu candidates: filled at %.0f lifecycles/s\n", (unsigned long long)candidates,
               rate);
        fleet_free(fleet);
        measure_queries(&process, candidates);
        measure_restart(&process, candidates);
        daemon_stop(&process);
        daemon_remove(&process);
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}
