#include "proto/trainer_pipe.h"

#include <errno.h>

#include "proto/convert.h"
#include "proto/foreign_text.h"
#include "proto/frame.h"
#include "proto/message.h"

_Static_assert((int)FRAME_BODY_MAX == (int)MESSAGE_BYTES_MAX, "frames hold messages");

int trainer_task_pack(const struct wire_task *task, struct buffer *ret_bytes)
{
    struct wire_task_message holder;
    wire_task_to_message(task, &holder);
    Archscout__V1__ToTrainer message = ARCHSCOUT__V1__TO_TRAINER__INIT;
    message.body_case = ARCHSCOUT__V1__TO_TRAINER__BODY_TASK;
    message.task = &holder.message;
    return message_pack(&message.base, ret_bytes);
}

int trainer_task_unpack(const void *bytes, size_t length, struct wire_task *ret_task,
                        struct error *error)
{
    CLEANUP(message_free_pointer) ProtobufCMessage *base = NULL;
    int code = message_unpack(&archscout__v1__to_trainer__descriptor, bytes, length, &base, error);
    if (code < 0)
        return code;
    const Archscout__V1__ToTrainer *message = (const Archscout__V1__ToTrainer *)base;
    if (message->body_case != ARCHSCOUT__V1__TO_TRAINER__BODY_TASK)
        return error_set(error, -EINVAL, "", "a message to the trainer must be a task");
    return wire_task_from_message(message->task, "/task", ret_task, error);
}

static int pack_hello(const struct hello *hello, struct buffer *ret_bytes)
{
    struct datasets_message datasets;
    datasets_to_message(hello->datasets, hello->dataset_count, &datasets);
    Archscout__V1__Hello body = ARCHSCOUT__V1__HELLO__INIT;
    body.protocol = hello->protocol;
    body.device = (char *)hello->device; /* packing only reads it */
    body.n_datasets = hello->dataset_count;
    body.datasets = datasets.pointers;
    body.checkpoints = hello->checkpoints;
    Archscout__V1__FromTrainer message = ARCHSCOUT__V1__FROM_TRAINER__INIT;
    message.body_case = ARCHSCOUT__V1__FROM_TRAINER__BODY_HELLO;
    message.hello = &body;
    return message_pack(&message.base, ret_bytes);
}

static int pack_progress(const struct wire_progress *progress, struct buffer *ret_bytes)
{
    Archscout__V1__Progress body = ARCHSCOUT__V1__PROGRESS__INIT;
    body.steps_done = progress->steps_done;
    body.steps_total = progress->steps_total;
    Archscout__V1__FromTrainer message = ARCHSCOUT__V1__FROM_TRAINER__INIT;
    message.body_case = ARCHSCOUT__V1__FROM_TRAINER__BODY_PROGRESS;
    message.progress = &body;
    return message_pack(&message.base, ret_bytes);
}

static int pack_epoch(const struct wire_epoch *epoch, struct buffer *ret_bytes)
{
    Archscout__V1__Epoch body = wire_epoch_to_message(epoch);
    Archscout__V1__FromTrainer message = ARCHSCOUT__V1__FROM_TRAINER__INIT;
    message.body_case = ARCHSCOUT__V1__FROM_TRAINER__BODY_EPOCH;
    message.epoch = &body;
    return message_pack(&message.base, ret_bytes);
}

static int pack_result(const struct wire_result *result, struct buffer *ret_bytes)
{
    struct wire_result_message holder;
    wire_result_to_message(result, &holder);
    Archscout__V1__FromTrainer message = ARCHSCOUT__V1__FROM_TRAINER__INIT;
    message.body_case = ARCHSCOUT__V1__FROM_TRAINER__BODY_RESULT;
    message.result = &holder.message;
    return message_pack(&message.base, ret_bytes);
}

static int pack_checkpoint(const struct wire_checkpoint_written *written, struct buffer *ret_bytes)
{
    Archscout__V1__Checkpoint checkpoint = wire_checkpoint_to_message(&written->checkpoint);
    Archscout__V1__CheckpointWritten body = ARCHSCOUT__V1__CHECKPOINT_WRITTEN__INIT;
    body.path = (char *)written->path; /* packing only reads it */
    body.checkpoint = &checkpoint;
    Archscout__V1__FromTrainer message = ARCHSCOUT__V1__FROM_TRAINER__INIT;
    message.body_case = ARCHSCOUT__V1__FROM_TRAINER__BODY_CHECKPOINT;
    message.checkpoint = &body;
    return message_pack(&message.base, ret_bytes);
}

