#include "proto/worker_api.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "proto/convert.h"
#include "proto/foreign_text.h"
#include "proto/message.h"

_Static_assert((int)WORKER_API_BODY_MAX == (int)MESSAGE_BYTES_MAX, "bodies are messages");

static int unpack(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t length,
                  void *ret_message, struct error *error)
{
    ProtobufCMessage *message = NULL;
    int code = message_unpack(descriptor, bytes, length, &message, error);
    if (code == 0)
        *(void **)ret_message = message;
    return code;
}

static int check_seconds(uint32_t value, uint32_t min, uint32_t max, const char *pointer,
                         struct error *error)
{
    if (value < min || value > max)
        return error_set(error, -EINVAL, pointer, "must be %u to %u", min, max);
    return 0;
}

static int check_attempt(uint64_t attempt, uint64_t epoch, struct error *error)
{
    if (attempt == 0)
        return error_set(error, -EINVAL, "/attempt", "must not be 0");
    return epoch == 0 ? error_set(error, -EINVAL, "/epoch", "must not be 0") : 0;
}

/* ---- register ---- */

int register_request_pack(const struct register_request *request, struct buffer *ret_bytes)
{
    assert(request->slot_count <= WIRE_SLOTS_MAX);
    Archscout__V1__Slot slots[WIRE_SLOTS_MAX];
    Archscout__V1__Slot *slot_pointers[WIRE_SLOTS_MAX];
    for (uint32_t i = 0; i < request->slot_count; i++) {
        archscout__v1__slot__init(&slots[i]);
        slots[i].device = (char *)request->slots[i].device;
        slot_pointers[i] = &slots[i];
    }
    struct datasets_message datasets;
    datasets_to_message(request->datasets, request->dataset_count, &datasets);
    Archscout__V1__RegisterRequest message = ARCHSCOUT__V1__REGISTER_REQUEST__INIT;
    message.worker = (char *)request->worker;
    message.host = (char *)request->host;
    message.version = (char *)request->version;
    message.n_slots = request->slot_count;
    message.slots = slot_pointers;
    message.n_datasets = request->dataset_count;
    message.datasets = datasets.pointers;
    return message_pack(&message.base, ret_bytes);
}

static int read_slots(const Archscout__V1__RegisterRequest *message,
                      struct register_request *request, struct error *error)
{
    if (message->n_slots < 1 || message->n_slots > WIRE_SLOTS_MAX)
        return error_set(error, -EINVAL, "/slots", "must have 1 to %d entries", WIRE_SLOTS_MAX);
    request->slot_count = (uint32_t)message->n_slots;
    for (uint32_t i = 0; i < request->slot_count; i++) {
        char pointer[ERROR_POINTER_SIZE];
        snprintf(pointer, sizeof pointer, "/slots/%u/device", i);
        int code = foreign_name_copy(message->slots[i]->device, pointer, request->slots[i].device,
                                     sizeof request->slots[i].device, error);
        if (code < 0)
            return code;
    }
    return 0;
}

static int read_register_request(const Archscout__V1__RegisterRequest *message,
                                 struct register_request *request, struct error *error)
{
    int code = foreign_name_copy(message->worker, "/worker", request->worker,
                                 sizeof request->worker, error);
    if (code < 0)
        return code;
    code = foreign_name_copy(message->host, "/host", request->host, sizeof request->host, error);
    if (code < 0)
        return code;
    code = foreign_name_copy(message->version, "/version", request->version,
                             sizeof request->version, error);
    if (code < 0)
        return code;
    code = read_slots(message, request, error);
    if (code < 0)
        return code;
    code = datasets_from_message(message->datasets, message->n_datasets, request->datasets, error);
    if (code < 0)
        return code;
    request->dataset_count = (uint32_t)message->n_datasets;
    return 0;
}

int register_request_unpack(const void *bytes, size_t length, struct register_request *ret_request,
                            struct error *error)
{
    CLEANUP(message_free_pointer) Archscout__V1__RegisterRequest *message = NULL;
    int code = unpack(&archscout__v1__register_request__descriptor, bytes, length, &message, error);
    if (code < 0)
        return code;
    struct register_request request = {.slot_count = 0};
    code = read_register_request(message, &request, error);
    if (code == 0)
        *ret_request = request;
    return code;
}

int register_response_pack(const struct register_response *response, struct buffer *ret_bytes)
{
    assert(response->dataset_problem_count <= WIRE_DATASETS_MAX);
    char *problems[WIRE_DATASETS_MAX];
    for (uint32_t i = 0; i < response->dataset_problem_count; i++)
        problems[i] = (char *)response->dataset_problems[i]; /* packing only reads it */
    Archscout__V1__RegisterResponse message = ARCHSCOUT__V1__REGISTER_RESPONSE__INIT;
    message.lease_seconds = response->lease_seconds;
    message.report_seconds = response->report_seconds;
    message.n_dataset_problems = response->dataset_problem_count;
    message.dataset_problems = problems;
    return message_pack(&message.base, ret_bytes);
}

