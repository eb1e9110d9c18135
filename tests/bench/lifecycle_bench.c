/* Durable candidate lifecycles a second through HTTP: propose and lease, three reports, one result, each acknowledged only
 * once it is on the disk. A real archscoutd with its store on the disk under /tmp; fake workers on keep-alive connections
 * share one thread of this process.
 *
 *   lifecycle_bench [WORKERS [LIFECYCLES [RUNS [STRATEGY]]]]     32 4000 5 evolution
 *
 * Each run has a daemon and a store of its own. Beside the median it prints what the disk can do at most: how often a
 * second 4 KiB appended to a file reach it (the floor of a commit), measured before each run. */
#include "proto/worker_api.h"
#include "tests/e2e/fake_worker.h"
#include "tests/e2e/search_spec.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    WORKERS_MAX = 256,
    RUNS_MAX = 64,
    REPORTS = 3,
    EVENTS_AT_ONCE = 64,
    INPUT_SIZE = 16384,
    PAGE_BYTES = 4096,
    FLOOR_SECONDS = 1,
};

/* What a worker waits for the answer to. */
enum step { STEP_LEASE, STEP_REPORT, STEP_RESULT };

struct worker {
    int fd;
    char name[32];
    enum step step;
    uint32_t reports;
    struct wire_task task;
    char input[INPUT_SIZE];
    size_t input_bytes;
    double sent_s;
};