int trainer_message_pack(const struct trainer_message *message, struct buffer *ret_bytes)
{
    switch (message->kind) {
    case TRAINER_HELLO:
        return pack_hello(&message->hello, ret_bytes);
    case TRAINER_PROGRESS:
        return pack_progress(&message->progress, ret_bytes);
    case TRAINER_EPOCH:
        return pack_epoch(&message->epoch, ret_bytes);
    case TRAINER_RESULT:
        return pack_result(&message->result, ret_bytes);
    case TRAINER_CHECKPOINT:
        return pack_checkpoint(&message->checkpoint, ret_bytes);
    }
    return -EINVAL;
}

static int read_hello(const Archscout__V1__Hello *body, struct hello *ret_hello,
                      struct error *error)
{
    struct hello hello = {.protocol = body->protocol, .checkpoints = body->checkpoints};
    int code = foreign_name_copy(body->device, "/device", hello.device, sizeof hello.device, error);
    if (code == 0)
        code = datasets_from_message(body->datasets, body->n_datasets, hello.datasets, error);
    if (code < 0)
        return error_prefix(error, code, "/hello");
    hello.dataset_count = (uint32_t)body->n_datasets;
    *ret_hello = hello;
    return 0;
}

static int read_progress(const Archscout__V1__Progress *body, struct wire_progress *ret_progress,
                         struct error *error)
{
    if (body->steps_done > body->steps_total)
        return error_set(error, -EINVAL, "/progress/steps_done", "must not exceed steps_total");
    *ret_progress = (struct wire_progress){body->steps_done, body->steps_total};
    return 0;
}

static int read_checkpoint(const Archscout__V1__CheckpointWritten *body,
                           struct wire_checkpoint_written *ret_written, struct error *error)
{
    if (!body->checkpoint || body->path[0] == '\0')
        return error_set(error, -EINVAL, "/checkpoint", "must name a file");
    int code = wire_path_from_message(body->path, "/checkpoint/path", ret_written->path, error);
    if (code < 0)
        return code;
    return wire_checkpoint_from_message(body->checkpoint, "/checkpoint/checkpoint",
                                        &ret_written->checkpoint, error);
}

int trainer_message_unpack(const void *bytes, size_t length, struct trainer_message *ret_message,
                           struct error *error)
{
    CLEANUP(message_free_pointer) ProtobufCMessage *base = NULL;
    int code =
        message_unpack(&archscout__v1__from_trainer__descriptor, bytes, length, &base, error);
    if (code < 0)
        return code;
    const Archscout__V1__FromTrainer *message = (const Archscout__V1__FromTrainer *)base;
    switch (message->body_case) {
    case ARCHSCOUT__V1__FROM_TRAINER__BODY_HELLO:
        ret_message->kind = TRAINER_HELLO;
        return read_hello(message->hello, &ret_message->hello, error);
    case ARCHSCOUT__V1__FROM_TRAINER__BODY_PROGRESS:
        ret_message->kind = TRAINER_PROGRESS;
        return read_progress(message->progress, &ret_message->progress, error);
    case ARCHSCOUT__V1__FROM_TRAINER__BODY_EPOCH:
        ret_message->kind = TRAINER_EPOCH;
        return wire_epoch_from_message(message->epoch, "/epoch", &ret_message->epoch, error);
    case ARCHSCOUT__V1__FROM_TRAINER__BODY_RESULT:
        ret_message->kind = TRAINER_RESULT;
        return wire_result_from_message(message->result, "/result", &ret_message->result, error);
    case ARCHSCOUT__V1__FROM_TRAINER__BODY_CHECKPOINT:
        ret_message->kind = TRAINER_CHECKPOINT;
        return read_checkpoint(message->checkpoint, &ret_message->checkpoint, error);
    default:
        return error_set(error, -EINVAL, "",
                         "must be a hello, progress, epoch, checkpoint or result");
    }
}