int register_response_unpack(const void *bytes, size_t length,
                             struct register_response *ret_response, struct error *error)
{
    CLEANUP(message_free_pointer) Archscout__V1__RegisterResponse *message = NULL;
    int code =
        unpack(&archscout__v1__register_response__descriptor, bytes, length, &message, error);
    if (code < 0)
        return code;
    code = check_seconds(message->lease_seconds, 1, WIRE_SECONDS_MAX, "/lease_seconds", error);
    if (code < 0)
        return code;
    code =
        check_seconds(message->report_seconds, 1, message->lease_seconds, "/report_seconds", error);
    if (code < 0)
        return code;
    if (message->n_dataset_problems > WIRE_DATASETS_MAX)
        return error_set(error, -EINVAL, "/dataset_problems", "must have at most %d entries",
                         WIRE_DATASETS_MAX);
    *ret_response =
        (struct register_response){.lease_seconds = message->lease_seconds,
                                   .report_seconds = message->report_seconds,
                                   .dataset_problem_count = (uint32_t)message->n_dataset_problems};
    for (uint32_t i = 0; i < ret_response->dataset_problem_count; i++)
        foreign_message_copy(message->dataset_problems[i], ret_response->dataset_problems[i],
                             sizeof ret_response->dataset_problems[i]);
    return 0;
}

/* ---- lease ---- */

int lease_request_pack(const struct lease_request *request, struct buffer *ret_bytes)
{
    Archscout__V1__LeaseRequest message = ARCHSCOUT__V1__LEASE_REQUEST__INIT;
    message.worker = (char *)request->worker;
    message.slot = request->slot;
    message.wait_seconds = request->wait_seconds;
    return message_pack(&message.base, ret_bytes);
}

int lease_request_unpack(const void *bytes, size_t length, struct lease_request *ret_request,
                         struct error *error)
{
    CLEANUP(message_free_pointer) Archscout__V1__LeaseRequest *message = NULL;
    int code = unpack(&archscout__v1__lease_request__descriptor, bytes, length, &message, error);
    if (code < 0)
        return code;
    struct lease_request request = {.slot = message->slot, .wait_seconds = message->wait_seconds};
    code =
        foreign_name_copy(message->worker, "/worker", request.worker, sizeof request.worker, error);
    if (code < 0)
        return code;
    if (request.slot >= WIRE_SLOTS_MAX)
        return error_set(error, -EINVAL, "/slot", "must be below %d", WIRE_SLOTS_MAX);
    code = check_seconds(request.wait_seconds, 0, WIRE_SECONDS_MAX, "/wait_seconds", error);
    if (code == 0)
        *ret_request = request;
    return code;
}

int lease_response_pack(const struct lease_response *response, struct buffer *ret_bytes)
{
    Archscout__V1__LeaseResponse message = ARCHSCOUT__V1__LEASE_RESPONSE__INIT;
    struct wire_task_message task;
    if (response->has_task) {
        wire_task_to_message(&response->task, &task);
        message.task = &task.message;
    }
    return message_pack(&message.base, ret_bytes);
}

int lease_response_unpack(const void *bytes, size_t length, struct lease_response *ret_response,
                          struct error *error)
{
    CLEANUP(message_free_pointer) Archscout__V1__LeaseResponse *message = NULL;
    int code = unpack(&archscout__v1__lease_response__descriptor, bytes, length, &message, error);
    if (code < 0)
        return code;
    struct lease_response response = {.has_task = message->task != NULL};
    if (response.has_task)
        code = wire_task_from_message(message->task, "/task", &response.task, error);
    if (code < 0) {
        response.task.attempt = message->task->attempt;
        response.task.epoch = message->task->epoch;
    }
    *ret_response = response;
    return code;
}

/* ---- report ---- */

int report_request_pack(const struct report_request *request, struct buffer *ret_bytes)
{
    assert(request->epoch_count <= WIRE_EPOCHS_MAX);
    Archscout__V1__Epoch epochs[WIRE_EPOCHS_MAX];
    Archscout__V1__Epoch *epoch_pointers[WIRE_EPOCHS_MAX];
    for (uint32_t i = 0; i < request->epoch_count; i++) {
        epochs[i] = wire_epoch_to_message(&request->epochs[i]);
        epoch_pointers[i] = &epochs[i];
    }
    Archscout__V1__ReportRequest message = ARCHSCOUT__V1__REPORT_REQUEST__INIT;
    message.worker = (char *)request->worker;
    message.attempt = request->attempt;
    message.epoch = request->epoch;
    message.steps_done = request->steps_done;
    message.steps_total = request->steps_total;
    message.n_epochs = request->epoch_count;
    message.epochs = epoch_pointers;
    Archscout__V1__Checkpoint checkpoint = wire_checkpoint_to_message(&request->checkpoint);
    message.checkpoint = request->checkpoint.bytes ? &checkpoint : NULL;
    return message_pack(&message.base, ret_bytes);
}

