#include "tests/fault/ledger.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/http_client.h"
#include "proto/worker_api.h"

enum { RETRY_US = 2000, IDLE_US = 5000, TIMEOUT_MS = 20000, WAIT_US_MAX = 60000000 };

enum step { ASK, REPORT, STALE, HAND_IN, REPEAT };

struct clerk {
    struct ledger *ledger;
    struct http_client *client;
    char name[WIRE_WORKER_SIZE];
    bool registered;
    enum step step; /* once registered */
    struct wire_task task;
    struct ledger_entry *entry;
};

__attribute__((format(printf, 2, 3))) static void complain(struct clerk *clerk, const char *format,
                                                           ...)
{
    va_list arguments;
    if (atomic_load(&clerk->ledger->wrong))
        return;
    va_start(arguments, format);
    vsnprintf(clerk->ledger->text, LEDGER_TEXT_SIZE, format, arguments);
    va_end(arguments);
    atomic_store(&clerk->ledger->wrong, true);
}

/* The status, or 0 where there is no answer. */
static int ask(struct clerk *clerk, const char *path, int packed, struct buffer *body,
               struct http_response *response)
{
    struct error error;
    struct http_request request = {.method = "POST",
                                   .path = path,
                                   .content_type = WORKER_API_CONTENT_TYPE,
                                   .body = body->data,
                                   .body_length = body->length,
                                   .timeout_ms = TIMEOUT_MS};
    int r = packed < 0 ? packed : http_client_perform(clerk->client, &request, response, &error);
    buffer_release(body);
    if (r < 0)
        return 0;
    if (response->status == 503)
        atomic_fetch_add(&clerk->ledger->unavailable, 1);
    return (int)response->status;
}

/* ---- what is asked ---- */

static int send_registration(struct clerk *clerk, struct http_response *response)
{
    static struct register_request request; /* large, and this process has one thread */
    struct buffer body;
    memset(&request, 0, sizeof request);
    memcpy(request.worker, clerk->name, sizeof request.worker);
    snprintf(request.host, sizeof request.host, "here");
    snprintf(request.version, sizeof request.version, "1");
    request.slot_count = request.dataset_count = 1;
    snprintf(request.slots[0].device, sizeof request.slots[0].device, "cpu");
    request.datasets[0] = (struct dataset){.name = LEDGER_DATASET,
                                           .image_size = 28,
                                           .image_channels = 1,
                                           .classes = 10,
                                           .train_images = 2 * LEDGER_IMAGES,
                                           .test_images = LEDGER_IMAGES};
    buffer_init(&body, WORKER_API_BODY_MAX);
    return ask(clerk, "/worker/v1/register", register_request_pack(&request, &body), &body,
               response);
}

static int send_lease(struct clerk *clerk, struct http_response *response)
{
    struct lease_request request = {.slot = 0, .wait_seconds = 0};
    struct buffer body;
    memcpy(request.worker, clerk->name, sizeof request.worker);
    buffer_init(&body, WORKER_API_BODY_MAX);
    return ask(clerk, "/worker/v1/lease", lease_request_pack(&request, &body), &body, response);
}

static int send_report(struct clerk *clerk, struct http_response *response)
{
    struct report_request request = {.attempt = clerk->task.attempt,
                                     .epoch = clerk->task.epoch,
                                     .steps_done = 1,
                                     .steps_total = 2,
                                     .epoch_count = 1,
                                     .epochs = {{.number = 1, .train_loss = 1, .seconds = 1}}};
    struct buffer body;
    memcpy(request.worker, clerk->name, sizeof request.worker);
    buffer_init(&body, WORKER_API_BODY_MAX);
    return ask(clerk, "/worker/v1/report", report_request_pack(&request, &body), &body, response);
}

static int send_result(struct clerk *clerk, uint64_t epoch, struct http_response *response)
{
    struct result_request request = {
        .attempt = clerk->task.attempt,
        .epoch = epoch,
        .result = {.outcome = WIRE_OUTCOME_DONE,
                   .accuracy = clerk->entry->accuracy,
                   .loss = 1,
                   .step_time = {.median_s = 0.01, .blocks = 5, .baseline_s = 0.02},
                   .seconds = clerk->entry->seconds,
                   .first_step_s = 0.1,
                   .images = LEDGER_IMAGES}};
    struct buffer body;
    memcpy(request.worker, clerk->name, sizeof request.worker);
    buffer_init(&body, WORKER_API_BODY_MAX);
    return ask(clerk, "/worker/v1/result", result_request_pack(&request, &body), &body, response);
}

/* ---- what is answered ---- */

static void note_task(struct clerk *clerk)
{
    struct ledger *ledger = clerk->ledger;
    const struct wire_task *task = &clerk->task;
    uint_fast32_t count = atomic_load(&ledger->count);
    struct ledger_entry *last = count ? &ledger->entries[count - 1] : NULL;
    clerk->step = REPORT;
    if (last && last->attempt == task->attempt) {
        if (last->epoch != task->epoch || atomic_load(&last->acknowledged))
            complain(clerk, "attempt %llu was handed out twice", (unsigned long long)task->attempt);
        return;
    }
    if (count == LEDGER_ENTRIES_MAX) {
        complain(clerk, "the ledger is full");
        return;
    }
    clerk->entry = &ledger->entries[count];
    clerk->entry->search = strtoull(task->search, NULL, 10);
    clerk->entry->candidate = task->candidate;
    clerk->entry->attempt = task->attempt;
    clerk->entry->epoch = task->epoch;
    clerk->entry->accuracy = 0.25 + (double)(task->attempt % 512) / 1024;
    clerk->entry->seconds = 0.25 * (double)(1 + task->attempt % 16);
    atomic_store(&ledger->count, count + 1);
}

