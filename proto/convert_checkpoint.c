/* Between generated messages and plain structs: checkpoints. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/convert.h"

Archscout__V1__Checkpoint wire_checkpoint_to_message(const struct wire_checkpoint *checkpoint)
{
    Archscout__V1__Checkpoint message = ARCHSCOUT__V1__CHECKPOINT__INIT;
    message.sha256.data = (uint8_t *)(uintptr_t)checkpoint->sha256; /* packing only reads it */
    message.sha256.len = SHA256_SIZE;
    message.bytes = checkpoint->bytes;
    message.steps_done = checkpoint->steps_done;
    return message;
}

static int check_message(const Archscout__V1__Checkpoint *message, struct error *error)
{
    if (message->sha256.len != SHA256_SIZE)
        return error_set(error, -EINVAL, "/sha256", "must have %d bytes", SHA256_SIZE);
    if (message->bytes == 0 || message->bytes > INT64_MAX)
        return error_set(error, -EINVAL, "/bytes", "must be the size of a file");
    if (message->steps_done > INT64_MAX)
        return error_set(error, -EINVAL, "/steps_done", "is too large");
    return 0;
}

int wire_checkpoint_from_message(const Archscout__V1__Checkpoint *message, const char *pointer,
                                 struct wire_checkpoint *ret_checkpoint, struct error *error)
{
    if (!message) {
        *ret_checkpoint = (struct wire_checkpoint){.bytes = 0};
        return 0;
    }
    int code = check_message(message, error);
    if (code < 0)
        return error_prefix(error, code, pointer);
    *ret_checkpoint =
        (struct wire_checkpoint){.bytes = message->bytes, .steps_done = message->steps_done};
    memcpy(ret_checkpoint->sha256, message->sha256.data, SHA256_SIZE);
    return 0;
}

int wire_path_from_message(const char *text, const char *pointer, char ret_path[WIRE_PATH_SIZE],
                           struct error *error)
{
    size_t length = strlen(text);
    if (length >= WIRE_PATH_SIZE)
        return error_set(error, -EINVAL, pointer, "must have at most %d bytes", WIRE_PATH_SIZE - 1);
    memcpy(ret_path, text, length + 1);
    return 0;
}
