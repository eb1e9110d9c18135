/* Fake workers on keep-alive connections that share one thread: they lease, report and send results as fast as the daemon
 * answers. Ends the program where something goes wrong. */
#ifndef TESTS_BENCH_FLEET_H
#define TESTS_BENCH_FLEET_H

#include "tests/e2e/fake_worker.h"

enum {
    FLEET_WORKERS_MAX = 256,
    FLEET_REPORTS = 3,                      /* of one attempt */
    FLEET_REQUESTS = 1 + FLEET_REPORTS + 1, /* of one lifecycle */
};

struct fleet;

/* Registers `count` workers with one slot each. */
struct fleet *fleet_new(const struct daemon_process *process, int count);
void fleet_free(struct fleet *fleet);

/* Runs that many candidate lifecycles and returns their number a second. `latencies_s`, where not NULL, takes the seconds
 * of each of their FLEET_REQUESTS requests. */
double fleet_run(struct fleet *fleet, uint64_t lifecycles, float *latencies_s);

/* Submits a search of that many candidates with an epoch for each report; returns its id. */
int64_t fleet_submit(const struct daemon_process *process, uint64_t candidates,
                     const char *strategy);

double bench_now_s(void);
double bench_median(double *values, int count); /* sorts them */
_Noreturn void bench_die(const char *why);

#endif
