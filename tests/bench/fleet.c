#include "tests/bench/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/e2e/search_spec.h"

enum { EVENTS_AT_ONCE = 64, INPUT_SIZE = 16384, REQUEST_SIZE = 4096, STEPS_A_REPORT = 60 };

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

struct fleet {
    int count;
    int epoll;
    uint64_t wanted, started, finished, answers;
    float *latencies_s;
    struct worker workers[FLEET_WORKERS_MAX];
};

double bench_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int compare_doubles(const void *a_pointer, const void *b_pointer)
{
    double a = *(const double *)a_pointer, b = *(const double *)b_pointer;
    return (a > b) - (a < b);
}

double bench_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

void bench_die(const char *why)
{
    fprintf(stderr, "%s\n", why);
    exit(EXIT_FAILURE);
}

/* ---- requests ---- */

static void send_request(struct worker *worker, const char *route, int packed, struct buffer *bytes)
{
    char request[REQUEST_SIZE];
    int head = snprintf(request, sizeof request,
                        "POST /worker/v1/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        route, WORKER_API_CONTENT_TYPE, bytes->length);
    if (packed < 0 || (size_t)head + bytes->length > sizeof request)
        bench_die("a request does not fit");
    memcpy(request + head, bytes->data, bytes->length);
    worker->sent_s = bench_now_s();
    worker->input_bytes = 0;
    if (!connection_send(worker->fd, request, (size_t)head + bytes->length))
        bench_die("the daemon closed a connection");
    buffer_release(bytes);
}

static void ask_for_work(struct fleet *fleet, struct worker *worker)
{
    struct lease_request request = {.wait_seconds = 30};
    struct buffer bytes;
    if (fleet->started == fleet->wanted)
        return;
    fleet->started++;
    worker->step = STEP_LEASE;
    snprintf(request.worker, sizeof request.worker, "%s", worker->name);
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    int packed = lease_request_pack(&request, &bytes);
    send_request(worker, "lease", packed, &bytes);
}

static void report(struct worker *worker)
{
    struct buffer bytes;
    uint32_t number = ++worker->reports;
    struct report_request request = {.attempt = worker->task.attempt,
                                     .epoch = worker->task.epoch,
                                     .steps_done = number * STEPS_A_REPORT,
                                     .steps_total = FLEET_REPORTS * STEPS_A_REPORT,
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
    send_request(worker, "report", packed, &bytes);
}

static void finish(struct worker *worker)
{
    struct buffer bytes;
    struct result_request request = {.attempt = worker->task.attempt,
                                     .epoch = worker->task.epoch,
                                     .result = fake_result(&worker->task)};
    worker->step = STEP_RESULT;
    snprintf(request.worker, sizeof request.worker, "%s", worker->name);
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    int packed = result_request_pack(&request, &bytes);
    send_request(worker, "result", packed, &bytes);
}

/* ---- answers ---- */

static void on_answer(struct fleet *fleet, struct worker *worker, const char *body, size_t length)
{
    struct lease_response lease;
    struct error error;
    if (fleet->latencies_s)
        fleet->latencies_s[fleet->answers++] = (float)(bench_now_s() - worker->sent_s);
    switch (worker->step) {
    case STEP_LEASE:
        if (lease_response_unpack(body, length, &lease, &error) < 0 || !lease.has_task)
            bench_die("a lease came without a task");
        worker->task = lease.task;
        worker->reports = 0;
        report(worker);
        break;
    case STEP_REPORT:
        if (worker->reports < FLEET_REPORTS)
            report(worker);
        else
            finish(worker);
        break;
    case STEP_RESULT:
        fleet->finished++;
        ask_for_work(fleet, worker);
        break;
    }
}

static void on_readable(struct fleet *fleet, struct worker *worker)
{
    ssize_t bytes = recv(worker->fd, worker->input + worker->input_bytes,
                         INPUT_SIZE - 1 - worker->input_bytes, MSG_DONTWAIT);
    if (bytes <= 0)
        bench_die("the daemon closed a connection");
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
        bench_die("a request was refused");
    }
    on_answer(fleet, worker, worker->input + head, announced);
}

/* ---- the fleet ---- */

struct fleet *fleet_new(const struct daemon_process *process, int count)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    if (!fleet || count > FLEET_WORKERS_MAX)
        bench_die("no fleet of that size");
    fleet->count = count;
    fleet->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < count; i++) {
        struct worker *worker = &fleet->workers[i];
        snprintf(worker->name, sizeof worker->name, "worker-%d", i);
        fake_worker_register(process, worker->name, 1);
        worker->fd = connection_open(process);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = worker};
        epoll_ctl(fleet->epoll, EPOLL_CTL_ADD, worker->fd, &event);
    }
    return fleet;
}

void fleet_free(struct fleet *fleet)
{
    for (int i = 0; i < fleet->count; i++)
        close(fleet->workers[i].fd);
    close(fleet->epoll);
    free(fleet);
}

double fleet_run(struct fleet *fleet, uint64_t lifecycles, float *latencies_s)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    fleet->wanted = lifecycles;
    fleet->started = fleet->finished = fleet->answers = 0;
    fleet->latencies_s = latencies_s;
    double from_s = bench_now_s();
    for (int i = 0; i < fleet->count; i++)
        ask_for_work(fleet, &fleet->workers[i]);
    while (fleet->finished < fleet->wanted) {
        int count = epoll_wait(fleet->epoll, events, EVENTS_AT_ONCE, DAEMON_WAIT_MS_MAX);
        if (count <= 0)
            bench_die("no answers any more");
        for (int i = 0; i < count; i++)
            on_readable(fleet, events[i].data.ptr);
    }
    return (double)fleet->finished / (bench_now_s() - from_s);
}

int64_t fleet_submit(const struct daemon_process *process, uint64_t candidates,
                     const char *strategy)
{
    char text[SPEC_TEST_SIZE];
    snprintf(text, sizeof text,
             "{\"name\": \"bench\", \"dataset\": {\"name\": \"fashion-mnist\"},"
             "\"space\": {\"preset\": \"efficientnetv2-small-images\"},"
             "\"strategy\": {\"name\": \"%s\"}, \"parallel_max\": %d,"
             "\"budget\": {\"candidates\": %llu, \"epochs\": %d}}",
             strategy, FLEET_WORKERS_MAX, (unsigned long long)candidates, FLEET_REPORTS);
    struct answer answer = post(process, "/v1/searches", text);
    if (answer.status != 201)
        bench_die(answer.body);
    int64_t id = integer_at(&answer, "id");
    answer_release(&answer);
    return id;
}
