/* A daemon for tests of the agent: speaks the worker's half of the HTTP API, hands out the tasks it is given and remembers what
 * it was told. One handler thread a connection; everything shared is behind one mutex.
 *
 * Legal order: fake_daemon_init; fake_daemon_listen; any number of fake_daemon_hang_up and fake_daemon_listen (a restart, on
 * the same port); fake_daemon_release. */
#ifndef TESTS_FAULT_FAKE_DAEMON_H
#define TESTS_FAULT_FAKE_DAEMON_H

#include <pthread.h>
#include <stdbool.h>

#include "proto/worker_api.h"

struct MHD_Daemon;

enum { FAKE_RECORDS_MAX = 256, FAKE_STATUSES_MAX = 8 };

enum fake_route { FAKE_REGISTER, FAKE_LEASE, FAKE_REPORT, FAKE_RESULT, FAKE_ROUTE_COUNT };

/* A status to answer with instead of doing what was asked, or: */
enum { FAKE_CLOSE = 1 /* close the connection without an answer */ };

struct fake_daemon {
    struct MHD_Daemon *http;
    int port;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool closing;

    bool known; /* the worker has registered since the last start */
    uint32_t lease_seconds;
    const char *dataset_problem; /* that registrations are answered with; NULL: none */
    uint64_t next_attempt;
    struct wire_task tasks[FAKE_RECORDS_MAX]; /* to hand out */
    size_t task_count, tasks_given;
    int statuses[FAKE_ROUTE_COUNT][FAKE_STATUSES_MAX]; /* of the next requests; 0 = none */
    bool stop;                                         /* what reports are answered */
    uint64_t stale; /* reports and results of this attempt get 409 */

    struct register_request last_registration;
    size_t counts[FAKE_ROUTE_COUNT]; /* requests that came */
    size_t report_count, result_count;
    struct report_request reports[FAKE_RECORDS_MAX]; /* answered with 200 */
    struct result_request results[FAKE_RECORDS_MAX]; /* answered with 200 */
    size_t stale_results;                            /* answered with 409 */
};

void fake_daemon_init(struct fake_daemon *daemon);
void fake_daemon_release(struct fake_daemon *daemon);
void fake_daemon_listen(struct fake_daemon *daemon);
/* Breaks all connections. The worker is not known afterwards. */
void fake_daemon_hang_up(struct fake_daemon *daemon);

/* A valid task for candidate `candidate`, of `epochs` epochs. */
struct wire_task fake_daemon_task(uint64_t candidate, uint32_t epochs);
/* Queues it under the next attempt number, which is returned. */
uint64_t fake_daemon_push(struct fake_daemon *daemon, const struct wire_task *task);
/* The next request of the route is answered with the status. */
void fake_daemon_answer(struct fake_daemon *daemon, enum fake_route route, int status);

/* Waits until condition(daemon, argument) holds; it is called with the mutex held. Fails the test after a minute. */
void fake_daemon_await(struct fake_daemon *daemon,
                       bool (*condition)(const struct fake_daemon *daemon, uint64_t argument),
                       uint64_t argument);
/* The result of an attempt, waited for. */
struct wire_result fake_daemon_result(struct fake_daemon *daemon, uint64_t attempt);

/* For fake_daemon_await. */
bool fake_has_result(const struct fake_daemon *daemon, uint64_t attempt);
bool fake_has_report(const struct fake_daemon *daemon, uint64_t attempt);
bool fake_has_registered(const struct fake_daemon *daemon, uint64_t count);

#endif