struct bench {
    struct daemon_process process;
    int worker_count;
    struct worker workers[WORKERS_MAX];
    int epoll;
    uint64_t wanted, started, finished, requests;
    float *latencies_s; /* of all requests of a run */
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void die(const char *why)
{
    fprintf(stderr, "lifecycle_bench: %s\n", why);
    exit(EXIT_FAILURE);
}

/* ---- requests ---- */

static void send_request(struct bench *bench, struct worker *worker, const char *route, int packed,
                         struct buffer *bytes)
{
    char request[4096];
    int head = snprintf(request, sizeof request,
                        "POST /worker/v1/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        route, WORKER_API_CONTENT_TYPE, bytes->length);
    if (packed < 0 || (size_t)head + bytes->length > sizeof request)
        die("a request does not fit");
    memcpy(request + head, bytes->data, bytes->length);
    worker->sent_s = now_s();
    worker->input_bytes = 0;
    bench->requests++;
    if (!connection_send(worker->fd, request, (size_t)head + bytes->length))
        die("the daemon closed a connection");
    buffer_release(bytes);
}

static void ask_for_work(struct bench *bench, struct worker *worker)
{
    struct lease_request request = {.wait_seconds = 30};
    struct buffer bytes;
    if (bench->started == bench->wanted)
        return;
    bench->started++;
    worker->step = STEP_LEASE;
    snprintf(request.worker, sizeof request.worker, "%s", worker->name);
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    int packed = lease_request_pack(&request, &bytes);
    send_request(bench, worker, "lease", packed, &bytes);
}

static void report(struct bench *bench, struct worker *worker)
{
    struct buffer bytes;
    uint32_t number = ++worker->reports;
    struct report_request request = {.attempt = worker->task.attempt,
                                     .epoch = worker->task.epoch,
                                     .steps_done = number * 60,
                                     .steps_total = REPORTS * 60,
                                     .epoch_count = 1};
    request.epochs[0] = (struct wire_epoch){.number = number,
                                            .train_loss = 1.0 / number,
                                            .train_accuracy = 0.5,
                                            .validation_loss = 1.1 / number,
                                            .validation_accuracy = 0.4,
                                            .seconds = 1.5};
    worker->step = STEP_REPORT;
    snprintf(request.worker, sizeof request.worker, "%s", worker->name);
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    int packed = report_request_pack(&request, &bytes);
    send_request(bench, worker, "report", packed, &bytes);
}

static void finish(struct bench *bench, struct worker *worker)
{
    struct buffer bytes;
    struct result_request request = {.attempt = worker->task.attempt,
                                     .epoch = worker->task.epoch,
                                     .result = fake_result(&worker->task)};
    worker->step = STEP_RESULT;
    snprintf(request.worker, sizeof request.worker, "%s", worker->name);
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    int packed = result_request_pack(&request, &bytes);
    send_request(bench, worker, "result", packed, &bytes);
}

/* ---- answers ---- */

static void on_answer(struct bench *bench, struct worker *worker, const char *body, size_t length)
{
    struct lease_response lease;
    struct error error;
    bench->latencies_s[bench->requests % (bench->wanted * (REPORTS + 2))] =
        (float)(now_s() - worker->sent_s);
    switch (worker->step) {
    case STEP_LEASE:
        if (lease_response_unpack(body, length, &lease, &error) < 0 || !lease.has_task)
            die("a lease came without a task");
        worker->task = lease.task;
        worker->reports = 0;
        report(bench, worker);
        break;
    case STEP_REPORT:
        if (worker->reports < REPORTS)
            report(bench, worker);
        else
            finish(bench, worker);
        break;
    case STEP_RESULT:
        bench->finished++;
        ask_for_work(bench, worker);
        break;
    }
}

static void on_readable(struct bench *bench, struct worker *worker)
{
    ssize_t bytes = recv(worker->fd, worker->input + worker->input_bytes,
                         INPUT_SIZE - 1 - worker->input_bytes, MSG_DONTWAIT);
    if (bytes <= 0)
        die("the daemon closed a connection");
    worker->input_bytes += (size_t)bytes;
    worker->input[worker->input_bytes] = '\0';
    const char *end = strstr(worker->input, "\r\n\r\n");
    const char *length = strstr(worker->input, "Content-Length: ");
    if (!end || !length)
        return;
    size_t announced = strtoul(length + strlen("Content-Length: "), NULL, 10);
    size_t head = (size_t)(end + 4 - worker->input);
    if (worker->input_bytes < head + announced)
        return;
    if (strncmp(worker->input, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "%s\n", worker->input);
        die("a request was refused");
    }
    on_answer(bench, worker, worker->input + head, announced);
}

/* ---- a run ---- */

static void start(struct bench *bench, const char *strategy)
{
    char text[SPEC_TEST_SIZE], strategies[64], budget[64], parallel[64];
    daemon_prepare(&bench->process);
    daemon_start(&bench->process, NULL);
    snprintf(strategies, sizeof strategies, "{\"name\": \"%s\"}", strategy);
    snprintf(budget, sizeof budget, "{\"candidates\": %llu, \"epochs\": %d}",
             (unsigned long long)bench->wanted, REPORTS);
    snprintf(parallel, sizeof parallel, "%d", bench->worker_count);
    snprintf(text, sizeof text,
             "{\"name\": \"bench\", \"dataset\": {\"name\": \"fashion-mnist\"},"
             "\"space\": {\"preset\": \"efficientnetv2-small-images\"}, \"strategy\": %s,"
             "\"budget\": %s, \"parallel_max\": %s}",
             strategies, budget, parallel);
    struct answer answer = post(&bench->process, "/v1/searches", text);
    if (answer.status != 201) {
        fprintf(stderr, "%s\n", answer.body);
        die("the search was refused");
    }
    answer_release(&answer);
    bench->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < bench->worker_count; i++) {
        struct worker *worker = &bench->workers[i];
        snprintf(worker->name, sizeof worker->name, "worker-%d", i);
        fake_worker_register(&bench->process, worker->name, 1);
        worker->fd = connection_open(&bench->process);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = worker};
        epoll_ctl(bench->epoll, EPOLL_CTL_ADD, worker->fd, &event);
    }
}

