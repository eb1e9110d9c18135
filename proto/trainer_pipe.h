/* What an agent and its trainer say to each other: the bodies of the frames (proto/frame.h).
 *
 * Agent to trainer, on the trainer's standard input: tasks, one after another; end of file means
 * finish and exit 0. Trainer to agent, on its standard output: a hello, once; then for each task
 * progress, epochs and checkpoints and, last, one result.
 *
 * Errors of _pack and _unpack as in proto/worker_api.h. */
#ifndef PROTO_TRAINER_PIPE_H
#define PROTO_TRAINER_PIPE_H

#include "proto/worker_api.h"

enum { TRAINER_PROTOCOL = 1 };

/* What the agent tells a trainer in its environment. */
#define TRAINER_ENV_DEVICE "ARCHSCOUT_DEVICE" /* "cpu", "cuda:N" or "cuda:GPU-UUID" */
#define TRAINER_ENV_DATA                                                                           \
    "ARCHSCOUT_DATA" /* directory of the data sets; unset: the trainer's own default */
#define TRAINER_ENV_SLOT "ARCHSCOUT_SLOT"                 /* 0-based */
#define TRAINER_ENV_SLOTS "ARCHSCOUT_SLOTS"               /* how many the agent has */
#define TRAINER_ENV_DEVICE_SLOTS "ARCHSCOUT_DEVICE_SLOTS" /* how many of them are on the device */
#define TRAINER_ENV_WORK                                                                           \
    "ARCHSCOUT_WORK" /* the slot's own directory, for checkpoints; unset: none are written */

struct hello {
    uint32_t protocol; /* TRAINER_PROTOCOL; unpacking leaves it to the agent to refuse another */
    char device[WIRE_DEVICE_SIZE];
    uint32_t dataset_count;
    struct dataset datasets[WIRE_DATASETS_MAX]; /* that this trainer can read; names are distinct */
    bool checkpoints; /* it writes them, and on SIGTERM one more before it says RETURNED */
};

struct wire_progress {
    uint64_t steps_done, steps_total; /* done <= total */
};

enum trainer_message_kind {
    TRAINER_HELLO,
    TRAINER_PROGRESS,
    TRAINER_EPOCH,
    TRAINER_RESULT,
    TRAINER_CHECKPOINT,
};

struct trainer_message {
    enum trainer_message_kind kind;
    union {
        struct hello hello;
        struct wire_progress progress;
        struct wire_epoch epoch;
        struct wire_result result;
        struct wire_checkpoint_written checkpoint;
    };
};

/* The body of a frame to the trainer. */
int trainer_task_pack(const struct wire_task *task, struct buffer *ret_bytes) MUST_USE;
int trainer_task_unpack(const void *bytes, size_t length, struct wire_task *ret_task,
                        struct error *error) MUST_USE;

/* The body of a frame from the trainer. On -EDOM, a measured value that is not finite,
 * ret_message->kind is set. */
int trainer_message_pack(const struct trainer_message *message, struct buffer *ret_bytes) MUST_USE;
int trainer_message_unpack(const void *bytes, size_t length, struct trainer_message *ret_message,
                           struct error *error) MUST_USE;

#endif
