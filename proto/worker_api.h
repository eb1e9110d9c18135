/* What agents and the daemon send each other: bodies of POST
 * /worker/v1/{register,lease,report,result}.
 *
 * Content-Type WORKER_API_CONTENT_TYPE. Each body is a plain struct here, with _pack and _unpack.
 * Unpacking checks every field: -EBADMSG where the bytes are not such a message, -EINVAL with a
 * pointer to the field, -EDOM where a measured value is NaN or infinite, -EMSGSIZE, -ENOMEM.
 * Packing expects valid values and appends to the buffer: -EMSGSIZE, -ENOMEM.
 *
 * Status codes: 200; 400 a body that does not unpack; 404 an unknown worker (register again); 409
 * an attempt or epoch that is no longer current. */
#ifndef PROTO_WORKER_API_H
#define PROTO_WORKER_API_H

#include "proto/buffer.h"
#include "proto/wire_result.h"
#include "proto/wire_task.h"

#include <stdbool.h>

#define WORKER_API_CONTENT_TYPE "application/x-protobuf"

enum {
    WORKER_API_BODY_MAX = 1 << 20, /* bytes */
    WIRE_WORKER_SIZE = 64,
    WIRE_HOST_SIZE = 96,
    WIRE_VERSION_SIZE = 32,
    WIRE_DEVICE_SIZE = 96,
    WIRE_SLOTS_MAX = 256,
    WIRE_DATASETS_MAX = 64,
    WIRE_PROBLEM_SIZE = 512,
    WIRE_SECONDS_MAX = 86400, /* of any waiting time */
    WIRE_EPOCHS_MAX = 64,     /* in one report */
};

struct wire_slot {
    char device[WIRE_DEVICE_SIZE]; /* "cpu", "cuda:0 NVIDIA H200" */
};

struct register_request {
    char worker[WIRE_WORKER_SIZE]; /* chosen by the agent: unique to this process */
    char host[WIRE_HOST_SIZE];
    char version[WIRE_VERSION_SIZE];
    uint32_t slot_count; /* 1 .. WIRE_SLOTS_MAX */
    struct wire_slot slots[WIRE_SLOTS_MAX];
    uint32_t dataset_count;
    struct dataset datasets[WIRE_DATASETS_MAX]; /* that this worker can read; names are distinct */
};

struct register_response {
    uint32_t
        lease_seconds; /* a lease not reported on for so long has ended; 1 .. WIRE_SECONDS_MAX */
    uint32_t report_seconds;        /* report at least this often; 1 .. lease_seconds */
    uint32_t dataset_problem_count; /* data sets that were left out; <= WIRE_DATASETS_MAX */
    char dataset_problems[WIRE_DATASETS_MAX][WIRE_PROBLEM_SIZE]; /* why; cut where too long */
};

struct lease_request {
    char worker[WIRE_WORKER_SIZE];
    uint32_t slot;         /* < WIRE_SLOTS_MAX */
    uint32_t wait_seconds; /* 0 .. WIRE_SECONDS_MAX */
};

struct lease_response {
    bool has_task; /* false: nothing to do within wait_seconds */
    struct wire_task task;
};

struct report_request {
    char worker[WIRE_WORKER_SIZE];
    uint64_t attempt, epoch;
    uint64_t steps_done, steps_total; /* done <= total; both 0 before the trainer knows */
    uint32_t epoch_count;
    struct wire_epoch epochs[WIRE_EPOCHS_MAX]; /* finished since the last report */
    struct wire_checkpoint checkpoint;         /* the newest that was uploaded; bytes 0: none */
};

struct report_response {
    bool stop;               /* end the attempt, no result is wanted */
    bool hand_back;          /* write a checkpoint and hand the task back */
    bool checkpoint_missing; /* the report's checkpoint is not there: upload it again */
};

struct result_request {
    char worker[WIRE_WORKER_SIZE];
    uint64_t attempt, epoch;
    struct wire_result result;
};

struct result_response {
    bool accepted;
};

int register_request_pack(const struct register_request *request,
                          struct buffer *ret_bytes) MUST_USE;
int register_request_unpack(const void *bytes, size_t length, struct register_request *ret_request,
                            struct error *error) MUST_USE;
int register_response_pack(const struct register_response *response,
                           struct buffer *ret_bytes) MUST_USE;
int register_response_unpack(const void *bytes, size_t length,
                             struct register_response *ret_response, struct error *error) MUST_USE;

int lease_request_pack(const struct lease_request *request, struct buffer *ret_bytes) MUST_USE;
int lease_request_unpack(const void *bytes, size_t length, struct lease_request *ret_request,
                         struct error *error) MUST_USE;
int lease_response_pack(const struct lease_response *response, struct buffer *ret_bytes) MUST_USE;
/* A task with a field that is wrong gives -EINVAL and, so that the attempt can be refused, sets has_task and of the task
 * only attempt and epoch (0 where these are missing). */
int lease_response_unpack(const void *bytes, size_t length, struct lease_response *ret_response,
                          struct error *error) MUST_USE;

int report_request_pack(const struct report_request *request, struct buffer *ret_bytes) MUST_USE;
int report_request_unpack(const void *bytes, size_t length, struct report_request *ret_request,
                          struct error *error) MUST_USE;
int report_response_pack(const struct report_response *response, struct buffer *ret_bytes) MUST_USE;
int report_response_unpack(const void *bytes, size_t length, struct report_response *ret_response,
                           struct error *error) MUST_USE;

int result_request_pack(const struct result_request *request, struct buffer *ret_bytes) MUST_USE;
int result_request_unpack(const void *bytes, size_t length, struct result_request *ret_request,
                          struct error *error) MUST_USE;
int result_response_pack(const struct result_response *response, struct buffer *ret_bytes) MUST_USE;
int result_response_unpack(const void *bytes, size_t length, struct result_response *ret_response,
                           struct error *error) MUST_USE;

#endif