static double run(struct bench *bench)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    bench->started = bench->finished = bench->requests = 0;
    double from_s = now_s();
    for (int i = 0; i < bench->worker_count; i++)
        ask_for_work(bench, &bench->workers[i]);
    while (bench->finished < bench->wanted) {
        int count = epoll_wait(bench->epoll, events, EVENTS_AT_ONCE, DAEMON_WAIT_MS_MAX);
        if (count <= 0)
            die("no answers any more");
        for (int i = 0; i < count; i++)
            on_readable(bench, events[i].data.ptr);
    }
    return (double)bench->finished / (now_s() - from_s);
}

/* The store must agree. */
static void check(struct bench *bench)
{
    struct answer shown = get(&bench->process, "/v1/searches/1");
    if (strcmp(text_at(&shown, "state"), "done") != 0 ||
        integer_at(&shown, "progress.done") != (int64_t)bench->wanted)
        die("the search is not done");
    answer_release(&shown);
}

static void stop(struct bench *bench)
{
    for (int i = 0; i < bench->worker_count; i++)
        close(bench->workers[i].fd);
    close(bench->epoll);
    daemon_stop(&bench->process);
    daemon_remove(&bench->process);
}

/* Appends of a page that reach the disk, a second. */
static double measure_floor(void)
{
    char path[] = "/tmp/archscout-floor-XXXXXX", page[PAGE_BYTES] = {1};
    int fd = mkstemp(path);
    int count = 0;
    if (fd < 0)
        die("cannot make a file in /tmp");
    unlink(path);
    double from_s = now_s();
    while (now_s() - from_s < FLOOR_SECONDS) {
        if (write(fd, page, sizeof page) != sizeof page || fdatasync(fd) < 0)
            die("cannot write to /tmp");
        count++;
    }
    double rate = count / (now_s() - from_s);
    close(fd);
    return rate;
}

static int compare_doubles(const void *a_pointer, const void *b_pointer)
{
    double a = *(const double *)a_pointer, b = *(const double *)b_pointer;
    return (a > b) - (a < b);
}

static int compare_floats(const void *a_pointer, const void *b_pointer)
{
    float a = *(const float *)a_pointer, b = *(const float *)b_pointer;
    return (a > b) - (a < b);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static int number(int argc, char **argv, int index, int fallback, int max)
{
    long value = argc > index ? strtol(argv[index], NULL, 10) : fallback;
    if (value < 1 || value > max)
        die("usage: lifecycle_bench [WORKERS [LIFECYCLES [RUNS [STRATEGY]]]]");
    return (int)value;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    double rates[RUNS_MAX], floors[RUNS_MAX];
    bench.worker_count = number(argc, argv, 1, 32, WORKERS_MAX);
    bench.wanted = (uint64_t)number(argc, argv, 2, 4000, 1000000);
    int runs = number(argc, argv, 3, 5, RUNS_MAX);
    size_t requests = bench.wanted * (REPORTS + 2);
    bench.latencies_s = calloc(requests, sizeof *bench.latencies_s);
    if (!bench.latencies_s)
        die("out of memory");
    for (int i = 0; i < runs; i++) {
        floors[i] = measure_floor();
        start(&bench, argc > 4 ? argv[4] : "evolution");
        rates[i] = run(&bench);
        check(&bench);
        stop(&bench);
        qsort(bench.latencies_s, requests, sizeof *bench.latencies_s, compare_floats);
        printf("run %d: %.0f lifecycles/s, requests p50 %.2f ms p99 %.2f ms; floor %.0f syncs/s\n",
               i + 1, rates[i], 1e3 * (double)bench.latencies_s[requests / 2],
               1e3 * (double)bench.latencies_s[requests * 99 / 100], floors[i]);
        fflush(stdout);
    }
    double rate = median(rates, runs), floor = median(floors, runs);
    printf("median of %d runs, %d workers: %.0f durable lifecycles/s (%.0f requests/s); floor %.0f "
           "syncs/s; %.2f lifecycles a sync\n",
           runs, bench.worker_count, rate, rate * (REPORTS + 2), floor, rate / floor);
    free(bench.latencies_s);
    return EXIT_SUCCESS;
}
