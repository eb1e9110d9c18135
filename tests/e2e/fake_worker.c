#include "tests/e2e/fake_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "search/cost.h"

enum { BATCH_STEPS = 62 };

struct answer fake_worker_post(const struct daemon_process *process, const char *route,
                               const void *bytes, size_t length)
{
    char path[64];
    snprintf(path, sizeof path, "/worker/v1/%s", route);
    return call(process, &(struct call){.method = "POST",
                                        .path = path,
                                        .type = WORKER_API_CONTENT_TYPE,
                                        .body = length ? bytes : "",
                                        .body_bytes = length});
}

static struct answer post_packed(const struct daemon_process *process, const char *route,
                                 int packed, struct buffer *bytes)
{
    assert_int_equal(packed, 0);
    struct answer answer = fake_worker_post(process, route, bytes->data, bytes->length);
    buffer_release(bytes);
    return answer;
}

void fake_worker_register(const struct daemon_process *process, const char *name, uint32_t slots)
{
    struct register_request *request = calloc(1, sizeof *request);
    struct register_response response;
    struct buffer bytes;
    struct error error;
    assert_non_null(request);
    snprintf(request->worker, sizeof request->worker, "%s", name);
    snprintf(request->host, sizeof request->host, "host");
    snprintf(request->version, sizeof request->version, "1");
    request->slot_count = slots;
    for (uint32_t i = 0; i < slots; i++)
        snprintf(request->slots[i].device, sizeof request->slots[i].device, "cpu");
    request->dataset_count = 1;
    request->datasets[0] = *dataset_known("fashion-mnist");
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    struct answer answer =
        post_packed(process, "register", register_request_pack(request, &bytes), &bytes);
    if (answer.status != 200)
        fail_msg("register: %d %s", answer.status, answer.body);
    assert_int_equal(register_response_unpack(answer.body, answer.body_bytes, &response, &error),
                     0);
    assert_true(response.report_seconds >= 1);
    answer_release(&answer);
    free(request);
}

int fake_worker_lease(const struct daemon_process *process, const char *name, uint32_t slot,
                      uint32_t wait_seconds, struct lease_response *ret_response)
{
    struct lease_request request = {.slot = slot, .wait_seconds = wait_seconds};
    struct buffer bytes;
    struct error error;
    snprintf(request.worker, sizeof request.worker, "%s", name);
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    struct answer answer =
        post_packed(process, "lease", lease_request_pack(&request, &bytes), &bytes);
    int status = answer.status;
    if (status == 200)
        assert_int_equal(
            lease_response_unpack(answer.body, answer.body_bytes, ret_response, &error), 0);
    answer_release(&answer);
    return status;
}

struct wire_task fake_worker_task(const struct daemon_process *process, const char *name,
                                  uint32_t slot)
{
    struct lease_response response;
    assert_int_equal(fake_worker_lease(process, name, slot, 30, &response), 200);
    assert_true(response.has_task);
    return response.task;
}

int fake_worker_report(const struct daemon_process *process, const char *name,
                       const struct wire_task *task, uint32_t epoch, bool *ret_stop)
{
    struct report_request request = {.attempt = task->attempt,
                                     .epoch = task->epoch,
                                     .steps_done = epoch * BATCH_STEPS,
                                     .steps_total = (uint64_t)task->epochs * BATCH_STEPS,
                                     .epoch_count = 1};
    struct report_response response;
    struct buffer bytes;
    struct error error;
    request.epochs[0] = (struct wire_epoch){.number = epoch,
                                            .train_loss = 1.0 / epoch,
                                            .train_accuracy = 0.5,
                                            .validation_loss = 1.1 / epoch,
                                            .validation_accuracy = 0.4,
                                            .seconds = 1.5};
    snprintf(request.worker, sizeof request.worker, "%s", name);
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    struct answer answer =
        post_packed(process, "report", report_request_pack(&request, &bytes), &bytes);
    int status = answer.status;
    if (status == 200) {
        assert_int_equal(report_response_unpack(answer.body, answer.body_bytes, &response, &error),
                         0);
        *ret_stop = response.stop;
    }
    answer_release(&answer);
    return status;
}

struct wire_result fake_result(const struct wire_task *task)
{
    struct problem problem = wire_task_problem(task);
    struct cost cost = cost_of(&task->architecture, &problem);
    uint64_t hash = architecture_hash(&task->architecture);
    double macs = (double)cost.macs;
    return (struct wire_result){.outcome = WIRE_OUTCOME_DONE,
                                .accuracy = 0.5 + (double)(hash % 1000) / 2500,
                                .loss = 1.5 - (double)(hash % 1000) / 1250,
                                .step_time = {.median_s = 0.001 + macs * 1e-10,
                                              .spread_s = 0.0001,
                                              .blocks = 5,
                                              .baseline_s = 0.005},
                                .seconds = 2.5,
                                .first_step_s = 0.1,
                                .images = task->train_images * task->epochs};
}

int fake_worker_result(const struct daemon_process *process, const char *name,
                       const struct wire_task *task, const struct wire_result *result,
                       bool *ret_accepted)
{
    struct result_request request = {
        .attempt = task->attempt, .epoch = task->epoch, .result = *result};
    struct result_response response;
    struct buffer bytes;
    struct error error;
    snprintf(request.worker, sizeof request.worker, "%s", name);
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    struct answer answer =
        post_packed(process, "result", result_request_pack(&request, &bytes), &bytes);
    int status = answer.status;
    if (status == 200) {
        assert_int_equal(result_response_unpack(answer.body, answer.body_bytes, &response, &error),
                         0);
        *ret_accepted = response.accepted;
    }
    answer_release(&answer);
    return status;
}

void fake_worker_train(const struct daemon_process *process, const char *name, int count)
{
    for (int i = 0; i < count; i++) {
        bool stop = true, accepted = false;
        struct wire_task task = fake_worker_task(process, name, 0);
        struct wire_result result = fake_result(&task);
        for (uint32_t epoch = 1; epoch <= task.epochs; epoch++)
            assert_int_equal(fake_worker_report(process, name, &task, epoch, &stop), 200);
        assert_false(stop);
        assert_int_equal(fake_worker_result(process, name, &task, &result, &accepted), 200);
        assert_true(accepted);
    }
}
