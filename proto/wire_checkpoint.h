/* Where training can be continued from: names a file by its content. A plain value. */
#ifndef PROTO_WIRE_CHECKPOINT_H
#define PROTO_WIRE_CHECKPOINT_H

#include "proto/sha256.h"

enum { WIRE_PATH_SIZE = 1024 };

struct wire_checkpoint {
    uint8_t sha256[SHA256_SIZE]; /* of the file */
    uint64_t bytes;              /* the file's size; 0: there is no checkpoint */
    uint64_t steps_done;         /* training steps, all epochs */
};

/* What a trainer says when one is durable. */
struct wire_checkpoint_written {
    char path[WIRE_PATH_SIZE];
    struct wire_checkpoint checkpoint; /* bytes above 0 */
};

#endif