static void take_task(struct clerk *clerk, const struct http_response *response)
{
    struct lease_response lease;
    struct error error;
    if (lease_response_unpack(response->body.data, response->body.length, &lease, &error) < 0) {
        complain(clerk, "lease: %s %s", error.pointer, error.message);
        return;
    }
    if (lease.has_task) {
        clerk->task = lease.task;
        note_task(clerk);
    } else {
        usleep(IDLE_US);
    }
}

static void take_acknowledgement(struct clerk *clerk, const struct http_response *response)
{
    struct result_response result;
    struct error error;
    if (result_response_unpack(response->body.data, response->body.length, &result, &error) < 0 ||
        !result.accepted)
        complain(clerk, "the result of attempt %llu was not accepted",
                 (unsigned long long)clerk->task.attempt);
    if (clerk->step == REPEAT) {
        atomic_fetch_add(&clerk->ledger->repeated, 1);
        clerk->step = ASK;
        return;
    }
    atomic_store(&clerk->entry->acknowledged, true);
    atomic_fetch_add(&clerk->ledger->acknowledged, 1);
    clerk->step = clerk->task.attempt % 4 == 0 ? REPEAT : ASK;
}

static void take_answer(struct clerk *clerk, const struct http_response *response)
{
    switch (clerk->step) {
    case ASK:
        take_task(clerk, response);
        break;
    case REPORT:
        clerk->step = clerk->task.attempt % 8 == 1 ? STALE : HAND_IN;
        break;
    case STALE:
        complain(clerk, "a result with a fencing number of none was accepted");
        break;
    default:
        take_acknowledgement(clerk, response);
    }
}

static int send_step(struct clerk *clerk, struct http_response *response)
{
    if (!clerk->registered)
        return send_registration(clerk, response);
    switch (clerk->step) {
    case ASK:
        return send_lease(clerk, response);
    case REPORT:
        return send_report(clerk, response);
    case STALE:
        return send_result(clerk, clerk->task.epoch ^ 1, response);
    default:
        return send_result(clerk, clerk->task.epoch, response);
    }
}

static void work(struct clerk *clerk)
{
    struct http_response response = {.status = 0};
    int status = send_step(clerk, &response);
    if (status == 200 && !clerk->registered) {
        clerk->registered = true;
        atomic_store(&clerk->ledger->registered, true);
    } else if (status == 200) {
        take_answer(clerk, &response);
    } else if (status == 404) {
        clerk->registered = false;
    } else if (status == 409 && clerk->step == STALE) {
        atomic_fetch_add(&clerk->ledger->stale, 1);
        clerk->step = HAND_IN;
    } else if (status == 0 || status == 503) {
        usleep(RETRY_US);
    } else {
        complain(clerk, "step %d of attempt %llu got %d %.120s", (int)clerk->step,
                 (unsigned long long)clerk->task.attempt, status, (char *)response.body.data);
        usleep(RETRY_US);
    }
    http_response_release(&response);
}

/* ---- the process ---- */

static int keep_ledger(struct ledger *ledger, int port, const char *name)
{
    struct clerk clerk = {.ledger = ledger, .step = ASK};
    char url[64];
    struct error error;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    snprintf(clerk.name, sizeof clerk.name, "%s", name);
    if (http_startup() < 0 || http_client_new(url, &clerk.client, &error) < 0)
        return 1;
    while (!atomic_load(&ledger->stop))
        work(&clerk);
    http_client_free(clerk.client);
    http_shutdown();
    return 0;
}

void ledger_worker_start(struct ledger_worker *worker, int port, const char *name)
{
    void *memory = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    worker->ledger = memory;
    worker->pid = fork();
    assert_true(worker->pid >= 0);
    if (worker->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(keep_ledger(worker->ledger, port, name));
    }
}

void ledger_worker_await(const struct ledger_worker *worker)
{
    for (int i = 0; i < WAIT_US_MAX / IDLE_US && !atomic_load(&worker->ledger->registered); i++)
        usleep(IDLE_US);
    assert_true(atomic_load(&worker->ledger->registered));
}

void ledger_worker_stop(struct ledger_worker *worker)
{
    int status = 0;
    atomic_store(&worker->ledger->stop, true);
    assert_int_equal(waitpid(worker->pid, &status, 0), worker->pid);
    worker->pid = 0;
    assert_int_equal(status, 0);
}

void ledger_worker_release(struct ledger_worker *worker)
{
    if (worker->pid > 0) {
        kill(worker->pid, SIGKILL);
        waitpid(worker->pid, NULL, 0);
        worker->pid = 0;
    }
    if (worker->ledger)
        munmap(worker->ledger, sizeof *worker->ledger);
    worker->ledger = NULL;
}