static int read_epochs(const Archscout__V1__ReportRequest *message, struct report_request *request,
                       struct error *error)
{
    if (message->n_epochs > WIRE_EPOCHS_MAX)
        return error_set(error, -EINVAL, "/epochs", "must have at most %d entries",
                         WIRE_EPOCHS_MAX);
    request->epoch_count = (uint32_t)message->n_epochs;
    for (uint32_t i = 0; i < request->epoch_count; i++) {
        char pointer[ERROR_POINTER_SIZE];
        snprintf(pointer, sizeof pointer, "/epochs/%u", i);
        int code = wire_epoch_from_message(message->epochs[i], pointer, &request->epochs[i], error);
        if (code < 0)
            return code;
    }
    return 0;
}

int report_request_unpack(const void *bytes, size_t length, struct report_request *ret_request,
                          struct error *error)
{
    CLEANUP(message_free_pointer) Archscout__V1__ReportRequest *message = NULL;
    int code = unpack(&archscout__v1__report_request__descriptor, bytes, length, &message, error);
    if (code < 0)
        return code;
    struct report_request request = {
        .attempt = message->attempt,
        .epoch = message->epoch,
        .steps_done = message->steps_done,
        .steps_total = message->steps_total,
    };
    code =
        foreign_name_copy(message->worker, "/worker", request.worker, sizeof request.worker, error);
    if (code < 0)
        return code;
    code = check_attempt(request.attempt, request.epoch, error);
    if (code < 0)
        return code;
    if (request.steps_done > request.steps_total)
        return error_set(error, -EINVAL, "/steps_done", "must not exceed steps_total");
    code = wire_checkpoint_from_message(message->checkpoint, "/checkpoint", &request.checkpoint,
                                        error);
    if (code == 0)
        code = read_epochs(message, &request, error);
    if (code == 0)
        *ret_request = request;
    return code;
}

int report_response_pack(const struct report_response *response, struct buffer *ret_bytes)
{
    Archscout__V1__ReportResponse message = ARCHSCOUT__V1__REPORT_RESPONSE__INIT;
    message.stop = response->stop;
    message.hand_back = response->hand_back;
    message.checkpoint_missing = response->checkpoint_missing;
    return message_pack(&message.base, ret_bytes);
}

int report_response_unpack(const void *bytes, size_t length, struct report_response *ret_response,
                           struct error *error)
{
    CLEANUP(message_free_pointer) Archscout__V1__ReportResponse *message = NULL;
    int code = unpack(&archscout__v1__report_response__descriptor, bytes, length, &message, error);
    if (code == 0)
        *ret_response = (struct report_response){.stop = message->stop,
                                                 .hand_back = message->hand_back,
                                                 .checkpoint_missing = message->checkpoint_missing};
    return code;
}

/* ---- result ---- */

int result_request_pack(const struct result_request *request, struct buffer *ret_bytes)
{
    struct wire_result_message result;
    wire_result_to_message(&request->result, &result);
    Archscout__V1__ResultRequest message = ARCHSCOUT__V1__RESULT_REQUEST__INIT;
    message.worker = (char *)request->worker;
    message.attempt = request->attempt;
    message.epoch = request->epoch;
    message.result = &result.message;
    return message_pack(&message.base, ret_bytes);
}

int result_request_unpack(const void *bytes, size_t length, struct result_request *ret_request,
                          struct error *error)
{
    CLEANUP(message_free_pointer) Archscout__V1__ResultRequest *message = NULL;
    int code = unpack(&archscout__v1__result_request__descriptor, bytes, length, &message, error);
    if (code < 0)
        return code;
    struct result_request request = {.attempt = message->attempt, .epoch = message->epoch};
    code =
        foreign_name_copy(message->worker, "/worker", request.worker, sizeof request.worker, error);
    if (code < 0)
        return code;
    code = check_attempt(request.attempt, request.epoch, error);
    if (code < 0)
        return code;
    code = wire_result_from_message(message->result, "/result", &request.result, error);
    if (code == 0)
        *ret_request = request;
    return code;
}

int result_response_pack(const struct result_response *response, struct buffer *ret_bytes)
{
    Archscout__V1__ResultResponse message = ARCHSCOUT__V1__RESULT_RESPONSE__INIT;
    message.accepted = response->accepted;
    return message_pack(&message.base, ret_bytes);
}

int result_response_unpack(const void *bytes, size_t length, struct result_response *ret_response,
                           struct error *error)
{
    CLEANUP(message_free_pointer) Archscout__V1__ResultResponse *message = NULL;
    int code = unpack(&archscout__v1__result_response__descriptor, bytes, length, &message, error);
    if (code == 0)
        *ret_response = (struct result_response){.accepted = message->accepted};
    return code;
}
